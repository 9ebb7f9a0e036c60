//! How many of each ticket type are free, held, sold and blocked, and what the shared quotas have room for.
//!
//! Owns the counts. Does not know orders, fans or which seat is which.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Corrupt, configuration::Configuration, seats::Seats};
use crate::domain::{
    code::Code,
    price::{Breakdown, Parts},
    time::EventTime,
};

/// Indices of ticket types and quotas never change within an event: new ones join at the end, old ones stay, retired.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Stock {
    pub types: Vec<TypeStock>,
    pub quotas: Vec<QuotaStock>,
    pub type_by_code: BTreeMap<Code, u16>,
}

/// capacity = free + held + sold + blocked + withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TypeStock {
    pub code: Code,
    /// Of one ticket without a discount, all in.
    pub price_minor: i64,
    /// What that is made of; `None`: of its face value alone.
    pub breakdown: Option<Box<Breakdown>>,
    /// Before then it needs a code that opens it.
    pub opens_at: Option<EventTime>,
    /// It always does.
    pub needs_code: bool,
    pub seated: bool,
    /// Whether the current configuration names it.
    pub offered: bool,
    pub capacity: u32,
    pub held: u32,
    pub sold: u32,
    pub blocked: u32,
    /// Of which the release is still to come: nobody can have it.
    pub withheld: u32,
    pub quotas: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QuotaStock {
    pub code: Code,
    /// `None` once the configuration no longer names it.
    pub capacity: Option<u32>,
    /// Held and sold of all types that draw on it.
    pub taken: u32,
}

/// A number of one ticket type, and how many of them come from blocked seats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    pub ticket_type: u16,
    pub quantity: u32,
    pub blocked: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    /// free → held
    Hold,
    /// held → free
    GiveUp,
    /// held → sold
    Sell,
    /// free → sold
    SellAtOnce,
    /// sold → free
    TakeBack,
}

impl TypeStock {
    pub fn taken(&self) -> u32 {
        self.held.saturating_add(self.sold)
    }

    /// Of one ticket without a discount.
    pub fn parts(&self) -> Parts {
        self.breakdown.as_ref().map_or(Parts::face(self.price_minor), |breakdown| breakdown.each)
    }

    pub fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.taken()).saturating_sub(self.blocked).saturating_sub(self.withheld)
    }
}

impl QuotaStock {
    pub fn room(&self) -> u32 {
        self.capacity.map_or(u32::MAX, |capacity| capacity.saturating_sub(self.taken))
    }
}

impl Stock {
    /// The type that the configuration offers under this code.
    pub fn offered(&self, code: &Code) -> Option<(u16, &TypeStock)> {
        let index = *self.type_by_code.get(code)?;
        self.get(index).filter(|stock| stock.offered).map(|stock| (index, stock))
    }

    pub fn get(&self, ticket_type: u16) -> Option<&TypeStock> {
        self.types.get(usize::from(ticket_type))
    }

    fn quotas_of<'a>(&'a self, stock: &'a TypeStock) -> impl Iterator<Item = &'a QuotaStock> {
        stock.quotas.iter().filter_map(|&quota| self.quotas.get(usize::from(quota)))
    }

    /// What can still be had of one type: its own free ones, as far as every quota has room.
    pub fn available(&self, ticket_type: u16) -> u32 {
        let Some(stock) = self.get(ticket_type) else { return 0 };
        self.quotas_of(stock).map(QuotaStock::room).fold(stock.free(), u32::min)
    }

    /// What can still be had of all types but those that are kept, one after the other. Zero exactly when nothing can be had of any; where quotas
    /// overlap without one lying in the other, a better order may find more.
    pub fn available_in_all(&self, is_kept: impl Fn(u16) -> bool) -> u64 {
        let mut rooms: Vec<u32> = self.quotas.iter().map(QuotaStock::room).collect();
        let mut total = 0;
        for (_, stock) in (0..).zip(&self.types).filter(|(index, stock)| stock.offered && !is_kept(*index)) {
            let drawn_on = || stock.quotas.iter().map(|&quota| usize::from(quota));
            let had = drawn_on().filter_map(|quota| rooms.get(quota)).copied().fold(stock.free(), u32::min);
            for quota in drawn_on() {
                if let Some(room) = rooms.get_mut(quota) {
                    *room = room.saturating_sub(had);
                }
            }
            total += u64::from(had);
        }
        total
    }

