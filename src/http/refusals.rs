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

/// Where everybody has things of their own.
#[derive(IntoResponses)]
pub enum NotYours {
    #[response(status = 401, description = "unauthenticated, invalid_token or token_expired")]
    Unauthenticated,
    #[response(status = 404, description = "not_found, or another fan's")]
    NotFound,
}
