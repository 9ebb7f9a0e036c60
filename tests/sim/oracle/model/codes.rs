//! Codes, as the journal says them: what each is worth, who may hold by it, and how many tickets are held and sold by it.
//!
//! Uses are not counted here as they come and go; they are added up anew from the orders each time.

use onsale::domain::{
    code::Code,
    id::{FanId, OrderId},
    inventory::{
        codes::CodeTerms,
        entry::EntryLine,
        request::{CodesPage, Refusal},
    },
    price::Discount,
    time::EventTime,
};

use crate::oracle::model::{Checked, Model, Order, require};

pub struct Made {
    code: Code,
    terms: CodeTerms,
    withdrawn: bool,
}

pub fn code_of(line: &EntryLine) -> Option<u32> {
    line.breakdown.as_ref()?.code
}

fn beyond(most: Option<u32>, wanted: u32) -> bool {
    most.is_some_and(|most| wanted > most)
}

impl Model {
    pub fn codes_made(&mut self, terms: &CodeTerms, codes: &[Code]) -> Checked {
        for code in codes {
            require(self.find_code(code).is_none(), || format!("code {code} is made twice"))?;
            self.codes.push(Made { code: code.clone(), terms: terms.clone(), withdrawn: false });
        }
        Ok(())
    }

    pub fn codes_withdrawn(&mut self, numbers: &[u32]) -> Checked {
        for number in numbers {
            let made = self.codes.get_mut(*number as usize).ok_or_else(|| format!("code {number} was never made"))?;
            require(!made.withdrawn, || format!("code {number} is withdrawn twice"))?;
            made.withdrawn = true;
        }
        Ok(())
    }

    pub fn find_code(&self, code: &Code) -> Option<(u32, &Made)> {
        (0..).zip(&self.codes).find(|(_, made)| made.code == *code)
    }

    pub fn code_name(&self, number: u32) -> Option<&Code> {
        self.codes.get(number as usize).map(|made| &made.code)
    }

    /// Tickets of holds by it that have ended unsold.
    pub fn lapsed(&self, number: u32) -> u32 {
        let orders = self.orders.values().filter(|order| !order.takes());
        let lines = orders.flat_map(|order| &order.lines).filter(|line| code_of(line) == Some(number));
        lines.map(|line| line.quantity).sum()
    }

    /// Tickets held and sold by it, of all fans or of this one.
    pub fn uses(&self, number: u32, fan: Option<FanId>) -> u32 {
        let orders = self.orders.values().filter(|order| order.takes() && fan.is_none_or(|fan| order.fan == fan));
        let lines = orders.flat_map(|order| &order.lines).filter(|line| code_of(line) == Some(number));
        lines.map(|line| line.quantity).sum()
    }

    /// What the line costs less by its code, if it may have that now; and nobody has without a code what needs one.
    pub fn discount(&self, at: EventTime, order: OrderId, line: &EntryLine) -> Result<Option<Discount>, String> {
        let Some(ticket_type) = self.ticket_type(line.ticket_type) else { return Ok(None) };
        let is_for_all = !ticket_type.needs_code && ticket_type.opens_at.is_none_or(|opens_at| at >= opens_at);
        let needs = || format!("{order} is held without the code that {} needs", ticket_type.code);
        let Some(number) = code_of(line) else { return require(is_for_all, needs).map(|()| None) };
        let made = self.codes.get(number as usize).ok_or_else(|| format!("{order} is held by no code: {number}"))?;
        let terms = &made.terms;
        require(!made.withdrawn, || format!("{order} is held by {}, which was withdrawn", made.code))?;
        let is_valid = terms.valid_from.is_none_or(|from| at >= from) && terms.valid_until.is_none_or(|end| at < end);
        require(is_valid, || format!("{order} is held by {} at {at}, when it is not valid", made.code))?;
        let is_for = terms.ticket_types.is_empty() || terms.ticket_types.contains(&ticket_type.code);
        require(is_for, || format!("{order} is held by {}, which is not for {}", made.code, ticket_type.code))?;
        require(is_for_all || terms.opens, needs)?;
        Ok(terms.discount)
    }

