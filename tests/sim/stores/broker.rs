//! The simulated order bus: nothing that it took gets lost, everything else can happen to it.

use std::collections::BTreeMap;

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::fact::OrderFact,
};

#[derive(Debug, Clone)]
pub enum Body {
    Fact(Box<OrderFact>),
    Payment {
        payment: PaymentId,
        order: OrderId,
        captured: bool,
        /// Of the database's outbox.
        row: u64,
    },
}

#[derive(Default)]
pub struct Broker {
    last: u64,
    /// Not yet acknowledged.
    pub messages: BTreeMap<u64, Body>,
    /// Numbers of the facts that were ever taken: a mark for each.
    pub facts: BTreeMap<u64, u32>,
    pub down_until: u64,
}

impl Broker {
    pub fn take(&mut self, body: Body) -> u64 {
        if let Body::Fact(fact) = &body {
            *self.facts.entry(fact.number).or_default() += 1;
        }
        self.last += 1;
        self.messages.insert(self.last, body);
        self.last
    }

    pub fn has_payments(&self) -> bool {
        self.messages.values().any(|body| matches!(body, Body::Payment { .. }))
    }

    /// Facts from 1 to here were all taken.
    pub fn contiguous(&self) -> u64 {
        (1..).take_while(|number| self.facts.contains_key(number)).last().unwrap_or_default()
    }
}
