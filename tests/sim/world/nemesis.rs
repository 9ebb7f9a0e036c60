//! What strikes the world as a whole: faults, and people who steer its queue.

use onsale::domain::{
    id::FanId,
    inventory::request::{AdmissionEnd, Command, Request},
    queue::Place,
};

use crate::{
    bug::Bug,
    node::{Caller, Removal, ToNode, ToRoom},
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
            } else if self.strikes(Fault::LeaseRevoked) {
                self.revoke_lease(owner);
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
        if self.strikes(Fault::OrganizerActs) {
            self.organize();
        }
        if rare && self.strikes(Fault::ModeChanges) {
            self.change_mode();
        }
        self.tell_beacon();
        self.deal_in_codes();
        self.move_something();
        self.give_tickets_back();
        if rare && self.rng.percent(30) && self.strikes(Fault::StoreLost) {
            self.trace.note(self.now, "store lost", &[]);
            self.store.lose_all();
            let owner = self.lease.0;
            if self.rng.percent(50) && self.nodes.remove(&owner).is_some() {
                self.restart_at = self.lease.1.min(self.now + LEASE_MS);
            }
        }
        if rare && self.strikes(Fault::StoreLosesWrites) {
            let writes = self.rng.between(1, 6) as usize;
            self.trace.note(self.now, "store loses", &[writes as u64]);
            self.store.lose_last(writes);
        }
    }

    /// The ownership ends at once. Its owner hears of it with the next keep-alive; what it could read until then, which may be
    /// out of date, is left out here: it counts as unsure from this moment.
    fn revoke_lease(&mut self, owner: u32) {
        self.trace.note(self.now, "lease revoked", &[owner.into()]);
        self.lease.1 = self.now.saturating_sub(1);
        let trusts = self.bug == Some(Bug::KeepRevokedLease);
        if let Some(node) = self.nodes.get_mut(&owner) {
            node.is_revoked = !trusts;
        }
    }

    /// Somebody steers the queue by hand.
    pub fn operate(&mut self) {
        let (node, delay) = (self.lease.0, self.short_delay());
        let attempt = self.attempt_of_nobody();
        let what = match self.rng.below(5) {
            0 => ToNode::Room(ToRoom::AdmitNow(self.rng.between(1, 4) as u32)),
            1 => ToNode::Room(ToRoom::Remove { who: Removal::First(self.rng.between(1, 2) as u32), attempt }),
            2 => {
                let fans = (0..3).map(|_| FanId::from_u128(u128::from(self.rng.between(1, 15)))).collect();
                ToNode::Room(ToRoom::Remove { who: Removal::Fans(fans), attempt })
            }
            3 => ToNode::Room(ToRoom::Remove { who: Removal::All, attempt }),
            _ => {
                let live = self.model.admissions.iter().filter(|(_, admission)| admission.live);
                let live: Vec<Place> = live.map(|(place, _)| *place).collect();
                if live.is_empty() {
                    return;
                }
                let place = self.rng.pick(&live);
                let command = match self.model.admissions.get(&place) {
                    Some(admission) if self.rng.percent(50) => Command::ExtendAdmission { place, fan: admission.fan },
                    _ => Command::EndAdmission { place, why: AdmissionEnd::Revoked },
                };
                self.saw(match command {
                    Command::ExtendAdmission { .. } => "an admission is to be extended",
                    _ => "an admission is revoked",
                });
                ToNode::Ask { request: Request { identity: None, command }, caller: Caller::Nobody }
            }
        };
        self.later(delay, Event::ToNode(node, what));
    }
}
