//! The saga's steps, where a test lets this process die: just before something becomes durable, or just after.
//!
//! Nothing of it is in a release build: `before` and `after` are empty there.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Segments of the journal: a hold, its end unpaid, its longer life while its payment is under way; the decision about a payment:
    /// sold, sold after the hold had lapsed, or not; what is left after a refund or a move, the second seat of a ticket that moves, a
    /// place in the waiting list.
    Held,
    Ended,
    Awaited,
    Decided,
    TakenAgain,
    Refused,
    Reduced,
    SeatAdded,
    WaitlistJoined,
    FactsPublished,
    CursorMoved,
    FactsTakenIn,
    FactsAcknowledged,
    OrderEnsured,
    PaymentOpened,
    CheckedOut,
    /// In the sandbox provider's books.
    Captured,
    WebhookStored,
    WebhookDelivered,
    PaymentRelayed,
    MarkedSent,
    /// A part of the card's limit is the order's; and is not any more.
    InstrumentClaimed,
    InstrumentFreed,
    Settled,
    /// The inventory has refused: the refund is begun.
    ReturnBegun,
    OutboxDone,
    PaymentAcknowledged,
    RefundBegun,
    /// In the sandbox provider's books.
    GivenBack,
    RefundDone,
    StockBack,
    /// A ticket moves to another seat: what is to be done about it is written, and done.
    MoveBegun,
    MoveDone,
    /// A code for who is to have the ticket.
    TransferOpened,
    /// Another ticket is in a ticket's place: with another seat, fan, name or code.
    TicketReplaced,
    /// To who waits.
    OfferedBack,
    /// What a fan is told, with its mail.
    MessageWritten,
    MailTaken,
    MailSent,
    MailRecorded,
    /// Webhooks of ours.
    HookNoted,
    HookTaken,
    HookSent,
    HookRecorded,
}

impl Step {
    /// With their names, in the order of an order's life.
    pub const ALL: [(Self, &'static str); 44] = [
        (Self::Held, "hold committed"),
        (Self::Ended, "end of hold committed"),
        (Self::FactsPublished, "facts published"),
        (Self::CursorMoved, "published cursor moved"),
        (Self::FactsTakenIn, "facts into orders' rows"),
        (Self::FactsAcknowledged, "facts acknowledged"),
        (Self::OrderEnsured, "checkout: order's row"),
        (Self::PaymentOpened, "checkout: payment's row"),
        (Self::CheckedOut, "checkout: session and answer"),
        (Self::Captured, "captured at the provider"),
        (Self::Awaited, "longer hold committed"),
        (Self::WebhookStored, "webhook stored"),
        (Self::WebhookDelivered, "webhook delivered"),
        (Self::PaymentRelayed, "payment relayed"),
        (Self::MarkedSent, "payment marked as sent"),
        (Self::InstrumentClaimed, "card's limit claimed"),
        (Self::Decided, "decision committed"),
        (Self::TakenAgain, "late sale committed"),
        (Self::Refused, "refusal committed"),
        (Self::Settled, "settled by tickets"),
        (Self::InstrumentFreed, "card's limit freed"),
        (Self::ReturnBegun, "settled by a refund"),
        (Self::OutboxDone, "outbox done"),
        (Self::PaymentAcknowledged, "payment acknowledged"),
        (Self::MessageWritten, "message written"),
        (Self::MailTaken, "mail taken"),
        (Self::MailSent, "mail sent"),
        (Self::MailRecorded, "mail recorded"),
        (Self::HookNoted, "webhook to others noted"),
        (Self::HookTaken, "webhook to others taken"),
        (Self::HookSent, "webhook to others sent"),
        (Self::HookRecorded, "webhook to others recorded"),
        (Self::TransferOpened, "transfer opened"),
        (Self::TicketReplaced, "ticket replaced"),
        (Self::MoveBegun, "move to a seat begun"),
        (Self::SeatAdded, "second seat committed"),
        (Self::MoveDone, "move to a seat done"),
        (Self::WaitlistJoined, "place in list committed"),
        (Self::OfferedBack, "ticket offered back"),
        (Self::RefundBegun, "refund begun"),
        (Self::GivenBack, "given back at the provider"),
        (Self::RefundDone, "refund done"),
        (Self::Reduced, "reduction committed"),
        (Self::StockBack, "stock back"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, name)| name)
    }
}

pub fn before(step: impl Into<Option<Step>>) {
    reached(step.into(), Side::Before);
}

pub fn after(step: impl Into<Option<Step>>) {
    reached(step.into(), Side::After);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Before,
    After,
}

#[cfg(not(debug_assertions))]
fn reached(_: Option<Step>, _: Side) {}

#[cfg(debug_assertions)]
use armed::reached;
#[cfg(debug_assertions)]
pub use armed::{VARIABLE, value};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;

    use super::{Side, Step};

    /// In the environment: where this process dies.
    pub const VARIABLE: &str = "ONSALE_TEST_CRASH_AT";

    pub fn value(step: Step, side: Side) -> String {
        format!("{} {side:?}", step.name())
    }

    pub(super) fn reached(step: Option<Step>, side: Side) {
        static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());
        if let (Some(step), Some(armed)) = (step, ARMED.as_ref())
            && *armed == value(step, side)
        {
            std::process::abort();
        }
    }
}
