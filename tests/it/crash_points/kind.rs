//! The walks, and where a node dies on each of them.

use onsale::stores::crash_point::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two tickets are bought, and one is given back, with its place.
    Refunded,
    /// The event is cancelled when the payment comes.
    Cancelled,
    /// One of two tickets moves to another seat.
    Moved,
    /// One of two tickets is given to another fan.
    HandedOn,
    /// One of two tickets is made anew.
    Reissued,
    /// A card buys what it may, and then one more.
    Limited,
    /// A ticket goes back to who waits for one.
    Returned,
    /// The payment is under way for some seconds.
    Awaited,
    /// The same, and the hold has ended: a seat of it is another fan's.
    Overtaken,
    /// Mails and webhooks of a sale.
    Told,
}

impl Kind {
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Refunded, "one ticket refunded"),
        (Self::Cancelled, "event cancelled"),
        (Self::Moved, "moved to another seat"),
        (Self::HandedOn, "given to another fan"),
        (Self::Reissued, "made anew"),
        (Self::Limited, "beyond the card's limit"),
        (Self::Returned, "back to who waits"),
        (Self::Awaited, "payment under way"),
        (Self::Overtaken, "late, other seats"),
        (Self::Told, "mails and webhooks"),
    ];

    /// Where a node dies on such a walk, in the order in which it gets there.
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Refunded => &[
                Step::Held,
                Step::Ended,
                Step::FactsPublished,
                Step::CursorMoved,
                Step::FactsTakenIn,
                Step::FactsAcknowledged,
                Step::PaymentOpened,
                Step::CheckedOut,
                Step::Captured,
                Step::WebhookStored,
                Step::WebhookDelivered,
                Step::PaymentRelayed,
                Step::MarkedSent,
                Step::Decided,
                Step::Settled,
                Step::OutboxDone,
                Step::PaymentAcknowledged,
                Step::RefundBegun,
                Step::GivenBack,
                Step::RefundDone,
                Step::Reduced,
                Step::StockBack,
            ],
            Self::Cancelled => &[Step::Refused, Step::ReturnBegun],
            Self::Moved => &[Step::MoveBegun, Step::SeatAdded, Step::TicketReplaced, Step::Reduced, Step::MoveDone],
            Self::HandedOn => &[Step::TransferOpened, Step::TicketReplaced],
            Self::Reissued => &[Step::TicketReplaced],
            Self::Limited => &[Step::InstrumentClaimed, Step::Refused, Step::InstrumentFreed, Step::ReturnBegun],
            // The offer is committed with the reduction, and its message is written with the fact.
            Self::Returned => &[Step::WaitlistJoined, Step::OfferedBack, Step::RefundBegun, Step::Reduced],
            Self::Awaited => &[Step::Awaited],
            Self::Overtaken => &[Step::TakenAgain],
            Self::Told => &[
                Step::HookNoted,
                Step::MessageWritten,
                Step::HookTaken,
                Step::HookSent,
                Step::HookRecorded,
                Step::MailTaken,
                Step::MailSent,
                Step::MailRecorded,
            ],
        }
    }
}
