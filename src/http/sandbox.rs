//! The sandbox payment provider: for trials, as foreign to the shop as any other.
//!
//! Owns its books, its hosted page, and telling the shop by signed webhooks until the shop has heard. Knows nothing of
//! orders; the shop learns nothing from it but by webhook.

mod delivery;
pub mod message;
pub mod page;
mod refunds;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Form, Router,
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use uuid::Uuid;

use self::{
    message::{Kind, Message},
    page::{Bill, Shown, content_security_policy, render},
};
use super::{
    app::App,
    config::Config,
    extract::Path,
    now,
    origins::public_url,
    problem::{Code, Problem},
};
use crate::{
    domain::id::OrderRef,
    stores::{
        database::{
            orders, payments,
            sandbox::{self as books, Session},
        },
        error::StoreError,
    },
};

/// The provider's name in payments.
pub const NAME: &str = "sandbox";

/// The hosted page: not a part of the API.
pub fn pages() -> Router<Arc<App>> {
    Router::new().route("/sandbox/pay/{session}", get(show).post(decide))
}

/// Where a fan pays this session.
pub fn page_url(config: &Config, session: &str) -> String {
    format!("{}/sandbox/pay/{session}", public_url(config))
}

/// Delivers webhooks and gives money back, until the server goes down. `shop`: where this server's public listener is.
pub fn start(app: &Arc<App>, shop: SocketAddr) {
    app.tasks.spawn(delivery::run(app.clone(), shop));
    app.tasks.spawn(refunds::run(app.clone()));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Pay,
    Decline,
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let session = session(&app, &id).await?;
    let bill = Bill {
        session: &session.id,
        reference: &session.reference.to_string(),
        amount_minor: session.amount.minor,
        currency: session.amount.currency,
        state: session.state.into(),
        return_url: &session.return_url,
    };
    let policy = HeaderValue::try_from(content_security_policy()).map_err(|_| Problem::new(Code::Internal))?;
    let headers: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, Html(render(&bill))).into_response())
}

async fn session(app: &App, id: &str) -> Result<Session, Problem> {
    // Ours are 32 hexadecimal digits; nothing else is looked up.
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Code::NotFound.into());
    }
    books::by_id(&app.database, id).await?.ok_or_else(|| Code::NotFound.into())
}

/// The fan has chosen. A second choice changes nothing; the page shows what counts.
async fn decide(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    choice: Result<Form<Choice>, axum::extract::rejection::FormRejection>,
) -> Result<Redirect, Problem> {
    let session = session(&app, &id).await?;
    let Form(choice) = choice.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::BodyTooLarge),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(Code::UnsupportedMediaType).detail("a form is expected"),
        _ => Problem::new(Code::InvalidBody).detail("outcome is pay or decline"),
    })?;
    let (state, kind) = match choice.outcome {
        Outcome::Pay => (books::State::Paid, Kind::Captured),
        Outcome::Decline => (books::State::Declined, Kind::Declined),
    };
    let message = Message {
        id: format!("evt_{}", Uuid::new_v4().simple()),
        kind,
        session: session.id.clone(),
        reference: session.reference,
        amount: session.amount.into(),
    };
    let body = serde_json::to_string(&message).expect("a message is plain values");
    match books::decide(&app.database, &session.id, state, Some((&message.id, &body)), now()).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(Redirect::to(&format!("/sandbox/pay/{}", session.id))),
        Err(error) => Err(error.into()),
    }
}

/// The shop closes what is open for this order. What the fan has decided already stands.
pub async fn give_up(app: &App, reference: OrderRef) -> Result<(), Problem> {
    let open = payments::of_order(&app.database, reference).await?;
    for payment in open.into_iter().filter(|p| p.provider == NAME && p.state == payments::State::Open) {
        match books::decide(&app.database, &payment.provider_session, books::State::Cancelled, None, now()).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => continue,
            Err(error) => return Err(error.into()),
        }
        orders::decline(&app.database, reference, payment.id, now()).await?;
    }
    Ok(())
}

impl From<books::State> for Shown {
    fn from(state: books::State) -> Self {
        match state {
            books::State::Open => Self::Open,
            books::State::Paid => Self::Paid,
            books::State::Declined => Self::Declined,
            books::State::Cancelled => Self::Cancelled,
            books::State::Refunded => Self::Refunded,
        }
    }
}