    /// Once the fan has them. A ticket on its way to another seat counts twice meanwhile, which leaves less for others.
    pub fn check_uses(&self, fan: FanId, lines: &[EntryLine]) -> Checked {
        for number in lines.iter().filter_map(code_of) {
            let made = self.codes.get(number as usize).ok_or_else(|| format!("there is no code {number}"))?;
            let (all, of_fan) = (self.uses(number, None), self.uses(number, Some(fan)));
            let over = beyond(made.terms.max_uses, all) || beyond(made.terms.per_fan, of_fan);
            require(!over, || {
                format!("{all} tickets by {}, {of_fan} of {fan}: more than {:?}", made.code, made.terms)
            })?;
        }
        Ok(())
    }

    /// A late payment is told that the code is used up: it must be so.
    pub fn check_used_up(&self, order: OrderId, record: &Order) -> Checked {
        let room = |number: u32| {
            let same = record.lines.iter().filter(|line| code_of(line) == Some(number));
            let wanted: u32 = same.map(|line| line.quantity).sum();
            let most = self.codes.get(number as usize).map(|made| (made.terms.max_uses, made.terms.per_fan));
            let (most, per_fan) = most.unwrap_or_default();
            !beyond(most, self.uses(number, None) + wanted)
                && !beyond(per_fan, self.uses(number, Some(record.fan)) + wanted)
        };
        let has_room = record.lines.iter().filter_map(code_of).all(room);
        require(!has_room, || format!("{order} is refused for its code, which has room"))
    }

    /// A hold by this code was refused: what was said of the code must be so, where nothing was written since.
    pub fn check_code_refusal(&self, fan: FanId, code: Option<&Code>, refusal: &Refusal) -> Checked {
        let found = code.and_then(|code| self.find_code(code));
        let left = |most: Option<u32>, used: u32| most.unwrap_or(u32::MAX).saturating_sub(used);
        let is_so = match (refusal, found) {
            (Refusal::UnknownCode, found) => found.is_none_or(|(_, made)| made.withdrawn),
            (Refusal::CodeUsedUp { left: told }, Some((number, made))) => {
                *told >= left(made.terms.max_uses, self.uses(number, None))
            }
            (Refusal::CodeFanLimit { left: told }, Some((number, made))) => {
                *told >= left(made.terms.per_fan, self.uses(number, Some(fan)))
            }
            (Refusal::CodeUsedUp { .. } | Refusal::CodeFanLimit { .. }, None) => false,
            _ => true,
        };
        require(is_so, || format!("{fan} hears of {code:?}: {refusal:?}, which is not so"))
    }

    /// What a new owner has counted must be what is held and sold.
    pub fn check_counted(&self, page: &CodesPage) -> Checked {
        let counted = page.codes.iter().map(|code| (&code.code, code.uses, code.withdrawn));
        let made = (0..).zip(&self.codes).map(|(number, made)| (&made.code, self.uses(number, None), made.withdrawn));
        let (counted, made): (Vec<_>, Vec<_>) = (counted.collect(), made.collect());
        require(counted == made, || format!("codes are counted as {counted:?}, {made:?} are held and sold"))
    }

    /// Of these tickets, sold by codes, no more than the codes allow.
    pub fn check_sold(&self, sold: &[(FanId, u32, u32)]) -> Checked {
        for (number, made) in (0..).zip(&self.codes) {
            let all = || sold.iter().filter(|(_, code, _)| *code == number);
            let total: u32 = all().map(|(.., tickets)| tickets).sum();
            require(!beyond(made.terms.max_uses, total), || format!("{total} tickets were bought by {}", made.code))?;
            for (fan, ..) in all() {
                let own: u32 = all().filter(|(other, ..)| other == fan).map(|(.., tickets)| tickets).sum();
                require(!beyond(made.terms.per_fan, own), || format!("{fan} has {own} tickets by {}", made.code))?;
            }
        }
        Ok(())
    }
}
