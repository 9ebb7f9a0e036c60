//! What an inventory tells the orders side: one numbered message for each journal entry that changes an order.

use std::vec;

use serde::{Deserialize, Serialize};

use super::{
    blocks::Blocks,
    request::{ConfirmRefusal, Line},
};
use crate::domain::{
    id::{FanId, OrderId, PaymentId},
    money::Currency,
    time::EventTime,
};

/// Carries the whole order, so that facts may arrive in any order and any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFact {
    /// Counts the facts of one event from 1; a pure function of the journal.
    pub number: u64,
    pub order: OrderId,
    pub fan: FanId,
    pub at: EventTime,
    pub what: FactKind,
    pub lines: Vec<Line>,
    pub total_minor: i64,
    pub currency: Currency,
    pub expires_at: EventTime,
    pub version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactKind {
    Created,
    Extended,
    Released,
    Expired,
    Confirmed {
        payment: PaymentId,
    },
    ConfirmRefused {
        payment: PaymentId,
        why: ConfirmRefusal,
    },
    Voided,
    /// Created by the inventory itself, for who waits.
    Offered,
}

/// Facts in the order of their numbers. Very many, as there can be after a restart, share the memory of the state that they are of.
#[derive(Debug, Clone)]
pub struct Facts(Listed);

#[derive(Debug, Clone)]
enum Listed {
    Few(vec::IntoIter<OrderFact>),
    Many(Blocks<OrderFact>),
}

impl Facts {
    pub(super) fn few(facts: Vec<OrderFact>) -> Self {
        Self(Listed::Few(facts.into_iter()))
    }

    pub(super) fn many(facts: Blocks<OrderFact>) -> Self {
        Self(Listed::Many(facts))
    }

    /// The number of the last one.
    pub fn newest(&self) -> Option<u64> {
        let last = match &self.0 {
            Listed::Few(facts) => facts.as_slice().last(),
            Listed::Many(facts) => facts.get(facts.len().checked_sub(1)?),
        };
        last.map(|fact| fact.number)
    }
}

impl Iterator for Facts {
    type Item = OrderFact;

    fn next(&mut self) -> Option<OrderFact> {
        match &mut self.0 {
            Listed::Few(facts) => facts.next(),
            Listed::Many(facts) => {
                let first = facts.front().cloned();
                facts.drop_front();
                first
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = match &self.0 {
            Listed::Few(facts) => facts.len(),
            Listed::Many(facts) => facts.len(),
        };
        (length, Some(length))
    }
}

impl ExactSizeIterator for Facts {}
