//! A fan who found nothing left waits for it, and looks now and then.

use onsale::domain::{
    id::OrderId,
    inventory::{
        request::{Answer, Command, HoldState, Request},
        waitlist::{self, Standing, WaitlistAnswer, WaitlistCommand},
    },
};

use crate::{
    fan::{Doing, Plan},
    saga::Walk,
    world::{GALLERY, SEATED, STANDING, Told, World, code},
};

/// Whoever has not got anything by then goes.
const PATIENCE_MS: u64 = 60_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    order: OrderId,
    types: Vec<&'static str>,
    wish: waitlist::Wish,
    joined: bool,
}

impl World {
    /// Or tries to.
    pub fn goes_on_the_list(&mut self, index: usize) -> bool {
        if self.swarm.list.is_none() || self.script.is_none() && !self.rng.percent(70) {
            return false;
        }
        let (types, wish) = if self.script.is_some() { Walk::waits_for() } else { self.wish() };
        let order = self.new_order();
        self.begin(index, Doing::Listed(Box::new(Listed { order, types, wish, joined: false })));
        self.ask_the_list(index);
        true
    }

    fn wish(&mut self) -> (Vec<&'static str>, waitlist::Wish) {
        let types = match self.rng.below(4) {
            0 => vec![STANDING],
            1 => vec![STANDING, GALLERY],
            2 => vec![GALLERY],
            _ => vec![SEATED],
        };
        let quantity = self.rng.between(1, 3) as u8;
        (types, waitlist::Wish { quantity, any_seat: self.rng.percent(50), fewer: self.rng.percent(30) })
    }

    pub fn wait_on_the_list(&mut self, index: usize, listed: &Listed) {
        let Some(fan) = self.fans.get(index) else { return };
        let (id, since) = (fan.id, fan.first_asked);
        let is_tired = self.now > since + PATIENCE_MS || self.script.is_none() && self.rng.percent(2);
        if !is_tired {
            return self.ask_the_list(index);
        }
        if listed.joined {
            let attempt = self.attempt_of_nobody();
            let command = Command::Waitlist(WaitlistCommand::Leave { fan: id });
            self.send_to_inventory(Request { identity: None, command }, attempt);
        }
        self.next_round(index);
    }

    fn ask_the_list(&mut self, index: usize) {
        let now = self.now;
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.last_asked = now;
        let (id, Doing::Listed(listed)) = (fan.id, fan.doing.clone()) else { return };
        let Listed { order, types, wish, joined } = *listed;
        let attempt = self.attempt(index, Some(order), None);
        let command = if joined {
            WaitlistCommand::Look { fan: id }
        } else {
            WaitlistCommand::Join { order, fan: id, ticket_types: types.into_iter().map(code).collect(), wish }
        };
        self.send_to_inventory(Request { identity: None, command: Command::Waitlist(command) }, attempt);
    }

    pub fn heard_of_the_list(&mut self, index: usize, listed: Listed, told: Told) {
        let standing = match told {
            Told::Answer(Answer::Waitlist(WaitlistAnswer::Standing(standing))) => *standing,
            Told::Refused(_) => {
                self.begin(index, Doing::Leaving);
                return self.ask_again(index);
            }
            _ => return,
        };
        match standing {
            Standing::Waits { order, .. } => {
                self.saw("a fan waits for what is sold out");
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Listed(Box::new(Listed { order, joined: true, ..listed }));
                }
            }
            // Of an earlier entry, while this one is on its way.
            Standing::Offered(view) if view.order != listed.order && !listed.joined => {}
            Standing::Offered(view) if view.state == HoldState::Held => {
                self.saw("who waited has an offer and takes it up");
                let plans = [Plan::Pay, Plan::Pay, Plan::ExtendAndPay, Plan::Release, Plan::Lapse];
                let plan = self.script.as_ref().map(|script| script.walk.plan());
                let plan = plan.unwrap_or_else(|| self.rng.pick(&plans));
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Holding { view: Box::new(view), plan };
                }
            }
            Standing::Offered(_) => self.next_round(index),
        }
    }
}
