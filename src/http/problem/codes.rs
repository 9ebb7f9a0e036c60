//! Every code that an error of the edge can have: its status, whether to try again, and what it means.

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
    InvalidSessionKey,
    ProofNeeded,
    InvalidProof,
    TokenExpired,
    WrongCredentials,
    RefreshReused,
    AccountDisabled,
    Forbidden,
    StepUpNeeded,
    OriginNotAllowed,
    EmailTaken,
    InvalidCode,
    EmailNotVerified,
    AlreadyVerified,
    WeakPassword,
    RateLimited,
    PasswordQueueFull,
    IdempotencyKeyMissing,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    RequestRunning,
    NotOnSale,
    NotAdmitted,
    AdmissionInvalid,
    InvalidQuantity,
    UnknownTicketType,
    UnknownSeat,
    UnknownRate,
    SoldBySeat,
    DuplicateSeat,
    SoldOut,
    SeatTaken,
    OtherTicketType,
    NoSuchSeats,
    OrphanSeat,
    FanLimit,
    UnknownCode,
    CodeExists,
    TooManyCodes,
    CodeNotValidNow,
    CodeUsedUp,
    CodeFanLimit,
    CodeNotApplicable,
    CodeRequired,
    EventChanged,
    HoldEnded,
    AlreadyExtended,
    NoExtension,
    StaleVersion,
    BelowTaken,
    InvalidEvent,
    InvalidTransition,
    EventHasOrders,
    QueueFull,
    QueueNotOpen,
    QueueClosed,
    Halted,
    InviteNeeded,
    InvalidInvite,
    InviteUsed,
    TooManyInvites,
    WaitsElsewhere,
    CaptchaRequired,
    CaptchaUnavailable,
    NotInQueue,
    AccountNeeded,
    ChallengeRequired,
    InvalidDeviceKey,
    InvalidQueueTicket,
    DeviceTied,
    DrawState,
    NotForTrials,
    WebsocketExpected,
    RotationRunning,
    TooManyKeys,
    OrderState,
    TicketVoid,
    TicketUsed,
    NotTransferable,
    TransferEnded,
    CodeFixed,
    NoWallet,
    MailNotWritten,
    InvalidSignature,
    PaymentMismatch,
    ProviderUnknown,
    ProviderRefuses,
    ProviderUnavailable,
    UnknownTicket,
    RefundState,
    DeadLetterState,
    NotSoldOut,
    WaitlistClosed,
    WaitlistFull,
    AlreadyWaiting,
    NotWaiting,
    NotReturnable,
    TooManyEndpoints,
    EndpointNotActive,
    TooManyBroadcasts,
    UnknownNode,
    NodeNotUp,
    NoCluster,
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
pub const TABLE: [Row; 121] = [
    row(Code::MalformedJson, "malformed_json", 400, false, "The body is not JSON, or is nested too deeply."),
    row(Code::InvalidBody, "invalid_body", 422, false, "The body does not have the expected fields and values."),
    row(Code::InvalidQuery, "invalid_query", 400, false, "The query string has an unknown or wrong parameter."),
    row(Code::UnsupportedMediaType, "unsupported_media_type", 415, false, "The Content-Type is not accepted here."),
    row(Code::BodyTooLarge, "body_too_large", 413, false, "The body is larger than accepted here."),
    row(Code::NotFound, "not_found", 404, false, "There is no such thing, or it is not yours."),
    row(Code::MethodNotAllowed, "method_not_allowed", 405, false, "The path does not take this method."),
    row(Code::Unauthenticated, "unauthenticated", 401, false, "Sign in first: an access token is needed."),
    row(Code::InvalidToken, "invalid_token", 401, false, "The token is not valid here."),
    row(Code::InvalidSessionKey, "invalid_session_key", 400, false, "This is no thumbprint of a key."),
    row(
        Code::ProofNeeded,
        "proof_needed",
        401,
        false,
        "The admission token is bound to a key: a DPoP proof is needed.",
    ),
    row(Code::InvalidProof, "invalid_proof", 401, false, "The DPoP proof is not good for this request and token."),
    row(Code::TokenExpired, "token_expired", 401, false, "The token has expired, or its session has ended."),
    row(Code::WrongCredentials, "wrong_credentials", 401, false, "The e-mail address or the password is wrong."),
    row(Code::RefreshReused, "refresh_reused", 401, false, "The refresh token was used before: its session has ended."),
    row(Code::AccountDisabled, "account_disabled", 403, false, "The account is disabled."),
    row(Code::Forbidden, "forbidden", 403, false, "Your account may not do this."),
    row(Code::StepUpNeeded, "step_up_needed", 403, false, "Your password is needed once more: POST /auth/step-up."),
    row(Code::OriginNotAllowed, "origin_not_allowed", 403, false, "The page's origin may not do this."),
    row(Code::EmailTaken, "email_taken", 409, false, "An account with this e-mail address exists."),
    row(Code::InvalidCode, "invalid_code", 400, false, "The code is wrong, too old, was used, or was tried too often."),
    row(Code::EmailNotVerified, "email_not_verified", 403, false, "Your e-mail address must be confirmed first."),
    row(Code::AlreadyVerified, "already_verified", 409, false, "Your e-mail address is confirmed already."),
    row(Code::WeakPassword, "weak_password", 422, false, "The password must have 8 to 256 characters."),
    row(Code::RateLimited, "rate_limited", 429, true, "Too many requests; wait as long as Retry-After says."),
    row(Code::PasswordQueueFull, "password_queue_full", 429, true, "Too many sign-ins at once; try again soon."),
    row(Code::IdempotencyKeyMissing, "idempotency_key_missing", 400, false, "An Idempotency-Key header is needed."),
    row(Code::IdempotencyKeyInvalid, "idempotency_key_invalid", 400, false, "The Idempotency-Key is not valid."),
    row(Code::IdempotencyKeyReused, "idempotency_key_reused", 422, false, "The key was used for another request."),
    row(Code::RequestRunning, "request_running", 409, true, "The request with this key is still running."),
    row(Code::NotOnSale, "not_on_sale", 409, false, "The event is not on sale."),
    row(Code::NotAdmitted, "not_admitted", 403, false, "Your admission to this event is missing or has ended."),
    row(
        Code::AdmissionInvalid,
        "admission_invalid",
        403,
        false,
        "The admission token is not valid here, or has expired.",
    ),
    row(Code::InvalidQuantity, "invalid_quantity", 422, false, "The quantity is not allowed."),
    row(Code::UnknownTicketType, "unknown_ticket_type", 422, false, "The event has no such ticket type."),
    row(Code::UnknownSeat, "unknown_seat", 422, false, "The event has no such seat."),
    row(Code::UnknownRate, "unknown_rate", 422, false, "The ticket type has no such rate."),
    row(Code::SoldBySeat, "sold_by_seat", 422, false, "This ticket type is sold by seat."),
    row(Code::DuplicateSeat, "duplicate_seat", 422, false, "A seat is named twice."),
    row(Code::SoldOut, "sold_out", 409, true, "Not enough is left."),
    row(Code::SeatTaken, "seat_taken", 409, true, "A seat is taken."),
    row(Code::OtherTicketType, "other_ticket_type", 409, false, "The seat is of another ticket type."),
    row(Code::NoSuchSeats, "no_such_seats", 409, true, "No such seats are left."),
    row(Code::OrphanSeat, "orphan_seat", 409, false, "This would leave a single seat between taken ones."),
    row(Code::FanLimit, "fan_limit", 409, false, "You may not hold or buy more tickets for this event."),
    row(Code::UnknownCode, "unknown_code", 422, false, "There is no such code, or it was withdrawn."),
    row(Code::CodeExists, "code_exists", 409, false, "The event has such a code already."),
    row(Code::TooManyCodes, "too_many_codes", 409, false, "The event has as many codes as can be."),
    row(Code::CodeNotValidNow, "code_not_valid_now", 409, false, "The code is not valid yet, or any more."),
    row(
        Code::CodeUsedUp,
        "code_used_up",
        409,
        false,
        "No so many tickets can be had by this code any more; see `left`.",
    ),
    row(Code::CodeFanLimit, "code_fan_limit", 409, false, "You may not have so many tickets by this code; see `left`."),
    row(Code::CodeNotApplicable, "code_not_applicable", 422, false, "The code is for other ticket types."),
    row(
        Code::CodeRequired,
        "code_required",
        403,
        false,
        "Only who has a code can have this ticket type, or before `opens_at`.",
    ),
    row(Code::EventChanged, "event_changed", 409, false, "The event has changed since you looked."),
    row(Code::HoldEnded, "hold_ended", 409, false, "The hold has ended."),
    row(Code::AlreadyExtended, "already_extended", 409, false, "The hold has been extended already."),
    row(Code::NoExtension, "no_extension", 409, false, "Admissions to this event are not extended."),
    row(Code::StaleVersion, "stale_version", 409, false, "The event has a newer version: read it again."),
    row(Code::BelowTaken, "below_taken", 409, false, "Stock cannot go below what is held and sold."),
    row(Code::InvalidEvent, "invalid_event", 422, false, "The event's description is not valid."),
    row(Code::InvalidTransition, "invalid_transition", 409, false, "This step is not allowed in the present state."),
    row(Code::EventHasOrders, "event_has_orders", 409, false, "The event has holds or orders: cancel it instead."),
    row(Code::QueueFull, "queue_full", 503, true, "The waiting room holds as many as it can."),
    row(Code::QueueNotOpen, "queue_not_open", 409, true, "The queue cannot be joined yet; `opens_at` says when."),
    row(Code::QueueClosed, "queue_closed", 409, false, "The queue takes nobody new."),
    row(Code::Halted, "halted", 503, true, "The sale is halted for now; places, holds and orders are kept."),
    row(Code::InviteNeeded, "invite_needed", 403, false, "Only who is invited gets a place in this queue."),
    row(Code::InvalidInvite, "invalid_invite", 400, false, "This is no invite to this event, or not any more."),
    row(Code::InviteUsed, "invite_used", 403, false, "The invite is another person's: it was used."),
    row(Code::TooManyInvites, "too_many_invites", 409, false, "As many invites were used as can be."),
    row(
        Code::WaitsElsewhere,
        "waits_elsewhere",
        409,
        false,
        "You wait for another `event` of the organizer: leave that.",
    ),
    row(Code::CaptchaRequired, "captcha_required", 403, true, "A captcha is asked: solve it, and come again."),
    row(Code::CaptchaUnavailable, "captcha_unavailable", 503, true, "Captchas cannot be checked now; try again soon."),
    row(Code::NotInQueue, "not_in_queue", 409, false, "You have no place in this queue."),
    row(Code::AccountNeeded, "account_needed", 403, false, "Whoever takes part in a draw is signed in."),
    row(
        Code::ChallengeRequired,
        "challenge_required",
        403,
        true,
        "A proof of work is asked: solve `challenge` with `bits`, and come again.",
    ),
    row(Code::InvalidDeviceKey, "invalid_device_key", 400, false, "This is no key of a device, or too old."),
    row(
        Code::InvalidQueueTicket,
        "invalid_queue_ticket",
        400,
        false,
        "This is no queue ticket of this event, or too old. Without one, the fan stands at the end.",
    ),
    row(Code::DeviceTied, "device_tied", 409, false, "The device is tied to an account: its person goes on by that."),
    row(Code::DrawState, "draw_state", 409, false, "The draw is not at the step where this can be done."),
    row(Code::NotForTrials, "not_for_trials", 409, false, "Only an installation for trials makes up fans."),
    row(Code::WebsocketExpected, "websocket_expected", 426, false, "This path is opened as a WebSocket, version 13."),
    row(Code::RotationRunning, "rotation_running", 409, true, "A new generation of keys does not sign yet."),
    row(Code::TooManyKeys, "too_many_keys", 409, false, "There are as many generations of keys as there may be."),
    row(Code::OrderState, "order_state", 409, false, "The order's state does not allow this."),
    row(Code::TicketVoid, "ticket_void", 409, false, "The ticket is void: it lets nobody in."),
    row(Code::TicketUsed, "ticket_used", 409, false, "Somebody came in with the ticket."),
    row(Code::NotTransferable, "not_transferable", 409, false, "Tickets to this event stay with who bought them."),
    row(Code::TransferEnded, "transfer_ended", 409, false, "The code was withdrawn, used or is too old."),
    row(Code::CodeFixed, "code_fixed", 409, false, "The codes of this event do not change."),
    row(Code::NoWallet, "no_wallet", 409, false, "No passes for this wallet are made here, or not of this ticket."),
    row(
        Code::MailNotWritten,
        "mail_not_written",
        409,
        false,
        "The mail cannot be written: what it would say is not there.",
    ),
    row(Code::InvalidSignature, "invalid_signature", 401, false, "The message's signature is not valid."),
    row(Code::PaymentMismatch, "payment_mismatch", 400, false, "The message does not fit the payment that it names."),
    row(Code::ProviderUnknown, "provider_unknown", 422, false, "There is no such payment provider here."),
    row(Code::ProviderRefuses, "provider_refuses", 422, false, "The payment provider does not take this payment."),
    row(
        Code::ProviderUnavailable,
        "provider_unavailable",
        503,
        true,
        "The payment provider does not answer; the hold stays. Try again, or another provider.",
    ),
    row(Code::UnknownTicket, "unknown_ticket", 422, false, "The order has no such ticket, or it was revoked."),
    row(Code::RefundState, "refund_state", 409, false, "The refund's state does not allow this."),
    row(Code::DeadLetterState, "dead_letter_state", 409, false, "The dead letter's state does not allow this."),
    row(Code::NotSoldOut, "not_sold_out", 409, false, "This can be had now: hold it, without waiting."),
    row(Code::WaitlistClosed, "waitlist_closed", 409, false, "The waiting list takes nobody new."),
    row(Code::WaitlistFull, "waitlist_full", 409, true, "As many wait as can."),
    row(
        Code::AlreadyWaiting,
        "already_waiting",
        409,
        false,
        "You wait with another wish, or have an offer: leave or settle that first.",
    ),
    row(Code::NotWaiting, "not_waiting", 404, false, "You do not wait, and nothing was offered to you."),
    row(Code::NotReturnable, "not_returnable", 409, false, "The ticket cannot be given back; `why` says more."),
    row(Code::TooManyEndpoints, "too_many_endpoints", 409, false, "There are as many webhook endpoints as may be."),
    row(Code::EndpointNotActive, "endpoint_not_active", 409, false, "The webhook endpoint is paused, or gone."),
    row(
        Code::TooManyBroadcasts,
        "too_many_broadcasts",
        429,
        true,
        "As many broadcasts went to this event today as may be.",
    ),
    row(Code::UnknownNode, "unknown_node", 404, false, "There is no such node."),
    row(Code::NodeNotUp, "node_not_up", 409, true, "The node cannot take an event now: it is not up, or is drained."),
    row(Code::NoCluster, "no_cluster", 409, false, "This node is alone: there is no cluster to be operated."),
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

/// `docs/errors.md`: a test holds the page to the table.
pub fn as_page() -> String {
    let rows = TABLE.iter().map(|row| {
        let again = if row.retryable { "yes" } else { "no" };
        format!("| `{}` | {} | {again} | {} |\n", row.name, row.status, row.title)
    });
    "# Errors\n\n\
     Every error is an RFC 9457 problem (`application/problem+json`): `type`, `title`, `status`, `code`, `detail`,\n\
     `request_id`, `retryable`, and what the code adds, such as `left` or `version`. Branch on `code`: it is stable. `detail`\n\
     is for people. \"Again\": the same request, unchanged and with the same `Idempotency-Key`, may succeed later; a 429 or\n\
     503 says in `Retry-After` when.\n\n\
     | code | status | again | meaning |\n|---|---|---|---|\n"
        .to_owned()
        + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

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
    fn the_page_of_errors_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
        if std::env::var_os("ONSALE_TEST_WRITE_DOCS").is_some() {
            std::fs::write(path, as_page()).expect("written");
        }
        let page = std::fs::read_to_string(path).expect("docs/errors.md");
        assert_eq!(page, as_page(), "run this test with ONSALE_TEST_WRITE_DOCS=1 and look at the difference");
    }
}
