//! The one error of the edge: RFC 9457 problem details with a stable code.
//!
//! Owns the list of codes, their status and their meaning; `docs/errors.md` is made from it. A client never sees a source:
//! whoever turns an error into a `Problem` logs it there, once.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::limits::Left;
use crate::{
    actors::{directory::DirectoryError, inventory::AskError, waiting_room::WaitError},
    domain::inventory::request::{HoldState, Refusal},
    stores::error::StoreError,
};

/// Every code that a client can meet. A code once published keeps its meaning; clients may branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    MalformedJson,
    InvalidBody,
    InvalidQuery,
    UnsupportedMediaType,
    BodyTooLarge,
    NotFound,
    MethodNotAllowed,
    Unauthenticated,
    InvalidToken,
    TokenExpired,
    WrongCredentials,
    RefreshReused,
    AccountDisabled,
    Forbidden,
    OriginNotAllowed,
    EmailTaken,
    WeakPassword,
    RateLimited,
    PasswordQueueFull,
    IdempotencyKeyMissing,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    RequestRunning,
    NotOnSale,
    NotAdmitted,
    InvalidQuantity,
    UnknownTicketType,
    UnknownSeat,
    SoldBySeat,
    DuplicateSeat,
    SoldOut,
    SeatTaken,
    NoSuchSeats,
    OrphanSeat,
    FanLimit,
    EventChanged,
    HoldEnded,
    AlreadyExtended,
    StaleVersion,
    BelowTaken,
    InvalidEvent,
    InvalidTransition,
    EventHasOrders,
    QueueFull,
    NotInQueue,
    OrderState,
    InvalidSignature,
    OutcomeUnknown,
    Overloaded,
    EventUnavailable,
    OrdersLagging,
    StoreUnavailable,
    ReadOnly,
    RequestTimeout,
    ShuttingDown,
    Internal,
}

/// A row of the table below.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub code: Code,
    pub name: &'static str,
    pub status: u16,
    /// Whether the same request may succeed later, unchanged and with the same key.
    pub retryable: bool,
    pub title: &'static str,
}

const fn row(code: Code, name: &'static str, status: u16, retryable: bool, title: &'static str) -> Row {
    Row { code, name, status, retryable, title }
}

