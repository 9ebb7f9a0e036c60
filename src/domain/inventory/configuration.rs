//! What decisions about one event need to know: ticket types, seats, limits, schedule, queue settings.
//!
//! Owns the shape and its validation. It reaches the inventory only as a journal entry.

use serde::{Deserialize, Serialize};

use crate::domain::{
    code::{Code, SeatId},
    event::Phase,
    money::Currency,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketType {
    pub code: Code,
    pub name: String,
    /// Minor units of the event's currency.
    pub price_minor: i64,
    pub stock: Stock,
    /// Codes of quotas that this type also draws on: all of them must have room.
    pub quotas: Vec<Code>,
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
    /// Tickets in one order, 1 to 20.
    pub per_order: u16,
    /// Tickets held and sold together of one fan for the event, 1 to 20.
    pub per_fan: u16,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSettings {
    /// Fans who may shop at once: live admissions, and ended ones with an unpaid hold.
    pub slots: u32,
    /// Admissions a minute at most.
    pub rate_per_minute: u32,
    /// Whether admission stands still; places are kept.
    pub paused: bool,
    /// How long an admission lasts from its claim.
    pub session: Millis,
    /// How long a called fan has to claim.
    pub claim_window: Millis,
    /// How long the place of a fan who is gone is kept.
    pub grace: Millis,
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
}

impl Configuration {
    /// Checks everything that does not depend on what is held or sold.
    pub fn validate(&self) -> Result<(), Invalid> {
        todo!("inventory helper")
    }
}
