//! Errands: one request to one event's actors, as it crosses nodes, and the report of what became of it.
//!
//! Owns both vocabularies and how an errand is run where the event is. Knows no nodes and no links.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    directory::EventHandles,
    inventory::AskError,
    orders::{PaymentFact, SettleError},
    waiting_room::WaitError,
};
use crate::domain::{
    draw::Proof,
    id::{FanId, OrderId},
    inventory::{
        SeatState,
        request::{Answer, Command, HoldView, Request},
    },
    queue::{Class, Outcome, Place, Standing},
    stock::{Mark, Update},
    time::Millis,
};

/// Small, except `Ask` with a configuration: a seat plan can be some megabytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    Ask(Request),
    /// A strong read.
    Order(OrderId),
    /// The seats from this one on, in the configuration's order: as many as a page takes.
    Seats {
        from: u32,
    },
    Join(FanId),
    Leave(FanId),
    Claim(FanId),
    Standing {
        fan: FanId,
        poll: bool,
    },
    Members {
        after: Option<Place>,
        limit: u32,
    },
    AdmitNow {
        count: u32,
    },
    Remove(Vec<FanId>),
    RemoveFirst {
        count: u32,
    },
    Clear,
    Settle(PaymentFact),
    Extend(FanId),
    Revoke(Vec<FanId>),
    /// Those who take part in the draw, from this one on: as many as a page takes.
    Entrants {
        from: u32,
    },
    Proof(FanId),
    Tie {
        device: FanId,
        account: FanId,
    },
    Restore {
        fan: FanId,
        place: Place,
    },
    Move {
        fan: FanId,
        class: Class,
    },
    /// What viewers are shown, as far as it is new to who has seen so much.
    Stock {
        since: Option<Mark>,
    },
}

/// Of the errand with the same name; the errors are those that the actors' own handles give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    Asked(Result<Answer, AskError>),
    Order(Result<Option<HoldView>, AskError>),
    Seats(Result<SeatsPage, AskError>),
    /// Of `Join`, `Leave`, `Claim`, `Extend`, `Tie`, `Restore` and `Move`.
    Waiting(Result<Outcome, WaitError>),
    Standing(Result<Standing, WaitError>),
    Members(Result<Vec<(Place, FanId)>, WaitError>),
    AdmitNow(Result<(), WaitError>),
    /// Of `Remove`, `RemoveFirst`, `Clear` and `Revoke`.
    Removed(Result<u32, WaitError>),
    Settled(Result<(), SettleError>),
    Entrants(Result<EntrantsPage, AskError>),
    Proof(Result<Option<Proof>, WaitError>),
    Stock(Result<Update, AskError>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrantsPage {
    /// Of all of them.
    pub total: u32,
    pub fans: Vec<FanId>,
}

/// 16 bytes each.
const ENTRANTS_PAGE: usize = 50_000;

/// States only: their names are in the configuration of this version, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsPage {
    pub version: u32,
    /// Of the whole plan.
    pub total: u32,
    pub states: Vec<SeatState>,
}

/// Seats in one page, a byte each.
pub const SEATS_PAGE: usize = 100_000;

impl Errand {
    /// Whether it may be sent again when nobody knows what became of it: it has an identity, or says something that cannot
    /// become true twice.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Ask(Request { identity: Some(_), .. }) => true,
            Self::Ask(Request { identity: None, command }) => {
                // Repeating the others is refused, or done twice.
                matches!(
                    command,
                    Command::Admit(_)
                        | Command::Claim { .. }
                        | Command::ExtendAdmission { .. }
                        | Command::EndAdmission { .. }
                        | Command::Confirm(_)
                        | Command::ConfirmOrOthers(_)
                        | Command::AwaitPayment { .. }
                        | Command::RefuseInstrument(_)
                        | Command::AddSeat { .. }
                        | Command::Keep { .. }
                        | Command::Draw(_)
                        | Command::Classify { .. }
                        | Command::UseInvite { .. }
                        | Command::Waitlist(_)
                )
            }
            Self::AdmitNow { .. } | Self::RemoveFirst { .. } => false,
            Self::Order(_)
            | Self::Seats { .. }
            | Self::Join(_)
            | Self::Leave(_)
            | Self::Claim(_)
            | Self::Extend(_)
            | Self::Revoke(_)
            | Self::Standing { .. }
            | Self::Members { .. }
            | Self::Remove(_)
            | Self::Clear
            | Self::Settle(_)
            | Self::Entrants { .. }
            | Self::Proof(_)
            | Self::Tie { .. }
            | Self::Restore { .. }
            | Self::Move { .. }
            | Self::Stock { .. } => true,
        }
    }
}

