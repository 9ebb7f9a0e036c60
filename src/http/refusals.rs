//! Refusals that many routes have in common, for the API's description.

use utoipa::IntoResponses;

/// Where only some may act: admins, or those who may steer an event.
#[derive(IntoResponses)]
pub enum NotAllowed {
    #[response(status = 401, description = "unauthenticated, invalid_token or token_expired")]
    Unauthenticated,
    #[response(status = 403, description = "forbidden: the account may not do this, here or to this event")]
    Forbidden,
    #[response(status = 404, description = "not_found")]
    NotFound,
}

/// Where stock moves under an `Idempotency-Key` and nothing else is said.
#[derive(IntoResponses)]
pub enum NotMoved {
    #[response(status = 400, description = "idempotency_key_missing or idempotency_key_invalid")]
    Key,
    #[response(status = 422, description = "idempotency_key_reused")]
    KeyReused,
    #[response(status = 503, description = "overloaded, event_unavailable or outcome_unknown")]
    NotNow,
}

/// Where everybody has things of their own.
#[derive(IntoResponses)]
pub enum NotYours {
    #[response(status = 401, description = "unauthenticated, invalid_token or token_expired")]
    Unauthenticated,
    #[response(status = 404, description = "not_found, or another fan's")]
    NotFound,
}
