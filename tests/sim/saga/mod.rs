//! The saga's steps by name, and what can happen to each: enumerated, beside what the swarm does at random.
//!
//! A script lets one order go one walk and strikes once: one step, the n-th time that it is come to, one harm. The machines and
//! stores are those of the swarm, and so are the checks.

mod carry;
mod coverage;
mod walk;

use std::collections::BTreeMap;

use onsale::domain::inventory::entry::{Entry, Segment};

pub use self::{
    carry::Carried,
    walk::{Act, Walk},
};
use crate::world::World;

/// Whatever makes something durable, or tells somebody of it, on the way from a hold to tickets in the mail or to the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Segments of the journal: the hold, its end unpaid, its longer life while its payment is under way; the decision about a
    /// payment: sold, sold after the hold had lapsed, or not; what is left after a refund or a move, the second seat of a ticket
    /// that moves, a place in the waiting list, what is offered to who waits.
    Held,
    Ended,
    Awaited,
    Decided,
    TakenAgain,
    Refused,
    Reduced,
    SeatAdded,
    WaitlistJoined,
    Offered,
    FactsPublished,
    CursorMoved,
    FactTakenIn,
    FactAcknowledged,
    /// Checkout: the order's row, the payment's, the provider's session, and the answer.
    OrderEnsured,
    PaymentOpened,
    SessionOpened,
    CheckedOut,
    /// The fan has decided at the provider.
    Captured,
    /// The money is under way.
    AwaitAsked,
    WebhookSent,
    WebhookStored,
    PaymentRelayed,
    MarkedSent,
    /// Between its confirm and its acknowledgement.
    KeptByBus,
    /// A part of the card's limit is the order's; and is not any more.
    InstrumentClaimed,
    InstrumentFreed,
    ConfirmAsked,
    /// Order, tickets and books;
    Settled,
    /// or the refund begun.
    ReturnBegun,
    OutboxDone,
    PaymentAcknowledged,
    /// The tickets' mail: one sender has it, it goes out, and what became of it is known.
    MailTaken,
    MailSent,
    MailRecorded,
    /// By an organizer.
    RefundBegun,
    RefundAsked,
    RefundDone,
    RestockAsked,
    StockBack,
    /// A ticket moves to another seat: what is to be done about it is written, and done; or it does not get there.
    MoveBegun,
    SeatAsked,
    TicketReplaced,
    MoveGivenUp,
    KeepAsked,
    MoveDone,
    /// To who waits; and somebody takes it.
    OfferedBack,
    TakersAsked,
    TakenBack,
}

/// What a step is made of: that says what can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only one is under way, and it is sent again until it is known what became of it.
    Append,
    Transaction,
    /// Others can overtake it.
    Message,
    /// The next one begins when this one is answered.
    Call,
    Acknowledgement,
    /// Of the provider's own: it does not die with us.
    Foreign,
    Keeping,
}

/// How a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The node dies.
    CrashBefore,
    CrashAfter,
    Twice,
    /// A copy comes seconds later.
    Duplicated,
    Delayed,
    /// It waits until another one has been taken in.
    Reordered,
    /// Nothing is done, and whoever wanted it tries again.
    Lost,
    /// Done, and whoever wanted it does not hear: the provider that times out after the capture.
    Unheard,
}

impl Harm {
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::CrashBefore, "crash before"),
        (Self::CrashAfter, "crash after"),
        (Self::Twice, "twice"),
        (Self::Duplicated, "duplicated"),
        (Self::Delayed, "delayed"),
        (Self::Reordered, "reordered"),
        (Self::Lost, "lost"),
        (Self::Unheard, "unheard"),
    ];
}

