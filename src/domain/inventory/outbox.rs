//! Order facts not yet published, numbered from 1 by the fold.

use serde::{Deserialize, Serialize};

use super::{blocks::Blocks, fact::OrderFact};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    /// Facts made so far, which is the number of the newest.
    made: u64,
    /// Facts up to this number are with the broker. Can run ahead of `made` during recovery.
    published: u64,
    /// The newest ones without a gap, up to `made`.
    facts: Blocks<OrderFact>,
}

impl Outbox {
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// The number that the next fact gets.
    pub fn next_number(&self) -> u64 {
        self.made + 1
    }

    pub fn push(&mut self, fact: OrderFact) {
        self.made += 1;
        debug_assert_eq!(fact.number, self.made);
        if self.made > self.published {
            self.facts.push(fact);
        }
    }

    pub fn after(&self, number: u64, limit: usize) -> Vec<OrderFact> {
        let oldest = self.next_number() - self.facts.len() as u64;
        let skip = usize::try_from((number + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        (skip..self.facts.len()).take(limit).filter_map(|at| self.facts.get(at)).cloned().collect()
    }

    pub fn published(&mut self, number: u64) {
        self.published = self.published.max(number);
        while self.facts.front().is_some_and(|fact| fact.number <= number) {
            self.facts.drop_front();
        }
    }
}
