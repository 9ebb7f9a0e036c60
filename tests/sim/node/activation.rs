//! Taking the event over: recovery, a new clock, the first commit of the epoch.

use std::collections::{BTreeMap, BTreeSet};

use onsale::{
    actors::inventory::recovery::fold,
    domain::{
        event::Phase,
        id::OrderId,
        inventory::{
            Inventory,
            batch::Batcher,
            configuration::{Configuration, Mode, Stock},
            entry::{Entry, SeatPlan},
            request::HoldState,
        },
        queue::Place,
        time::{EventTime, Millis},
    },
};

use crate::{
    bug::Bug,
    node::{Node, OUTBOX_LIMIT, PULSE_MS, ToNode},
    swarm::Fault,
    world::{Event, LEASE_MS, WALL_BASE, World},
};

impl World {
    /// Takes the event with a new epoch, and recovers.
    pub fn activate(&mut self) {
        self.last_node += 1;
        let id = self.last_node;
        let epoch = self.journal.claim();
        self.lease = (id, self.now + LEASE_MS);
        self.trace.note(self.now, "activate", &[id.into(), epoch]);
        let mut recovered = self.journal.recover();
        if self.bug == Some(Bug::RecoverWithoutTail) {
            recovered.segments.pop();
        }
        let published = recovered.published;
        let folded = match fold(recovered) {
            Ok(folded) => folded,
            Err(error) => return self.require(false, || format!("I-29: the journal does not fold: {error}")),
        };
        self.check_recovered(&folded.inventory, folded.seq);
        let mut inventory = self.misread().unwrap_or(folded.inventory);
        self.falsify(&mut inventory);
        let offset = if self.strikes(Fault::ClockJumps) { self.rng.pick(&[-7_200_000, 7_200_000]) } else { 0 };
        let wall = EventTime((WALL_BASE + self.now).saturating_add_signed(offset));
        let base = inventory.last_at().max(wall);
        let backlog = inventory.outbox(published, usize::MAX).into();
        let seed = self.rng.next();
        let draw = inventory.draw().cloned();
        let mut node = Node {
            epoch,
            configured: inventory.configuration().is_some(),
            batcher: Batcher::new(inventory, folded.seq, epoch, seed, OUTBOX_LIMIT),
            room: None,
            base,
            started: self.now,
            paused_until: 0,
            renewed_at: self.now,
            sending: BTreeMap::new(),
            opened: Vec::new(),
            opening: false,
            remains: (true, 0, BTreeSet::new()),
            backlog,
            publishing: false,
            fans: BTreeMap::new(),
            proposal: None,
            proposals: 0,
            proposed: BTreeSet::new(),
            storing: Vec::new(),
            says_try_again: false,
            is_revoked: false,
            room_news_at: 0,
            ticked_at: 0,
            first_seq: folded.seq + 1,
            durable_seq: folded.seq,
            draw,
            ended: false,
        };
        let mut effects = Vec::new();
        if let Err(error) = node.batcher.activate(base, &mut effects) {
            return self.require(false, || format!("activation: {error}"));
        }
        self.run_inventory_effects(id, &mut node, effects);
        self.publish(id, &mut node);
        self.nodes.insert(id, node);
        self.later(PULSE_MS, Event::ToNode(id, ToNode::Pulse));
    }

    /// Bugs that would sit in recovery.
    pub fn falsify(&mut self, inventory: &mut Inventory) {
        let at = inventory.last_at();
        let entries = match self.bug {
            Some(Bug::ForgetHoldsOnRecovery) => {
                let held = |id: &&OrderId| inventory.order(**id).is_some_and(|order| order.state == HoldState::Held);
                self.model.orders.keys().filter(held).map(|&order| Entry::Expired { order }).collect()
            }
            Some(Bug::HoldWithoutAdmission) => {
                // One admission that only this owner believes in; `Fan::admission` of a forger names it.
                let fan = self.fans.first().map(|fan| fan.id);
                let fan =
                    fan.filter(|fan| inventory.admission_of(*fan).is_none() && inventory.configuration().is_some());
                let until = at + Millis::minutes(600);
                let place = Place::new(u32::MAX, self.last_node);
                fan.map(|fan| Entry::Admitted { place, fan, claim_by: None, until }).into_iter().collect()
            }
            Some(bug) => misremembered(bug, inventory).into_iter().collect(),
            None => Vec::new(),
        };
        for entry in entries {
            if let Err(error) = inventory.apply(at, &entry) {
                self.require(false, || format!("the bug cannot be planted: {error}"));
            }
        }
    }
}

/// A configuration that only this owner believes in.
fn misremembered(bug: Bug, inventory: &Inventory) -> Option<Entry> {
    let before = inventory.configuration()?;
    let mut changed = Configuration::clone(before);
    match bug {
        Bug::AdmitOverCap => changed.queue.slots += 3,
        Bug::SellOverQuota => changed.quotas.first_mut()?.capacity += 3,
        Bug::SellOverStock => changed.ticket_types.first_mut()?.stock = Stock::Quantity(100),
        Bug::HoldWithoutCode => changed.ticket_types.iter_mut().for_each(|one| {
            (one.needs_code, one.opens_at) = (false, None);
        }),
        Bug::ReleaseEarly => changed.ticket_types.iter_mut().for_each(|one| one.releases.clear()),
        Bug::ReleaseLate => {
            let releases = changed.ticket_types.iter_mut().flat_map(|one| &mut one.releases);
            releases.for_each(|release| release.at = release.at + Millis::minutes(60));
        }
        Bug::CallBeforeTheDraw if changed.queue.mode == Mode::Draw => changed.queue.mode = Mode::Fifo,
        Bug::SellWhilePaused if changed.phase == Phase::Paused => changed.phase = Phase::Published,
        Bug::SellWhenCancelled if changed.phase == Phase::Cancelled => changed.phase = Phase::Published,
        _ => return None,
    }
    if changed == **before {
        return None;
    }
    changed.version += 1;
    changed.seats = Vec::new();
    Some(Entry::Configured { configuration: Box::new(changed), seats: SeatPlan::Unchanged, identity: None })
}
