//! What can be asked of an inventory, and what it answers. Both can cross nodes.

use serde::{Deserialize, Serialize};

pub use super::refusal::Refusal;
use super::{
    codes::CodeTerms,
    configuration::Configuration,
    waitlist::{WaitlistAnswer, WaitlistCommand},
};
use crate::domain::{
    code::{Code, SeatId},
    draw::Digest,
    id::{FanId, InviteId, OrderId, PaymentId},
    money::Currency,
    price::Breakdown,
    queue::{Move, Place},
    time::{EventTime, Millis},
};

/// A command, with the identity under which its outcome is remembered for [`REMEMBERED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub identity: Option<Identity>,
    pub command: Command,
}

/// How long an outcome answers repeats of its request.
pub const REMEMBERED: Millis = Millis::minutes(24 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// First 128 bits of SHA-256 over principal, route and Idempotency-Key.
    pub key: u128,
    /// First 64 bits of SHA-256 over the request's canonical body: another body under the same key is refused.
    pub body: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A new configuration; its version must be the current one plus one.
    Configure(Box<Configuration>),
    /// Admits these places, front first; those that find no slot are left out of the answer.
    Admit(Vec<Admittee>),
    /// A called fan takes up the admission.
    Claim {
        place: Place,
        fan: FanId,
        needs_more_time: bool,
    },
    /// The one extension of a live, claimed admission; again: the same answer.
    ExtendAdmission {
        place: Place,
        fan: FanId,
    },
    /// The admission ends now: finished, left, or revoked.
    EndAdmission {
        place: Place,
        why: AdmissionEnd,
    },
    Hold(Hold),
    Extend {
        fan: FanId,
        order: OrderId,
    },
    Release {
        fan: FanId,
        order: OrderId,
    },
    /// The payment provider has the money: sell what is held, take it again if the hold lapsed, or refuse for good.
    Confirm(Confirm),
    /// Sold stock becomes free: the money went back.
    Void {
        order: OrderId,
    },
    Draw(DrawCommand),
    /// These belong to the queue's class of this code, or to none.
    Classify {
        fans: Vec<FanId>,
        class: Option<Code>,
    },
    /// Fans are about to be moved in the queue, by hand.
    CountMoves(Vec<Move>),
    /// The fan comes with this invite; again: the same answer.
    UseInvite {
        invite: InviteId,
        fan: FanId,
    },
    /// Nobody gets in by these any more.
    WithdrawInvites(Vec<InviteId>),
    /// No more than this is left of a sold order: the rest becomes free, for its money goes back. A repeat of the order's hold is
    /// told what is left.
    Reduce {
        order: OrderId,
        to: Vec<Line>,
    },
    /// As [`Self::Confirm`], but where the very seats are gone the fan takes others of their ticket type.
    ConfirmOrOthers(Confirm),
    /// The provider is having the money taken: the hold lasts `more`, at most [`MOST_AWAITED`], longer; once.
    AwaitPayment {
        order: OrderId,
        fan: FanId,
        more: Millis,
    },
    /// A sold order gets this seat, too, as a place for one of its tickets to move to: the order's move of this number.
    AddSeat {
        order: OrderId,
        number: u32,
        ticket_type: Code,
        /// The ticket's.
        rate: Option<Code>,
        seat: SeatId,
    },
    /// [`Self::Reduce`], as of this move of the order's: `to` knows of no later one.
    Keep {
        order: OrderId,
        number: u32,
        to: Vec<Line>,
    },
    Waitlist(WaitlistCommand),
    /// Codes of one kind.
    MakeCodes {
        terms: Box<CodeTerms>,
        codes: Vec<Code>,
    },
    /// Nobody holds anything by these any more.
    WithdrawCodes(Vec<Code>),
    /// From this number on. Changes nothing.
    ListCodes {
        from: u32,
        limit: u32,
    },
    /// The payment's instrument has bought as many as it may: refuse for good, unless it was decided otherwise before.
    RefuseInstrument(Confirm),
}

/// How much longer a hold can last for a payment under way.
pub const MOST_AWAITED: Millis = Millis::minutes(15);

