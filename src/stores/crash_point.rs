//! The saga's steps, where a test lets this process die: just before something becomes durable, or just after.
//!
//! Nothing of it is in a release build: `before` and `after` are empty there.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Segments of the journal: a hold, its end unpaid, the decision about a payment, what is left after a refund.
    Held,
    Ended,
    Decided,
    Reduced,
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
}

impl Step {
    /// With their names, in the order of an order's life.
    pub const ALL: [(Self, &'static str); 24] = [
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
        (Self::WebhookStored, "webhook stored"),
        (Self::WebhookDelivered, "webhook delivered"),
        (Self::PaymentRelayed, "payment relayed"),
        (Self::MarkedSent, "payment marked as sent"),
        (Self::Decided, "decision committed"),
        (Self::Settled, "settled by tickets"),
        (Self::ReturnBegun, "settled by a refund"),
        (Self::OutboxDone, "outbox done"),
        (Self::PaymentAcknowledged, "payment acknowledged"),
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
