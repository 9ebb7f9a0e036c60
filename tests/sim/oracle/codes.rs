//! Codes from outside: who named which, what is told of them, what was bought by them in the end.

use onsale::domain::{
    id::FanId,
    inventory::{
        Inventory,
        request::{Answer, Command, Refusal, Request},
    },
    order::OrderState,
};

use crate::{
    node::{Caller, Node},
    world::World,
};

impl World {
    /// Each hold is by the code that its fan has named, and by no other.
    pub fn check_named(&mut self) {
        for (order, number) in std::mem::take(&mut self.model.held_last) {
            let attempt = self.attempts.iter().find(|attempt| attempt.order == Some(order));
            let named = attempt.and_then(|attempt| attempt.code.clone());
            let code = number.and_then(|number| self.model.code_name(number)).cloned();
            self.require(named == code, || format!("{order} is held by {code:?}, its fan has named {named:?}"));
            if code.is_some() {
                self.saw("a ticket is held by a code");
            }
        }
    }

    /// A hold was refused by an owner that knows all there is.
    pub fn check_refusal(&mut self, node: &Node, caller: Caller, refusal: &Refusal) {
        if let Refusal::SoldOut { ticket_type, .. } = refusal
            && self.model.is_withheld(ticket_type)
        {
            self.saw("what is not released yet cannot be had");
        }
        let Caller::Client(attempt) = caller else { return };
        let Some(attempt) = self.attempts.get(attempt) else { return };
        let Some(fan) = self.fans.get(attempt.fan).map(|fan| fan.id) else { return };
        let is_of_codes = match refusal {
            Refusal::UnknownCode => "a code that is not there, or withdrawn, is refused",
            Refusal::CodeUsedUp { .. } => "a code that is used up is refused",
            Refusal::CodeFanLimit { .. } => "a fan has as many tickets by a code as may be",
            Refusal::CodeNotValidNow { .. } => "a code that is not valid now is refused",
            Refusal::CodeNotForThese => "a code for other tickets is refused",
            Refusal::CodeRequired { .. } => "what needs a code is refused without one",
            _ => return,
        };
        if node.durable_seq() == self.model.seq {
            let checked = self.model.check_code_refusal(fan, attempt.code.as_ref(), refusal);
            self.require(checked.is_ok(), || checked.err().unwrap_or_default());
        }
        self.saw(is_of_codes);
    }

    /// As a new owner has counted them.
    pub fn check_counted(&mut self, inventory: &Inventory) {
        let command = Command::ListCodes { from: 0, limit: 1_000 };
        let listed = inventory.decide(self.model.at, &Request { identity: None, command });
        let Ok(Answer::Codes(page)) = listed.map(|decision| decision.answer) else {
            return self.require(false, || "codes cannot be listed".to_owned());
        };
        let checked = self.model.check_counted(&page);
        self.require(checked.is_ok(), || checked.err().unwrap_or_default());
    }

    /// By the books alone: tickets that are good, and by which code each order of theirs was held.
    pub fn audit_codes(&self, wrong: &mut Vec<String>) {
        let mut sold: Vec<(FanId, u32, u32)> = Vec::new();
        for (order, row) in self.database.orders.iter().filter(|(_, row)| row.known.state() == OrderState::Ticketed) {
            for position in self.database.live(*order) {
                let line = self.database.line_of(*order, position);
                let code = line.and_then(|line| line.breakdown.as_ref()?.code);
                sold.extend(code.map(|code| (row.fan, code, 1)));
            }
        }
        wrong.extend(self.model.check_sold(&sold).err());
    }
}
