//! Stripe's webhook.
//!
//! Owns what is believed of it: a signed message, true in every respect to the payment that it names. Of refunds it only tells that
//! there is news; what it is, the provider is asked.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use super::{mismatch, signed};
use crate::{
    actors::payments::said,
    domain::id::PaymentId,
    http::{
        app::App,
        metrics, now,
        problem::{Code, Problem},
    },
    stores::{
        database::{
            payments::{self, Payment, outstanding},
            refunds,
        },
        provider::stripe::{
            NAME,
            event::{self, About, Outcome, Said},
        },
    },
};

const HEADER: &str = "stripe-signature";
/// Its messages carry whole objects.
const BODY_LIMIT: usize = 512 * 1024;

/// A message of Stripe's. The same message again is answered and changes nothing; so is one about what is not this shop's.
#[utoipa::path(post, path = "/payments/stripe/webhook", tag = "payments",
    request_body(content = serde_json::Value, description = "an event of Stripe's"),
    params(("Stripe-Signature" = String, Header, description = "`t=SECONDS,v1=HEX`: HMAC-SHA-256 of `t.body`")), responses(
    (status = 204, description = "taken in, or nothing to us"),
    (status = 400, description = "payment_mismatch: other money, order or session than ours"),
    (status = 401, description = "invalid_signature: forged, altered or stale"),
    (status = 422, description = "invalid_body, or provider_unknown: there is no Stripe here"),
    (status = 503, description = "store_unavailable: send it again"),
))]
pub async fn webhook(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    if app.providers.by_name(NAME).is_none() {
        return Err(Code::ProviderUnknown.into());
    }
    let secrets = app.providers.edge().stripe_secrets.as_bytes();
    let body = signed(request, HEADER, &secrets, BODY_LIMIT).await?;
    let event = event::read(&body).map_err(|error| Problem::new(Code::InvalidBody).detail(error.to_string()))?;
    match event.about {
        About::Payment(said) => payment_said(&app, &event.id, said).await?,
        About::RefundOf(payment) => {
            if let Some(payment) = ours(&app, payment).await? {
                refunds::ask_now(&app.database, payment.id, now()).await?;
            }
        }
        About::Refund(key) => match refunds::by_id(&app.database, key.id).await? {
            Some(refund) => refunds::ask_now(&app.database, refund.payment, now()).await?,
            None => is_nothing("unknown"),
        },
        About::NotOurs => is_nothing("not_ours"),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn payment_said(app: &App, id: &str, message: Said) -> Result<(), Problem> {
    let Some(payment) = ours(app, message.payment).await? else { return Ok(()) };
    let is_another = |session: &String| !payment.url.is_empty() && *session != payment.provider_session;
    if message.order != payment.reference.to_string()
        || message.amount != Some(payment.amount)
        || message.session.as_ref().is_some_and(is_another)
    {
        return Err(mismatch(id, payment.id));
    }
    // It was faster than the answer to our own call: the session is asked for, then how it stands.
    if payment.url.is_empty() {
        outstanding::look_now(&app.database, payment.id, now()).await?;
        return Ok(());
    }
    match message.outcome {
        Outcome::Captured => {
            said(&app.database, (NAME, id), &payment, true, now()).await?;
        }
        Outcome::Declined => {
            said(&app.database, (NAME, id), &payment, false, now()).await?;
        }
        Outcome::Processing => outstanding::look_now(&app.database, payment.id, now()).await?,
    }
    Ok(())
}

async fn ours(app: &App, id: PaymentId) -> Result<Option<Payment>, Problem> {
    let payment = payments::by_id(&app.database, id).await?.filter(|payment| payment.provider == NAME);
    if payment.is_none() {
        is_nothing("unknown");
    }
    Ok(payment)
}

fn is_nothing(why: &'static str) {
    ::metrics::counter!(metrics::WEBHOOKS_IGNORED, "why" => why).increment(1);
}
