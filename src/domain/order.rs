//! The life of an order: a function of the set of facts known about it, whatever order they came in.
//!
//! | state | means | ends |
//! |---|---|---|
//! | pending | held, not paid | |
//! | paying | a checkout is open at the provider | |
//! | paid | the money is here; the inventory has not decided yet | |
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
    /// Highest fact number of the inventory seen; older ones change nothing.
    pub fact_number: u64,
    pub hold: HoldFact,
    pub checkout_open: bool,
    pub captured: bool,
    pub refunded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldFact {
    #[default]
    Held,
    Lapsed,
    Sold,
    Refused,
    Voided,
}

impl Known {
    /// Takes in a fact of the inventory; `false` if it is an old one.
    pub fn learn(&mut self, fact: &OrderFact) -> bool {
        if fact.number <= self.fact_number {
            return false;
        }
        self.fact_number = fact.number;
        self.hold = match fact.what {
            FactKind::Created | FactKind::Extended => HoldFact::Held,
            FactKind::Released | FactKind::Expired => HoldFact::Lapsed,
            FactKind::Confirmed { .. } => HoldFact::Sold,
            // A refusal of a second payment does not unsell what the first one bought.
            FactKind::ConfirmRefused { .. } if self.hold == HoldFact::Sold => HoldFact::Sold,
            FactKind::ConfirmRefused { .. } => HoldFact::Refused,
            FactKind::Voided => HoldFact::Voided,
        };
        true
    }

    pub fn state(&self) -> OrderState {
        match (self.hold, self.captured, self.refunded) {
            (_, _, true) => OrderState::Refunded,
            (HoldFact::Sold, _, _) => OrderState::Ticketed,
            (HoldFact::Refused | HoldFact::Voided, true, _) => OrderState::Refunding,
            (HoldFact::Held | HoldFact::Lapsed, true, _) => OrderState::Paid,
            (HoldFact::Lapsed | HoldFact::Refused | HoldFact::Voided, false, _) => OrderState::Cancelled,
            (HoldFact::Held, false, _) if self.checkout_open => OrderState::Paying,
            (HoldFact::Held, false, _) => OrderState::Pending,
        }
    }
}
