//! Order facts not yet published, numbered from 1 by the fold.

use serde::{Deserialize, Serialize};

use super::{
    blocks::Blocks,
    fact::{Facts, OrderFact},
};

/// More are not copied to be handed out.
const FEW: usize = 1_024;

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
        let places = self.up_to(number)..self.facts.len();
        places.take(limit).filter_map(|at| self.facts.get(at)).cloned().collect()
    }

    /// All after `number`.
    pub fn rest(&self, number: u64) -> Facts {
        let skip = self.up_to(number);
        if self.facts.len().saturating_sub(skip) <= FEW {
            return Facts::few(self.after(number, FEW));
        }
        let mut rest = self.facts.clone();
        (0..skip).for_each(|_| rest.drop_front());
        Facts::many(rest)
    }

    /// How many of those that are here have this number or an older one; more than there are, if it is newer than all.
    fn up_to(&self, number: u64) -> usize {
        let oldest = self.next_number() - self.facts.len() as u64;
        usize::try_from((number + 1).saturating_sub(oldest)).unwrap_or(usize::MAX)
    }

    pub fn published(&mut self, number: u64) {
        self.published = self.published.max(number);
        while self.facts.front().is_some_and(|fact| fact.number <= number) {
            self.facts.drop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{FanId, OrderId},
        inventory::fact::FactKind,
        money::Currency,
        time::EventTime,
    };

    fn outbox(facts: u64) -> Outbox {
        let mut outbox = Outbox::default();
        for number in 1..=facts {
            outbox.push(OrderFact {
                number,
                order: OrderId::from_u128(number.into()),
                fan: FanId::from_u128(1),
                at: EventTime(number),
                what: FactKind::Created,
                lines: Vec::new(),
                total_minor: 0,
                currency: Currency::EUR,
                expires_at: EventTime(9),
                version: 1,
            });
        }
        outbox
    }

    #[test]
    fn what_is_handed_out_is_all_after_a_number_and_stays_while_the_outbox_goes_on() {
        let few = FEW as u64;
        for (facts, published, after) in [
            (0, 0, 0),
            (5, 2, 2),
            (few, 0, 0),
            (few + 1, 0, 0),
            (3 * few, 0, few + 7),
            (3 * few, 0, 2 * few - 1),
            (3 * few, few + 3, 0),
            (3 * few, 0, 3 * few),
            (3 * few, 3 * few, 0),
        ] {
            let mut outbox = outbox(facts);
            outbox.published(published);
            let rest = outbox.rest(after);
            let expected: Vec<u64> = (after.max(published) + 1..=facts).collect();
            assert_eq!(
                (rest.len(), rest.newest()),
                (expected.len(), expected.last().copied()),
                "{facts} after {after}"
            );
            outbox.published(facts);
            outbox.push(OrderFact { number: facts + 1, ..self::outbox(1).after(0, 1).remove(0) });
            assert_eq!(rest.map(|fact| fact.number).collect::<Vec<_>>(), expected, "{facts} after {after}");
        }
    }
}
