//! Stock that is free again goes to who waits for it: what is to be offered, to whom.
//!
//! For each ticket type the first is served first. What is not enough for the first is kept for a while, for more may become
//! free; then it goes to the first for whom it is enough; what is enough for nobody is for sale. So nobody is passed by at
//! once, and nothing lies about for long.

use super::{
    super::{
        Inventory,
        configuration::{Configuration, ListMode, OrphanRule, WaitlistSettings},
        entry::{Entry, EntryLine},
        request::{BestAvailable, Hold, Want},
        waitlist::{Keeping, WaitEnd, Waiting, Wish},
    },
    hold::charge_order,
};
use crate::domain::{
    event::Phase,
    queue::Place,
    time::{EventTime, Millis},
};

/// The day of the sale, and of the event.
const DAY: Millis = Millis::minutes(24 * 60);

impl WaitlistSettings {
    /// How long an offer lasts that is made now.
    fn offer_at(&self, now: EventTime, on_sale_at: EventTime) -> Millis {
        let sale_day = now >= on_sale_at && now.since(on_sale_at) < DAY;
        let event_day = self.starts_at.is_some_and(|starts_at| now + DAY >= starts_at);
        if sale_day || event_day { self.offer_on_the_day } else { self.offer }
    }
}

impl Inventory {
    /// The next thing to be done for who waits, if there is one. Apply it and ask again.
    pub fn next_offer(&mut self, now: EventTime) -> Option<Entry> {
        if !self.waitlist.is_stirred(now) {
            return None;
        }
        let next = self.offer_due(now);
        if next.is_none() {
            let configuration = self.configuration.as_deref();
            let opens = configuration.map(|configuration| configuration.on_sale_at);
            let ends = configuration.and_then(|configuration| configuration.sale_ends_at);
            let types = configuration.map_or(&[][..], |configuration| &configuration.ticket_types);
            let of_types: Vec<_> = types.iter().filter_map(|ticket_type| ticket_type.opens_at).collect();
            self.waitlist.is_settled(now, opens.into_iter().chain(ends).chain(of_types));
        }
        next
    }

    fn offer_due(&self, now: EventTime) -> Option<Entry> {
        let configuration = self.configuration.as_deref()?;
        let is_over = matches!(configuration.phase, Phase::Ended | Phase::Cancelled)
            || configuration.sale_ends_at.is_some_and(|ends| ends <= now);
        if is_over {
            return Some(Entry::WaitlistCleared);
        }
        if configuration.waitlist.mode == ListMode::Off || !self.is_selling(now) || self.is_halted() {
            return None;
        }
        self.waitlist.ticket_types().find_map(|ticket_type| self.offer_of(now, configuration, ticket_type))
    }

    fn offer_of(&self, now: EventTime, configuration: &Configuration, ticket_type: u16) -> Option<Entry> {
        let keeping = self.waitlist.keeping(ticket_type);
        let is_closed = self.is_for_all(now, ticket_type).is_err();
        if self.stock.available(ticket_type) == 0 || keeping == Some(Keeping::Spare) || is_closed {
            return None;
        }
        let first = self.waitlist.first(ticket_type)?;
        if let Some(entry) = self.offer_to(now, configuration, first, ticket_type, [first.wish.quantity.into()]) {
            return Some(entry);
        }
        let until = match keeping {
            Some(Keeping::Until(until)) => until,
            Some(Keeping::Anew | Keeping::Spare) | None => {
                let until = now + self.waitlist.patience(ticket_type, configuration.waitlist.gather);
                return Some(Entry::StockKept { ticket_type, until });
            }
        };
        if now < until {
            return None;
        }
        let candidates = self.waitlist.first_of_each_wish(ticket_type);
        let mut offers = candidates.into_iter();
        let offer = offers
            .find_map(|waiting| self.offer_to(now, configuration, waiting, ticket_type, waiting.wish.acceptable()));
        Some(offer.unwrap_or(Entry::StockSpared { ticket_type }))
    }

    /// The first of these quantities that there is.
    fn offer_to(
        &self,
        now: EventTime,
        configuration: &Configuration,
        waiting: &Waiting,
        ticket_type: u16,
        quantities: impl IntoIterator<Item = u32>,
    ) -> Option<Entry> {
        let Waiting { order, fan, .. } = *waiting;
        let find = |quantity| Some((quantity, self.free_for(waiting, ticket_type, quantity)?));
        let (quantity, lines) = quantities.into_iter().find_map(find)?;
        let most = u32::from(configuration.limits.per_fan).saturating_sub(self.fans.taken(fan));
        if quantity > most.min(configuration.limits.per_order.into()) {
            return Some(Entry::WaitlistLeft { fan, why: WaitEnd::LimitReached });
        }
        let mut lines = lines;
        charge_order(&mut lines, &configuration.charges);
        let expires_at = now + configuration.waitlist.offer_at(now, configuration.on_sale_at);
        Some(Entry::Offered { order, fan, lines, expires_at })
    }

    /// So many of the type as the fan wants them, whoever else waits.
    fn free_for(&self, waiting: &Waiting, ticket_type: u16, quantity: u32) -> Option<Vec<EntryLine>> {
        let Waiting { order, fan, wish: Wish { any_seat, .. }, .. } = *waiting;
        let stock = self.stock.get(ticket_type).filter(|stock| stock.offered)?;
        if self.stock.available(ticket_type) < quantity {
            return None;
        }
        let code = stock.code.clone();
        let want = if stock.seated {
            let (zone, accessible, together) = (None, 0, !any_seat);
            Want::BestAvailable(BestAvailable { ticket_type: code, quantity, zone, accessible, together })
        } else {
            Want::Quantities(vec![(code, quantity)])
        };
        let hold = Hold {
            order,
            fan,
            admission: Place(0),
            want,
            channel: None,
            seen_version: None,
            code: None,
            rates: vec![],
        };
        // What is left of a sold-out plan is single anyway.
        self.choose(&hold, OrphanRule::Off).ok().map(|choice| choice.lines)
    }

    /// Whether the wish could be had without waiting.
    pub(super) fn is_to_be_had(&self, waiting: &Waiting) -> bool {
        let free = |&ticket_type: &u16| {
            !self.is_kept(ticket_type) && self.free_for(waiting, ticket_type, waiting.wish.least()).is_some()
        };
        waiting.ticket_types.iter().any(free)
    }

    /// Whether what is free of the type is for those who wait.
    pub(in super::super) fn is_kept(&self, ticket_type: u16) -> bool {
        let on = |configuration: &Configuration| configuration.waitlist.mode != ListMode::Off;
        // What needs a code is for those who have one.
        let is_for_all = self.stock.get(ticket_type).is_some_and(|stock| !stock.needs_code);
        is_for_all && self.waitlist.keeps(ticket_type) && self.configuration.as_deref().is_some_and(on)
    }
}
