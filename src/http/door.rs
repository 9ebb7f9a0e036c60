//! The door: tickets are scanned in and out, by devices that may have no network for a while.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    app::App,
    events::steered,
    extract::{Json, Path, Query},
    now,
    page::{self, Page},
    problem::Problem,
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
    tickets::{TicketState, rotation},
};
use crate::{
    domain::{
        account::Role,
        code::{Code, SeatId},
        door::{Direction, Outcome},
        id::{EventId, FanId, ScanId, TicketId},
        rotation::Rotation,
        ticket::TicketCode,
        time::EventTime,
    },
    stores::{
        database::{
            events::Event,
            scans::{self, Answered, Listed, Read, Scan, Scanned},
        },
        keys::ring::Keys,
    },
};

/// Beside the event's organizer.
pub const DOORS: [Role; 2] = [Role::Staff, Role::Operator];
const MOST_SCANS: usize = 200;
const MOST_CODE: usize = 512;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scans {
    /// Which door, as people call it.
    #[schema(min_length = 1, max_length = 100)]
    device: String,
    /// Decided in this order.
    #[schema(min_items = 1, max_items = 200)]
    scans: Vec<ScanBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanBody {
    /// Made by the door, at random: the same again is answered as it was, and counts once.
    #[schema(value_type = String)]
    id: ScanId,
    /// What the QR code says.
    #[schema(max_length = 512)]
    code: String,
    #[schema(value_type = String, example = "in")]
    direction: Direction,
    /// When, by the door's clock. Absent: now.
    #[serde(default)]
    at: Option<Timestamp>,
    /// The door was without network, and let the person pass.
    #[serde(default)]
    offline: bool,
    /// Where the person is, somebody at the door knows better; a void ticket stays void. Needs a reason, and is in the audit.
    #[serde(default)]
    force: bool,
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScanAnswers {
    /// One for each, in their order.
    scans: Vec<ScanAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScanAnswer {
    #[serde(flatten)]
    scan: ScanRow,
    /// The last that counted before it: who is inside already came in then, there.
    before: Option<ScanRow>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScanRow {
    #[schema(value_type = String)]
    id: ScanId,
    /// accepted, already_inside, not_inside, void, unknown or other_event.
    #[schema(value_type = String, example = "accepted")]
    outcome: Outcome,
    #[schema(value_type = Option<String>)]
    ticket: Option<TicketId>,
    /// Counts the ticket's scans that counted, from 1.
    turn: Option<u32>,
    #[schema(value_type = String, example = "in")]
    direction: Direction,
    forced: bool,
    offline: bool,
    at: Timestamp,
    received_at: Timestamp,
    device: String,
    #[schema(value_type = String)]
    account: FanId,
    reason: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScansQuery {
    /// Only those that a door without network had let pass, and that were refused when they came here.
    conflicts: Option<bool>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Door {
    live: u64,
    void: u64,
    /// Tickets that came in at least once.
    entered: u64,
    inside: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DoorTicket {
    #[schema(value_type = String)]
    ticket: TicketId,
    #[schema(value_type = String)]
    ticket_type: Code,
    /// Such as that of children: the door may ask for proof.
    #[schema(value_type = Option<String>)]
    rate: Option<Code>,
    #[schema(value_type = Option<String>)]
    seat: Option<SeatId>,
    state: TicketState,
    inside: bool,
    /// The name on it; empty: the account's.
    holder: String,
}

impl From<Scanned> for ScanRow {
    fn from(scan: Scanned) -> Self {
        let Scanned { id, ticket, turn, direction, outcome, forced, offline, device, account, reason, .. } = scan;
        let (at, received_at) = (scan.scanned_at.into(), scan.received_at.into());
        Self { id, outcome, ticket, turn, direction, forced, offline, at, received_at, device, account, reason }
    }
}

impl From<Answered> for ScanAnswer {
    fn from(answered: Answered) -> Self {
        Self { scan: answered.scan.into(), before: answered.before.map(Into::into) }
    }
}

impl From<Listed> for DoorTicket {
    fn from(listed: Listed) -> Self {
        let Listed { ticket, ticket_type, rate, seat, state, is_inside: inside, holder, .. } = listed;
        Self { ticket, ticket_type, rate, seat, state: state.into(), inside, holder }
    }
}

impl Scans {
    fn checked(self) -> Result<Self, Problem> {
        let mut wrong = Wrong::default();
        wrong.text("device", &self.device, 1..=100, false);
        wrong.number("scans", self.scans.len(), 1..=MOST_SCANS);
        for (at, scan) in self.scans.iter().enumerate().take_while(|(at, _)| *at < MOST_SCANS) {
            wrong.text(&format!("scans[{at}].code"), &scan.code, 1..=MOST_CODE, false);
            let reason = if scan.force { 1..=500 } else { 0..=500 };
            wrong.text(&format!("scans[{at}].reason"), &scan.reason, reason, false);
        }
        Ok(wrong.or(self)?)
    }
}

/// Scans tickets in or out. Each answer says whether the scan counts; one that does not changes nothing.
#[utoipa::path(post, path = "/events/{event}/scans", tag = "door", params(("event" = String, Path)), request_body = Scans,
    security(("bearer" = [])), responses(
    (status = 200, body = ScanAnswers),
    NotAllowed,
    (status = 422, description = "invalid_body"),
))]
pub async fn scan(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Json(body): Json<Scans>,
) -> Result<Json<ScanAnswers>, Problem> {
    let Scans { device, scans } = body.checked()?;
    let (steered, role) = steered(&app, &acting, event, &DOORS).await?;
    let (received_at, keys) = (now(), app.keys.load());
    let scan = |scan: ScanBody| {
        let at = scan.at.map_or(received_at, |at| at.0);
        let act = || acting.act(role, "door.force", format!("{event} {}", scan.id), &scan.reason);
        Scan {
            id: scan.id,
            event,
            code: read_code(&app, &keys, &steered, &scan.code, at),
            direction: scan.direction,
            force: scan.force.then(act),
            offline: scan.offline,
            scanned_at: at,
            received_at,
            device: device.clone(),
            account: acting.signed_in.account,
            reason: scan.reason,
        }
    };
    let scans: Vec<Scan> = scans.into_iter().map(scan).collect();
    let answered = scans::record(&app.database, &scans).await?;
    Ok(Json(ScanAnswers { scans: answered.into_iter().map(Into::into).collect() }))
}

/// What a door has scanned, in the order in which it came here.
#[utoipa::path(get, path = "/events/{event}/scans", tag = "door", params(("event" = String, Path), ScansQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = Page<ScanRow>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Query(query): Query<ScansQuery>,
) -> Result<Json<Page<ScanRow>>, Problem> {
    steered(&app, &acting, event, &DOORS).await?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let conflicts = query.conflicts.unwrap_or(false);
    let page = scans::list(&app.database, event, conflicts, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, ScanRow::from)))
}

/// How many came, and how many are inside.
#[utoipa::path(get, path = "/events/{event}/door", tag = "door", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = Door), NotAllowed))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
) -> Result<Json<Door>, Problem> {
    steered(&app, &acting, event, &DOORS).await?;
    let scans::Counts { live, void, entered, inside } = scans::counts(&app.database, event).await?;
    Ok(Json(Door { live, void, entered, inside }))
}

/// Every ticket of the event, void ones too, the oldest first: with the keys of `/ticket-keys` a door needs nothing else to go on
/// without the network. Void are those that must not get in however good their code is.
#[utoipa::path(get, path = "/events/{event}/door/tickets", tag = "door", params(("event" = String, Path), page::PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = Page<DoorTicket>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn tickets(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Query(query): Query<page::PageQuery>,
) -> Result<Json<Page<DoorTicket>>, Problem> {
    steered(&app, &acting, event, &DOORS).await?;
    let (cursor, limit) = query.checked()?;
    let page = scans::tickets(&app.database, event, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, DoorTicket::from)))
}

/// A code says nothing before its signature is verified; one that should change, nothing but which ticket it was of.
fn read_code(app: &App, keys: &Keys, event: &Event, text: &str, at: EventTime) -> Read {
    let (code, rotation) = match Rotation::split(text) {
        Some((code, rotation)) => (code, Some(rotation)),
        None => (text, None),
    };
    let Ok(read) = TicketCode::from_text(code) else { return Read::Nothing };
    let mut ours = keys.ticket_keys().filter(|key| key.id() == read.code.key_id);
    let ticket = read.code.ticket;
    let is_shown = |rotation| rotation::is_shown(app, (event.id, ticket), rotation, at);
    match ours.any(|key| key.verify(&read.signed, &read.signature)) {
        false => Read::Nothing,
        true if read.code.event != event.id => Read::OtherEvent,
        true if event.details.ticket_rules.rotating_codes && !rotation.is_some_and(is_shown) => Read::Stale(ticket),
        true => Read::Ticket(ticket),
    }
}