/// In the order of [`Code`].
pub const TABLE: [Row; 56] = [
    row(Code::MalformedJson, "malformed_json", 400, false, "The body is not JSON, or is nested too deeply."),
    row(Code::InvalidBody, "invalid_body", 422, false, "The body does not have the expected fields and values."),
    row(Code::InvalidQuery, "invalid_query", 400, false, "The query string has an unknown or wrong parameter."),
    row(Code::UnsupportedMediaType, "unsupported_media_type", 415, false, "The Content-Type is not accepted here."),
    row(Code::BodyTooLarge, "body_too_large", 413, false, "The body is larger than accepted here."),
    row(Code::NotFound, "not_found", 404, false, "There is no such thing, or it is not yours."),
    row(Code::MethodNotAllowed, "method_not_allowed", 405, false, "The path does not take this method."),
    row(Code::Unauthenticated, "unauthenticated", 401, false, "Sign in first: an access token is needed."),
    row(Code::InvalidToken, "invalid_token", 401, false, "The token is not valid here."),
    row(Code::TokenExpired, "token_expired", 401, false, "The token has expired, or its session has ended."),
    row(Code::WrongCredentials, "wrong_credentials", 401, false, "The e-mail address or the password is wrong."),
    row(Code::RefreshReused, "refresh_reused", 401, false, "The refresh token was used before: its session has ended."),
    row(Code::AccountDisabled, "account_disabled", 403, false, "The account is disabled."),
    row(Code::Forbidden, "forbidden", 403, false, "Your account may not do this."),
    row(Code::OriginNotAllowed, "origin_not_allowed", 403, false, "The page's origin may not do this."),
    row(Code::EmailTaken, "email_taken", 409, false, "An account with this e-mail address exists."),
    row(Code::WeakPassword, "weak_password", 422, false, "The password must have 8 to 256 characters."),
    row(Code::RateLimited, "rate_limited", 429, true, "Too many requests; wait as long as Retry-After says."),
    row(Code::PasswordQueueFull, "password_queue_full", 429, true, "Too many sign-ins at once; try again soon."),
    row(Code::IdempotencyKeyMissing, "idempotency_key_missing", 400, false, "An Idempotency-Key header is needed."),
    row(Code::IdempotencyKeyInvalid, "idempotency_key_invalid", 400, false, "The Idempotency-Key is not valid."),
    row(Code::IdempotencyKeyReused, "idempotency_key_reused", 422, false, "The key was used for another request."),
    row(Code::RequestRunning, "request_running", 409, true, "The request with this key is still running."),
    row(Code::NotOnSale, "not_on_sale", 409, false, "The event is not on sale."),
    row(Code::NotAdmitted, "not_admitted", 403, false, "Your admission to this event is missing or has ended."),
    row(Code::InvalidQuantity, "invalid_quantity", 422, false, "The quantity is not allowed."),
    row(Code::UnknownTicketType, "unknown_ticket_type", 422, false, "The event has no such ticket type."),
    row(Code::UnknownSeat, "unknown_seat", 422, false, "The event has no such seat."),
    row(Code::SoldBySeat, "sold_by_seat", 422, false, "This ticket type is sold by seat."),
    row(Code::DuplicateSeat, "duplicate_seat", 422, false, "A seat is named twice."),
    row(Code::SoldOut, "sold_out", 409, true, "Not enough is left."),
    row(Code::SeatTaken, "seat_taken", 409, true, "A seat is taken."),
    row(Code::NoSuchSeats, "no_such_seats", 409, true, "No such seats are left."),
    row(Code::OrphanSeat, "orphan_seat", 409, false, "This would leave a single seat between taken ones."),
    row(Code::FanLimit, "fan_limit", 409, false, "You may not hold or buy more tickets for this event."),
    row(Code::EventChanged, "event_changed", 409, false, "The event has changed since you looked."),
    row(Code::HoldEnded, "hold_ended", 409, false, "The hold has ended."),
    row(Code::AlreadyExtended, "already_extended", 409, false, "The hold has been extended already."),
    row(Code::StaleVersion, "stale_version", 409, false, "The event has a newer version: read it again."),
    row(Code::BelowTaken, "below_taken", 409, false, "Stock cannot go below what is held and sold."),
    row(Code::InvalidEvent, "invalid_event", 422, false, "The event's description is not valid."),
    row(Code::InvalidTransition, "invalid_transition", 409, false, "This step is not allowed in the present state."),
    row(Code::EventHasOrders, "event_has_orders", 409, false, "The event has holds or orders: cancel it instead."),
    row(Code::QueueFull, "queue_full", 503, true, "The waiting room holds as many as it can."),
    row(Code::NotInQueue, "not_in_queue", 409, false, "You have no place in this queue."),
    row(Code::OrderState, "order_state", 409, false, "The order's state does not allow this."),
    row(Code::InvalidSignature, "invalid_signature", 401, false, "The message's signature is not valid."),
    row(Code::OutcomeUnknown, "outcome_unknown", 503, true, "It may have happened: repeat with the same key."),
    row(Code::Overloaded, "overloaded", 503, true, "Too much to do; nothing was done. Try again soon."),
    row(Code::EventUnavailable, "event_unavailable", 503, true, "The event is starting or moving; try again soon."),
    row(Code::OrdersLagging, "orders_lagging", 503, true, "Orders lag behind; new holds are not taken now."),
    row(Code::StoreUnavailable, "store_unavailable", 503, true, "A store cannot be reached; nothing was done."),
    row(Code::ReadOnly, "read_only", 503, true, "The store takes no writes now; nothing was done."),
    row(Code::RequestTimeout, "request_timeout", 503, true, "It took too long and may have happened: repeat it."),
    row(Code::ShuttingDown, "shutting_down", 503, true, "The server is going down; try another one."),
    row(Code::Internal, "internal", 500, true, "Something went wrong here; it has been logged."),
];

impl Code {
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// An error as the client gets it. Turned into a body by [`super::edge`], which knows the request id.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: Option<Cow<'static, str>>,
    retry_after_s: Option<u32>,
    rate: Option<Left>,
    more: Map<String, Value>,
}

impl Problem {
    pub fn new(code: Code) -> Self {
        let row = code.row();
        // A client that is told to come back is told when; who knows better says so.
        let retry_after_s = (row.retryable && matches!(row.status, 429 | 503)).then_some(1);
        Self(Box::new(Inner { code, detail: None, retry_after_s, rate: None, more: Map::new() }))
    }

    /// For people; never a source's text.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The rate that this request was counted in.
    pub fn rate(mut self, left: Left) -> Self {
        self.0.rate = Some(left);
        self
    }

