//! What is left, as anybody may see it.

use std::{collections::HashMap, sync::Arc};

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    app::App,
    copies::Of,
    extract::Path,
    prices::{PriceParts, RatePrice},
    problem::{Code as Refused, Problem},
    seat_plan::PlannedKind,
    shapes::Timestamp,
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        code::{Code, SeatId},
        event::Status,
        id::EventId,
        inventory::{
            SeatState, View,
            configuration::{Configuration, Kept, Release, ReleaseTimes, Seat},
        },
        time::EventTime,
    },
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Availability {
    #[schema(value_type = String, example = "on_sale")]
    pub status: Status,
    pub version: u32,
    pub ticket_types: Vec<Left>,
    /// What is told here was committed by then.
    pub as_of: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Left {
    #[schema(value_type = String)]
    pub code: Code,
    pub name: String,
    /// Of one ticket, all in.
    #[serde(flatten)]
    pub parts: PriceParts,
    /// What some pay instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<RatePrice>,
    /// Before then only who has a code that opens it can hold it.
    pub opens_at: Option<Timestamp>,
    /// Whoever holds it needs a code that opens it.
    pub needs_code: bool,
    pub seated: bool,
    pub capacity: u32,
    /// What can be had now, shared quotas taken into account.
    pub free: u32,
    /// When more of it can be had, and how much.
    pub next_release: Option<NextRelease>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct NextRelease {
    pub at: Timestamp,
    /// Of stock, or seats.
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Seats {
    /// Changes whenever any seat does.
    pub revision: u64,
    pub seats: Vec<SeatNow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatNow {
    #[schema(value_type = String)]
    pub id: SeatId,
    #[schema(value_type = String)]
    pub zone: Code,
    #[schema(value_type = String)]
    pub row: Code,
    pub number: u16,
    #[schema(value_type = String)]
    pub ticket_type: Code,
    pub kind: PlannedKind,
    pub state: SeatStateNow,
    /// Blocked until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeatStateNow {
    Free,
    Held,
    Sold,
    /// Not for sale, not yet released, or kept for a channel.
    Blocked,
}

/// The event's actors, if anybody may know of it: a draft is not there.
pub async fn public_event(app: &App, event: EventId) -> Result<EventHandles, Problem> {
    let handles = app.directory.event(event).await?;
    if handles.inventory.view().status == Status::Draft { Err(Refused::NotFound.into()) } else { Ok(handles) }
}

/// Counts by ticket type, at most a second old.
#[utoipa::path(get, path = "/events/{event}/availability", tag = "sale",
    params(("event" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = Availability, headers(("ETag" = String), ("Cache-Control" = String))),
    (status = 304, description = "nothing has changed"),
    (status = 404, description = "not_found"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    Path(event): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let inventory = public_event(&app, event).await?.inventory;
    // Shown after the view of the same commit, so what is read under this version is not older.
    let version = inventory.configuration().version;
    let look = async { Ok(move || Availability::of(&inventory.view(), &inventory.configuration())) };
    app.copies.answer(Of::Availability(event, version), &headers, look).await
}

impl Availability {
    pub fn of(view: &View, configuration: &Configuration) -> Self {
        let rates = |code: &Code| {
            let found = configuration.ticket_types.iter().find(|ticket_type| ticket_type.code == *code);
            found.map(|ticket_type| RatePrice::all(ticket_type, configuration)).unwrap_or_default()
        };
        let ticket_types = view.ticket_types.iter().map(|ticket_type| Left {
            code: ticket_type.code.clone(),
            name: ticket_type.name.clone(),
            parts: PriceParts::of(ticket_type.parts, configuration.currency),
            rates: rates(&ticket_type.code),
            opens_at: ticket_type.opens_at.map(Timestamp),
            needs_code: ticket_type.needs_code,
            seated: ticket_type.seated,
            capacity: ticket_type.capacity,
            free: ticket_type.available,
            next_release: ticket_type.next_release.map(NextRelease::from),
        });
        Self { status: view.status, version: view.version, ticket_types: ticket_types.collect(), as_of: view.at.into() }
    }
}

/// Every seat and its state, at most a second old. `If-None-Match` with the `ETag` of before costs nothing while no seat has
/// changed.
#[utoipa::path(get, path = "/events/{event}/seats", tag = "sale",
    params(("event" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = Seats, headers(("ETag" = String), ("Cache-Control" = String))),
    (status = 304, description = "no seat has changed"),
    (status = 404, description = "not_found"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn seats(
    State(app): State<Arc<App>>,
    Path(event): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let inventory = public_event(&app, event).await?.inventory;
    let version = inventory.configuration().version;
    let look = async {
        // Read before the seats: what is told may be newer than its revision, never older.
        let view = inventory.view();
        let states = inventory.seats().await?;
        let configuration = inventory.configuration();
        Ok(move || Seats { revision: view.seats_revision, seats: described(&configuration, &states, view.at) })
    };
    app.copies.answer(Of::Seats(event, version), &headers, look).await
}

/// Both lists have the configuration's order; only while a plan is being replaced may they differ.
fn described(configuration: &Configuration, states: &[(SeatId, SeatState)], now: EventTime) -> Vec<SeatNow> {
    let (plan, times) = (&configuration.seats, configuration.release_times());
    let in_step = plan.len() == states.len() && plan.iter().zip(states).all(|(seat, (id, _))| seat.id == *id);
    if in_step {
        return plan.iter().zip(states).map(|(seat, (_, state))| SeatNow::of(seat, *state, &times, now)).collect();
    }
    let by_id: HashMap<&SeatId, SeatState> = states.iter().map(|(id, state)| (id, *state)).collect();
    plan.iter().filter_map(|seat| Some(SeatNow::of(seat, *by_id.get(&seat.id)?, &times, now))).collect()
}

impl From<Release> for NextRelease {
    fn from(release: Release) -> Self {
        Self { at: release.at.into(), quantity: release.quantity }
    }
}

impl SeatNow {
    fn of(seat: &Seat, state: SeatState, times: &ReleaseTimes, now: EventTime) -> Self {
        let waits = state == SeatState::Blocked && seat.kept == Kept::Free;
        let released_at = times.of(seat).filter(|at| waits && *at > now);
        Self {
            id: seat.id.clone(),
            zone: seat.zone.clone(),
            row: seat.row.clone(),
            number: seat.number,
            ticket_type: seat.ticket_type.clone(),
            kind: seat.kind.into(),
            state: match state {
                SeatState::Free => SeatStateNow::Free,
                SeatState::Held => SeatStateNow::Held,
                SeatState::Sold => SeatStateNow::Sold,
                SeatState::Blocked => SeatStateNow::Blocked,
            },
            released_at: released_at.map(Timestamp),
        }
    }
}
