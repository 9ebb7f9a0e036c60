//! How a client of the first version of this service is spoken to: it knows states and nothing else, says nothing, and goes
//! shopping when its socket is closed with 1000.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use fastwebsockets::upgrade::IncomingUpgrade;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::enter;
use crate::{
    actors::connection::{Handle, Outgoing},
    domain::{id::EventId, queue::Standing},
    http::{
        app::App,
        extract::{ClientAddress, Query, SignedIn},
        problem::Problem,
    },
};

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct Joined {
    #[param(value_type = String)]
    event_id: EventId,
}

/// The queue's socket as the first version of this service had it: states only, the turn is claimed by the socket, and after the
/// one with `acceptedTokenId` it is closed with 1000. Opened as the other one.
#[utoipa::path(get, path = "/ws", tag = "first version", params(Joined,
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`onsale.v1, ticket.TICKET`")),
    security(("bearer" = []), ()), responses(
    (status = 101, description = "a WebSocket; the first message comes at once"),
    (status = 400, description = "invalid_query: no eventId"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "origin_not_allowed"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled"),
    (status = 426, description = "websocket_expected"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable; store_unavailable or outcome_unknown: by ticket only"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    signed_in: Option<SignedIn>,
    Query(Joined { event_id }): Query<Joined>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<Response, Problem> {
    enter(app, address, event_id, signed_in, headers, upgrade, Some(FirstVersion::default())).await
}

#[derive(Debug, Default)]
pub struct FirstVersion {
    is_called: bool,
}

/// What to do with what the connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Say,
    Pass,
    /// Say it, and close.
    Last,
}

impl FirstVersion {
    /// `this`: `None` for a client of today.
    pub fn step(this: &mut Option<Self>, outgoing: &Outgoing, connection: &Handle) -> Step {
        let Some(this) = this else { return Step::Say };
        let Outgoing::Update(update) = outgoing else { return Step::Pass };
        let (is_called, step) = match update.standing {
            Standing::Admitted(admission) if admission.claim_by.is_none() => (false, Step::Last),
            Standing::Admitted(_) => (true, Step::Say),
            Standing::Waiting(_) | Standing::NotHere => (false, Step::Say),
        };
        if is_called && !this.is_called {
            connection.claim();
        }
        this.is_called = is_called;
        step
    }

    /// A claim may have failed: now and then it is made again.
    pub fn remind(this: Option<&Self>, connection: &Handle) {
        if this.is_some_and(|this| this.is_called) {
            connection.claim();
        }
    }
}
