//! Events: what people read about them, and a readable copy of the configuration. The journal decides; the copy follows.

use std::iter;

use serde::{Deserialize, Serialize};

use super::{
    Database, Query, Write,
    page::{self, Cursor, Page},
    row::{Row, json, millis, millis_if_any},
    statement,
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
    pub ticket_rules: TicketRules,
}

/// What holders of tickets may do. A field that is not there has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TicketRules {
    /// Hand them on, and put other names on them.
    pub transferable: bool,
    /// A code is good for half a minute only: shown on a telephone, never on paper.
    pub rotating_codes: bool,
}

impl Default for TicketRules {
    fn default() -> Self {
        Self { transferable: true, rotating_codes: false }
    }
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

pub async fn insert(write: &mut Write, event: &Event) -> Result<(), StoreError> {
    let Event { details, configuration, .. } = event;
    let insert = sqlx::query(
        "INSERT INTO events (id, organizer_id, title, description, category, venue, city, time_zone, starts_at, ends_at, \
         doors_at, age_limit, search, city_key, ticket_rules, phase, on_sale_at, sale_ends_at, version, configuration, \
         created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
    )
    .bind(event.id.to_string())
    .bind(event.organizer.to_string());
    let insert = bind_copy(bind_details(insert, details), configuration)
        .bind(millis(event.created_at))
        .bind(millis(event.updated_at));
    write.execute(insert).await.map(|_| ())
}

pub async fn by_id(database: &Database, id: EventId) -> Result<Option<Event>, StoreError> {
    let select = sqlx::query(
        "SELECT id, organizer_id, title, description, category, venue, city, time_zone, starts_at, ends_at, doors_at, \
         age_limit, ticket_rules, configuration, created_at, updated_at FROM events WHERE id = $1",
    );
    let Some(row) = database.fetch_optional(select.bind(id.to_string())).await? else { return Ok(None) };
    Ok(Some(Event {
        id: row.parsed("id")?,
        organizer: row.parsed("organizer_id")?,
        details: details_of_row(&row)?,
        configuration: row.json("configuration")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    }))
}

pub async fn list(
    database: &Database,
    filter: &Filter,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Summary>, StoreError> {
    // Two texts, so that each walks its own index.
    let (place, order, (at, id)) = match filter.sort {
        Sort::Start => ("(starts_at, id) > ($1, $2)", "ORDER BY starts_at, id LIMIT $3", page::above(cursor)),
        Sort::Created => {
            ("(created_at, id) < ($1, $2)", "ORDER BY created_at DESC, id DESC LIMIT $3", page::below(cursor))
        }
    };
    let select = statement([LIST, place, FILTER, order]);
    let mut select = select
        .bind(at)
        .bind(id)
        .bind(page::rows_and_one(limit))
        .bind(filter.viewer.map(|viewer| viewer.to_string()).unwrap_or_default())
        .bind(filter.category.clone())
        .bind(filter.city.as_ref().map(|city| city.to_lowercase()))
        .bind(filter.from.map_or(0, millis))
        .bind(filter.to.map_or(i64::MAX, millis))
        .bind(filter.organizer.map(|organizer| organizer.to_string()))
        .bind(millis(filter.now))
        .bind(filter.status.map(status_name));
    let words = filter.q.iter().flat_map(|q| q.split_whitespace()).map(page::containing);
    for word in words.chain(iter::repeat("%".into())).take(MAX_WORDS) {
        select = select.bind(word);
    }
    let events = database.fetch_all(select).await?.iter().map(summary_of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(events, limit, |event| {
        let at = match filter.sort {
            Sort::Start => event.details.starts_at,
            Sort::Created => event.created_at,
        };
        (at, event.id.to_string())
    }))
}

/// Writes details and configuration over the version that was read, or over the copy of this very configuration, which
/// [`sync_configuration`] may have made first. [`StoreError::Conflict`] if the row has moved on.
pub async fn update(
    write: &mut Write,
    id: EventId,
    seen_version: u32,
    details: &Details,
    configuration: &Configuration,
    now: EventTime,
) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE events SET title = $3, description = $4, category = $5, venue = $6, city = $7, time_zone = $8, \
         starts_at = $9, ends_at = $10, doors_at = $11, age_limit = $12, search = $13, city_key = $14, \
         ticket_rules = $15, phase = $16, on_sale_at = $17, sale_ends_at = $18, version = $19, configuration = $20, \
         updated_at = $21 WHERE id = $1 AND version IN ($2, $19)",
    )
    .bind(id.to_string())
    .bind(i64::from(seen_version));
    let update = bind_copy(bind_details(update, details), configuration).bind(millis(now));
    match write.execute(update).await? {
        0 => Err(StoreError::Conflict("the event has changed since it was read")),
        _ => Ok(()),
    }
}

/// Repairs the copy if the journal's configuration is newer; says whether it was.
pub async fn sync_configuration(
    database: &Database,
    id: EventId,
    configuration: &Configuration,
    now: EventTime,
) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE events SET phase = $2, on_sale_at = $3, sale_ends_at = $4, version = $5, configuration = $6, \
         updated_at = $7 WHERE id = $1 AND version < $5",
    );
    let update = bind_copy(update.bind(id.to_string()), configuration).bind(millis(now));
    let mut write = database.begin().await?;
    let count = write.execute(update).await?;
    write.commit().await?;
    Ok(count > 0)
}

