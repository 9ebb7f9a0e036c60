//! What the layers below refuse or fail at, as problems.

use super::{Code, Problem};
use crate::{
    actors::{
        directory::DirectoryError, inventory::AskError, letters::LetterError, operations::OperationError,
        papers::PapersError, waiting_room::WaitError,
    },
    domain::inventory::request::{HoldState, Refusal},
    http::shapes::Timestamp,
    stores::error::StoreError,
};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        let problem = match refusal {
            Refusal::NotOnSale => Self::new(Code::NotOnSale),
            Refusal::NotAdmitted => Self::new(Code::NotAdmitted),
            Refusal::Quantity { max } => Self::new(Code::InvalidQuantity).with("max", max),
            Refusal::UnknownTicketType(code) => Self::new(Code::UnknownTicketType).with("ticket_type", code.as_str()),
            Refusal::UnknownRate { ticket_type, rate } => {
                Self::new(Code::UnknownRate).with("ticket_type", ticket_type.as_str()).with("rate", rate.as_str())
            }
            Refusal::UnknownSeat(seat) => Self::new(Code::UnknownSeat).with("seat", seat.as_str()),
            Refusal::SoldBySeat(code) => Self::new(Code::SoldBySeat).with("ticket_type", code.as_str()),
            Refusal::SeatTwice(seat) => Self::new(Code::DuplicateSeat).with("seat", seat.as_str()),
            Refusal::SoldOut { ticket_type, left } => {
                Self::new(Code::SoldOut).with("ticket_type", ticket_type.as_str()).with("left", left)
            }
            Refusal::SeatTaken(seat) => Self::new(Code::SeatTaken).with("seat", seat.as_str()),
            Refusal::NoSuchSeats { quantity } => Self::new(Code::NoSuchSeats).with("quantity", quantity),
            Refusal::Orphan(seat) => Self::new(Code::OrphanSeat).with("seat", seat.as_str()),
            Refusal::FanLimit { allowed } => Self::new(Code::FanLimit).with("allowed", allowed),
            Refusal::EventChanged { version } => Self::new(Code::EventChanged).with("version", version),
            // The same answer as for another fan's order.
            Refusal::UnknownOrder => return Self::new(Code::NotFound),
            Refusal::HoldEnded { state } => Self::new(Code::HoldEnded).with("state", hold_state(state)),
            Refusal::NotSold { state } => Self::new(Code::OrderState).with("state", hold_state(state)),
            Refusal::AlreadyExtended => Self::new(Code::AlreadyExtended),
            Refusal::NoExtension => Self::new(Code::NoExtension),
            Refusal::KeyReused => Self::new(Code::IdempotencyKeyReused),
            Refusal::StaleVersion { version } => Self::new(Code::StaleVersion).with("version", version),
            Refusal::BelowTaken { code, taken } => {
                Self::new(Code::BelowTaken).with("object", code.as_str()).with("taken", taken)
            }
            Refusal::InvalidConfiguration(_) => Self::new(Code::InvalidEvent),
            Refusal::Transition { .. } => Self::new(Code::InvalidTransition),
            Refusal::OrdersLagging => Self::new(Code::OrdersLagging),
            Refusal::Draw(_) => Self::new(Code::DrawState),
            Refusal::UnknownClass { code } => Self::new(Code::InvalidBody).with("class", code.as_str()),
            Refusal::TooManyMembers { max } => Self::new(Code::InvalidBody).with("max", max),
            Refusal::Halted => Self::halted(),
            Refusal::InviteUsed => Self::new(Code::InviteUsed),
            Refusal::InviteWithdrawn => Self::new(Code::InvalidInvite),
            Refusal::OrderMoved => Self::new(Code::OutcomeUnknown),
            Refusal::OtherTicketType(seat) => Self::new(Code::OtherTicketType).with("seat", seat.as_str()),
            Refusal::TooManyInvites => Self::new(Code::TooManyInvites),
            Refusal::NotSoldOut => Self::new(Code::NotSoldOut),
            Refusal::WaitlistClosed => Self::new(Code::WaitlistClosed),
            Refusal::WaitlistFull { max } => Self::new(Code::WaitlistFull).with("max", max),
            Refusal::AlreadyWaiting => Self::new(Code::AlreadyWaiting),
            Refusal::NotWaiting => Self::new(Code::NotWaiting),
            Refusal::UnknownCode => Self::new(Code::UnknownCode),
            Refusal::CodeExists(code) => Self::new(Code::CodeExists).with("object", code.as_str()),
            Refusal::TooManyCodes { max } => Self::new(Code::TooManyCodes).with("max", max),
            Refusal::CodeNotValidNow { from, until } => Self::new(Code::CodeNotValidNow)
                .with("valid_from", from.map(|at| Timestamp(at).to_string()))
                .with("valid_until", until.map(|at| Timestamp(at).to_string())),
            Refusal::CodeUsedUp { left } => Self::new(Code::CodeUsedUp).with("left", left),
            Refusal::CodeFanLimit { left } => Self::new(Code::CodeFanLimit).with("left", left),
            Refusal::CodeNotForThese => Self::new(Code::CodeNotApplicable),
            Refusal::CodeRequired { ticket_type, opens_at } => Self::new(Code::CodeRequired)
                .with("ticket_type", ticket_type.as_str())
                .with("opens_at", opens_at.map(|at| Timestamp(at).to_string())),
        };
        problem.detail(text)
    }
}

