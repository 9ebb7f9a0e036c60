//! A new configuration: valid in itself, a step that the event's life allows, and never below what is held or sold.

use std::sync::Arc;

use super::super::{
    Decision, Inventory,
    configuration::{Configuration, Seat, Stock as StockKind},
    entry::{Entry, SeatPlan},
    request::{Answer, Identity, Refusal},
    seats::Seats,
    stock::{QuotaStock, Stock, TypeStock},
};
use crate::domain::{code::Code, event::Phase, price::Breakdown, time::EventTime};

/// Seats in one journal entry: a part of a plan stays far below the limit of a segment.
const SEATS_STAGED_AT_ONCE: usize = 1_000;

/// What a configuration makes of the stock.
pub(in super::super) struct Reconfigured {
    pub stock: Stock,
    /// `None` if the plan is as it was.
    pub seats: Option<Seats>,
}

impl Inventory {
    pub(super) fn decide_configure(
        &self,
        now: EventTime,
        configuration: &Configuration,
        identity: Option<Identity>,
    ) -> Result<Decision, Refusal> {
        let current = self.configuration.as_deref();
        let version = current.map_or(0, |current| current.version);
        if Some(configuration.version) != version.checked_add(1) {
            return Err(Refusal::StaleVersion { version });
        }
        configuration.validate().map_err(|invalid| Refusal::InvalidConfiguration(invalid.to_string()))?;
        let phase = current.map_or(Phase::Draft, |current| current.phase);
        if !phase.may_become(configuration.phase) {
            return Err(Refusal::Transition { from: phase.to_string(), to: configuration.phase.to_string() });
        }
        // Orders are frozen in the currency that they were held in, and a draft has none.
        if phase != Phase::Draft && current.is_some_and(|current| current.currency != configuration.currency) {
            return Err(Refusal::InvalidConfiguration("the currency can change only in a draft".into()));
        }
        self.check_classes(configuration)?;
        let same_seats = current.map_or(&[][..], |current| &current.seats) == configuration.seats;
        let seats = if same_seats { SeatPlan::Unchanged } else { SeatPlan::Staged };
        self.reconfigured(now, configuration, seats)?;

        let mut entries = Vec::new();
        if seats == SeatPlan::Staged {
            let part = |seats: &[Seat]| Entry::SeatsStaged { version: configuration.version, seats: seats.to_vec() };
            entries.extend(configuration.seats.chunks(SEATS_STAGED_AT_ONCE).map(part));
        }
        let configuration = Box::new(Configuration { seats: Vec::new(), ..configuration.clone() });
        let version = configuration.version;
        entries.push(Entry::Configured { configuration, seats, identity });
        Ok(Decision { entries, answer: Answer::Configured { version } })
    }

    /// The stock under a valid configuration (with its seats), with everything that is held and sold in it.
    pub(in super::super) fn reconfigured(
        &self,
        now: EventTime,
        configuration: &Configuration,
        plan: SeatPlan,
    ) -> Result<Reconfigured, Refusal> {
        let mut stock = self.stock.clone();
        stock.offer_quotas(configuration)?;
        stock.offer_types(configuration)?;
        let below = |code| Refusal::BelowTaken { code, taken: 1 };
        let mut seats = match plan {
            SeatPlan::Unchanged if self.withholds_the_same(now, configuration) => None,
            SeatPlan::Unchanged => Some(self.seats.clone()),
            SeatPlan::Staged => {
                let type_of = |code: &Code| stock.type_by_code.get(code).copied();
                Some(self.seats.replanned(&configuration.seats, type_of).map_err(below)?)
            }
        };
        if let Some(seats) = &mut seats {
            seats.withhold(configuration, now).map_err(below)?;
        }
        let seats_now = seats.as_ref().unwrap_or(&self.seats);
        stock.release(configuration, now, seats_now);
        stock.count_seats(seats_now);
        stock.check()?;
        Ok(Reconfigured { stock, seats })
    }

    /// Whether no other seats wait for their release than do now.
    fn withholds_the_same(&self, now: EventTime, next: &Configuration) -> bool {
        let Some(current) = self.configuration.as_deref() else { return false };
        let none = current.seat_releases().chain(next.seat_releases()).next().is_none();
        // What waits now is what is released at or after the next release.
        none || (current.seat_releases().eq(next.seat_releases()) && self.next_release == next.next_release(now))
    }

