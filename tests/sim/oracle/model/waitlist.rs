//! The waiting list, as the journal says it: one line, and whom an offer passes by.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::{
        configuration::{Kept, ListMode},
        entry::{Entry, EntryLine},
        fact::FactKind,
        request::HoldState,
        waitlist::Wish,
    },
    queue::Place,
    time::EventTime,
};

use crate::oracle::model::{Checked, Model, Order, codes::code_of, require};

#[derive(Default)]
pub struct Waitlist {
    /// In the order in which they came.
    line: Vec<Waiting>,
    /// Until when what is free of a type is kept for its first.
    kept_until: BTreeMap<u16, EventTime>,
    /// What is free of these is for sale: it is enough for nobody.
    spared: Vec<u16>,
    /// Whoever ever came, by what an offer would be.
    pub joined: BTreeSet<OrderId>,
}

struct Waiting {
    fan: FanId,
    order: OrderId,
    ticket_types: Vec<u16>,
    wish: Wish,
}

impl Model {
    pub fn apply_waitlist(&mut self, at: EventTime, entry: &Entry) -> Checked {
        match entry {
            Entry::WaitlistJoined { order, fan, ticket_types, wish } => {
                let again = self.waitlist.line.iter().any(|waiting| waiting.fan == *fan);
                require(!again, || format!("{fan} waits twice"))?;
                self.check_released(at)?;
                let free = self.free();
                let enough = ticket_types.iter().any(|&one| {
                    !self.is_seated(one) && !self.keeps(one) && self.room(one, &free) >= u64::from(wish.quantity)
                });
                require(!enough, || format!("{fan} waits for what is there"))?;
                let (fan, order, ticket_types, wish) = (*fan, *order, ticket_types.clone(), *wish);
                self.waitlist.line.push(Waiting { fan, order, ticket_types, wish });
                self.waitlist.joined.insert(order);
                Ok(())
            }
            Entry::WaitlistLeft { fan, .. } => self.waits_no_more(*fan).map(drop),
            Entry::StockKept { ticket_type, until } => {
                self.waitlist.spared.retain(|spared| spared != ticket_type);
                self.waitlist.kept_until.insert(*ticket_type, *until);
                Ok(())
            }
            Entry::StockSpared { ticket_type } => {
                self.waitlist.spared.push(*ticket_type);
                self.met.push("stock that is enough for nobody who waits is for sale");
                Ok(())
            }
            Entry::Offered { order, fan, lines, expires_at } => self.offered(at, (*order, *fan), lines, *expires_at),
            _ => {
                let joined = std::mem::take(&mut self.waitlist.joined);
                self.waitlist = Waitlist { joined, ..Waitlist::default() };
                Ok(())
            }
        }
    }

    fn offered(
        &mut self,
        at: EventTime,
        (order, fan): (OrderId, FanId),
        lines: &[EntryLine],
        expires_at: EventTime,
    ) -> Checked {
        require(self.list_mode() != ListMode::Off, || "something is offered by a list that is off".to_owned())?;
        let [line] = lines else { return Err(format!("{order} offers {} types", lines.len())) };
        self.check_released(at)?;
        self.check_lines(at, order, lines)?;
        self.check_once(order, lines)?;
        require(code_of(line).is_none(), || format!("{order} is offered by a code"))?;
        self.check_waiters(at, fan, line)?;
        let waiting = self.waits_no_more(fan)?;
        require(waiting.order == order, || format!("{order} is offered to who waits for {}", waiting.order))?;
        let (least, most) = (waiting.wish.least(), u32::from(waiting.wish.quantity));
        let fits = (least..=most).contains(&line.quantity);
        require(fits, || format!("{order} offers {} for {:?}", line.quantity, waiting.wish))?;
        require(expires_at > at, || format!("{order} is over before it is offered"))?;
        self.fact(order, FactKind::Offered);
        let record = Order {
            fan,
            admission: Place(0),
            lines: lines.to_vec(),
            expires_at,
            state: HoldState::Held,
            payment: None,
            refused: BTreeMap::new(),
            facts: vec![(self.facts, FactKind::Offered)],
            lapsed: false,
            is_reduced: false,
            is_awaited: false,
            bought: 0,
            last_move: 0,
        };
        self.met.push("something is offered to who waits");
        let before = self.orders.insert(order, record);
        require(before.is_none(), || format!("order {order} is held twice"))?;
        self.check_limits(fan, line.quantity)
    }

