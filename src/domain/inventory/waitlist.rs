//! Who waits for stock that is sold out, in one order that nobody can jump.
//!
//! Owns the line, whose turn it is for each ticket type, and how long stock is kept for the first. Does not choose seats and makes
//! no holds: see `decide::offer`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};

use super::{Corrupt, request::HoldView};
use crate::domain::{
    code::Code,
    id::{FanId, OrderId},
    time::{EventTime, Millis},
};

/// Ticket types that one fan waits for, any of which will do.
pub const MAX_TYPES_WANTED: usize = 10;
/// Each time that what was kept for the first was not enough, it is kept twice as long the next time, so often.
const DOUBLINGS: u8 = 4;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitlistCommand {
    /// Again, with the same wish: the same entry.
    Join {
        /// What an offer to this entry will be; the first asking's stays.
        order: OrderId,
        fan: FanId,
        ticket_types: Vec<Code>,
        wish: Wish,
    },
    Leave {
        fan: FanId,
    },
    /// Changes nothing.
    Look {
        fan: FanId,
    },
    /// How many of the tickets that their holders would give back somebody waits for. Changes nothing.
    Wanted(Vec<Returning>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    pub ticket_type: Code,
    pub tickets: u32,
    /// Given back already, and not yet free.
    pub coming: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wish {
    /// 1 to [`super::configuration::MAX_PER_FAN`].
    pub quantity: u8,
    /// Numbered seats need not be side by side.
    pub any_seat: bool,
    /// Rather fewer than none.
    pub fewer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitlistAnswer {
    Standing(Box<Standing>),
    Left,
    Wanted(Vec<(Code, u32)>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Waits {
        order: OrderId,
        ticket_types: Vec<Code>,
        wish: Wish,
        joined_at: EventTime,
        /// Who came before and wants any of the same types, and how many tickets they want.
        people_ahead: u32,
        tickets_ahead: u32,
    },
    /// The newest offer, and what became of it.
    Offered(HoldView),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitEnd {
    Left,
    /// Has as many tickets as a fan may have.
    LimitReached,
}

/// In numbers, since the event began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    pub waiting: u32,
    pub tickets_wanted: u32,
    pub offered: u64,
    pub taken: u64,
    pub lapsed: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub order: OrderId,
    pub fan: FanId,
    pub ticket_types: Box<[u16]>,
    pub wish: Wish,
    pub joined_at: EventTime,
}

/// What happens to stock that is free and not enough for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Keeping {
    /// For the first until then; after it for the first for whom it is enough.
    Until(EventTime),
    /// Enough for nobody: whoever comes may have it.
    Spare,
    /// More became free since.
    Anew,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Waitlist {
    next: u64,
    /// First come, first served.
    entries: BTreeMap<u64, Waiting>,
    /// By ticket type, and how often what was kept has not been enough for the one who is first now.
    keeping: BTreeMap<u16, (Keeping, u8)>,
    /// The newest of each fan who has had one.
    offers: BTreeMap<FanId, OrderId>,
    offered: u64,
    taken: u64,
    lapsed: u64,
    tickets_wanted: u32,
    #[serde(skip)]
    by_fan: BTreeMap<FanId, u64>,
    /// Of those with one wish for one type, either all can be served or none.
    #[serde(skip)]
    by_wish: BTreeMap<u16, BTreeMap<Wish, BTreeSet<u64>>>,
    /// Something has changed since nothing was to be offered.
    #[serde(skip)]
    stirred: bool,
    /// When time alone will change that.
    #[serde(skip)]
    wakes_at: Option<EventTime>,
}

impl Wish {
    /// What may be offered, the most first.
    pub fn acceptable(self) -> impl Iterator<Item = u32> {
        let least = if self.fewer { 1 } else { self.quantity };
        let range: RangeInclusive<u8> = least..=self.quantity;
        range.rev().map(u32::from)
    }

    pub fn least(self) -> u32 {
        if self.fewer { 1 } else { self.quantity.into() }
    }
}

impl Waitlist {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn tally(&self) -> Tally {
        Tally {
            waiting: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            tickets_wanted: self.tickets_wanted,
            offered: self.offered,
            taken: self.taken,
            lapsed: self.lapsed,
        }
    }

    pub fn of_fan(&self, fan: FanId) -> Option<&Waiting> {
        self.entries.get(self.by_fan.get(&fan)?)
    }

    pub fn offer_of(&self, fan: FanId) -> Option<OrderId> {
        self.offers.get(&fan).copied()
    }

    pub fn in_order(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.entries.iter().map(|(&number, waiting)| (number, waiting))
    }

    /// People and tickets.
    pub fn ahead(&self, fan: FanId) -> (u32, u32) {
        let Some((&number, own)) = self.by_fan.get(&fan).and_then(|number| self.entries.get_key_value(number)) else {
            return (0, 0);
        };
        let before = self.entries.range(..number).map(|(_, waiting)| waiting);
        let rivals = before.filter(|waiting| waiting.ticket_types.iter().any(|t| own.ticket_types.contains(t)));
        rivals.fold((0, 0), |(people, tickets), rival| (people + 1, tickets + u32::from(rival.wish.quantity)))
    }

    /// Those that somebody waits for.
    pub fn ticket_types(&self) -> impl Iterator<Item = u16> {
        self.by_wish.keys().copied()
    }

    pub fn first(&self, ticket_type: u16) -> Option<&Waiting> {
        self.entries.get(&self.first_number(ticket_type)?)
    }

    fn first_number(&self, ticket_type: u16) -> Option<u64> {
        let firsts = self.by_wish.get(&ticket_type)?.values().filter_map(BTreeSet::first);
        firsts.min().copied()
    }

    /// The first of each wish, in their order.
    pub fn first_of_each_wish(&self, ticket_type: u16) -> Vec<&Waiting> {
        let wishes = self.by_wish.get(&ticket_type);
        let mut numbers: Vec<_> = wishes.into_iter().flat_map(BTreeMap::values).filter_map(BTreeSet::first).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| self.entries.get(number)).collect()
    }

    pub fn keeping(&self, ticket_type: u16) -> Option<Keeping> {
        self.keeping.get(&ticket_type).map(|(keeping, _)| *keeping)
    }

    /// Whether nobody else gets what is free of it.
    pub fn keeps(&self, ticket_type: u16) -> bool {
        self.by_wish.contains_key(&ticket_type) && self.keeping(ticket_type) != Some(Keeping::Spare)
    }

    /// How long it is kept this time.
    pub fn patience(&self, ticket_type: u16, first: Millis) -> Millis {
        let round = self.keeping.get(&ticket_type).map_or(0, |(_, round)| *round);
        Millis(first.0.saturating_mul(1 << round.min(DOUBLINGS)))
    }

    /// Whether something may have to be offered.
    pub fn is_stirred(&self, now: EventTime) -> bool {
        !self.is_empty() && (self.stirred || self.wakes_at.is_some_and(|at| at <= now))
    }

    /// When [`Self::is_stirred`] will be so; at once: some time ago.
    pub fn wakes_at(&self) -> Option<EventTime> {
        let at = if self.stirred { Some(EventTime(0)) } else { self.wakes_at };
        at.filter(|_| !self.is_empty())
    }

    /// Nothing is to be offered until something changes; `others`: what may, by time alone, beside what is kept.
    pub fn is_settled(&mut self, now: EventTime, others: impl Iterator<Item = EventTime>) {
        let kept = self.keeping.values().filter_map(|(keeping, _)| match keeping {
            Keeping::Until(at) => Some(*at),
            Keeping::Spare | Keeping::Anew => None,
        });
        self.wakes_at = kept.chain(others).filter(|at| *at > now).min();
        self.stirred = false;
    }

    /// Stock may have become free, or the rules have changed.
    pub fn stir(&mut self) {
        self.stirred = true;
    }

    /// More of this type is free than `before`.
    pub fn freed(&mut self, ticket_type: u16, before: u32, now: EventTime) {
        let Some((keeping, round)) = self.keeping.get_mut(&ticket_type) else { return };
        let is_used_up = before == 0 && matches!(keeping, Keeping::Until(until) if *until <= now);
        if is_used_up || *keeping == Keeping::Spare {
            *keeping = Keeping::Anew;
            *round = round.saturating_add(1);
        }
    }

    /// Of which something may be kept, or was.
    pub fn kept_types(&self) -> Vec<u16> {
        self.keeping.keys().copied().collect()
    }

    pub fn join(&mut self, waiting: Waiting) -> Result<(), Corrupt> {
        if self.by_fan.contains_key(&waiting.fan) {
            return Err(Corrupt(format!("fan {} waits twice", waiting.fan)));
        }
        let number = self.next;
        self.next += 1;
        self.tickets_wanted = self.tickets_wanted.saturating_add(waiting.wish.quantity.into());
        self.link(number, &waiting);
        self.entries.insert(number, waiting);
        self.stirred = true;
        Ok(())
    }

    pub fn leave(&mut self, fan: FanId) -> Result<Waiting, Corrupt> {
        let number = self.by_fan.remove(&fan).ok_or_else(|| Corrupt(format!("fan {fan} does not wait")))?;
        let waiting = self.entries.get(&number).ok_or_else(|| Corrupt(format!("fan {fan} has no entry")))?;
        for ticket_type in waiting.ticket_types.clone() {
            if self.first_number(ticket_type) == Some(number) {
                self.keeping.remove(&ticket_type);
            }
        }
        let waiting = self.entries.remove(&number).ok_or_else(|| Corrupt(format!("fan {fan} has no entry")))?;
        for ticket_type in &waiting.ticket_types {
            let Some(wishes) = self.by_wish.get_mut(ticket_type) else { continue };
            if let Some(numbers) = wishes.get_mut(&waiting.wish) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    wishes.remove(&waiting.wish);
                }
            }
            if wishes.is_empty() {
                self.by_wish.remove(ticket_type);
            }
        }
        self.tickets_wanted = self.tickets_wanted.saturating_sub(waiting.wish.quantity.into());
        self.stirred = true;
        Ok(waiting)
    }

    pub fn offer(&mut self, fan: FanId, order: OrderId) -> Result<(), Corrupt> {
        let waiting = self.leave(fan)?;
        if waiting.order != order {
            return Err(Corrupt(format!("order {order} is offered, and not {}", waiting.order)));
        }
        self.offers.insert(fan, order);
        self.offered += 1;
        Ok(())
    }

    pub fn keep(&mut self, ticket_type: u16, keeping: Keeping) -> Result<(), Corrupt> {
        if !self.by_wish.contains_key(&ticket_type) {
            return Err(Corrupt(format!("nobody waits for ticket type {ticket_type}")));
        }
        self.keeping.entry(ticket_type).or_insert((keeping, 0)).0 = keeping;
        self.stirred = true;
        Ok(())
    }

    /// Everybody waits no more.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.keeping.clear();
        self.by_fan.clear();
        self.by_wish.clear();
        self.tickets_wanted = 0;
    }

    fn is_offer(&self, fan: FanId, order: OrderId) -> bool {
        self.offers.get(&fan) == Some(&order)
    }

    /// An order was sold; `late`: after it had lapsed.
    pub fn sold(&mut self, fan: FanId, order: OrderId, late: bool) {
        if self.is_offer(fan, order) {
            self.taken += 1;
            self.lapsed -= u64::from(late && self.lapsed > 0);
        }
    }

    /// A hold ended unsold.
    pub fn lapsed(&mut self, fan: FanId, order: OrderId) {
        self.lapsed += u64::from(self.is_offer(fan, order));
    }

    /// After a snapshot.
    pub fn work_out_indices(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        for (&number, waiting) in &entries {
            self.link(number, waiting);
        }
        self.entries = entries;
        self.stirred = true;
    }

    fn link(&mut self, number: u64, waiting: &Waiting) {
        self.by_fan.insert(waiting.fan, number);
        for &ticket_type in &waiting.ticket_types {
            self.by_wish.entry(ticket_type).or_default().entry(waiting.wish).or_default().insert(number);
        }
    }
}
