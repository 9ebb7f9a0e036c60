//! The waiting list of what is sold out: joined, looked at and left by fans.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    app::App,
    extract::{Json, Path, SignedIn},
    holds::body::Hold,
    problem::{Code as Refused, Problem},
    shapes::{Timestamp, Wrong},
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        code::Code,
        id::{EventId, OrderId},
        inventory::{
            configuration::{ListMode, MAX_PER_FAN, WaitlistSettings},
            request::{Answer, Command, HoldState, Request},
            waitlist::{MAX_TYPES_WANTED, Standing, WaitlistAnswer, WaitlistCommand, Wish},
        },
    },
};

/// What would do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitlistBody {
    /// Any of these.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 10)]
    pub ticket_types: Vec<Code>,
    #[schema(minimum = 1, maximum = 20)]
    pub quantity: u8,
    /// Numbered seats need not be side by side.
    #[serde(default)]
    pub any_seat: bool,
    /// Rather fewer than none.
    #[serde(default)]
    pub fewer: bool,
}

/// Where somebody stands on the list, or what was offered last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WaitlistEntry {
    pub state: EntryState,
    /// While waiting: what would do.
    pub wanted: Option<Wanted>,
    /// While waiting: who came before and wants any of the same types, and how many tickets they want.
    pub people_ahead: Option<u32>,
    pub tickets_ahead: Option<u32>,
    /// What was offered: a hold like any other.
    pub hold: Option<Hold>,
    pub server_now: Timestamp,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Wanted {
    #[schema(value_type = Vec<String>)]
    pub ticket_types: Vec<Code>,
    pub quantity: u8,
    pub any_seat: bool,
    pub fewer: bool,
    pub joined_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    Waiting,
    /// Held until `hold.expires_at`: pay by then, or the next has it.
    Offered,
    Taken,
    Lapsed,
}

/// What everybody is told of an event's waiting list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitlistTold {
    pub mode: ModeTold,
    /// Until when tickets may be given back to who waits; `null`: not at all.
    pub returns_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeTold {
    Off,
    Open,
    /// It takes nobody new; who waits is served.
    Closed,
}

impl WaitlistTold {
    pub fn of(settings: &WaitlistSettings) -> Self {
        Self { mode: settings.mode.into(), returns_until: settings.returns_until.map(Timestamp) }
    }
}

impl From<ListMode> for ModeTold {
    fn from(mode: ListMode) -> Self {
        match mode {
            ListMode::Off => Self::Off,
            ListMode::Open => Self::Open,
            ListMode::Closed => Self::Closed,
        }
    }
}

impl From<ModeTold> for ListMode {
    fn from(mode: ModeTold) -> Self {
        match mode {
            ModeTold::Off => Self::Off,
            ModeTold::Open => Self::Open,
            ModeTold::Closed => Self::Closed,
        }
    }
}

impl WaitlistEntry {
    fn of(event: EventId, handles: &EventHandles, standing: Standing) -> Self {
        let now = handles.inventory.clock().now();
        match standing {
            Standing::Waits { order: _, ticket_types, wish, joined_at, people_ahead, tickets_ahead } => {
                let Wish { quantity, any_seat, fewer } = wish;
                let joined_at = joined_at.into();
                Self {
                    state: EntryState::Waiting,
                    wanted: Some(Wanted { ticket_types, quantity, any_seat, fewer, joined_at }),
                    people_ahead: Some(people_ahead),
                    tickets_ahead: Some(tickets_ahead),
                    hold: None,
                    server_now: now.into(),
                }
            }
            Standing::Offered(view) => {
                let state = match view.state {
                    HoldState::Held => EntryState::Offered,
                    HoldState::Sold | HoldState::Voided => EntryState::Taken,
                    HoldState::Released | HoldState::Expired | HoldState::Refused => EntryState::Lapsed,
                };
                let hold = Hold::of(event, view, &handles.inventory.configuration(), now);
                Self {
                    state,
                    wanted: None,
                    people_ahead: None,
                    tickets_ahead: None,
                    hold: Some(hold),
                    server_now: now.into(),
                }
            }
        }
    }
}

/// Waits for what is sold out. One entry for each fan; again with the same wish: the same.
#[utoipa::path(put, path = "/events/{event}/waitlist", tag = "sale", request_body = WaitlistBody,
    params(("event" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = WaitlistEntry),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_sold_out (hold it instead), already_waiting, waitlist_closed, waitlist_full, fan_limit or not_on_sale"),
    (status = 422, description = "invalid_body, invalid_quantity or unknown_ticket_type"),
    (status = 503, description = "overloaded, halted, event_unavailable or outcome_unknown"),
))]
pub async fn join(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
    Json(body): Json<WaitlistBody>,
) -> Result<Json<WaitlistEntry>, Problem> {
    let mut wrong = Wrong::default();
    wrong.number("ticket_types", body.ticket_types.len(), 1..=MAX_TYPES_WANTED);
    wrong.number("quantity", u16::from(body.quantity), 1..=MAX_PER_FAN);
    wrong.or(())?;
    let WaitlistBody { ticket_types, quantity, any_seat, fewer } = body;
    let command = WaitlistCommand::Join {
        order: OrderId::from_uuid(Uuid::now_v7()),
        fan: signed_in.account,
        ticket_types,
        wish: Wish { quantity, any_seat, fewer },
    };
    ask(&app, event, command).await
}

/// Where you stand, or what was offered to you last.
#[utoipa::path(get, path = "/events/{event}/waitlist", tag = "sale", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = WaitlistEntry),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 404, description = "not_found: no such event; not_waiting"),
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<WaitlistEntry>, Problem> {
    ask(&app, event, WaitlistCommand::Look { fan: signed_in.account }).await
}

/// Waits no more. What was offered is a hold, and is released as one.
#[utoipa::path(delete, path = "/events/{event}/waitlist", tag = "sale", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "you do not wait"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn leave(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<StatusCode, Problem> {
    let handles = app.directory.event(event).await?;
    let command = Command::Waitlist(WaitlistCommand::Leave { fan: signed_in.account });
    handles.inventory.ask(Request { identity: None, command }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ask(app: &App, event: EventId, command: WaitlistCommand) -> Result<Json<WaitlistEntry>, Problem> {
    let handles = app.directory.event(event).await?;
    match handles.inventory.ask(Request { identity: None, command: Command::Waitlist(command) }).await? {
        Answer::Waitlist(WaitlistAnswer::Standing(standing)) => Ok(Json(WaitlistEntry::of(event, &handles, *standing))),
        other => {
            tracing::error!(?other, "not an answer of the waiting list");
            Err(Refused::Internal.into())
        }
    }
}
