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
    domain::refund::{RefundKey, RefundState},
    stores::database::{
        orders,
        payments::{self, Payment},
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
    let payment = named(&app, &message).await?;
    match message.kind {
        Kind::Captured | Kind::Declined => payment_said(&app, &message, payment).await?,
        Kind::RefundSucceeded => refund_said(&app, &message, payment, RefundState::Done).await?,
        Kind::RefundFailed => refund_said(&app, &message, payment, RefundState::Failed).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The payment that the message is about. Whose it is and what was paid must be so in every respect; what goes back is its
/// refund's.
async fn named(app: &App, message: &Message) -> Result<Payment, Problem> {
    let payment =
        payments::by_provider_session(&app.database, sandbox::NAME, &message.session).await?.ok_or(Code::NotFound)?;
    let amount = payment.amount;
    let is_whole = matches!(message.kind, Kind::Captured | Kind::Declined);
    if message.reference != payment.reference
        || message.amount.currency != amount.currency
        || (is_whole && message.amount.minor != amount.minor)
    {
        return Err(mismatch(message));
    }
    Ok(payment)
}

fn mismatch(message: &Message) -> Problem {
    ::metrics::counter!(metrics::WEBHOOKS_REFUSED, "why" => "mismatch").increment(1);
    tracing::error!(id = message.id, session = message.session, "a signed payment message does not fit its payment");
    Code::PaymentMismatch.into()
}

/// Stored with what follows from it, and with the money where that is here.
async fn payment_said(app: &App, message: &Message, payment: Payment) -> Result<(), Problem> {
    let captured = message.kind == Kind::Captured;
    let fact = PaymentFact {
        payment: payment.id,
        reference: payment.reference,
        amount_minor: payment.amount.minor,
        currency: payment.amount.currency,
        captured,
    };
    let routing_key = if captured { "order.payment-success" } else { "order.payment-cancelled" };
    let body = serde_json::to_string(&fact).expect("a fact is plain values");
    let received = webhooks::receive(
        &app.database,
        (sandbox::NAME, &message.id),
        (routing_key, &body),
        captured.then_some((payment.reference, payment.id)),
        now(),
    );
    let received = received.await?;
    tracing::info!(id = message.id, reference = %fact.reference, captured, ?received, "payment message");
    Ok(())
}

/// Stored with what the refund is from now on.
async fn refund_said(app: &App, message: &Message, payment: Payment, to: RefundState) -> Result<(), Problem> {
    let key: Option<RefundKey> = message.refund.as_deref().and_then(|key| key.parse().ok());
    let key = key.ok_or(Code::NotFound)?;
    let refund = refunds::by_id(&app.database, key.id).await?.ok_or(Code::NotFound)?;
    if refund.payment != payment.id || refund.amount.minor != message.amount.minor {
        return Err(mismatch(message));
    }
    let mut write = app.database.begin().await?;
    let received = webhooks::remember(&mut write, (sandbox::NAME, &message.id), now()).await?;
    // That an earlier attempt failed is no news once it was asked for anew.
    let is_news = received == Received::Now && (to == RefundState::Done || key == refund.key());
    if is_news {
        let failure = message.failure.as_deref().unwrap_or_default();
        orders::advance_refund(&mut write, refund.id, to, failure, now()).await?;
    }
    write.commit().await?;
    tracing::info!(id = message.id, refund = %refund.id, ?to, ?received, "refund message");
    Ok(())
}