/// A step of the event's draw. Each can be repeated: what was done first stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrawCommand {
    Commit {
        commitment: Digest,
    },
    /// These take part, in the order of their entries, which have this root; `last` is the last place of one of them.
    Close {
        root: Digest,
        last: Place,
        fans: Vec<FanId>,
    },
    Beacon {
        value: String,
    },
    Reveal {
        seed: Digest,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admittee {
    pub place: Place,
    pub fan: FanId,
    /// Whether the fan is here and so claims at once; otherwise the claim window runs.
    pub present: bool,
    /// Has declared so: claim window and session are [`MORE_TIME`] times as long.
    ///
    /// [`MORE_TIME`]: super::configuration::MORE_TIME
    pub needs_more_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionEnd {
    /// The session's time is up.
    Expired,
    /// The claim window passed.
    Unclaimed,
    /// The fan left, or everything wanted is bought.
    Finished,
    /// An admin took it away.
    Revoked,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Chosen by whoever asks; the first asking's stays for repeats.
    pub order: OrderId,
    pub fan: FanId,
    pub admission: Place,
    pub want: Want,
    /// For seats kept for a channel.
    pub channel: Option<Code>,
    /// The event version that the fan has seen, if told: a newer one refuses.
    pub seen_version: Option<u32>,
    /// For a discount, or for what is not open to everybody.
    pub code: Option<Code>,
    /// Which of it is wanted at other rates than the ticket type's own.
    pub rates: Vec<AtRate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRate {
    pub rate: Code,
    pub which: Which,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// So many of the ticket type.
    Some {
        ticket_type: Code,
        quantity: u32,
    },
    Seat(SeatId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// General admission: how many of which types.
    Quantities(Vec<(Code, u32)>),
    Seats(Vec<SeatId>),
    BestAvailable(BestAvailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestAvailable {
    pub ticket_type: Code,
    /// All seats together, accessible and companion seats included.
    pub quantity: u32,
    pub zone: Option<Code>,
    /// How many of them are accessible seats; companion seats beside them are taken for the others first.
    pub accessible: u32,
    /// Whether one unbroken run is required; otherwise it is preferred.
    pub together: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    pub order: OrderId,
    pub payment: PaymentId,
    pub fan: FanId,
    /// The hold may be long forgotten: these are what was paid for.
    pub lines: Vec<Line>,
}

/// One ticket type of an order at one of its rates, and at its frozen price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub ticket_type: Code,
    pub quantity: u32,
    /// What each ticket costs, all in.
    pub unit_price_minor: i64,
    /// What that is made of, and what the line carries of the order as a whole; `None`: the face value alone, and nothing.
    #[serde(default)]
    pub breakdown: Option<Box<Breakdown>>,
    /// As many as `quantity`, or none for general admission.
    pub seats: Vec<SeatId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Configured {
        version: u32,
    },
    Admitted(Vec<Admission>),
    Claimed(Admission),
    AdmissionExtended(Admission),
    AdmissionEnded,
    /// Of `Hold`, `Extend` and `AwaitPayment`.
    Held(Box<HoldView>),
    Released,
    Confirmed,
    /// For ever: the money must go back.
    ConfirmRefused(ConfirmRefusal),
    Voided,
    /// The step of the draw is done.
    Drawn,
    Classified,
    MovesCounted,
    /// The invite is the fan's.
    Invited,
    InvitesWithdrawn {
        count: u32,
    },
    Reduced,
    /// Of `ConfirmOrOthers`: this is what the fan has.
    ConfirmedAs(Vec<Line>),
    SeatAdded,
    Waitlist(WaitlistAnswer),
    CodesMade,
    CodesWithdrawn {
        count: u32,
    },
    Codes(CodesPage),
}

/// In the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodesPage {
    pub codes: Vec<CodeView>,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeView {
    pub number: u32,
    pub code: Code,
    pub terms: CodeTerms,
    /// Tickets held and sold by it.
    pub uses: u32,
    pub withdrawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    pub place: Place,
    pub fan: FanId,
    /// Called and not yet claimed: until here.
    pub claim_by: Option<EventTime>,
    /// The right to take holds ends here.
    pub until: EventTime,
    /// Whether it has had its one extension.
    pub extended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    pub order: OrderId,
    pub fan: FanId,
    pub state: HoldState,
    pub lines: Vec<Line>,
    pub total_minor: i64,
    pub currency: Currency,
    pub expires_at: EventTime,
    pub extended: bool,
    pub version: u32,
    /// Seats left single by this hold, under [`super::configuration::OrphanRule::Warn`].
    pub orphans: Vec<SeatId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldState {
    Held,
    Released,
    Expired,
    Sold,
    Voided,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfirmRefusal {
    /// The hold lapsed and the stock went to others.
    Gone,
    /// Another payment settled this order already.
    AlreadyPaid,
    EventCancelled,
    Voided,
    LimitReached,
    /// The code by which it was held has been used as often as it may be.
    CodeUsedUp,
    /// As many as may be were bought with one card.
    InstrumentLimit,
}