impl Step {
    const ALL: [(Self, &'static str, Kind); 49] = [
        (Self::Held, "hold committed", Kind::Append),
        (Self::FactsPublished, "facts published", Kind::Message),
        (Self::CursorMoved, "published cursor moved", Kind::Call),
        (Self::FactTakenIn, "fact into the order's row", Kind::Transaction),
        (Self::FactAcknowledged, "fact acknowledged", Kind::Acknowledgement),
        (Self::OrderEnsured, "checkout: order's row", Kind::Transaction),
        (Self::PaymentOpened, "checkout: payment's row", Kind::Transaction),
        (Self::SessionOpened, "checkout: provider's session", Kind::Call),
        (Self::CheckedOut, "checkout: answer", Kind::Transaction),
        (Self::Captured, "captured or declined", Kind::Call),
        (Self::AwaitAsked, "longer hold asked for", Kind::Call),
        (Self::Awaited, "longer hold committed", Kind::Append),
        (Self::WebhookSent, "webhook sent", Kind::Foreign),
        (Self::WebhookStored, "webhook stored", Kind::Transaction),
        (Self::PaymentRelayed, "payment relayed", Kind::Message),
        (Self::MarkedSent, "payment marked as sent", Kind::Transaction),
        (Self::KeptByBus, "payment kept by the bus", Kind::Keeping),
        (Self::InstrumentClaimed, "card's limit claimed", Kind::Transaction),
        (Self::ConfirmAsked, "inventory asked", Kind::Call),
        (Self::Decided, "decision committed", Kind::Append),
        (Self::TakenAgain, "late sale committed", Kind::Append),
        (Self::Refused, "refusal committed", Kind::Append),
        (Self::Settled, "settled by tickets", Kind::Transaction),
        (Self::InstrumentFreed, "card's limit freed", Kind::Transaction),
        (Self::ReturnBegun, "settled by a refund", Kind::Transaction),
        (Self::OutboxDone, "outbox done", Kind::Transaction),
        (Self::PaymentAcknowledged, "payment acknowledged", Kind::Acknowledgement),
        (Self::MailTaken, "mail taken", Kind::Transaction),
        (Self::MailSent, "mail sent", Kind::Call),
        (Self::MailRecorded, "mail recorded", Kind::Transaction),
        (Self::Ended, "end of hold committed", Kind::Append),
        (Self::MoveBegun, "move to a seat begun", Kind::Transaction),
        (Self::SeatAsked, "second seat asked for", Kind::Call),
        (Self::SeatAdded, "second seat committed", Kind::Append),
        (Self::TicketReplaced, "ticket replaced", Kind::Transaction),
        (Self::MoveGivenUp, "move to a seat given up", Kind::Transaction),
        (Self::KeepAsked, "inventory told of the move", Kind::Call),
        (Self::MoveDone, "move to a seat done", Kind::Transaction),
        (Self::WaitlistJoined, "place in list committed", Kind::Append),
        (Self::OfferedBack, "ticket offered back", Kind::Transaction),
        (Self::TakersAsked, "takers asked for", Kind::Call),
        (Self::TakenBack, "refund begun by a return", Kind::Transaction),
        (Self::Offered, "offer committed", Kind::Append),
        (Self::RefundBegun, "refund begun by organizer", Kind::Transaction),
        (Self::RefundAsked, "provider asked for refund", Kind::Call),
        (Self::RefundDone, "refund done", Kind::Transaction),
        (Self::RestockAsked, "inventory told what is left", Kind::Call),
        (Self::Reduced, "reduction committed", Kind::Append),
        (Self::StockBack, "stock back", Kind::Transaction),
    ];

    fn kind(self) -> Kind {
        Self::ALL.iter().find(|(step, ..)| *step == self).map_or(Kind::Call, |(.., kind)| *kind)
    }

    fn is_call(self) -> bool {
        self.kind() == Kind::Call
    }

    /// What cannot be is left out: a transaction is no message, so it has no late copy and is not overtaken; of appends and
    /// calls the next begins when this one is answered; an acknowledgement is one delivery's, and whoever gives it hears nothing.
    fn can(self, harm: Harm) -> bool {
        use Harm::{CrashAfter, CrashBefore, Delayed, Duplicated, Lost, Reordered, Twice, Unheard};
        match self.kind() {
            Kind::Append | Kind::Call => harm != Reordered,
            Kind::Transaction => matches!(harm, CrashBefore | CrashAfter | Twice | Lost | Unheard),
            Kind::Message => true,
            Kind::Acknowledgement => matches!(harm, CrashBefore | CrashAfter | Lost),
            Kind::Foreign => matches!(harm, Twice | Duplicated | Delayed | Reordered | Lost),
            Kind::Keeping => harm == Lost,
        }
    }

    /// Of a segment's entries, if it moves an order.
    pub fn of_segment(bytes: &[u8]) -> Option<Self> {
        let segment = Segment::from_bytes(bytes).ok()?;
        // With what has made room for it.
        if segment.entries.iter().any(|entry| matches!(entry, Entry::Offered { .. })) {
            return Some(Self::Offered);
        }
        segment.entries.iter().find_map(|entry| match entry {
            Entry::Held { .. } => Some(Self::Held),
            Entry::Released { .. } | Entry::Expired { .. } => Some(Self::Ended),
            Entry::PaymentAwaited { .. } => Some(Self::Awaited),
            Entry::Confirmed { taken_again: None, .. } => Some(Self::Decided),
            Entry::Confirmed { taken_again: Some(_), .. } => Some(Self::TakenAgain),
            Entry::ConfirmRefused { .. } => Some(Self::Refused),
            Entry::Reduced { .. } | Entry::Voided { .. } => Some(Self::Reduced),
            Entry::SeatAdded { .. } => Some(Self::SeatAdded),
            Entry::WaitlistJoined { .. } => Some(Self::WaitlistJoined),
            _ => None,
        })
    }
}

/// One cell of the table, for one walk.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    pub step: Step,
    /// From 1.
    pub nth: u32,
    pub harm: Harm,
}

pub struct Script {
    pub walk: Walk,
    strike: Option<Strike>,
    /// How often each step was come to.
    met: BTreeMap<Step, u32>,
    struck: bool,
    /// When the world last did something to the walk of its own accord.
    pub stirred_at: u64,
}

impl Script {
    pub fn new(walk: Walk, strike: Option<Strike>) -> Self {
        Self { walk, strike, met: BTreeMap::new(), struck: false, stirred_at: 0 }
    }
}

impl World {
    /// A step is about to be done: what happens to it this time.
    pub fn harm(&mut self, step: Step) -> Option<Harm> {
        let now = self.now;
        let script = self.script.as_mut()?;
        let times = script.met.entry(step).or_default();
        *times += 1;
        let strike = script.strike.filter(|strike| strike.step == step && strike.nth == *times)?;
        script.stirred_at = now;
        // Whether it is overtaken shows later.
        script.struck = strike.harm != Harm::Reordered;
        Some(strike.harm)
    }
}