/// [`StoreError::Conflict`] if it has orders, is not a draft any more, or is not there.
pub async fn delete_draft(write: &mut Write, id: EventId) -> Result<(), StoreError> {
    let delete = sqlx::query(
        "DELETE FROM events WHERE id = $1 AND phase = 'draft' \
         AND NOT EXISTS (SELECT 1 FROM orders WHERE event_id = $1)",
    );
    match write.execute(delete.bind(id.to_string())).await? {
        0 => Err(StoreError::Conflict("only a draft without orders can be deleted")),
        _ => Ok(()),
    }
}

/// Published or paused ones, after `after`, in the order of their ids: what a node looks through at its start for openings
/// that nobody has asked for yet.
pub async fn running(database: &Database, after: Option<EventId>, limit: u32) -> Result<Vec<EventId>, StoreError> {
    let select =
        sqlx::query("SELECT id FROM events WHERE phase IN ('published', 'paused') AND id > $1 ORDER BY id LIMIT $2")
            .bind(after.map(|after| after.to_string()).unwrap_or_default())
            .bind(i64::from(limit));
    database.fetch_all(select).await?.iter().map(|row| row.parsed("id")).collect()
}

/// Words of a query beyond these are not looked at.
const MAX_WORDS: usize = 8;

const LIST: &str = "SELECT id, organizer_id, title, description, category, venue, city, time_zone, starts_at, ends_at, \
    doors_at, age_limit, ticket_rules, phase, on_sale_at, sale_ends_at, version, created_at, updated_at FROM events WHERE ";
/// The status is what `domain::event::Status::of` says, but for the stock, which is not known here.
const FILTER: &str = " AND (phase <> 'draft' OR organizer_id = $4) \
    AND ($5 IS NULL OR category = $5) AND ($6 IS NULL OR city_key = $6) AND starts_at >= $7 AND starts_at < $8 \
    AND ($9 IS NULL OR organizer_id = $9) AND ($11 IS NULL OR $11 = CASE WHEN phase <> 'published' THEN phase \
    WHEN sale_ends_at <= $10 THEN 'ended' WHEN on_sale_at > $10 THEN 'scheduled' ELSE 'on_sale' END) \
    AND search LIKE $12 ESCAPE '!' AND search LIKE $13 ESCAPE '!' AND search LIKE $14 ESCAPE '!' \
    AND search LIKE $15 ESCAPE '!' AND search LIKE $16 ESCAPE '!' AND search LIKE $17 ESCAPE '!' \
    AND search LIKE $18 ESCAPE '!' AND search LIKE $19 ESCAPE '!' ";

/// Title to ticket rules, in the order of the columns.
fn bind_details(query: Query, details: &Details) -> Query {
    let search = [&details.title, &details.venue, &details.city, &details.category].map(|text| text.to_lowercase());
    query
        .bind(details.title.clone())
        .bind(details.description.clone())
        .bind(details.category.clone())
        .bind(details.venue.clone())
        .bind(details.city.clone())
        .bind(details.time_zone.clone())
        .bind(millis(details.starts_at))
        .bind(millis(details.ends_at))
        .bind(millis_if_any(details.doors_at))
        .bind(details.age_limit.map(i64::from))
        .bind(search.join("\n"))
        .bind(details.city.to_lowercase())
        .bind(json(&details.ticket_rules))
}

/// Phase to configuration, in the order of the columns.
fn bind_copy(query: Query, configuration: &Configuration) -> Query {
    query
        .bind(configuration.phase.to_string())
        .bind(millis(configuration.on_sale_at))
        .bind(millis_if_any(configuration.sale_ends_at))
        .bind(i64::from(configuration.version))
        .bind(json(configuration))
}

fn details_of_row(row: &Row) -> Result<Details, StoreError> {
    Ok(Details {
        title: row.string("title")?,
        description: row.string("description")?,
        category: row.string("category")?,
        venue: row.string("venue")?,
        city: row.string("city")?,
        time_zone: row.string("time_zone")?,
        starts_at: row.time("starts_at")?,
        ends_at: row.time("ends_at")?,
        doors_at: row.time_if_any("doors_at")?,
        age_limit: row.number_if_any("age_limit")?,
        ticket_rules: match row.text("ticket_rules")? {
            "" => TicketRules::default(),
            _ => row.json("ticket_rules")?,
        },
    })
}

fn summary_of_row(row: &Row) -> Result<Summary, StoreError> {
    Ok(Summary {
        id: row.parsed("id")?,
        organizer: row.parsed("organizer_id")?,
        details: details_of_row(row)?,
        version: row.number("version")?,
        phase: row.named("phase")?,
        on_sale_at: row.time("on_sale_at")?,
        sale_ends_at: row.time_if_any("sale_ends_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Scheduled => "scheduled",
        Status::OnSale | Status::SoldOut => "on_sale",
        Status::Paused => "paused",
        Status::Ended => "ended",
        Status::Cancelled => "cancelled",
    }
}
