//! What strikes the world as a whole: faults, and people who steer the sale.

use onsale::{
    actors::inventory::recovery::fold,
    domain::inventory::{
        configuration::Stock,
        request::{Command, Request},
    },
};

use crate::{
    node::{Caller, ToNode, ToRoom},
    swarm::Fault,
    world::{Event, LEASE_MS, World},
};

impl World {
    /// Once a second, what strikes the world as a whole.
    pub fn nemesis(&mut self) {
        self.later(1_000, Event::Nemesis);
        let owner = self.lease.0;
        // These hurt: a quarter as often as the others.
        let rare = self.rng.percent(25);
        if rare && self.nodes.contains_key(&owner) {
            if self.strikes(Fault::OwnerCrashes) {
                self.trace.note(self.now, "crash", &[owner.into()]);
                self.nodes.remove(&owner);
                self.restart_at = self.lease.1.min(self.now + LEASE_MS);
            } else if self.strikes(Fault::OwnerRestarts) {
                self.trace.note(self.now, "restart", &[owner.into()]);
                self.nodes.remove(&owner);
                self.restart_at = self.now;
            } else if self.strikes(Fault::OwnerPauses) {
                let pause = self.rng.pick(&[800, 4_500, 9_000, 20_000]);
                self.trace.note(self.now, "pause", &[owner.into(), pause]);
                if let Some(node) = self.nodes.get_mut(&owner) {
                    node.paused_until = self.now + pause;
                }
            }
        }
        if rare && self.strikes(Fault::JournalDown) {
            let down = self.rng.pick(&[500, 3_000, 8_000]);
            self.trace.note(self.now, "journal down", &[down]);
            self.journal.down_until = self.now + down;
        }
        if rare && self.strikes(Fault::BusRefuses) {
            self.broker.down_until = self.now + self.rng.between(500, 6_000);
        }
        if self.strikes(Fault::OperatorActs) {
            self.operate();
        }
        if rare && self.strikes(Fault::StoreLosesWrites) {
            let writes = self.rng.between(1, 6) as usize;
            self.trace.note(self.now, "store loses", &[writes as u64]);
            self.store.lose_last(writes);
        }
    }

    /// Somebody steers the sale by hand.
    pub fn operate(&mut self) {
        let (node, delay) = (self.lease.0, self.short_delay());
        let what = match self.rng.below(3) {
            0 => ToNode::Room(ToRoom::AdmitNow(self.rng.between(1, 4) as u32)),
            1 => {
                let attempt = self.attempt_of_nobody();
                ToNode::Room(ToRoom::RemoveFirst { count: self.rng.between(1, 2) as u32, attempt })
            }
            _ => {
                let Some(mut changed) = self.model.configuration.clone() else { return };
                changed.version += 1;
                changed.queue.slots = self.rng.between(1, 5) as u32;
                if let Some(standing) = changed.ticket_types.first_mut()
                    && let Stock::Quantity(quantity) = &mut standing.stock
                {
                    *quantity = (*quantity + self.rng.below(3) as u32).saturating_sub(1);
                }
                let request = Request { identity: None, command: Command::Configure(Box::new(changed)) };
                ToNode::Ask { request, caller: Caller::Operator }
            }
        };
        self.later(delay, Event::ToNode(node, what));
    }

    /// Now and then the journal is folded into a snapshot.
    pub fn snapshot(&mut self) {
        if !self.rng.percent(5) || self.model.seq == 0 {
            return;
        }
        match fold(self.journal.recover()) {
            Ok(folded) => {
                self.saw("a snapshot is made");
                self.journal.put_snapshot(self.journal.epoch, folded.seq, folded.inventory.to_snapshot());
            }
            Err(error) => self.require(false, || format!("I-29: the journal does not fold: {error}")),
        }
    }
}
