//! Joining and leaving the waiting list, and what one sees of it.

use std::collections::BTreeSet;

use super::super::{
    Decision, Inventory,
    configuration::{Configuration, ListMode},
    entry::{Entry, EntryLine},
    request::{Answer, HoldState, Refusal},
    waitlist::{MAX_TYPES_WANTED, Returning, Standing, WaitEnd, Waiting, WaitlistAnswer, WaitlistCommand, Wish},
};
use crate::domain::{
    code::Code,
    id::{FanId, OrderId},
    time::EventTime,
};

impl Inventory {
    pub(super) fn decide_waitlist(&self, now: EventTime, command: &WaitlistCommand) -> Result<Decision, Refusal> {
        match command {
            WaitlistCommand::Join { order, fan, ticket_types, wish } => {
                self.decide_join(now, (*order, *fan), ticket_types, *wish)
            }
            WaitlistCommand::Leave { fan } => Ok(self.decide_leave(*fan)),
            WaitlistCommand::Look { fan } => {
                let standing = self.waitlist_standing(*fan).ok_or(Refusal::NotWaiting)?;
                Ok(Decision::already(told(standing)))
            }
            WaitlistCommand::Wanted(returning) => {
                Ok(Decision::already(Answer::Waitlist(WaitlistAnswer::Wanted(self.wanted(now, returning)))))
            }
        }
    }

    fn decide_join(
        &self,
        now: EventTime,
        (order, fan): (OrderId, FanId),
        ticket_types: &[Code],
        wish: Wish,
    ) -> Result<Decision, Refusal> {
        let configuration = self.configuration.as_ref().ok_or(Refusal::NotOnSale)?;
        let waiting = Waiting { order, fan, ticket_types: self.types_wanted(now, ticket_types)?, wish, joined_at: now };
        if let Some(here) = self.waitlist.of_fan(fan) {
            let same = (&here.ticket_types, here.wish) == (&waiting.ticket_types, wish);
            let standing = self.waitlist_standing(fan).filter(|_| same).ok_or(Refusal::AlreadyWaiting)?;
            return Ok(Decision::already(told(standing)));
        }
        if !self.is_selling(now) {
            return Err(Refusal::NotOnSale);
        }
        if self.is_halted() {
            return Err(Refusal::Halted);
        }
        if configuration.waitlist.mode != ListMode::Open {
            return Err(Refusal::WaitlistClosed);
        }
        let offer = self.waitlist.offer_of(fan).and_then(|order| self.orders.get(order));
        if offer.is_some_and(|order| order.state == HoldState::Held) {
            return Err(Refusal::AlreadyWaiting);
        }
        if self.orders.get(order).is_some() {
            return Err(Refusal::KeyReused);
        }
        let (quantity, max) = (u32::from(wish.quantity), u32::from(configuration.limits.per_order));
        if quantity == 0 || quantity > max {
            return Err(Refusal::Quantity { max });
        }
        self.within_fan_limit(fan, quantity, configuration.limits)?;
        if self.is_to_be_had(&waiting) {
            return Err(Refusal::NotSoldOut);
        }
        let max = configuration.waitlist.max_entries;
        if self.waitlist.len() >= max as usize {
            return Err(Refusal::WaitlistFull { max });
        }
        let (people_ahead, tickets_ahead) = self.waitlist.in_order().fold((0, 0), |(people, tickets), (_, rival)| {
            let is_rival = rival.ticket_types.iter().any(|t| waiting.ticket_types.contains(t));
            (people + u32::from(is_rival), tickets + if is_rival { u32::from(rival.wish.quantity) } else { 0 })
        });
        let standing = Standing::Waits {
            order,
            ticket_types: self.codes(&waiting.ticket_types),
            wish,
            joined_at: now,
            people_ahead,
            tickets_ahead,
        };
        let ticket_types = waiting.ticket_types.into();
        Ok(Decision::one(Entry::WaitlistJoined { order, fan, ticket_types, wish }, told(standing)))
    }