impl EventHandles {
    /// Does the errand, where the event runs. `within`: how long its caller still waits.
    pub async fn run(&self, errand: Errand, within: Duration) -> Report {
        let Self { inventory, waiting_room, orders, stock, .. } = self;
        let within = Millis(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        match errand {
            Errand::Ask(request) => Report::Asked(inventory.ask_within(request, within).await),
            Errand::Order(order) => Report::Order(inventory.order(order).await),
            Errand::Seats { from } => Report::Seats(self.seats(from).await),
            Errand::Join(fan) => Report::Waiting(waiting_room.join(fan).await),
            Errand::Leave(fan) => Report::Waiting(waiting_room.leave(fan).await),
            Errand::Claim(fan) => Report::Waiting(waiting_room.claim(fan).await),
            Errand::Standing { fan, poll: false } => Report::Standing(waiting_room.standing(fan).await),
            Errand::Standing { fan, poll: true } => Report::Standing(waiting_room.poll(fan).await),
            Errand::Members { after, limit } => {
                Report::Members(waiting_room.members(after, limit.try_into().unwrap_or(usize::MAX)).await)
            }
            Errand::AdmitNow { count } => Report::AdmitNow(waiting_room.admit_now(count).await),
            Errand::Remove(fans) => Report::Removed(waiting_room.remove(fans).await),
            Errand::RemoveFirst { count } => Report::Removed(waiting_room.remove_first(count).await),
            Errand::Extend(fan) => Report::Waiting(waiting_room.extend(fan).await),
            Errand::Revoke(fans) => Report::Removed(waiting_room.revoke(fans).await),
            Errand::Clear => Report::Removed(waiting_room.clear().await),
            Errand::Settle(fact) => Report::Settled(orders.settle(fact).await),
            Errand::Entrants { from } => Report::Entrants(self.entrants(from).await),
            Errand::Proof(fan) => Report::Proof(waiting_room.proof(fan).await),
            Errand::Restore { fan, place } => Report::Waiting(waiting_room.restore(fan, place).await),
            Errand::Tie { device, account } => Report::Waiting(waiting_room.tie(device, account).await),
            Errand::Move { fan, class } => Report::Waiting(waiting_room.move_fan(fan, class).await),
            Errand::Stock { since } => Report::Stock(stock.since(since).await),
        }
    }

    async fn entrants(&self, from: u32) -> Result<EntrantsPage, AskError> {
        let fans = self.inventory.entrants().await?;
        let total = u32::try_from(fans.len()).unwrap_or(u32::MAX);
        Ok(EntrantsPage { total, fans: fans.iter().skip(from as usize).take(ENTRANTS_PAGE).copied().collect() })
    }

    async fn seats(&self, from: u32) -> Result<SeatsPage, AskError> {
        let before = self.inventory.configuration().version;
        let seats = self.inventory.seats().await?;
        let version = self.inventory.configuration().version;
        // Between two plans: nobody could say which seats these are.
        if version != before {
            return Err(AskError::Unavailable);
        }
        let total = u32::try_from(seats.len()).unwrap_or(u32::MAX);
        let states = seats.into_iter().skip(from as usize).take(SEATS_PAGE).map(|(_, state)| state).collect();
        Ok(SeatsPage { version, total, states })
    }
}

impl Report {
    /// Whether the actors were just ending: nothing was done, and whoever owns the event next can be asked.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Asked(Err(error))
            | Self::Order(Err(error))
            | Self::Seats(Err(error))
            | Self::Entrants(Err(error))
            | Self::Stock(Err(error)) => *error == AskError::Unavailable,
            Self::Waiting(Err(error))
            | Self::Standing(Err(error))
            | Self::Members(Err(error))
            | Self::AdmitNow(Err(error))
            | Self::Removed(Err(error))
            | Self::Proof(Err(error)) => *error == WaitError::Unavailable,
            _ => false,
        }
    }

    /// Whether the actors could not tell what became of it, because their node lost the event or its stores meanwhile.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Asked(Err(error)) | Self::Order(Err(error)) | Self::Seats(Err(error)) => *error == AskError::Unknown,
            _ => false,
        }
    }
}
