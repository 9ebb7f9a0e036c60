//! Money that takes its time, and money of a card that has bought enough.

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::request::{Command, HoldState, Request},
    time::Millis,
};

use crate::{
    node::{Caller, ToNode},
    orders::Transaction,
    saga::{Step, Walk},
    world::{Event, World},
};

impl World {
    /// In an order's id: whether its fan takes other seats.
    pub fn takes_others(&self) -> u128 {
        let others = |script: &super::Script| script.walk == Walk::LateOtherSeats;
        u128::from(self.script.as_ref().is_some_and(others))
    }

    /// Nobody hears of it: it is asked for again as long as the money is under way.
    pub(super) fn ask_to_wait(&mut self, order: OrderId, fan: FanId) {
        let command = Command::AwaitPayment { order, fan, more: Millis(self.swarm.hold_ttl_ms) };
        let (node, carried) = (self.lease.0, self.carry(Step::AwaitAsked));
        for late in carried.arrivals {
            let request = Request { identity: None, command: command.clone() };
            let delay = late + self.short_delay();
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Nobody }));
        }
    }

    /// Whether more would be bought with the card than may; what may be bought is the order's from then on. `None`: nobody knows.
    pub fn is_beyond_card(&mut self, order: OrderId, tickets: u32) -> Option<bool> {
        let Some(script) = &self.script else { return Some(false) };
        let Some(most) = script.walk.per_card() else { return Some(false) };
        if script.claims.contains_key(&order) {
            return Some(false);
        }
        if script.claims.values().sum::<u32>() + tickets > most {
            return Some(true);
        }
        let claimed = self.transact(Step::InstrumentClaimed, Transaction::GOOD, |world| {
            if let Some(script) = &mut world.script {
                script.claims.insert(order, tickets);
            }
        });
        claimed.heard.then_some(false)
    }

    /// Nothing was sold for it. `false`: nobody knows whether that is so.
    pub fn free_card(&mut self, order: OrderId) -> bool {
        if self.script.as_ref().is_none_or(|script| script.walk.per_card().is_none()) {
            return true;
        }
        let freed = self.transact(Step::InstrumentFreed, Transaction::GOOD, |world| {
            if let Some(script) = &mut world.script {
                script.claims.remove(&order);
            }
        });
        freed.heard
    }

    /// I-11: who has a part of the card's limit has bought with it.
    pub(super) fn check_claims(&mut self) {
        let Some(script) = self.script.as_ref().filter(|script| script.walk.per_card().is_some()) else { return };
        let sold = self.model.orders.iter().filter(|(_, order)| order.state == HoldState::Sold);
        let sold: Vec<_> = sold.map(|(id, order)| (*id, order.quantity())).collect();
        let claims: Vec<_> = script.claims.iter().map(|(id, tickets)| (*id, *tickets)).collect();
        let most = script.walk.per_card();
        self.require(claims == sold, || format!("I-11: claimed {claims:?}, sold {sold:?}"));
        let bought: u32 = sold.iter().map(|(_, tickets)| *tickets).sum();
        self.require(Some(bought) <= most, || format!("I-11: {bought} tickets with one card"));
    }
}