pub fn hold_state(state: HoldState) -> &'static str {
    match state {
        HoldState::Held => "held",
        HoldState::Released => "released",
        HoldState::Expired => "expired",
        HoldState::Sold => "sold",
        HoldState::Voided => "voided",
        HoldState::Refused => "refused",
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Overloaded | AskError::TooLate => Self::new(Code::Overloaded),
            AskError::Unknown => Self::new(Code::OutcomeUnknown),
            AskError::Unavailable => Self::new(Code::EventUnavailable),
        }
    }
}

impl From<PapersError> for Problem {
    fn from(error: PapersError) -> Self {
        match error {
            PapersError::Overloaded => Self::new(Code::Overloaded),
            PapersError::NoEvent => Self::new(Code::NotFound),
            PapersError::Store(error) => error.into(),
            PapersError::Failed(error) => {
                tracing::error!(%error, "a document is not made");
                Self::new(Code::Internal)
            }
        }
    }
}

impl From<LetterError> for Problem {
    fn from(error: LetterError) -> Self {
        match error {
            LetterError::Papers(error) => error.into(),
            error => Self::new(Code::MailNotWritten).detail(error.to_string()),
        }
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        Self::new(match error {
            WaitError::Overloaded => Code::Overloaded,
            WaitError::TryAgain => Code::OutcomeUnknown,
            WaitError::Unavailable => Code::EventUnavailable,
        })
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        Self::new(match error {
            DirectoryError::UnknownEvent => Code::NotFound,
            DirectoryError::Unavailable | DirectoryError::Elsewhere => Code::EventUnavailable,
        })
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        Self::new(match error {
            OperationError::UnknownNode => Code::UnknownNode,
            OperationError::UnknownEvent => Code::NotFound,
            OperationError::NotUp => Code::NodeNotUp,
            OperationError::Alone => Code::NoCluster,
            OperationError::Store(error) => return error.into(),
        })
    }
}

/// Logs it: this is where a store's error ends. A conflict that means something to the caller is matched before this.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Code::StoreUnavailable,
            StoreError::Unknown(_) => Code::OutcomeUnknown,
            StoreError::Invalid(_) | StoreError::Corrupt(_) => Code::Internal,
            StoreError::ReadOnly(_) => Code::ReadOnly,
        };
        tracing::error!(error = &error as &dyn std::error::Error, code = code.row().name, "store failed");
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_are_refused_has_a_code_of_its_own() {
        let unavailable = || StoreError::Unavailable("down".into());
        for (error, code) in [
            (OperationError::UnknownNode, Code::UnknownNode),
            (OperationError::UnknownEvent, Code::NotFound),
            (OperationError::NotUp, Code::NodeNotUp),
            (OperationError::Alone, Code::NoCluster),
            (OperationError::Store(unavailable()), Code::StoreUnavailable),
        ] {
            assert_eq!(Problem::from(error).code(), code);
        }
    }
}
