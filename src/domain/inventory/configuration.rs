//! What decisions about one event need to know: ticket types, seats, limits, schedule, queue settings.
//!
//! Owns the shape and its validation. It reaches the inventory only as a journal entry.

mod rates;
mod releases;
mod waitlist;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use self::{
    rates::{MAX_RATES, Rate},
    releases::{MAX_RELEASES, MAX_SEATS_NAMED, Part, Release, ReleaseTimes, SeatRelease},
    waitlist::{ListMode, WaitlistSettings},
};
use super::{classes::Classes, notice::Notice};
use crate::domain::{
    code::{Code, SeatId},
    event::Phase,
    money::{Currency, Money},
    price::Charges,
    time::{EventTime, Millis},
};

/// All of it, as one version. Plain serde shapes only: it travels as postcard in the journal and as JSON in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Raised by each change, from 1; a hold records the version that priced it.
    pub version: u32,
    /// What the organizer has decided; what is true now follows from it, the schedule and the stock (`domain::event`).
    pub phase: Phase,
    pub currency: Currency,
    pub on_sale_at: EventTime,
    pub sale_ends_at: Option<EventTime>,
    pub ticket_types: Vec<TicketType>,
    pub quotas: Vec<Quota>,
    pub seats: Vec<Seat>,
    pub limits: Limits,
    pub orphan_rule: OrphanRule,
    pub queue: QueueSettings,
    /// Names the public value that counts in the draw, one that nobody can know before the sale opens.
    pub beacon: Option<String>,
    /// What all who wait are told.
    pub notice: Option<Arc<Notice>>,
    /// Of the queue.
    #[serde(default)]
    pub classes: Arc<Classes>,
    /// The kill switch: nobody gets a place, an admission or a hold. What there is stays.
    #[serde(default)]
    pub halted: bool,
    #[serde(default)]
    pub waitlist: WaitlistSettings,
    /// Fees and taxes.
    #[serde(default)]
    pub charges: Charges,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketType {
    pub code: Code,
    pub name: String,
    /// The face value: minor units of the event's currency.
    pub price_minor: i64,
    pub stock: Stock,
    /// Codes of quotas that this type also draws on: all of them must have room.
    pub quotas: Vec<Code>,
    /// Before then only who has a code that opens it can hold it.
    #[serde(default)]
    pub opens_at: Option<EventTime>,
    /// Whoever holds it needs a code that opens it.
    #[serde(default)]
    pub needs_code: bool,
    /// Parts of its stock that nobody can have before their time; the earliest first.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// Likewise, of a type with seats.
    #[serde(default)]
    pub seat_releases: Vec<SeatRelease>,
    /// What some pay instead of its price, such as children.
    #[serde(default)]
    pub rates: Vec<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stock {
    /// General admission: so many in all.
    Quantity(u32),
    /// One for each seat that names this type.
    Seats,
}

/// A number shared by several ticket types, such as the capacity of a hall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub code: Code,
    pub capacity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub id: SeatId,
    pub zone: Code,
    pub row: Code,
    /// Order within the row; seats whose numbers follow one another are neighbours.
    pub number: u16,
    pub ticket_type: Code,
    pub kind: SeatKind,
    pub kept: Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatKind {
    Standard,
    /// For a wheelchair; sold as best available only when asked for.
    Accessible,
    /// Beside an accessible seat, for the person who comes along.
    Companion,
}

/// Whether anybody can buy the seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    Free,
    Blocked,
    /// Only holds that name this channel get it.
    For(Code),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Tickets in one order, 1 to [`MAX_PER_FAN`].
    pub per_order: u16,
    /// Tickets held and sold together of one fan for the event, 1 to [`MAX_PER_FAN`].
    pub per_fan: u16,
    /// Tickets bought with one card, by whomever, as far as its provider tells cards apart.
    #[serde(default)]
    pub per_instrument: Option<u16>,
    /// How long a hold lasts, 1 to 60 minutes (shorter only where the operator's configuration allows it).
    pub hold_ttl: Millis,
    /// What the one extension adds.
    pub hold_extension: Millis,
}

/// What to do about a single free seat left between taken ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrphanRule {
    Off,
    Warn,
    Block,
}

