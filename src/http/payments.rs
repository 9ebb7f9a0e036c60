//! What payment providers tell us.
//!
//! Owns what is believed: a message with a good signature, fresh, and true to the payment that it names. It is stored with
//! what follows from it, in one transaction, before it is answered; what follows is worked off elsewhere.

pub mod signature;
pub mod stripe;
pub mod toss;

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Request, State},
};
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
    actors::payments::said,
    domain::{
        id::PaymentId,
        refund::{RefundKey, RefundState},
    },
    stores::database::{
        orders,
        payments::{self, Payment, outstanding},
        refunds,
        webhooks::{self, Received},
    },
};

const MOST_ID: usize = 64;

/// A message of the sandbox provider. The same message again is answered and changes nothing.
#[utoipa::path(post, path = "/payments/sandbox/webhook", tag = "payments", request_body = Message,
    params(("Onsale-Signature" = String, Header, description = "`t=SECONDS,v1=HEX`: HMAC-SHA-256 of `t.body`")), responses(
    (status = 204, description = "taken in"),
    (status = 400, description = "malformed_json, or payment_mismatch: other money, order or payment than ours"),
    (status = 401, description = "invalid_signature: forged, altered or stale"),
    (status = 404, description = "not_found: no such payment session, or refund"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "store_unavailable: send it again"),
))]
pub async fn sandbox_webhook(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let secrets: Vec<&[u8]> = app.webhook_keys.iter().map(|key| &key[..]).collect();
    let body = signed(request, signature::HEADER, &secrets, app.config.body_limit).await?;
    let message: Message = json::parse(&body)?;
    if message.id.is_empty() || message.id.len() > MOST_ID {
        return Err(Problem::new(Code::InvalidBody).detail("id must have 1 to 64 bytes"));
    }
    let payment = named(&app, &message).await?;
    match message.kind {
        Kind::Captured | Kind::Declined => {
            let captured = message.kind == Kind::Captured;
            said(&app.database, (sandbox::NAME, &message.id), &payment, captured, now()).await?;
        }
        Kind::Processing => outstanding::look_now(&app.database, payment.id, now()).await?,
        Kind::RefundSucceeded => refund_said(&app, &message, payment, RefundState::Done).await?,
        Kind::RefundFailed => refund_said(&app, &message, payment, RefundState::Failed).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The raw body of a message that one of the secrets has signed, not long ago. Nothing of any other is looked at.
async fn signed(request: Request, name: &str, secrets: &[&[u8]], limit: usize) -> Result<Bytes, Problem> {
    let mut headers = request.headers().get_all(name).iter();
    let header = headers.next().filter(|_| headers.next().is_none()).and_then(|value| value.to_str().ok());
    let header = header.unwrap_or_default().to_owned();
    let body = json::read(request.into_body(), limit).await?;
    signature::verify(&header, &body, secrets, unix_now()).map_err(|forged| {
        ::metrics::counter!(metrics::WEBHOOKS_REFUSED, "why" => "signature").increment(1);
        tracing::warn!(error = %forged, "a payment message was refused");
        Problem::new(Code::InvalidSignature).detail(forged.to_string())
    })?;
    Ok(body)
}

/// The payment that the message is about. Whose it is and what was paid must be so in every respect; what goes back is its
/// refund's.
async fn named(app: &App, message: &Message) -> Result<Payment, Problem> {
    let payment =
        payments::by_provider_session(&app.database, sandbox::NAME, &message.session).await?.ok_or(Code::NotFound)?;
    let amount = payment.amount;
    let is_whole = matches!(message.kind, Kind::Captured | Kind::Processing | Kind::Declined);
    if message.reference != payment.reference
        || message.amount.currency != amount.currency
        || (is_whole && message.amount.minor != amount.minor)
    {
        return Err(mismatch(&message.id, payment.id));
    }
    Ok(payment)
}

fn mismatch(message: &str, payment: PaymentId) -> Problem {
    ::metrics::counter!(metrics::WEBHOOKS_REFUSED, "why" => "mismatch").increment(1);
    tracing::error!(message, %payment, "a signed payment message does not fit its payment");
    Code::PaymentMismatch.into()
}

/// Stored with what the refund is from now on.
async fn refund_said(app: &App, message: &Message, payment: Payment, to: RefundState) -> Result<(), Problem> {
    let key: Option<RefundKey> = message.refund.as_deref().and_then(|key| key.parse().ok());
    let key = key.ok_or(Code::NotFound)?;
    let refund = refunds::by_id(&app.database, key.id).await?.ok_or(Code::NotFound)?;
    if refund.payment != payment.id || refund.amount.minor != message.amount.minor {
        return Err(mismatch(&message.id, payment.id));
    }
    let mut write = app.database.begin().await?;
    let received = webhooks::remember(&mut write, (sandbox::NAME, &message.id), now()).await?;
    if received == Received::Now {
        let failure = message.failure.as_deref().unwrap_or_default();
        orders::advance_refund(&mut write, key, to, failure, now()).await?;
    }
    write.commit().await?;
    tracing::info!(id = message.id, refund = %refund.id, ?to, ?received, "refund message");
    Ok(())
}
