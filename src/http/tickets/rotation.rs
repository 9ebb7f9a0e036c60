//! Codes that change: what a telephone needs to show them, what a door needs to check them, both without the network.
//!
//! An event's secret follows from the root secret, a ticket's from its event's: so a door has one, and a holder learns nothing about
//! other tickets.

use std::sync::Arc;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac::{self, HMAC_SHA256},
};
use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::papers::live;
use crate::{
    domain::{
        id::{EventId, TicketId},
        rotation::{PERIOD, Rotation, Tag, WINDOW, step_at},
        time::EventTime,
    },
    http::{
        acting::Acting,
        app::App,
        door::DOORS,
        events::steered,
        extract::{Json, Path, SignedIn},
        now,
        problem::{Code, Problem},
        refusals::{NotAllowed, NotYours},
        shapes::Timestamp,
    },
    stores::database::tickets::Ticket,
};

/// `CODE.` and the base64url of `1 | step u32 | tag`, where step counts periods since 1970 and tag is the first 8 bytes of
/// HMAC-SHA-256(secret, step).
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketRotation {
    /// What does not change.
    pub code: String,
    /// 32 bytes, base64url: the ticket's.
    pub secret: String,
    pub period_seconds: u64,
    /// For a telephone whose clock is wrong.
    pub server_now: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DoorRotation {
    /// 32 bytes each, base64url; a code is good if one of them says so. A ticket's secret is HMAC-SHA-256(secret, ticket id), where the
    /// id is the 16 bytes of the code.
    pub secrets: Vec<String>,
    pub period_seconds: u64,
    /// A step may be so far from the door's own.
    pub window: u32,
    pub server_now: Timestamp,
}

/// What shows the ticket's changing code without asking again.
#[utoipa::path(get, path = "/tickets/{ticket}/rotation", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = TicketRotation),
    NotYours,
    (status = 409, description = "ticket_void, or code_fixed: the codes of this event do not change"),
))]
pub async fn of_ticket(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<Json<TicketRotation>, Problem> {
    let ticket = live(&app, signed_in.account, id).await?;
    if !app.papers.billing(ticket.reference.event).await?.rules.rotating_codes {
        return Err(Code::CodeFixed.into());
    }
    let secret = secrets(&app, ticket.reference.event).next().map(|event| of_event(&event, id));
    let secret = secret.ok_or(Code::Internal)?;
    Ok(Json(TicketRotation {
        code: ticket.code,
        secret: URL_SAFE_NO_PAD.encode(secret.as_ref()),
        period_seconds: PERIOD.0 / 1_000,
        server_now: now().into(),
    }))
}

/// What checks changing codes without the network.
#[utoipa::path(get, path = "/events/{event}/door/rotation", tag = "door", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = DoorRotation),
    NotAllowed,
    (status = 409, description = "code_fixed: the codes of this event do not change"),
))]
pub async fn of_door(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
) -> Result<Json<DoorRotation>, Problem> {
    let (event, _) = steered(&app, &acting, id, &DOORS).await?;
    if !event.details.ticket_rules.rotating_codes {
        return Err(Code::CodeFixed.into());
    }
    Ok(Json(DoorRotation {
        secrets: secrets(&app, id).map(|secret| URL_SAFE_NO_PAD.encode(*secret)).collect(),
        period_seconds: PERIOD.0 / 1_000,
        window: WINDOW,
        server_now: now().into(),
    }))
}

/// What is shown of the ticket at this moment.
pub fn shown(app: &App, ticket: &Ticket, at: EventTime) -> String {
    let step = step_at(at);
    let tag = secrets(app, ticket.reference.event).next().map(|event| tag(&of_event(&event, ticket.id), step));
    // There is always a secret that signs.
    tag.map_or_else(String::new, |tag| Rotation { step, tag }.to_text(&ticket.code))
}

/// Whether it was shown of this ticket, at that moment or nearly so.
pub fn is_shown(app: &App, (event, ticket): (EventId, TicketId), rotation: Rotation, at: EventTime) -> bool {
    rotation.is_of(at)
        && secrets(app, event)
            .any(|event| verify_slices_are_equal(&tag(&of_event(&event, ticket), rotation.step), &rotation.tag).is_ok())
}

/// The event's, of each root secret that is believed, the one that signs first.
fn secrets(app: &App, event: EventId) -> impl Iterator<Item = Zeroizing<[u8; 32]>> {
    app.keys.secret().keys(&format!("rotation {event}")).into_iter()
}

fn of_event(secret: &[u8; 32], ticket: TicketId) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, secret), ticket.as_bytes())
}

fn tag(secret: &hmac::Tag, step: u32) -> Tag {
    let whole = hmac::sign(&hmac::Key::new(HMAC_SHA256, secret.as_ref()), &step.to_be_bytes());
    *whole.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}
