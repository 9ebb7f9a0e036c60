//! Checkout: from a live hold to a session at the payment provider.
//!
//! Owns the order of things: the order's row, then our payment with what the provider will be asked, then the session itself under
//! the payment's id. So a repeat after a crash finds what was begun and opens nothing twice.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    app::App,
    auth,
    extract::{IdempotencyKey, Json, Path, SignedIn},
    holds,
    idempotency::{Attempt, Finished, once},
    now,
    orders::{answer::OrderAnswer, told},
    origins::public_url,
    problem::{Code, Problem, hold_state},
    refusals::NotYours,
    shapes::{FieldError, Wrong},
};
use crate::{
    actors::payments::{Desk, FIRST_LOOK, PaymentError},
    domain::{
        id::{FanId, OrderRef, PaymentId},
        inventory::request::{HoldState, HoldView},
        money::Money,
        order::OrderState,
    },
    stores::{
        database::{
            orders::{self, Opening},
            payments::{
                self, Payment,
                outstanding::{self, Outstanding},
            },
        },
        error::StoreError,
        provider::{SessionRequest, Standing},
    },
};

/// Providers that a fan may change between within one request.
const MOST_OTHERS: usize = 3;
/// Characters.
const MOST_DESCRIPTION: usize = 200;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutBody {
    /// `sandbox`, `stripe` or `toss`, whichever this shop has.
    #[schema(example = "sandbox")]
    pub provider: String,
    /// Where the provider's page leads back to: an origin that this shop allows.
    #[serde(default)]
    pub return_url: Option<String>,
    /// The version that the fan has seen: a newer one refuses.
    #[serde(default)]
    pub event_version: Option<u32>,
    /// If the money comes after the hold has ended and its seats have gone to others: take other seats of the same ticket type, for
    /// the same price. Otherwise, and where there are none, all of the money goes back.
    #[serde(default)]
    pub accept_other_seats: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Checkout {
    /// Tells how it goes.
    pub status_url: String,
    /// The provider's page, for the fan's browser.
    pub payment_url: String,
    pub order: OrderAnswer,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckoutState {
    pub state: PaymentState,
    #[schema(value_type = String, example = "paying")]
    pub order_state: OrderState,
    pub payment_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// No checkout was begun.
    None,
    Open,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

/// Opens the order's payment at the provider, at the price of the hold. The same open payment is told again while it is
/// open, whatever the key.
#[utoipa::path(post, path = "/orders/{reference}/checkout", tag = "orders", request_body = CheckoutBody,
    params(("reference" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 202, body = Checkout, headers(("Location" = String, description = "the status URL"))),
    (status = 400, description = "malformed_json, idempotency_key_missing or idempotency_key_invalid"),
    NotYours,
    (status = 409, description = "hold_ended, order_state, event_changed or request_running"),
    (status = 422, description = "invalid_body, provider_unknown, provider_refuses or idempotency_key_reused"),
    (status = 503, description = "event_unavailable, store_unavailable, outcome_unknown, or provider_unavailable: Retry-After says when"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
    key: IdempotencyKey,
    Json(body): Json<CheckoutBody>,
) -> Result<Response, Problem> {
    if app.providers.by_name(&body.provider).is_none() {
        return Err(Code::ProviderUnknown.into());
    }
    check_return_url(&app, body.return_url.as_deref())?;
    let fan = signed_in.account;
    // Another fan's order answers before any key is looked at.
    told(&app, fan, reference).await?;
    auth::verify::needed(&app, fan).await?;
    let work = {
        let (app, body) = (app.clone(), body.clone());
        move |attempt| open(app, fan, reference, body, attempt)
    };
    let route = format!("/orders/{reference}/checkout");
    let mut response = once(&app, fan, &route, &key, &body, work).await?;
    if let Ok(location) = HeaderValue::try_from(status_url(reference)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn status_url(reference: OrderRef) -> String {
    format!("/api/v1/orders/{reference}/checkout")
}

async fn open(
    app: Arc<App>,
    fan: FanId,
    reference: OrderRef,
    body: CheckoutBody,
    attempt: Attempt,
) -> Result<Finished, Problem> {
    let (handles, hold) = holds::own(&app, fan, reference).await?;
    match hold.state {
        HoldState::Held => {}
        HoldState::Sold => return Err(Problem::new(Code::OrderState).detail("the order is paid")),
        ended => return Err(Problem::new(Code::HoldEnded).with("state", hold_state(ended))),
    }
    let configuration = handles.inventory.configuration();
    if body.event_version.is_some_and(|seen| seen < handles.inventory.view().terms_version) {
        return Err(Problem::new(Code::EventChanged)
            .with("version", configuration.version)
            .with("order_version", hold.version)
            .detail("the event has changed since; the order's price has not: leave event_version out to go on"));
    }
    let order = orders::ensure(&app.database, reference.event, &hold, now()).await?;
    if body.accept_other_seats && !order.takes_others {
        orders::take_others(&app.database, reference).await?;
    }
    let answer = OrderAnswer::of_row(order, Some(&configuration), now());
    let outstanding = begin(&app, &body, &answer, &hold).await?;
    let payment = open_session(&app, outstanding).await?;

    let answer = move |order| {
        let answer = Checkout {
            status_url: status_url(reference),
            payment_url: payment.url.clone(),
            order: OrderAnswer::of_row(order, Some(&configuration), now()),
        };
        serde_json::to_string(&answer).expect("an answer is plain values")
    };
    let opening = |key, status| Opening { reference, key, status, answer: Box::new(answer), now: now() };
    attempt
        .finish_by(StatusCode::ACCEPTED, |key, status| orders::open_checkout_now(&app.database, opening(key, status)))
        .await
}

/// The order's open payment at this provider, durable before the provider hears of it, with what it will be asked.
async fn begin(app: &App, body: &CheckoutBody, order: &OrderAnswer, hold: &HoldView) -> Result<Outstanding, Problem> {
    let now = now();
    let id = PaymentId::from_uuid(Uuid::now_v7());
    let amount = Money { minor: hold.total_minor, currency: hold.currency };
    let wanted = Payment {
        id,
        reference: order.reference,
        provider: body.provider.clone(),
        provider_session: id.to_string(),
        url: String::new(),
        amount,
        state: payments::State::Open,
        created_at: now,
        updated_at: now,
    };
    let request = SessionRequest {
        key: id,
        reference: order.reference,
        amount,
        description: describe(app, order).await?,
        shop_url: public_url(&app.config),
        return_url: body.return_url.clone().unwrap_or_default(),
        at: now,
        expires_at: hold.expires_at,
    };
    for _ in 0..MOST_OTHERS {
        let begun = outstanding::begin(&app.database, wanted.clone(), request.clone(), now + FIRST_LOOK).await;
        let begun = match begun {
            Err(StoreError::Conflict(_)) => return Err(Problem::new(Code::OrderState).detail("the order is paid")),
            other => other?,
        };
        if begun.payment.provider == body.provider {
            return Ok(begun);
        }
        // The fan has chosen another provider since: the first one's session must not be paid, too.
        give_up(app, begun).await?;
    }
    Err(Code::Overloaded.into())
}

async fn give_up(app: &App, other: Outstanding) -> Result<(), Problem> {
    let provider = other.payment.provider.clone();
    let closed = desk(app).close(other, now()).await;
    match closed.map_err(|error| failed(app, &provider, error))? {
        Standing::Ended => Ok(()),
        _ => Err(Problem::new(Code::OrderState).detail("the order is being paid with another provider")),
    }
}

/// Under the payment's id, so that a second call opens nothing new.
async fn open_session(app: &App, outstanding: Outstanding) -> Result<Payment, Problem> {
    let payment = &outstanding.payment;
    let opened = desk(app).open(&outstanding).await;
    if matches!(opened, Err(PaymentError::Refused(_))) {
        orders::decline(&app.database, payment.reference, payment.id, now()).await?;
    }
    opened.map_err(|error| failed(app, &payment.provider, error))
}

/// Who speaks with providers for this request.
pub fn desk(app: &App) -> Desk {
    Desk { database: app.database.clone(), providers: app.providers.clone() }
}

/// What a provider did not do for a fan who waits.
pub fn failed(app: &App, provider: &str, error: PaymentError) -> Problem {
    match error {
        PaymentError::Store(error) => error.into(),
        PaymentError::NoProvider(_) => Code::ProviderUnknown.into(),
        PaymentError::Mismatch => Code::PaymentMismatch.into(),
        PaymentError::Refused(error) => {
            tracing::warn!(provider, %error, "a payment provider refuses");
            Code::ProviderRefuses.into()
        }
        PaymentError::Provider(error) => {
            tracing::warn!(provider, %error, "a payment provider does not answer");
            let rests = app.providers.health(provider).map_or(0, |health| health.retry_after.0.div_ceil(1_000));
            Problem::new(Code::ProviderUnavailable).retry_after(u32::try_from(rests).unwrap_or(u32::MAX).max(2))
        }
    }
}

/// What the fan reads on the provider's page.
async fn describe(app: &App, order: &OrderAnswer) -> Result<String, Problem> {
    let billing = app.papers.billing(order.event).await?;
    let lines: Vec<_> = order.lines.iter().map(|line| format!("{} × {}", line.quantity, line.name)).collect();
    Ok(format!("{}: {}", billing.programme.title, lines.join(", ")).chars().take(MOST_DESCRIPTION).collect())
}

/// A page that leads anywhere lends our name to anybody.
fn check_return_url(app: &App, url: Option<&str>) -> Result<(), Vec<FieldError>> {
    let Some(url) = url else { return Ok(()) };
    let mut wrong = Wrong::default();
    if url.len() > 2_000 {
        wrong.add("return_url", "must not have more than 2000 characters");
    } else if !is_allowed_return(url, |origin| app.origins.allows(origin)) {
        wrong.add("return_url", "must be an http or https URL of an allowed origin");
    }
    wrong.or(())
}

fn is_allowed_return(url: &str, allows: impl Fn(&str) -> bool) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    // What stands before an `@` looks like a host and is none.
    !authority.as_str().contains('@') && allows(&format!("{}://{authority}", uri.scheme_str().unwrap_or_default()))
}

/// How the newest checkout of this order goes.
#[utoipa::path(get, path = "/orders/{reference}/checkout", tag = "orders", params(("reference" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = CheckoutState),
    NotYours,
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
) -> Result<Json<CheckoutState>, Problem> {
    let order = told(&app, signed_in.account, reference).await?;
    let newest = payments::of_order(&app.database, reference).await?.into_iter().next();
    Ok(Json(CheckoutState {
        state: newest.as_ref().map_or(PaymentState::None, |payment| payment.state.into()),
        order_state: order.state,
        payment_url: newest.map(|payment| payment.url).filter(|url| !url.is_empty()),
    }))
}

impl From<payments::State> for PaymentState {
    fn from(state: payments::State) -> Self {
        match state {
            payments::State::Open => Self::Open,
            payments::State::Captured => Self::Captured,
            payments::State::Declined => Self::Declined,
            payments::State::Refunding => Self::Refunding,
            payments::State::Refunded => Self::Refunded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_allowed_origin_is_led_back_to() {
        let allowed = |url: &str| is_allowed_return(url, |origin| origin == "https://shop.example");
        for good in ["https://shop.example/back?x=1", "https://shop.example"] {
            assert!(allowed(good), "{good}");
        }
        for wrong in [
            "",
            "/back",
            "//shop.example/back",
            "javascript:alert(1)",
            "http://shop.example/",
            "https://shop.example.evil.example/",
            "https://shop.example@evil.example/",
            "https://evil.example/https://shop.example",
            "ftp://shop.example/",
        ] {
            assert!(!allowed(wrong), "{wrong}");
        }
    }
}
