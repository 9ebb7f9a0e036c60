//! The sandbox payment provider: for trials, as foreign to the shop as any other.
//!
//! Owns its hosted page, and telling the shop by signed webhooks until the shop has heard. Knows nothing of orders. What the shop asks
//! of it, it asks elsewhere, through the port.

mod delivery;
pub mod message;
pub mod page;

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
    extract::Path,
    now,
    problem::{Code, Problem},
};
use crate::{
    domain::time::{EventTime, Millis},
    stores::{
        database::sandbox::{self as books, Card, Decision, Said, Session},
        error::StoreError,
    },
};

/// The provider's name in payments.
pub use crate::stores::provider::sandbox::NAME;

/// The hosted page: not a part of the API.
pub fn pages() -> Router<Arc<App>> {
    Router::new().route("/sandbox/pay/{session}", get(show).post(decide))
}

/// Delivers webhooks until the server goes down. `shop`: where this server's public listener is.
pub fn start(app: &Arc<App>, shop: SocketAddr) {
    app.tasks.spawn(delivery::run(app.clone(), shop));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    outcome: Outcome,
    /// One of the test cards; without one, the good one.
    #[serde(default)]
    card: Option<String>,
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
    let card = match choice.card.as_deref() {
        None => Card::Good,
        Some(number) => Card::of_number(number)
            .ok_or_else(|| Problem::new(Code::InvalidBody).detail("only the sandbox's test cards are taken"))?,
    };
    let is_paid = matches!(choice.outcome, Outcome::Pay) && card != Card::Declined;
    let decision = Decision {
        to: if is_paid { books::State::Paid } else { books::State::Declined },
        card,
        says: &says(&session, is_paid, card, now()),
    };
    match books::decide(&app.database, &session.id, decision, now()).await {
        Ok(_) if is_paid && card == Card::TimesOut => Err(Problem::new(Code::RequestTimeout)),
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(Redirect::to(&format!("/sandbox/pay/{}", session.id))),
        Err(error) => Err(error.into()),
    }
}

/// What the shop is told, and when.
fn says(session: &Session, is_paid: bool, card: Card, now: EventTime) -> Vec<Said> {
    let said = |kind, id: &str, after| {
        let message = Message {
            id: id.to_owned(),
            kind,
            session: session.id.clone(),
            reference: session.reference,
            amount: session.amount.into(),
            refund: None,
            failure: None,
        };
        Said { body: serde_json::to_string(&message).expect("a message is plain values"), at: now + Millis(after) }
    };
    let (first, second) = (id(), id());
    match (is_paid, card) {
        (false, _) => vec![said(Kind::Declined, &first, 0)],
        (true, Card::Processing) => {
            vec![said(Kind::Processing, &first, 0), said(Kind::Captured, &second, books::PROCESSING.0)]
        }
        (true, Card::Slow) => vec![said(Kind::Captured, &first, 3_000)],
        (true, Card::TimesOut) => vec![said(Kind::Captured, &first, 1_000)],
        (true, Card::Repeats) => vec![
            said(Kind::Captured, &first, 0),
            said(Kind::Captured, &first, 0),
            said(Kind::Captured, &second, 0),
            said(Kind::Captured, &first, 500),
        ],
        (true, Card::OutOfOrder) => vec![said(Kind::Captured, &first, 0), said(Kind::Declined, &second, 500)],
        (true, _) => vec![said(Kind::Captured, &first, 0)],
    }
}

fn id() -> String {
    format!("evt_{}", Uuid::new_v4().simple())
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
