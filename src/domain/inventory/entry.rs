//! Journal entries and their bytes.
//!
//! A segment is what one commit writes: `version u8 = 6 | postcard(Segment) | CRC-32 (little endian) of all before`.
//! A new kind of entry is a new variant at the end of [`Entry`]; a changed one raises the version. What cannot be read is
//! an error, never skipped: a node that does not understand an event must not run it.

use serde::{Deserialize, Serialize};

use super::{
    codes::CodeTerms,
    configuration::{Configuration, Seat},
    request::{AdmissionEnd, ConfirmRefusal, Identity, Line},
    sealed::{open, seal},
    waitlist::{WaitEnd, Wish},
};
use crate::domain::{
    code::Code,
    draw::Digest,
    id::{FanId, InviteId, OrderId, PaymentId},
    price::{Breakdown, Parts},
    queue::{Class, Place},
    time::EventTime,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From 1, without gaps.
    pub seq: u64,
    pub epoch: u64,
    /// Event time of every entry in it.
    pub at: EventTime,
    /// Random: tells this batch from any other that could have the same content.
    pub tag: u64,
    pub entries: Vec<Entry>,
}

/// What has been decided: past tense. Seats and ticket types stand as indices, which never change within an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The first entry of each epoch. `term` counts activations.
    Activated {
        term: u32,
    },
    /// Seats of the configuration that comes next, in parts, so that a large plan needs no large commit.
    SeatsStaged {
        version: u32,
        seats: Vec<Seat>,
    },
    /// `configuration.seats` is empty here.
    Configured {
        configuration: Box<Configuration>,
        seats: SeatPlan,
        identity: Option<Identity>,
    },
    Admitted {
        place: Place,
        fan: FanId,
        claim_by: Option<EventTime>,
        until: EventTime,
    },
    Claimed {
        place: Place,
        until: EventTime,
    },
    AdmissionEnded {
        place: Place,
        why: AdmissionEnd,
    },
    Held {
        order: OrderId,
        fan: FanId,
        admission: Place,
        lines: Vec<EntryLine>,
        expires_at: EventTime,
        /// Seats that this left single.
        orphans: Vec<u32>,
        identity: Option<Identity>,
    },
    Extended {
        order: OrderId,
        expires_at: EventTime,
        identity: Option<Identity>,
    },
    Released {
        order: OrderId,
        identity: Option<Identity>,
    },
    Expired {
        order: OrderId,
    },
    /// `taken_again` carries the lines where the hold had lapsed: those of the hold, or other seats in their place.
    Confirmed {
        order: OrderId,
        payment: PaymentId,
        fan: FanId,
        taken_again: Option<Vec<EntryLine>>,
    },
    ConfirmRefused {
        order: OrderId,
        payment: PaymentId,
        fan: FanId,
        lines: Vec<Line>,
        why: ConfirmRefusal,
    },
    Voided {
        order: OrderId,
    },
    AdmissionExtended {
        place: Place,
        until: EventTime,
    },
    /// Before anybody can enter. `beacon_name` says which public value will count, once the entries are closed.
    DrawCommitted {
        commitment: Digest,
        beacon_name: Option<String>,
    },
    /// Who takes part, in parts, in the order of their entries.
    DrawStaged {
        fans: Vec<FanId>,
    },
    /// Those staged since the last activation, and nobody else. `last` is the last place of one of them.
    DrawClosed {
        root: Digest,
        count: u32,
        last: Place,
    },
    DrawBeacon {
        value: String,
    },
    /// The order follows from everything above.
    DrawRevealed {
        seed: Digest,
    },
    /// Who of these joins the queue from now on is in this class.
    Classified {
        fans: Vec<FanId>,
        class: Class,
    },
    /// By hand. Written before it is done.
    QueueMoved {
        fan: FanId,
        from: Place,
        to: Place,
    },
    /// It is this fan's from now on.
    InviteUsed {
        invite: InviteId,
        fan: FanId,
    },
    /// Whether they were used or not.
    InvitesWithdrawn {
        invites: Vec<InviteId>,
    },
    /// A part of a sold order is free again.
    Reduced {
        order: OrderId,
        back: Vec<EntryLine>,
    },
    /// The hold lasts longer, for its payment is under way.
    PaymentAwaited {
        order: OrderId,
        expires_at: EventTime,
    },
    /// A sold order has one more seat; or only one more move to a seat that it has: then the line is of none.
    SeatAdded {
        order: OrderId,
        number: u32,
        line: EntryLine,
    },
    /// Of any of these types; `order` is what an offer will be.
    WaitlistJoined {
        order: OrderId,
        fan: FanId,
        ticket_types: Vec<u16>,
        wish: Wish,
    },
    WaitlistLeft {
        fan: FanId,
        why: WaitEnd,
    },
    /// What is free is not enough for the first, and kept for more to become free; then it goes to whom it is enough for.
    StockKept {
        ticket_type: u16,
        until: EventTime,
    },
    /// What is free is enough for nobody who waits: it is for sale.
    StockSpared {
        ticket_type: u16,
    },
    /// A hold that the inventory itself makes, for who waits. It has no admission.
    Offered {
        order: OrderId,
        fan: FanId,
        lines: Vec<EntryLine>,
        expires_at: EventTime,
    },
    /// The sale is over: nobody waits any more.
    WaitlistCleared,
    /// Numbered from where those before end.
    CodesMade {
        terms: Box<CodeTerms>,
        codes: Vec<Code>,
    },
    CodesWithdrawn {
        codes: Vec<u32>,
    },
    /// Every part of the stock whose time was until then can be had.
    StockReleased {
        until: EventTime,
    },
}

/// Where a new configuration's seats stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatPlan {
    /// As they were: a change of price or rate does not repeat a large plan.
    Unchanged,
    /// In the `SeatsStaged` entries since the last configuration.
    Staged,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryLine {
    pub ticket_type: u16,
    pub quantity: u32,
    pub unit_price_minor: i64,
    pub seats: Vec<u32>,
    /// As in [`Line::breakdown`].
    pub breakdown: Option<Box<Breakdown>>,
}

impl EntryLine {
    pub(super) fn each(&self) -> Parts {
        self.breakdown.as_ref().map_or(Parts::face(self.unit_price_minor), |breakdown| breakdown.each)
    }

    pub(super) fn rate(&self) -> Option<&Code> {
        self.breakdown.as_ref().and_then(|breakdown| breakdown.rate.as_ref())
    }

    /// This much of what the order costs as a whole, beside what it has.
    pub(super) fn carry(&mut self, once: Parts) {
        if once == Parts::default() {
            return;
        }
        let face = Parts::face(self.unit_price_minor);
        let breakdown =
            self.breakdown.get_or_insert_with(|| Box::new(Breakdown { each: face, ..Breakdown::default() }));
        breakdown.once = breakdown.once.plus(once);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("too short")]
    Short,
    #[error("checksum differs")]
    Checksum,
    #[error("written in version {0} of the format, which this version of the program does not read")]
    Version(u8),
    #[error("{0}")]
    Body(String),
}

impl Segment {
    pub const VERSION: u8 = 6;

    pub fn to_bytes(&self) -> Vec<u8> {
        seal(Self::VERSION, self)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        open(Self::VERSION, bytes)
    }
}