    /// Each once, in the fan's order.
    fn types_wanted(&self, now: EventTime, codes: &[Code]) -> Result<Box<[u16]>, Refusal> {
        let max = MAX_TYPES_WANTED as u32;
        if codes.is_empty() || codes.len() > MAX_TYPES_WANTED {
            return Err(Refusal::Quantity { max });
        }
        let mut wanted = Vec::with_capacity(codes.len());
        for code in codes {
            let (ticket_type, _) = self.stock.offered(code).ok_or_else(|| Refusal::UnknownTicketType(code.clone()))?;
            self.is_for_all(now, ticket_type)?;
            if !wanted.contains(&ticket_type) {
                wanted.push(ticket_type);
            }
        }
        Ok(wanted.into())
    }

    fn codes(&self, ticket_types: &[u16]) -> Vec<Code> {
        ticket_types.iter().filter_map(|&t| self.stock.get(t)).map(|stock| stock.code.clone()).collect()
    }

    fn decide_leave(&self, fan: FanId) -> Decision {
        let left = Answer::Waitlist(WaitlistAnswer::Left);
        match self.waitlist.of_fan(fan) {
            Some(_) => Decision::one(Entry::WaitlistLeft { fan, why: WaitEnd::Left }, left),
            None => Decision::already(left),
        }
    }

    fn waitlist_standing(&self, fan: FanId) -> Option<Standing> {
        if let Some(waiting) = self.waitlist.of_fan(fan) {
            let (people_ahead, tickets_ahead) = self.waitlist.ahead(fan);
            return Some(Standing::Waits {
                order: waiting.order,
                ticket_types: self.codes(&waiting.ticket_types),
                wish: waiting.wish,
                joined_at: waiting.joined_at,
                people_ahead,
                tickets_ahead,
            });
        }
        self.order(self.waitlist.offer_of(fan)?).map(Standing::Offered)
    }

    /// Counts whom single places serve, in their order: who wants seats side by side is not helped by tickets that are
    /// given back one by one.
    fn wanted(&self, now: EventTime, returning: &[Returning]) -> Vec<(Code, u32)> {
        let takes_back = |c: &Configuration| {
            c.waitlist.mode != ListMode::Off && c.waitlist.returns_until.is_some_and(|until| now < until)
        };
        let on = self.is_selling(now) && !self.is_halted() && self.configuration.as_deref().is_some_and(takes_back);
        let mut counted = BTreeSet::new();
        let mut wanted = Vec::new();
        for Returning { ticket_type: code, tickets, coming } in returning {
            let Some((ticket_type, stock)) = self.stock.offered(code).filter(|_| on) else { continue };
            // It could be offered to nobody.
            if self.is_for_all(now, ticket_type).is_err() {
                continue;
            }
            let here = self.stock.available(ticket_type).saturating_add(*coming);
            let mut left = here.saturating_add(*tickets);
            let mut used = 0;
            for (number, waiting) in self.waitlist.in_order() {
                let Wish { quantity, any_seat, .. } = waiting.wish;
                let is_served = !stock.seated || any_seat || quantity == 1;
                if left == 0 {
                    break;
                }
                if !is_served || !waiting.ticket_types.contains(&ticket_type) || waiting.wish.least() > left {
                    continue;
                }
                if counted.insert(number) {
                    let takes = left.min(quantity.into());
                    (left, used) = (left - takes, used + takes);
                }
            }
            let missing = used.saturating_sub(here).min(*tickets);
            if missing > 0 {
                wanted.push((code.clone(), missing));
            }
        }
        wanted
    }

    /// Stock that others wait for is sold out to whoever comes now; seats kept for a channel are not what they wait for.
    pub(super) fn not_past_the_list(&self, lines: &[EntryLine]) -> Result<(), Refusal> {
        if self.waitlist.is_empty() {
            return Ok(());
        }
        let portions = self.portions(lines);
        let past = portions.iter().find(|part| part.quantity > part.blocked && self.is_kept(part.ticket_type));
        match past.and_then(|part| self.stock.get(part.ticket_type)) {
            Some(stock) => Err(Refusal::SoldOut { ticket_type: stock.code.clone(), left: 0 }),
            None => Ok(()),
        }
    }
}

fn told(standing: Standing) -> Answer {
    Answer::Waitlist(WaitlistAnswer::Standing(Box::new(standing)))
}
