//! Money on its way back.
//!
//! | state | means | may become |
//! |---|---|---|
//! | begun | decided and booked; the provider is to be asked | asked, done, failed |
//! | asked | the provider has taken the request and has not said that it is done | done, failed |
//! | failed | the provider refuses: a person must look | begun (asked anew), done |
//! | done | the provider has given the money back | |
//!
//! A refund is asked for under a key of its own, so that asking again never gives back twice; a new one only once the provider has
//! refused for good. Done is final: the provider's word that money has moved stands, in whatever order its messages come.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    code::{Code, SeatId},
    id::RefundId,
    inventory::request::{ConfirmRefusal, Line},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Begun,
    Asked,
    Failed,
    Done,
}

impl RefundState {
    pub const ALL: [Self; 4] = [Self::Begun, Self::Asked, Self::Failed, Self::Done];

    /// The table above.
    pub fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Begun, Self::Asked | Self::Failed | Self::Done)
                | (Self::Asked, Self::Failed | Self::Done)
                | (Self::Failed, Self::Begun | Self::Done)
        )
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Asked => "asked",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }
}

/// Names a refund to its provider. Text form: the id, a dot, the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefundKey {
    pub id: RefundId,
    /// How often it was asked for anew.
    pub round: u32,
}

impl RefundKey {
    /// Whether a refund that is asked for under this key changes by what was said under `said`. That an earlier round failed is no
    /// news once it was asked for anew; that money has moved always is.
    pub fn heeds(self, said: Self, to: RefundState) -> bool {
        self == said || (self.id == said.id && to == RefundState::Done)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a refund")]
pub struct NotARefundKey;

impl fmt::Display for RefundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.round)
    }
}

impl FromStr for RefundKey {
    type Err = NotARefundKey;

    fn from_str(text: &str) -> Result<Self, NotARefundKey> {
        let (id, round) = text.split_once('.').ok_or(NotARefundKey)?;
        let key = Self { id: id.parse().map_err(|_| NotARefundKey)?, round: round.parse().map_err(|_| NotARefundKey)? };
        // One spelling only.
        if key.to_string() == text { Ok(key) } else { Err(NotARefundKey) }
    }
}

/// What a refund follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The hold had lapsed and its stock went to others.
    Gone,
    /// The order was paid twice.
    AlreadyPaid,
    /// The event was cancelled, before or after tickets were issued.
    EventCancelled,
    /// The order was undone before its tickets were issued.
    Voided,
    /// The fan has as many tickets as are allowed.
    LimitReached,
    /// The organizer or an operator has asked for it.
    Requested,
    /// Its holder gave the ticket back to who waits for one.
    Returned,
    /// The code by which it was held has been used as often as it may be.
    CodeUsedUp,
    /// As many as may be were bought with one card.
    InstrumentLimit,
}

impl RefundReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::AlreadyPaid => "already_paid",
            Self::EventCancelled => "event_cancelled",
            Self::Voided => "voided",
            Self::LimitReached => "limit_reached",
            Self::Requested => "requested",
            Self::Returned => "returned",
            Self::CodeUsedUp => "code_used_up",
            Self::InstrumentLimit => "instrument_limit",
        }
    }
}

impl From<ConfirmRefusal> for RefundReason {
    fn from(why: ConfirmRefusal) -> Self {
        match why {
            ConfirmRefusal::Gone => Self::Gone,
            ConfirmRefusal::AlreadyPaid => Self::AlreadyPaid,
            ConfirmRefusal::EventCancelled => Self::EventCancelled,
            ConfirmRefusal::Voided => Self::Voided,
            ConfirmRefusal::LimitReached => Self::LimitReached,
            ConfirmRefusal::CodeUsedUp => Self::CodeUsedUp,
            ConfirmRefusal::InstrumentLimit => Self::InstrumentLimit,
        }
    }
}

/// A ticket whose place goes back to stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    pub ticket_type: Code,
    pub rate: Option<Code>,
    pub seat: Option<SeatId>,
}

