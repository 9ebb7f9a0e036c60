//! The organizer's codes: made at any moment of the sale, some of them twice, and withdrawn.

use onsale::domain::{
    code::Code,
    inventory::{
        codes::CodeTerms,
        request::{Command, Request},
    },
    price::Discount,
    time::Millis,
};

use crate::{
    node::{Caller, ToNode},
    swarm::Fault,
    world::{Event, GALLERY, SEATED, STANDING, World, code},
};

const MOST: u64 = 8;

/// By the number in which the organizer thought of it.
pub fn name(number: u64) -> Code {
    code(&format!("P{number}"))
}

pub fn number(code: &Code) -> Option<u64> {
    code.as_str().strip_prefix('P')?.parse().ok()
}

impl World {
    /// Once a second.
    pub fn deal_in_codes(&mut self) {
        if !self.extras.codes || self.healed() || self.model.configuration.is_none() {
            return;
        }
        let is_first = self.codes == 0;
        match self.rng.below(12) {
            0 | 1 if self.codes < MOST => self.make_codes(),
            2 if !is_first => {
                let code = name(self.rng.below(self.codes));
                self.ask_as_organizer(Command::WithdrawCodes(vec![code]));
            }
            _ if is_first => self.make_codes(),
            _ => {}
        }
    }

    fn make_codes(&mut self) {
        let count = self.rng.between(1, 2);
        let codes: Vec<Code> = (self.codes..self.codes + count).map(name).collect();
        self.codes += count;
        let terms = Box::new(self.terms());
        let command = Command::MakeCodes { terms, codes };
        self.trace.note(self.now, "codes", &[self.codes, count]);
        self.ask_as_organizer(command.clone());
        if self.strikes(Fault::ClientRepeats) {
            self.ask_as_organizer(command);
        }
    }

    fn terms(&mut self) -> CodeTerms {
        let (rng, now) = (&mut self.rng, self.model.at);
        let discounts =
            [None, Some(Discount::Minor(700)), Some(Discount::BasisPoints(2_500)), Some(Discount::BasisPoints(3_333))];
        let discount = rng.pick(&discounts);
        let ticket_types = rng.pick(&[&[][..], &[], &[STANDING], &[GALLERY, SEATED], &[SEATED]]);
        CodeTerms {
            discount,
            opens: discount.is_none() || rng.percent(50),
            ticket_types: ticket_types.iter().map(|one| code(one)).collect(),
            max_uses: rng.percent(70).then(|| rng.between(1, 4) as u32),
            per_fan: rng.percent(50).then(|| rng.between(1, 3) as u32),
            valid_from: rng.percent(15).then(|| now + Millis(rng.between(0, 15_000))),
            valid_until: rng.percent(20).then(|| now + Millis(rng.between(15_001, 60_000))),
        }
    }

    pub fn ask_as_organizer(&mut self, command: Command) {
        let (node, delay) = (self.lease.0, self.short_delay());
        let request = Request { identity: None, command };
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Nobody }));
    }

    /// What a fan has heard of: it may not be there yet, or no more.
    pub fn a_code(&mut self) -> Option<Code> {
        if self.codes == 0 || !self.rng.percent(65) {
            return None;
        }
        Some(name(self.rng.below(self.codes)))
    }
}
