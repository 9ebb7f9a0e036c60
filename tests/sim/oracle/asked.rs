//! I-34: nothing takes effect for which nobody waits any more.
//!
//! Who asked for something and was answered, with a yes, a no or "not attempted", is done with. An entry that does what was
//! asked must therefore be committed while somebody who asked for it still has no answer, or was told that it is unknown.

use onsale::domain::{
    code::Code,
    id::{FanId, OrderId, PaymentId},
    inventory::{
        entry::Entry,
        request::{AdmissionEnd, Command, Request},
        waitlist::{WaitEnd, WaitlistCommand},
    },
    queue::Place,
};

use crate::world::{World, codes, mark};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Configure(u64),
    Admit(Place),
    Claim(Place),
    ExtendAdmission(Place),
    EndAdmission(Place),
    Hold(OrderId),
    Extend(OrderId),
    /// For its payment.
    Await(OrderId),
    /// Also what cancels an unpaid order.
    Release(OrderId),
    Confirm(OrderId, PaymentId),
    /// Whole or in part.
    Undo(OrderId),
    /// One ticket of the order, by this number.
    Move(OrderId, u32),
    /// The first of some codes, by its own number.
    MakeCodes(u64),
    Wait(OrderId),
    WaitNoMore(FanId),
}

fn first_number(of: &[Code]) -> Option<u64> {
    codes::number(of.first()?)
}

impl Asked {
    pub fn of(request: &Request) -> Vec<Self> {
        match &request.command {
            Command::Configure(configuration) => mark(configuration).map(Self::Configure).into_iter().collect(),
            Command::Admit(admittees) => admittees.iter().map(|admittee| Self::Admit(admittee.place)).collect(),
            Command::Claim { place, .. } => vec![Self::Claim(*place)],
            Command::ExtendAdmission { place, .. } => vec![Self::ExtendAdmission(*place)],
            Command::EndAdmission { place, .. } => vec![Self::EndAdmission(*place)],
            Command::Hold(hold) => vec![Self::Hold(hold.order)],
            Command::Extend { order, .. } => vec![Self::Extend(*order)],
            Command::Release { order, .. } => vec![Self::Release(*order)],
            Command::Confirm(confirm) | Command::ConfirmOrOthers(confirm) | Command::RefuseInstrument(confirm) => {
                vec![Self::Confirm(confirm.order, confirm.payment)]
            }
            Command::AwaitPayment { order, .. } => vec![Self::Await(*order)],
            Command::Void { order } | Command::Reduce { order, .. } | Command::Keep { order, .. } => {
                vec![Self::Undo(*order)]
            }
            Command::AddSeat { order, number, .. } => vec![Self::Move(*order, *number)],
            Command::MakeCodes { codes, .. } => first_number(codes).map(Self::MakeCodes).into_iter().collect(),
            Command::Waitlist(WaitlistCommand::Join { order, .. }) => vec![Self::Wait(*order)],
            Command::Waitlist(WaitlistCommand::Leave { fan }) => vec![Self::WaitNoMore(*fan)],
            Command::Draw(_)
            | Command::Waitlist(WaitlistCommand::Look { .. } | WaitlistCommand::Wanted(_))
            | Command::UseInvite { .. }
            | Command::WithdrawInvites(_)
            | Command::WithdrawCodes(_)
            | Command::ListCodes { .. }
            | Command::Classify { .. }
            | Command::CountMoves(_) => Vec::new(),
        }
    }

    /// What must have been asked for before this was written; `None` for what time or the owner does.
    fn before(entry: &Entry) -> Option<Self> {
        match entry {
            Entry::Activated { .. } | Entry::SeatsStaged { .. } | Entry::Expired { .. } => None,
            Entry::Configured { configuration, .. } => mark(configuration).map(Self::Configure),
            Entry::Admitted { place, .. } => Some(Self::Admit(*place)),
            Entry::Claimed { place, .. } => Some(Self::Claim(*place)),
            Entry::AdmissionExtended { place, .. } => Some(Self::ExtendAdmission(*place)),
            Entry::AdmissionEnded { why: AdmissionEnd::Expired | AdmissionEnd::Unclaimed, .. } => None,
            Entry::AdmissionEnded { place, .. } => Some(Self::EndAdmission(*place)),
            Entry::Held { order, .. } => Some(Self::Hold(*order)),
            Entry::Extended { order, .. } => Some(Self::Extend(*order)),
            Entry::PaymentAwaited { order, .. } => Some(Self::Await(*order)),
            Entry::Released { order, .. } => Some(Self::Release(*order)),
            Entry::Confirmed { order, payment, .. } | Entry::ConfirmRefused { order, payment, .. } => {
                Some(Self::Confirm(*order, *payment))
            }
            Entry::Voided { order } | Entry::Reduced { order, .. } => Some(Self::Undo(*order)),
            Entry::SeatAdded { order, number, .. } => Some(Self::Move(*order, *number)),
            Entry::CodesMade { codes, .. } => first_number(codes).map(Self::MakeCodes),
            Entry::WaitlistJoined { order, .. } => Some(Self::Wait(*order)),
            Entry::WaitlistLeft { fan, why: WaitEnd::Left } => Some(Self::WaitNoMore(*fan)),
            // The model knows when each of these may be.
            Entry::WaitlistLeft { .. }
            | Entry::StockKept { .. }
            | Entry::StockSpared { .. }
            | Entry::Offered { .. }
            | Entry::WaitlistCleared => None,
            Entry::DrawCommitted { .. }
            | Entry::DrawStaged { .. }
            | Entry::DrawClosed { .. }
            | Entry::DrawBeacon { .. }
            | Entry::DrawRevealed { .. }
            | Entry::InviteUsed { .. }
            | Entry::InvitesWithdrawn { .. }
            | Entry::CodesWithdrawn { .. }
            | Entry::StockReleased { .. }
            | Entry::Classified { .. }
            | Entry::QueueMoved { .. } => None,
        }
    }
}

impl World {
    pub fn asked(&mut self, asked: &[Asked]) {
        for one in asked {
            *self.open.entry(*one).or_default() += 1;
        }
    }

    /// Answered: nothing may come of it from here on that has not come yet.
    pub fn closed(&mut self, asked: &[Asked]) {
        for one in asked {
            if let Some(count) = self.open.get_mut(one) {
                *count -= 1;
            }
        }
    }

    pub fn check_asked(&mut self, entries: &[Entry]) {
        for asked in entries.iter().filter_map(Asked::before) {
            let open = self.open.get(&asked).copied().unwrap_or_default();
            self.require(open > 0, || format!("I-34: {asked:?} takes effect when everybody who asked is answered"));
        }
    }
}
