//! What a new owner must find, and what must not take too long.

use onsale::domain::inventory::{Inventory, request::HoldState};

use crate::world::World;

/// With room, stock and fans who wait, the next admission comes within this.
const PROGRESS_MS: u64 = 30_000;

impl World {
    /// I-29: recovery gives back exactly what was committed.
    pub fn check_recovered(&mut self, inventory: &Inventory, seq: u64) {
        let committed = self.model.seq;
        self.require(seq == committed, || format!("I-29: recovery ends at {seq}, the journal at {committed}"));
        let mut wrong = None;
        for (id, order) in &self.model.orders {
            let known = inventory.order(*id).map(|view| view.state);
            if known != Some(order.state) {
                wrong = Some(format!("I-29: {id} is {:?}, recovered as {known:?}", order.state));
            }
        }
        let free: u64 = inventory.view(self.model.at).ticket_types.iter().map(|one| u64::from(one.free)).sum();
        let expected: u64 = self.model.free().values().sum();
        if free != expected {
            wrong = Some(format!("I-1: {expected} tickets are free, recovered as {free}"));
        }
        self.require(wrong.is_none(), || wrong.unwrap_or_default());
        self.check_counted(inventory);
    }

    /// I-9 and I-26, once faults are over.
    pub fn check_progress(&mut self) {
        let waits = |place| !self.gone.contains(place) && !self.was_admitted(*place);
        let waiting = self.told.keys().any(waits);
        let room = self.model.slots_taken() < self.model.slots() && self.model.sells_something();
        let last = self.model.admissions.len() as u64;
        match self.stalled_since {
            Some(mark) if waiting && room && mark & 0xFFFF == last => {
                let since = mark >> 16;
                let stalled = self.now > since + PROGRESS_MS;
                self.require(!stalled, || format!("I-26: nobody is admitted since {since}, with room and fans"));
            }
            _ => self.stalled_since = Some(self.now << 16 | last),
        }
        let Some(clock) = self.nodes.get(&self.lease.0).map(|node| node.time(self.now)) else { return };
        if self.now < self.swarm.chaos_ms + 30_000 {
            return;
        }
        let late = self
            .model
            .orders
            .values()
            .find(|order| order.state == HoldState::Held && clock.since(order.expires_at).0 > 2_000);
        let late = late.map(|order| order.expires_at);
        let overdue = self.model.next_release().filter(|at| clock.since(*at).0 > 2_000);
        self.require(overdue.is_none(), || format!("I-9: stock of {overdue:?} is not released, it is {clock}"));
        self.require(late.is_none(), || format!("I-9: a hold should have ended at {late:?}, it is {clock}"));
    }
}