    /// Whether a buyer who has seen `before` must be told of `after`: what is sold, at which price, or where it stands.
    pub(in super::super) fn changes_terms(before: Option<&Arc<Configuration>>, after: &Configuration) -> bool {
        let Some(before) = before else { return true };
        let type_terms = |c: &Configuration| -> Vec<_> {
            let seated = |stock| matches!(stock, StockKind::Seats);
            c.ticket_types.iter().map(|t| (t.code.clone(), t.price_minor, seated(t.stock), t.rates.clone())).collect()
        };
        let same_place = |(a, b): (&Seat, &Seat)| {
            (&a.id, &a.zone, &a.row, a.number, &a.ticket_type, a.kind)
                == (&b.id, &b.zone, &b.row, b.number, &b.ticket_type, b.kind)
        };
        before.currency != after.currency
            || before.charges != after.charges
            || type_terms(before) != type_terms(after)
            || before.seats.len() != after.seats.len()
            || !before.seats.iter().zip(&after.seats).all(same_place)
    }
}

impl Stock {
    fn offer_quotas(&mut self, configuration: &Configuration) -> Result<(), Refusal> {
        for quota in &mut self.quotas {
            quota.capacity = None;
        }
        for quota in &configuration.quotas {
            let capacity = Some(quota.capacity);
            match self.quotas.iter_mut().find(|known| known.code == quota.code) {
                Some(known) => known.capacity = capacity,
                None => self.quotas.push(QuotaStock { code: quota.code.clone(), capacity, taken: 0 }),
            }
        }
        room_for_index(self.quotas.len())
    }

    fn offer_types(&mut self, configuration: &Configuration) -> Result<(), Refusal> {
        for stock in &mut self.types {
            stock.offered = false;
            stock.capacity = 0;
            stock.blocked = 0;
            stock.withheld = 0;
            stock.quotas.clear();
        }
        for ticket_type in &configuration.ticket_types {
            let (seated, capacity) = match ticket_type.stock {
                StockKind::Quantity(capacity) => (false, capacity),
                StockKind::Seats => (true, 0),
            };
            let mut quotas: Vec<u16> = ticket_type.quotas.iter().filter_map(|code| self.quota_index(code)).collect();
            quotas.sort_unstable();
            quotas.dedup();
            let each = configuration.charges.of_ticket(ticket_type.price_minor, None);
            let breakdown = (!each.is_plain()).then(|| Box::new(Breakdown { each, ..Breakdown::default() }));
            let new = TypeStock {
                code: ticket_type.code.clone(),
                price_minor: each.total_minor(),
                breakdown,
                opens_at: ticket_type.opens_at,
                needs_code: ticket_type.needs_code,
                seated,
                offered: true,
                capacity,
                held: 0,
                sold: 0,
                blocked: 0,
                withheld: 0,
                quotas,
            };
            self.offer_type(new)?;
        }
        room_for_index(self.types.len())
    }

    fn offer_type(&mut self, new: TypeStock) -> Result<(), Refusal> {
        let known = self.type_by_code.get(&new.code).copied();
        let Some(old) = known.and_then(|index| self.types.get_mut(usize::from(index))) else {
            self.type_by_code.insert(new.code.clone(), self.types.len() as u16);
            self.types.push(new);
            return Ok(());
        };
        if old.seated != new.seated && old.taken() > 0 {
            return Err(Refusal::BelowTaken { code: new.code, taken: old.taken() });
        }
        *old = TypeStock { held: old.held, sold: old.sold, ..new };
        Ok(())
    }

    fn quota_index(&self, code: &Code) -> Option<u16> {
        self.quotas.iter().position(|quota| quota.code == *code).and_then(|index| u16::try_from(index).ok())
    }

    /// Capacity and blocked seats of seated types.
    fn count_seats(&mut self, seats: &Seats) {
        for seat in seats.offered() {
            let Some(stock) = self.types.get_mut(usize::from(seat.ticket_type)) else { continue };
            stock.capacity = stock.capacity.saturating_add(1);
            stock.blocked = stock.blocked.saturating_add(u32::from(seat.is_blocked()));
        }
    }

    /// What is released may not fall below what is held and sold; quotas count anew what draws on them now.
    fn check(&mut self) -> Result<(), Refusal> {
        for quota in &mut self.quotas {
            quota.taken = 0;
        }
        for stock in &self.types {
            let taken = stock.taken();
            if stock.capacity < taken.saturating_add(stock.withheld) {
                return Err(Refusal::BelowTaken { code: stock.code.clone(), taken });
            }
            for &quota in &stock.quotas {
                let Some(quota) = self.quotas.get_mut(usize::from(quota)) else { continue };
                quota.taken = quota.taken.saturating_add(taken);
            }
        }
        let over = self.quotas.iter().find(|quota| quota.capacity.is_some_and(|capacity| capacity < quota.taken));
        match over {
            Some(quota) => Err(Refusal::BelowTaken { code: quota.code.clone(), taken: quota.taken }),
            None => Ok(()),
        }
    }
}

/// Retired ones count too, as their numbers stay theirs.
fn room_for_index(count: usize) -> Result<(), Refusal> {
    if count > usize::from(u16::MAX) {
        return Err(Refusal::InvalidConfiguration("the event has had too many ticket types or quotas".into()));
    }
    Ok(())
}
