//! What an event can have beside what all have here, each with odds of its own: codes, stock that comes in parts, tickets that
//! move, cards that buy so much and no more, a mail server that fails.

use onsale::domain::{
    inventory::configuration::{Configuration, Release},
    time::{EventTime, Millis},
};

use crate::{
    rng::Rng,
    swarm::Swarm,
    world::{GALLERY, SEATED, STANDING},
};

#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The organizer makes codes, and fans name them.
    pub codes: bool,
    /// The ticket type that needs one,
    needs_code: Option<&'static str>,
    /// and the one that needs one for so long.
    opens: Option<(&'static str, u64)>,
    /// Ticket type, after how long, how many.
    releases: Vec<(&'static str, u64, u32)>,
    /// Tickets move to other seats.
    pub moves: bool,
    /// Tickets by one card, and how many cards all fans have together.
    pub per_card: Option<u16>,
    pub cards: u64,
    /// Holders give tickets back to who waits.
    pub returns: bool,
    /// The mail server takes nothing so often, in percent, while there are faults.
    pub post_fails: u64,
}

impl Extras {
    /// By dice of its own, so that a run without any of it is what it was before there was any.
    pub fn of(rng: &mut Rng, swarm: &Swarm) -> Self {
        let codes = rng.percent(50);
        let of_types = [STANDING, GALLERY, SEATED];
        let mut releases = Vec::new();
        for (ticket_type, stock) in [(STANDING, swarm.standing), (GALLERY, swarm.gallery)] {
            let (mut left, mut at) = (stock, swarm.opens_ms);
            for _ in 0..rng.pick(&[0, 0, 1, 2, 3]) {
                let quantity = rng.between(1, 4) as u32;
                at += rng.between(500, 25_000);
                if quantity <= left {
                    releases.push((ticket_type, at, quantity));
                    left -= quantity;
                }
            }
        }
        Self {
            codes,
            needs_code: (codes && rng.percent(30)).then(|| rng.pick(&of_types)),
            opens: (codes && rng.percent(30)).then(|| (rng.pick(&of_types), rng.between(5_000, 40_000))),
            releases: if rng.percent(40) { releases } else { Vec::new() },
            moves: swarm.seats > 0 && rng.percent(60),
            per_card: rng.percent(40).then(|| rng.between(1, 5) as u16),
            cards: rng.between(1, 4),
            returns: swarm.list.is_some() && rng.percent(60),
            post_fails: rng.pick(&[0, 10, 40]),
        }
    }

    /// As a walk has it.
    pub fn of_walk(moves: bool, per_card: Option<u16>, returns: bool) -> Self {
        Self { moves, per_card, returns, ..Self::default() }
    }

    pub fn has_releases(&self) -> bool {
        !self.releases.is_empty()
    }

    pub fn add_to(&self, configuration: &mut Configuration, now: EventTime) {
        for ticket_type in &mut configuration.ticket_types {
            let name = ticket_type.code.as_str();
            ticket_type.needs_code = self.needs_code == Some(name);
            ticket_type.opens_at = self.opens.filter(|(opens, _)| *opens == name).map(|(_, after)| now + Millis(after));
            let releases = self.releases.iter().filter(|(of_type, ..)| *of_type == name);
            ticket_type.releases =
                releases.map(|&(_, after, quantity)| Release { at: now + Millis(after), quantity }).collect();
        }
        configuration.limits.per_instrument = self.per_card;
        configuration.waitlist.returns_until = self.returns.then(|| now + Millis::minutes(60 * 24 * 30));
    }
}
