//! A card buys so many tickets and no more. Before the inventory sells anything for a payment, that takes its order's part of the
//! card's limit, once; what is beyond is refused.

use std::collections::BTreeMap;

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::entry::Entry,
};

use crate::{bug::Bug, saga::Step, stores::database::Claim, world::World};

impl World {
    /// As its provider tells it: an order that is paid twice may be paid by two cards.
    pub fn card_of(&self, payment: PaymentId) -> u64 {
        ((payment.as_u128() >> 8).wrapping_add(payment.as_u128() & 0xff) % u128::from(self.extras.cards.max(1))) as u64
    }

    /// Whether more would be bought with the payment's card than the event allows; `None`: the database has not answered.
    pub fn is_beyond_card(&mut self, payment: PaymentId, order: OrderId) -> Option<bool> {
        let Some(most) = self.extras.per_card else { return Some(false) };
        let row = self.database.orders.get(&order)?;
        let tickets = row.lines.iter().map(|line| line.quantity).sum();
        let card = self.card_of(payment);
        let database = self.transaction();
        let (claim, mut is_beyond) = (Claim { order, card, tickets }, false);
        let work = |world: &mut Self| is_beyond = !world.claim(payment, claim, most.into());
        let claimed = self.transact(Step::InstrumentClaimed, database, work);
        claimed.heard.then_some(is_beyond)
    }

    fn claim(&mut self, payment: PaymentId, claim: Claim, most: u32) -> bool {
        if self.database.claims.contains_key(&payment) {
            return true;
        }
        let settled = |id: &OrderId| self.database.orders.get(id).is_some_and(|row| row.known.settled);
        let others = self.database.claims.values();
        let others = others.filter(|other| other.card == claim.card && other.order != claim.order);
        // Each order once, however often it was paid by the card.
        let others: BTreeMap<OrderId, u32> = others
            .filter(|other| self.bug != Some(Bug::CountCardOnceTicketed) || settled(&other.order))
            .map(|other| (other.order, other.tickets.saturating_sub(self.refunded(other.order))))
            .collect();
        if others.values().sum::<u32>() + claim.tickets > most {
            return false;
        }
        self.database.claims.insert(payment, claim);
        true
    }

    /// How many of its tickets were given back.
    fn refunded(&self, order: OrderId) -> u32 {
        let refunds = self.database.refunds.iter().filter(|row| row.order == order);
        refunds.map(|row| row.tickets.len() as u32).sum()
    }

    /// Nothing is sold for it. Says whether the database has answered.
    pub fn free_claim(&mut self, payment: PaymentId) -> bool {
        if self.extras.per_card.is_none() {
            return true;
        }
        let database = self.transaction();
        let freed = self.transact(Step::InstrumentFreed, database, |world| {
            world.database.claims.remove(&payment);
        });
        freed.heard
    }

    /// When all has come to rest: what bought nothing takes nothing of its card's limit.
    pub fn audit_claims(&self, wrong: &mut Vec<String>) {
        for (payment, Claim { order, card, tickets }) in &self.database.claims {
            let bought_by = self.model.orders.get(order).and_then(|order| order.payment);
            if bought_by != Some(*payment) {
                wrong.push(format!("card {card} is left with {tickets} tickets of {order}, bought by {bought_by:?}"));
            }
        }
    }

    /// Whatever is sold, by whomever: those who were given their money back count no more.
    pub fn check_cards(&mut self, entries: &[Entry]) {
        let Some(most) = self.extras.per_card else { return };
        for entry in entries {
            let Entry::Confirmed { order, payment, .. } = entry else { continue };
            let card = self.card_of(*payment);
            let by_card = |payment: PaymentId| self.card_of(payment) == card;
            let sold = self.model.orders.iter().filter(|(_, order)| order.payment.is_some_and(by_card));
            let tickets: u32 = sold.map(|(id, order)| order.bought.saturating_sub(self.refunded(*id))).sum();
            self.require(tickets <= most.into(), || {
                format!("card {card} buys {tickets} tickets of {most}, {order} by {payment} among them")
            });
        }
    }
}