/// How fans are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// First come, first served.
    #[default]
    Fifo,
    /// Who joins before the sale opens is drawn when it does; who comes later stands behind, first come, first served.
    Draw,
    /// Each admission goes to anybody of those who wait.
    Random,
    /// At once, as long as slots and stock allow; who finds none waits, first come, first served.
    Passthrough,
    /// Nobody new gets a place; who has one is let in, first come, first served.
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSettings {
    pub mode: Mode,
    /// How long before the sale opens the queue can be joined.
    pub prequeue: Millis,
    /// The queue forms when so many shop, until then everybody is let through; 0: it is always there.
    pub engage_above: u32,
    /// It lets go when fewer than these shop and nobody waits.
    pub release_below: u32,
    /// Fans who may shop at once: live admissions, and ended ones with an unpaid hold.
    pub slots: u32,
    /// Admissions a minute at most.
    pub rate_per_minute: u32,
    /// Whether admission stands still; places are kept.
    pub paused: bool,
    /// How long an admission lasts from its claim.
    pub session: Millis,
    /// What its one extension adds; zero: it cannot be extended.
    pub extension: Millis,
    /// How long a called fan has to claim.
    pub claim_window: Millis,
    /// How long the place of a fan who is gone is kept.
    pub grace: Millis,
    /// Who has no place yet needs an invite.
    #[serde(default)]
    pub invite_only: bool,
    /// Nobody waits here and in another such queue of the same organizer.
    #[serde(default)]
    pub exclusive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("{0} is named twice")]
    Duplicate(Code),
    #[error("{0} is not known")]
    Unknown(Code),
    #[error("{field} must be between {min} and {max}")]
    OutOfRange { field: &'static str, min: i64, max: i64 },
    #[error("there is nothing to sell")]
    Nothing,
    #[error("the sale must start before it ends")]
    Schedule,
    #[error("the notice has no text, or one that cannot be told")]
    Notice,
    #[error("a fee or tax is beyond what is taken")]
    Charges,
    #[error("rates of {0} must have different codes and prices that are taken")]
    Rates(Code),
    #[error("releases of {0} must come one after the other, each of what the type is sold by")]
    Releases(Code),
}

/// Ticket types, and quotas, of one event.
pub const MAX_TICKET_TYPES: usize = 200;
pub const MAX_SEATS: usize = 200_000;
pub const MAX_SEATS_IN_A_ROW: usize = 1_000;
/// Of one ticket type or quota.
pub const MAX_QUANTITY: u32 = 10_000_000;
pub const MAX_NAME_LEN: usize = 100;
/// Fans on a waiting list.
pub const MAX_WAITING: u32 = 100_000;
/// Of a beacon's name or value.
pub const MAX_BEACON_LEN: usize = 200;
/// Tickets of one fan, and so of one order.
pub const MAX_PER_FAN: u16 = 20;
pub const MAX_PER_INSTRUMENT: u16 = 100;

/// How many times as long as others' are the claim window and the session of who needs more time.
pub const MORE_TIME: u32 = 2;

impl QueueSettings {
    pub fn session_of(&self, needs_more_time: bool) -> Millis {
        longer(self.session, needs_more_time)
    }

    pub fn claim_window_of(&self, needs_more_time: bool) -> Millis {
        longer(self.claim_window, needs_more_time)
    }
}

fn longer(time: Millis, needs_more_time: bool) -> Millis {
    if needs_more_time { Millis(time.0.saturating_mul(MORE_TIME.into())) } else { time }
}

impl Configuration {
    /// Of each ticket type, and of each of its rates: all in.
    pub fn prices(&self) -> Vec<((Code, Option<Code>), i64)> {
        let price = |face_minor| self.charges.of_ticket(face_minor, None).total_minor();
        let mut prices = Vec::new();
        for TicketType { code, price_minor, rates, .. } in &self.ticket_types {
            prices.push(((code.clone(), None), price(*price_minor)));
            prices.extend(rates.iter().map(|r| ((code.clone(), Some(r.code.clone())), price(r.price_minor))));
        }
        prices
    }

    /// Checks everything that does not depend on what is held or sold.
    pub fn validate(&self) -> Result<(), Invalid> {
        in_range("version", self.version, 1, u32::MAX)?;
        if self.sale_ends_at.is_some_and(|end| end <= self.on_sale_at) {
            return Err(Invalid::Schedule);
        }
        self.validate_limits()?;
        self.classes.validate()?;
        self.validate_quotas()?;
        self.validate_types()?;
        self.validate_seats()?;
        self.validate_releases()?;
        if !self.charges.is_valid() {
            return Err(Invalid::Charges);
        }
        if self.notice.as_ref().is_some_and(|notice| !notice.is_valid()) {
            return Err(Invalid::Notice);
        }
        if matches!(self.phase, Phase::Published | Phase::Paused) && !self.sells_something() {
            return Err(Invalid::Nothing);
        }
        Ok(())
    }

    fn sells_something(&self) -> bool {
        !self.seats.is_empty()
            || self.ticket_types.iter().any(|t| matches!(t.stock, Stock::Quantity(quantity) if quantity > 0))
    }

