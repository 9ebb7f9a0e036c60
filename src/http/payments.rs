//! What payment providers tell us.
//!
//! Owns what is believed: a message with a good signature, fresh, and true to the payment that it names. It is stored with
//! what follows from it, in one transaction, before it is answered; what follows is worked off elsewhere.

pub mod signature;

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use super::{
    app::App,
    extract::json,
    metrics, now,
    problem::{Code, Problem},
    sandbox::{
        self,
        message::{Kind, Message},
    },
    tokens::unix_now,
};
use crate::{
    actors::orders::PaymentFact,
    stores::database::{payments, webhooks},
};

const MOST_ID: usize = 64;

/// A message of the sandbox provider. The same message again is answered and changes nothing.
#[utoipa::path(post, path = "/payments/sandbox/webhook", tag = "payments", request_body = Message,
    params(("Onsale-Signature" = String, Header, description = "`t=SECONDS,v1=HEX`: HMAC-SHA-256 of `t.body`")), responses(
    (status = 204, description = "taken in"),
    (status = 400, description = "malformed_json, or payment_mismatch: other money, order or payment than ours"),
    (status = 401, description = "invalid_signature: forged, altered or stale"),
    (status = 404, description = "not_found: no such payment session"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "store_unavailable: send it again"),
))]
pub async fn sandbox_webhook(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let mut headers = request.headers().get_all(signature::HEADER).iter();
    let header = headers.next().filter(|_| headers.next().is_none()).and_then(|value| value.to_str().ok());
    let header = header.unwrap_or_default().to_owned();
    let body = json::read(request.into_body(), app.config.body_limit).await?;
    // Nothing of an unsigned message is looked at.
    signature::verify(&header, &body, &app.webhook_keys, unix_now()).map_err(|forged| {
        ::metrics::counter!(metrics::WEBHOOKS_REFUSED, "why" => "signature").increment(1);
        tracing::warn!(error = %forged, "a payment message was refused");
        Problem::new(Code::InvalidSignature).detail(forged.to_string())
    })?;
    let message: Message = json::parse(&body)?;
    if message.id.is_empty() || message.id.len() > MOST_ID {
        return Err(Problem::new(Code::InvalidBody).detail("id must have 1 to 64 bytes"));
    }
    let fact = fact(&app, &message).await?;
    let routing_key = if fact.captured { "order.payment-success" } else { "order.payment-cancelled" };
    let body = serde_json::to_string(&fact).expect("a fact is plain values");
    let received = webhooks::receive(&app.database, sandbox::NAME, &message.id, routing_key, &body, now()).await?;
    tracing::info!(id = message.id, reference = %fact.reference, captured = fact.captured, ?received, "payment message");
    Ok(StatusCode::NO_CONTENT)
}

/// What follows from the message, if it is about a payment of ours in every respect.
async fn fact(app: &App, message: &Message) -> Result<PaymentFact, Problem> {
    let payment =
        payments::by_provider_session(&app.database, sandbox::NAME, &message.session).await?.ok_or(Code::NotFound)?;
    let amount = payment.amount;
    if message.reference != payment.reference
        || message.amount.minor != amount.minor
        || message.amount.currency != amount.currency
    {
        ::metrics::counter!(metrics::WEBHOOKS_REFUSED, "why" => "mismatch").increment(1);
        tracing::error!(
            id = message.id,
            session = message.session,
            "a signed payment message does not fit its payment"
        );
        return Err(Code::PaymentMismatch.into());
    }
    Ok(PaymentFact {
        payment: payment.id,
        reference: payment.reference,
        amount_minor: amount.minor,
        currency: amount.currency,
        captured: message.kind == Kind::Captured,
    })
}
