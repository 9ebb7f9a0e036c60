//! Toss Payments: its webhook, and the pages of ours that open its window and take the fan back.
//!
//! Its webhook is not signed, so it is only a hint that there is news: what it is, Toss is asked. What the fan brings back is
//! checked against our payment before Toss is asked for the money.

mod page;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use self::page::{Bill, Shown};
use super::mismatch;
use crate::{
    actors::payments::{LEASE, PaymentError},
    domain::{id::PaymentId, inventory::request::HoldState},
    http::{
        app::App,
        checkout::{desk, failed},
        extract::{Path, Query, json},
        holds, metrics, now,
        problem::{Code, Problem},
    },
    stores::{
        database::{
            orders,
            payments::{
                self, Payment, State as PaymentState,
                outstanding::{self, Outstanding},
            },
            refunds,
        },
        provider::toss::{self, NAME},
    },
};

/// Not a part of the API.
pub fn pages() -> Router<Arc<App>> {
    Router::new()
        .route("/toss/pay/{session}", get(show))
        .route("/toss/paid/{session}", get(returned))
        .route("/toss/failed/{session}", get(turned_back))
}

/// What is read of a message; it may say anything.
#[derive(Deserialize)]
struct Hint {
    data: HintData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HintData {
    order_id: String,
}

/// A message of Toss's. It is not signed, so nothing of it is believed: Toss is asked what there is.
#[utoipa::path(post, path = "/payments/toss/webhook", tag = "payments",
    request_body(content = serde_json::Value, description = "PAYMENT_STATUS_CHANGED"), responses(
    (status = 204, description = "Toss is asked, or it is nothing to us"),
    (status = 422, description = "provider_unknown: there is no Toss here"),
    (status = 503, description = "store_unavailable: send it again"),
))]
pub async fn webhook(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    if app.providers.by_name(NAME).is_none() {
        return Err(Code::ProviderUnknown.into());
    }
    let body = json::read(request.into_body(), app.config.body_limit).await?;
    let id = serde_json::from_slice::<Hint>(&body).ok().and_then(|hint| hint.data.order_id.parse().ok());
    match of_toss(&app, id).await? {
        Some(payment) => {
            outstanding::look_now(&app.database, payment.id, now()).await?;
            refunds::ask_now(&app.database, payment.id, now()).await?;
        }
        None => ::metrics::counter!(metrics::WEBHOOKS_IGNORED, "why" => "unknown").increment(1),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn of_toss(app: &App, id: Option<PaymentId>) -> Result<Option<Payment>, Problem> {
    let Some(id) = id else { return Ok(None) };
    Ok(payments::by_id(&app.database, id).await?.filter(|payment| payment.provider == NAME))
}

async fn named(app: &App, session: &str) -> Result<Payment, Problem> {
    of_toss(app, session.parse().ok()).await?.ok_or_else(|| Code::NotFound.into())
}

async fn show(State(app): State<Arc<App>>, Path(session): Path<String>) -> Result<Response, Problem> {
    let payment = named(&app, &session).await?;
    let outstanding = outstanding::by_id(&app.database, payment.id).await?;
    let request = outstanding.as_ref().and_then(|outstanding| outstanding.request.as_ref());
    let (description, shop_url) =
        request.map_or(("", ""), |request| (request.description.as_str(), request.shop_url.as_str()));
    let bill = Bill {
        session: &session,
        reference: &payment.reference.to_string(),
        amount: payment.amount,
        name: &toss::name(description),
        shop_url,
        return_url: request.map_or("", |request| &request.return_url),
        client_key: &app.providers.edge().toss_client_key,
        state: shown(&payment, outstanding.as_ref()),
    };
    let policy = HeaderValue::try_from(page::content_security_policy()).map_err(|_| Problem::new(Code::Internal))?;
    let headers: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, Html(page::render(&bill))).into_response())
}

fn shown(payment: &Payment, outstanding: Option<&Outstanding>) -> Shown {
    match payment.state {
        PaymentState::Open if outstanding.is_some_and(|outstanding| !outstanding.token.is_empty()) => Shown::Waits,
        PaymentState::Open => Shown::Open,
        PaymentState::Captured => Shown::Paid,
        PaymentState::Declined => Shown::Declined,
        PaymentState::Refunding | PaymentState::Refunded => Shown::Refunded,
    }
}

/// As Toss leads the fan back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Returned {
    payment_key: String,
    order_id: String,
    amount: i64,
}

/// The fan has agreed in the window. Everything is checked here before any money moves: the amount, the order, and that its hold is
/// still there. Any number of times.
async fn returned(
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
    Query(returned): Query<Returned>,
) -> Result<Redirect, Problem> {
    let payment = named(&app, &session).await?;
    if payment.state != PaymentState::Open {
        return Ok(back(&payment));
    }
    if returned.order_id != session || returned.amount != payment.amount.minor {
        return Err(mismatch("returned", payment.id));
    }
    if !toss::is_key(&returned.payment_key) {
        return Err(Problem::new(Code::InvalidQuery).detail("paymentKey is no key of Toss's"));
    }
    let order = orders::by_reference(&app.database, payment.reference).await?.ok_or(Code::NotFound)?;
    let (_, hold) = holds::own(&app, order.fan, payment.reference).await?;
    if hold.state != HoldState::Held {
        // No money is taken for what nobody holds any more.
        return Ok(back(&payment));
    }
    let outstanding = outstanding::by_id(&app.database, payment.id).await?.ok_or(Code::NotFound)?;
    if !outstanding.token.is_empty() && outstanding.token != returned.payment_key {
        // What became of an earlier agreement is not known yet: money is taken by one only.
        return Ok(back(&payment));
    }
    // Durable first: whoever finds it goes on with it.
    outstanding::agreed(&app.database, payment.id, &returned.payment_key, now() + LEASE, now()).await?;
    match desk(&app).confirm(&payment, &returned.payment_key, now()).await {
        Ok(_) => {}
        // The page says that it is being looked after.
        Err(PaymentError::Provider(error)) => {
            tracing::warn!(payment = %payment.id, %error, "a payment is confirmed later");
        }
        Err(PaymentError::Refused(error)) => tracing::info!(payment = %payment.id, %error, "a payment was refused"),
        Err(error) => return Err(failed(&app, NAME, error)),
    }
    Ok(back(&payment))
}

/// The fan has closed the window, or his card was refused there: no money has moved.
async fn turned_back(State(app): State<Arc<App>>, Path(session): Path<String>) -> Result<Redirect, Problem> {
    let payment = named(&app, &session).await?;
    Ok(back(&payment))
}

/// Our own page says how it stands, and leads back to the shop.
fn back(payment: &Payment) -> Redirect {
    Redirect::to(&format!("/toss/pay/{}", payment.id))
}