    fn validate_limits(&self) -> Result<(), Invalid> {
        let Limits { per_order, per_fan, per_instrument, hold_ttl, hold_extension } = self.limits;
        in_range("per_order", per_order, 1, MAX_PER_FAN)?;
        in_range("per_instrument", per_instrument.unwrap_or(1), 1, MAX_PER_INSTRUMENT)?;
        in_range("per_fan", per_fan, 1, MAX_PER_FAN)?;
        in_time("hold_ttl", hold_ttl, Millis::seconds(1), Millis::minutes(60))?;
        in_time("hold_extension", hold_extension, Millis(0), Millis::minutes(60))?;
        let QueueSettings { slots, rate_per_minute, session, extension, claim_window, grace, prequeue, .. } =
            self.queue;
        let QueueSettings { engage_above, release_below, .. } = self.queue;
        in_time("prequeue", prequeue, Millis(0), Millis::minutes(24 * 60))?;
        in_range("engage_above", engage_above, 0, MAX_QUANTITY)?;
        in_range("release_below", release_below, 0, engage_above)?;
        in_range("slots", slots, 0, MAX_QUANTITY)?;
        in_range("rate_per_minute", rate_per_minute, 0, MAX_QUANTITY)?;
        in_time("session", session, Millis::seconds(1), Millis::minutes(24 * 60))?;
        in_time("extension", extension, Millis(0), Millis::minutes(60))?;
        in_time("claim_window", claim_window, Millis::seconds(1), Millis::minutes(60))?;
        in_time("grace", grace, Millis(0), Millis::minutes(24 * 60))?;
        let WaitlistSettings { max_entries, offer, offer_on_the_day, gather, .. } = self.waitlist;
        in_range("max_entries", max_entries, 0, MAX_WAITING)?;
        in_time("offer", offer, Millis::seconds(1), Millis::minutes(7 * 24 * 60))?;
        in_time("offer_on_the_day", offer_on_the_day, Millis::seconds(1), Millis::minutes(24 * 60))?;
        in_time("gather", gather, Millis(0), Millis::minutes(24 * 60))?;
        at_most("beacon", self.beacon.as_ref().map_or(0, |name| name.chars().count()), MAX_BEACON_LEN)
    }

    fn validate_quotas(&self) -> Result<(), Invalid> {
        at_most("quotas", self.quotas.len(), MAX_TICKET_TYPES)?;
        let mut codes = HashSet::new();
        for quota in &self.quotas {
            once(&mut codes, &quota.code, &quota.code)?;
            in_range("quota capacity", quota.capacity, 0, MAX_QUANTITY)?;
        }
        let named = self.ticket_types.iter().flat_map(|ticket_type| &ticket_type.quotas);
        match named.into_iter().find(|code| !codes.contains(code)) {
            Some(unknown) => Err(Invalid::Unknown(unknown.clone())),
            None => Ok(()),
        }
    }

    fn validate_types(&self) -> Result<(), Invalid> {
        at_most("ticket types", self.ticket_types.len(), MAX_TICKET_TYPES)?;
        let mut codes = HashSet::new();
        for ticket_type in &self.ticket_types {
            once(&mut codes, &ticket_type.code, &ticket_type.code)?;
            at_most("name", ticket_type.name.chars().count(), MAX_NAME_LEN)?;
            in_range("price", ticket_type.price_minor, 0, Money::MAX_MINOR)?;
            if let Stock::Quantity(quantity) = ticket_type.stock {
                in_range("stock", quantity, 0, MAX_QUANTITY)?;
            }
            ticket_type.validate_releases()?;
            ticket_type.validate_rates()?;
            let mut quotas = HashSet::new();
            for quota in &ticket_type.quotas {
                once(&mut quotas, quota, quota)?;
            }
        }
        Ok(())
    }

    fn validate_seats(&self) -> Result<(), Invalid> {
        at_most("seats", self.seats.len(), MAX_SEATS)?;
        let seated = self.ticket_types.iter().filter(|ticket_type| ticket_type.stock == Stock::Seats);
        let seated: HashSet<&Code> = seated.map(|ticket_type| &ticket_type.code).collect();
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        let mut rows: HashMap<(&Code, &Code), usize> = HashMap::new();
        for seat in &self.seats {
            if !seated.contains(&seat.ticket_type) {
                return Err(Invalid::Unknown(seat.ticket_type.clone()));
            }
            once(&mut ids, &seat.id, &seat.id)?;
            once(&mut places, (&seat.zone, &seat.row, seat.number), &seat.id)?;
            let in_row = rows.entry((&seat.zone, &seat.row)).or_default();
            *in_row += 1;
            at_most("seats in a row", *in_row, MAX_SEATS_IN_A_ROW)?;
        }
        Ok(())
    }
}

fn once<T: Eq + Hash>(seen: &mut HashSet<T>, item: T, name: &Code) -> Result<(), Invalid> {
    if seen.insert(item) { Ok(()) } else { Err(Invalid::Duplicate(name.clone())) }
}

fn in_range<N: Copy + Into<i64>>(field: &'static str, value: N, min: N, max: N) -> Result<(), Invalid> {
    let (value, min, max) = (value.into(), min.into(), max.into());
    if (min..=max).contains(&value) { Ok(()) } else { Err(Invalid::OutOfRange { field, min, max }) }
}

/// The range in the error is in milliseconds.
fn in_time(field: &'static str, value: Millis, min: Millis, max: Millis) -> Result<(), Invalid> {
    let ms = |span: Millis| i64::try_from(span.0).unwrap_or(i64::MAX);
    in_range(field, ms(value), ms(min), ms(max))
}

fn at_most(field: &'static str, count: usize, max: usize) -> Result<(), Invalid> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    in_range(field, count, 0, u32::try_from(max).unwrap_or(u32::MAX))
}
