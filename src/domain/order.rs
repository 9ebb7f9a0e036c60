//! The life of an order: a function of the set of facts known about it, whatever order they came in.
//!
//! | state | means | ends |
//! |---|---|---|
//! | pending | held, not paid | |
//! | paying | a checkout is open at the provider | |
//! | paid | the money is here, tickets are not yet | |
//! | ticketed | sold, tickets issued | yes |
//! | cancelled | released, expired or given up unpaid | yes, unless money comes |
//! | refunding | the money is here and goes back: the stock is gone | |
//! | refunded | the money is back | yes |

use serde::{Deserialize, Serialize};

use super::inventory::fact::{FactKind, OrderFact};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    Pending,
    Paying,
    Paid,
    Ticketed,
    Cancelled,
    Refunding,
    Refunded,
}

/// What is known about an order. Each field is set by its own fact, and never unset but by a later fact of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    /// Highest fact number of the inventory seen: its lines and deadline are the order's.
    pub fact_number: u64,
    pub hold: HoldFact,
    pub checkout_open: bool,
    pub captured: bool,
    /// The tickets are there: written with them, in one transaction.
    pub issued: bool,
    pub refunded: bool,
}

/// What became of the hold. Nothing leads back, so of two facts the one further down is the later one, in whatever order
/// they arrive: a hold that lapsed can be refused or sold, and a refusal of a second payment does not unsell what the first
/// one bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldFact {
    #[default]
    Held,
    Lapsed,
    Refused,
    Sold,
    Voided,
}

impl Known {
    /// Takes in a fact of the inventory, in any order; `true` if it is the newest so far.
    pub fn learn(&mut self, fact: &OrderFact) -> bool {
        let hold = match fact.what {
            FactKind::Created | FactKind::Extended => HoldFact::Held,
            FactKind::Released | FactKind::Expired => HoldFact::Lapsed,
            FactKind::ConfirmRefused { .. } => HoldFact::Refused,
            FactKind::Confirmed { .. } => HoldFact::Sold,
            FactKind::Voided => HoldFact::Voided,
        };
        self.hold = self.hold.max(hold);
        let newest = fact.number > self.fact_number;
        self.fact_number = self.fact_number.max(fact.number);
        newest
    }

    pub fn state(&self) -> OrderState {
        match (self.hold, self.captured, self.refunded) {
            (_, _, true) => OrderState::Refunded,
            (HoldFact::Sold, _, _) if self.issued => OrderState::Ticketed,
            (HoldFact::Refused | HoldFact::Voided, true, _) => OrderState::Refunding,
            // Sold and not yet captured: the inventory's fact was faster than the settling.
            (HoldFact::Sold, _, _) | (HoldFact::Held | HoldFact::Lapsed, true, _) => OrderState::Paid,
            (HoldFact::Lapsed | HoldFact::Refused | HoldFact::Voided, false, _) => OrderState::Cancelled,
            (HoldFact::Held, false, _) if self.checkout_open => OrderState::Paying,
            (HoldFact::Held, false, _) => OrderState::Pending,
        }
    }
}