/// What is left of an order's lines when these tickets' places are given back.
pub fn kept(lines: &[Line], given_back: &[GivenBack]) -> Vec<Line> {
    let left = |line: &Line| {
        let same = |back: &&GivenBack| back.ticket_type == line.ticket_type && back.rate.as_ref() == line.rate();
        let of_type = given_back.iter().filter(same);
        let mut seats: Vec<_> = of_type.clone().filter_map(|back| back.seat.as_ref()).collect();
        let quantity = line.quantity.saturating_sub(u32::try_from(of_type.count()).unwrap_or(u32::MAX));
        // Each once: another ticket of the order may have moved to a seat that was given back.
        let stays = |seat: &&SeatId| match seats.iter().position(|back| back == seat) {
            Some(back) => {
                seats.swap_remove(back);
                false
            }
            None => true,
        };
        let seats = line.seats.iter().filter(stays).cloned().collect();
        (quantity > 0).then(|| Line { quantity, seats, ..line.clone() })
    };
    lines.iter().filter_map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::price::Breakdown;

    fn line(ticket_type: &str, quantity: u32, seats: &[&str]) -> Line {
        Line {
            ticket_type: ticket_type.parse().expect("code"),
            quantity,
            unit_price_minor: 100,
            breakdown: None,
            seats: seats.iter().map(|seat| seat.parse().expect("seat")).collect(),
        }
    }

    fn back(ticket_type: &str, seat: Option<&str>) -> GivenBack {
        GivenBack {
            ticket_type: ticket_type.parse().expect("code"),
            rate: None,
            seat: seat.map(|seat| seat.parse().expect("seat")),
        }
    }

    #[test]
    fn only_the_ways_of_the_table_are_open() {
        use RefundState::{Asked, Begun, Done, Failed};
        let ways = [
            (Begun, Asked),
            (Begun, Failed),
            (Begun, Done),
            (Asked, Failed),
            (Asked, Done),
            (Failed, Begun),
            (Failed, Done),
        ];
        for from in RefundState::ALL {
            for to in RefundState::ALL {
                assert_eq!(from.may_become(to), ways.contains(&(from, to)), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        let key = RefundKey { id: RefundId::from_u128(7), round: 2 };
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in ["", ".", "7.2", "00000000000000000000000000000007", "00000000000000000000000000000007.02"] {
            assert_eq!(wrong.parse::<RefundKey>(), Err(NotARefundKey), "{wrong}");
        }
    }

    #[test]
    fn of_an_earlier_round_only_that_money_has_moved_is_heard() {
        let key = |id, round| RefundKey { id: RefundId::from_u128(id), round };
        for to in RefundState::ALL {
            assert!(key(7, 1).heeds(key(7, 1), to), "{to:?}");
            assert_eq!(key(7, 1).heeds(key(7, 0), to), to == RefundState::Done, "{to:?}");
            assert!(!key(7, 1).heeds(key(8, 1), to), "{to:?}");
        }
    }

    #[test]
    fn of_two_rates_what_is_given_back_is_of_its_own() {
        let at = |rate: Option<&str>, quantity| {
            let rate = rate.map(|rate| rate.parse().expect("code"));
            let breakdown = rate.map(|rate| Box::new(Breakdown { rate: Some(rate), ..Breakdown::default() }));
            Line { breakdown, ..line("GA", quantity, &[]) }
        };
        let child = GivenBack { rate: Some("child".parse().expect("code")), ..back("GA", None) };
        let bought = [at(None, 2), at(Some("child"), 2)];
        assert_eq!(kept(&bought, std::slice::from_ref(&child)), [at(None, 2), at(Some("child"), 1)]);
        assert_eq!(kept(&bought, &[back("GA", None), back("GA", None), child]), [at(Some("child"), 1)]);
    }

    #[test]
    fn what_is_kept_is_what_was_bought_without_what_is_given_back() {
        let bought = [line("GA", 3, &[]), line("VIP", 2, &["A-1", "A-2"])];
        for (given_back, expected) in [
            (vec![], bought.to_vec()),
            (vec![back("GA", None)], vec![line("GA", 2, &[]), line("VIP", 2, &["A-1", "A-2"])]),
            (vec![back("VIP", Some("A-1"))], vec![line("GA", 3, &[]), line("VIP", 1, &["A-2"])]),
            (
                vec![back("GA", None), back("GA", None), back("GA", None), back("VIP", Some("A-2"))],
                vec![line("VIP", 1, &["A-1"])],
            ),
            (
                vec![
                    back("GA", None),
                    back("GA", None),
                    back("GA", None),
                    back("VIP", Some("A-2")),
                    back("VIP", Some("A-1")),
                ],
                vec![],
            ),
        ] {
            assert_eq!(kept(&bought, &given_back), expected, "{given_back:?}");
        }
    }

    #[test]
    fn a_seat_that_was_given_back_is_kept_by_the_ticket_that_has_moved_to_it_since() {
        let moved = [line("VIP", 2, &["A-1", "A-1"])];
        let one = back("VIP", Some("A-1"));
        assert_eq!(kept(&moved, std::slice::from_ref(&one)), [line("VIP", 1, &["A-1"])]);
        assert_eq!(kept(&moved, &[one.clone(), one]), []);
    }
}
