//! Events: what people read about them, and a readable copy of the configuration. The journal decides; the copy follows.

use super::{
    Database, Write,
    page::{Cursor, Page},
};
use crate::{
    domain::{
        event::{Phase, Status},
        id::{EventId, FanId},
        inventory::configuration::Configuration,
        time::EventTime,
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    pub title: String,
    pub description: String,
    pub category: String,
    pub venue: String,
    pub city: String,
    /// IANA name.
    pub time_zone: String,
    pub starts_at: EventTime,
    pub ends_at: EventTime,
    pub doors_at: Option<EventTime>,
    pub age_limit: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub organizer: FanId,
    pub details: Details,
    /// Its version is the event's.
    pub configuration: Configuration,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

/// An event in a list: without its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub id: EventId,
    pub organizer: FanId,
    pub details: Details,
    pub version: u32,
    pub phase: Phase,
    pub on_sale_at: EventTime,
    pub sale_ends_at: Option<EventTime>,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Words, all of which must occur in title, venue, city or category; at most 8 count.
    pub q: Option<String>,
    pub category: Option<String>,
    pub city: Option<String>,
    /// Starts here or later.
    pub from: Option<EventTime>,
    /// Starts before.
    pub to: Option<EventTime>,
    /// As of `now`. Stock is not known here: `SoldOut` finds what `OnSale` finds.
    pub status: Option<Status>,
    pub organizer: Option<FanId>,
    /// Whose drafts are shown; nobody else's are.
    pub viewer: Option<FanId>,
    pub sort: Sort,
    pub now: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Soonest first.
    #[default]
    Start,
    /// Newest first.
    Created,
}

pub async fn insert(_write: &mut Write, _event: &Event) -> Result<(), StoreError> {
    todo!("database helper")
}

pub async fn by_id(_database: &Database, _id: EventId) -> Result<Option<Event>, StoreError> {
    todo!("database helper")
}

pub async fn list(
    _database: &Database,
    _filter: &Filter,
    _cursor: Option<&Cursor>,
    _limit: u32,
) -> Result<Page<Summary>, StoreError> {
    todo!("database helper")
}

/// Writes details and configuration over the version that was read, or over the copy of this very configuration, which
/// [`sync_configuration`] may have made first. [`StoreError::Conflict`] if the row has moved on.
pub async fn update(
    _write: &mut Write,
    _id: EventId,
    _seen_version: u32,
    _details: &Details,
    _configuration: &Configuration,
    _now: EventTime,
) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Repairs the copy if the journal's configuration is newer; says whether it was.
pub async fn sync_configuration(
    _database: &Database,
    _id: EventId,
    _configuration: &Configuration,
    _now: EventTime,
) -> Result<bool, StoreError> {
    todo!("database helper")
}

/// [`StoreError::Conflict`] if it has orders, is not a draft any more, or is not there.
pub async fn delete_draft(_write: &mut Write, _id: EventId) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Published or paused ones: what a node looks through at start for openings that nobody has asked for yet.
pub async fn running(_database: &Database, _after: Option<EventId>, _limit: u32) -> Result<Vec<EventId>, StoreError> {
    todo!("database helper")
}