    /// First come, first served: nobody before could have had as much of this type, unless it was kept for them long enough.
    fn check_waiters(&self, at: EventTime, fan: FanId, line: &EntryLine) -> Checked {
        let of_type = self.waitlist.line.iter().filter(|waiting| waiting.ticket_types.contains(&line.ticket_type));
        let before: Vec<_> = of_type.take_while(|waiting| waiting.fan != fan).collect();
        if before.is_empty() {
            return Ok(());
        }
        let kept = self.waitlist.kept_until.get(&line.ticket_type);
        require(kept.is_some_and(|until| *until <= at), || format!("{fan} is served before who came first"))?;
        let room = self.room(line.ticket_type, &self.free());
        let fits = |waiting: &Waiting| {
            let least = u64::from(waiting.wish.least());
            let in_any_place = !self.is_seated(line.ticket_type) || waiting.wish.any_seat || least == 1;
            in_any_place && least <= room
        };
        let passed = before.into_iter().find(|waiting| fits(waiting)).map(|waiting| waiting.fan);
        require(passed.is_none(), || format!("{fan} is served before {passed:?}, for whom it was enough"))
    }

    fn waits_no_more(&mut self, fan: FanId) -> Result<Waiting, String> {
        let line = &mut self.waitlist.line;
        let at = line.iter().position(|waiting| waiting.fan == fan).ok_or_else(|| format!("{fan} does not wait"))?;
        let gone = line.remove(at);
        for ticket_type in &gone.ticket_types {
            let is_first = !line.iter().take(at).any(|waiting| waiting.ticket_types.contains(ticket_type));
            if is_first {
                self.waitlist.kept_until.remove(ticket_type);
                self.waitlist.spared.retain(|spared| spared != ticket_type);
            }
        }
        Ok(gone)
    }

    /// How much there is of what is for sale although somebody waits.
    pub fn spared(&self) -> Vec<(u16, u64)> {
        if self.waitlist.spared.is_empty() {
            return Vec::new();
        }
        let free = self.free();
        self.waitlist.spared.iter().map(|&ticket_type| (ticket_type, self.room(ticket_type, &free))).collect()
    }

    /// With more of it, those who wait come first again.
    pub fn freed_since(&mut self, before: &[(u16, u64)]) {
        if before.is_empty() {
            return;
        }
        let free = self.free();
        for (ticket_type, before) in before {
            if self.room(*ticket_type, &free) > *before {
                self.waitlist.spared.retain(|spared| spared != ticket_type);
            }
        }
    }

    /// A hold of somebody who was not offered it.
    pub fn check_not_past_the_list(&self, lines: &[EntryLine]) -> Checked {
        let is_for_all = |seat: &u32| self.kept(*seat) == Some(&Kept::Free);
        let is_public = |line: &&EntryLine| line.seats.is_empty() || line.seats.iter().any(is_for_all);
        let past = lines.iter().filter(is_public).find(|line| self.keeps(line.ticket_type));
        require(past.is_none(), || format!("{past:?} is held while others wait for it"))
    }

    pub fn keeps(&self, ticket_type: u16) -> bool {
        let waited_for = self.waitlist.line.iter().any(|waiting| waiting.ticket_types.contains(&ticket_type));
        let needs_code = self.ticket_type(ticket_type).is_some_and(|ticket_type| ticket_type.needs_code);
        self.list_mode() != ListMode::Off && waited_for && !needs_code && !self.waitlist.spared.contains(&ticket_type)
    }

    fn list_mode(&self) -> ListMode {
        self.configuration.as_ref().map_or(ListMode::Off, |configuration| configuration.waitlist.mode)
    }
}
