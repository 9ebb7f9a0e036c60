//! The organizer in the middle of the sale: pause, resume, cancel, more and less of everything, seats withdrawn, prices.

use onsale::domain::{
    event::Phase,
    inventory::{
        configuration::{Configuration, Kept, Mode, Release, Stock},
        request::{Command, DrawCommand, Request},
    },
    time::Millis,
};

use crate::{
    node::{Caller, ToNode},
    rng::Rng,
    world::{Event, PRESS, World, code},
};

/// A change of the configuration, marked so that it can be told from every other one.
pub fn mark(configuration: &Configuration) -> Option<u64> {
    configuration.ticket_types.first()?.name.parse().ok()
}

impl World {
    /// Changes one thing of what the journal says: the rules that hold for it are the inventory's business.
    pub fn organize(&mut self) {
        let Some(mut changed) = self.model.configuration.clone() else { return };
        if self.extras.codes && self.rng.percent(20) {
            self.close_or_open(&mut changed);
        } else if self.extras.has_releases() && self.rng.percent(30) {
            self.release_otherwise(&mut changed);
        } else {
            change_something(&mut self.rng, &mut changed);
        }
        self.reconfigure(changed);
    }

    /// A ticket type needs a code from now on, or does not any more.
    fn close_or_open(&mut self, changed: &mut Configuration) {
        let index = self.rng.below(changed.ticket_types.len() as u64) as usize;
        if let Some(ticket_type) = changed.ticket_types.get_mut(index) {
            ticket_type.needs_code = !ticket_type.needs_code;
            ticket_type.opens_at = None;
        }
    }

    /// What is still to come comes at another time, or there is one more part, or none: also more than is left.
    fn release_otherwise(&mut self, changed: &mut Configuration) {
        let index = self.rng.below(2) as usize;
        let Some(ticket_type) = changed.ticket_types.get_mut(index) else { return };
        ticket_type.releases.clear();
        let mut at = self.model.at;
        for _ in 0..self.rng.below(3) {
            at = at + Millis(self.rng.between(500, 20_000));
            ticket_type.releases.push(Release { at, quantity: self.rng.between(1, 4) as u32 });
        }
    }

    /// After the faults a sale that stands still goes on: otherwise nothing more could be seen of it.
    pub fn resume_if_paused(&mut self) {
        let Some(mut changed) = self.model.configuration.clone() else { return };
        if changed.phase == Phase::Paused || changed.queue.mode == Mode::Reject {
            if changed.phase == Phase::Paused {
                changed.phase = Phase::Published;
            }
            if changed.queue.mode == Mode::Reject {
                changed.queue.mode = Mode::Fifo;
            }
            self.reconfigure(changed);
        }
    }

    /// Fans are let in another way from now on.
    pub fn change_mode(&mut self) {
        let Some(mut changed) = self.model.configuration.clone() else { return };
        let modes = [Mode::Fifo, Mode::Draw, Mode::Random, Mode::Passthrough, Mode::Reject];
        changed.queue.mode = self.rng.pick(&modes);
        self.reconfigure(changed);
    }

    /// The public value is there, some time after the closing, and is told once or twice.
    pub fn tell_beacon(&mut self) {
        if !self.model.draw.waits_for_beacon() || !self.rng.percent(40) {
            return;
        }
        let command = Command::Draw(DrawCommand::Beacon { value: "8f0c".into() });
        let (node, delay) = (self.lease.0, self.short_delay());
        let request = Request { identity: None, command };
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Nobody }));
    }

    pub fn reconfigure(&mut self, mut changed: Configuration) {
        changed.version += 1;
        self.changes += 1;
        if let Some(first) = changed.ticket_types.first_mut() {
            first.name = self.changes.to_string();
        }
        self.trace.note(self.now, "organizer", &[self.changes, changed.version.into(), changed.phase as u64]);
        let request = Request { identity: None, command: Command::Configure(Box::new(changed)) };
        let (node, delay) = (self.lease.0, self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Nobody }));
    }

    pub fn is_cancelled(&self) -> bool {
        self.model.configuration.as_ref().is_some_and(|configuration| configuration.phase == Phase::Cancelled)
    }
}

fn change_something(rng: &mut Rng, changed: &mut Configuration) {
    match rng.below(8) {
        0 | 1 => {
            changed.phase = match changed.phase {
                Phase::Published if rng.percent(15) => Phase::Cancelled,
                Phase::Published => Phase::Paused,
                Phase::Paused => Phase::Published,
                other => other,
            }
        }
        2 => changed.queue.slots = rng.between(1, 5) as u32,
        3 | 4 => {
            let index = rng.below(2) as usize;
            if let Some(ticket_type) = changed.ticket_types.get_mut(index)
                && let Stock::Quantity(quantity) = &mut ticket_type.stock
            {
                *quantity = more_or_less(rng, *quantity);
            }
        }
        5 => {
            if let Some(hall) = changed.quotas.first_mut() {
                hall.capacity = more_or_less(rng, hall.capacity);
            }
        }
        6 => {
            let index = rng.below(changed.seats.len() as u64) as usize;
            if let Some(seat) = changed.seats.get_mut(index) {
                seat.kept = match rng.below(3) {
                    0 => Kept::Free,
                    1 => Kept::Blocked,
                    _ => Kept::For(code(PRESS)),
                };
            }
        }
        _ => {
            let index = rng.below(changed.ticket_types.len() as u64) as usize;
            if let Some(ticket_type) = changed.ticket_types.get_mut(index) {
                ticket_type.price_minor += 100;
            }
        }
    }
}

/// Also below what is taken: then the answer must be no.
fn more_or_less(rng: &mut Rng, number: u32) -> u32 {
    if rng.percent(50) { number + rng.between(1, 4) as u32 } else { number.saturating_sub(rng.between(1, 3) as u32) }
}