    /// The first type of which there is not enough, all portions taken together.
    pub fn shortage(&self, portions: &[Portion]) -> Option<u16> {
        let total = |counts: &dyn Fn(&Portion) -> bool| -> u64 {
            portions.iter().filter(|&portion| counts(portion)).map(|portion| u64::from(portion.quantity)).sum()
        };
        let short = |portion: &&Portion| {
            let Some(stock) = self.get(portion.ticket_type) else { return true };
            let same = portions.iter().filter(|other| other.ticket_type == portion.ticket_type);
            let unblocked: u64 = same.map(|other| u64::from(other.quantity.saturating_sub(other.blocked))).sum();
            unblocked > u64::from(stock.free())
                || stock.quotas.iter().any(|quota| {
                    let draws =
                        |other: &Portion| self.get(other.ticket_type).is_some_and(|stock| stock.quotas.contains(quota));
                    let room = self.quotas.get(usize::from(*quota)).map_or(0, QuotaStock::room);
                    total(&draws) > u64::from(room)
                })
        };
        portions.iter().find(short).map(|portion| portion.ticket_type)
    }

    /// What is due by then is free; the seats know it already.
    pub fn release(&mut self, configuration: &Configuration, until: EventTime, seats: &Seats) {
        for ticket_type in &configuration.ticket_types {
            let Some(&index) = self.type_by_code.get(&ticket_type.code) else { continue };
            let Some(stock) = self.types.get_mut(usize::from(index)) else { continue };
            stock.withheld = match seats.withheld(index).filter(|_| stock.seated) {
                Some(withheld) => withheld.seats,
                None => ticket_type.withheld(until),
            };
        }
    }

    pub fn apply(&mut self, step: Move, portion: Portion) -> Result<(), Corrupt> {
        let Portion { ticket_type, quantity, blocked } = portion;
        let stock = self
            .types
            .get_mut(usize::from(ticket_type))
            .ok_or_else(|| Corrupt(format!("ticket type {ticket_type} is not known")))?;
        let wrong = |code: &Code| Corrupt(format!("{quantity} of {code}: {step:?} is more than there are"));
        let takes = matches!(step, Move::Hold | Move::SellAtOnce);
        let gives = matches!(step, Move::GiveUp | Move::TakeBack);
        if takes && quantity.saturating_sub(blocked) > stock.free() {
            return Err(wrong(&stock.code));
        }
        let (from, to) = match step {
            Move::Hold => (None, Some(&mut stock.held)),
            Move::GiveUp => (Some(&mut stock.held), None),
            Move::Sell => (Some(&mut stock.held), Some(&mut stock.sold)),
            Move::SellAtOnce => (None, Some(&mut stock.sold)),
            Move::TakeBack => (Some(&mut stock.sold), None),
        };
        if let Some(from) = from {
            *from = from.checked_sub(quantity).ok_or_else(|| wrong(&stock.code))?;
        }
        if let Some(to) = to {
            *to = to.checked_add(quantity).ok_or_else(|| wrong(&stock.code))?;
        }
        if takes {
            stock.blocked = stock.blocked.checked_sub(blocked).ok_or_else(|| wrong(&stock.code))?;
        }
        if gives {
            stock.blocked = stock.blocked.checked_add(blocked).ok_or_else(|| wrong(&stock.code))?;
        }
        for &quota in &stock.quotas {
            let Some(quota) = self.quotas.get_mut(usize::from(quota)) else { continue };
            if takes && quantity > quota.room() {
                return Err(wrong(&quota.code));
            }
            if takes {
                quota.taken = quota.taken.checked_add(quantity).ok_or_else(|| wrong(&quota.code))?;
            }
            if gives {
                quota.taken = quota.taken.checked_sub(quantity).ok_or_else(|| wrong(&quota.code))?;
            }
        }
        Ok(())
    }
}