    /// A further member of the body, such as the version that the event has now.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body, naming the request.
    pub fn body(&self, request_id: &str) -> Value {
        let row = self.0.code.row();
        let mut body = self.0.more.clone();
        body.insert("type".into(), format!("urn:onsale:error:{}", row.name).into());
        body.insert("title".into(), row.title.into());
        body.insert("status".into(), row.status.into());
        body.insert("code".into(), row.name.into());
        body.insert("detail".into(), self.0.detail.as_deref().unwrap_or(row.title).into());
        body.insert("request_id".into(), request_id.into());
        body.insert("retryable".into(), row.retryable.into());
        Value::Object(body)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(left) = &self.0.rate {
            left.write(response.headers_mut());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        let problem = match refusal {
            Refusal::NotOnSale => Self::new(Code::NotOnSale),
            Refusal::NotAdmitted => Self::new(Code::NotAdmitted),
            Refusal::Quantity { max } => Self::new(Code::InvalidQuantity).with("max", max),
            Refusal::UnknownTicketType(code) => Self::new(Code::UnknownTicketType).with("ticket_type", code.as_str()),
            Refusal::UnknownSeat(seat) => Self::new(Code::UnknownSeat).with("seat", seat.as_str()),
            Refusal::SoldBySeat(code) => Self::new(Code::SoldBySeat).with("ticket_type", code.as_str()),
            Refusal::SeatTwice(seat) => Self::new(Code::DuplicateSeat).with("seat", seat.as_str()),
            Refusal::SoldOut { ticket_type, left } => {
                Self::new(Code::SoldOut).with("ticket_type", ticket_type.as_str()).with("left", left)
            }
            Refusal::SeatTaken(seat) => Self::new(Code::SeatTaken).with("seat", seat.as_str()),
            Refusal::NoSuchSeats { quantity } => Self::new(Code::NoSuchSeats).with("quantity", quantity),
            Refusal::Orphan(seat) => Self::new(Code::OrphanSeat).with("seat", seat.as_str()),
            Refusal::FanLimit { allowed } => Self::new(Code::FanLimit).with("allowed", allowed),
            Refusal::EventChanged { version } => Self::new(Code::EventChanged).with("version", version),
            // The same answer as for another fan's order.
            Refusal::UnknownOrder => return Self::new(Code::NotFound),
            Refusal::HoldEnded { state } => Self::new(Code::HoldEnded).with("state", hold_state(state)),
            Refusal::NotSold { state } => Self::new(Code::OrderState).with("state", hold_state(state)),
            Refusal::AlreadyExtended => Self::new(Code::AlreadyExtended),
            Refusal::KeyReused => Self::new(Code::IdempotencyKeyReused),
            Refusal::StaleVersion { version } => Self::new(Code::StaleVersion).with("version", version),
            Refusal::BelowTaken { code, taken } => {
                Self::new(Code::BelowTaken).with("object", code.as_str()).with("taken", taken)
            }
            Refusal::InvalidConfiguration(_) => Self::new(Code::InvalidEvent),
            Refusal::Transition { .. } => Self::new(Code::InvalidTransition),
            Refusal::OrdersLagging => Self::new(Code::OrdersLagging),
        };
        problem.detail(text)
    }
}

pub fn hold_state(state: HoldState) -> &'static str {
    match state {
        HoldState::Held => "held",
        HoldState::Released => "released",
        HoldState::Expired => "expired",
        HoldState::Sold => "sold",
        HoldState::Voided => "voided",
        HoldState::Refused => "refused",
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Overloaded | AskError::TooLate => Self::new(Code::Overloaded),
            AskError::Unknown => Self::new(Code::OutcomeUnknown),
            AskError::Unavailable => Self::new(Code::EventUnavailable),
        }
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        Self::new(match error {
            WaitError::Overloaded => Code::Overloaded,
            WaitError::TryAgain => Code::OutcomeUnknown,
            WaitError::Unavailable => Code::EventUnavailable,
        })
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        Self::new(match error {
            DirectoryError::UnknownEvent => Code::NotFound,
            DirectoryError::Unavailable => Code::EventUnavailable,
        })
    }
}

/// Logs it: this is where a store's error ends. A conflict that means something to the caller is matched before this.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Code::StoreUnavailable,
            StoreError::Unknown(_) => Code::OutcomeUnknown,
            StoreError::Corrupt(_) => Code::Internal,
            StoreError::ReadOnly(_) => Code::ReadOnly,
        };
        tracing::error!(error = &error as &dyn std::error::Error, code = code.row().name, "store failed");
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_finds_its_own_row_and_has_a_name_of_its_own() {
        let mut names = std::collections::HashSet::new();
        for row in &TABLE {
            assert_eq!(row.code.row().name, row.name);
            assert!(names.insert(row.name), "{} twice", row.name);
            assert!(StatusCode::from_u16(row.status).is_ok_and(|status| !status.is_success()));
        }
    }

    #[test]
    fn a_body_names_code_status_and_request() {
        let body = Problem::new(Code::SoldOut).with("left", 2).body("r-1");
        assert_eq!(body["code"], "sold_out");
        assert_eq!(body["status"], 409);
        assert_eq!(body["request_id"], "r-1");
        assert_eq!(body["left"], 2);
        assert_eq!(body["retryable"], true);
    }
}
