//! What the waiting room is told, and what it wants done: its whole vocabulary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Class, Move, Outflow, Place, Ranks, Shares, Tie};
use crate::domain::{
    event::Status,
    id::{FanId, OrderRef},
    inventory::{
        View,
        classes::Classes,
        configuration::{Configuration, Mode, QueueSettings},
        draw::{Draw, DrawStage},
        notice::Notice,
        request::{Admission, Admittee},
    },
    time::EventTime,
};

/// `Reply` is whatever the shell answers through.
pub enum Input<Reply> {
    /// Asks for a place; the same fan gets the same one. A sign of life of a fan without a socket.
    Join {
        fan: FanId,
        reply: Reply,
    },
    /// The same, of a fan who belongs to this class.
    JoinIn {
        fan: FanId,
        class: Class,
        reply: Reply,
    },
    /// Asks for the place of a signed ticket. If the store has lost it, the fan gets it; otherwise as `JoinIn`.
    Restore {
        fan: FanId,
        place: Place,
        class: Class,
        reply: Reply,
    },
    /// The device is this account's: they have one place, the earlier; what the account has in a class of its own counts as that.
    Tie {
        device: FanId,
        account: FanId,
        reply: Reply,
    },
    /// The batch of ties sent last is stored,
    Tied,
    /// or perhaps not: each fan is where they were.
    TieFailed,
    /// The batch of joins sent last is stored,
    Stored,
    /// or perhaps not: its fans are told to try again, and its places are never used.
    StoreFailed,
    /// Gives the place up. Answered with `Admitted` if it has become an admission: then the shell ends that.
    Leave {
        fan: FanId,
        reply: Reply,
    },
    /// A socket of the fan opened or closed; the last one closing starts the grace time. A poll counts as a socket that
    /// opens and closes.
    Present {
        fan: FanId,
    },
    Absent {
        fan: FanId,
    },
    /// What the inventory says: settings, free slots, stock, whether it sells. Also the clock's tick, about once a second.
    Tick {
        room: Room,
    },
    /// The journal has admitted these of the places proposed last; the rest found no slot.
    Admitted {
        admissions: Vec<Admission>,
    },
    /// The proposal failed or may have failed; the next tick repeats the same places, which is harmless.
    AdmitFailed,
    /// An admission was claimed, or extended. What is known already, or was before, is no news.
    Changed {
        admission: Admission,
    },
    /// The admission is over.
    Ended {
        fan: FanId,
        place: Place,
    },
    /// Admin: admits the first `count` regardless of rate and pause, within free slots.
    AdmitNow {
        count: u32,
    },
    /// The step of the draw that was asked for last is over, whatever became of it: the next tick says how far it is.
    DrawStepped,
    /// The drawn order of the entries, as places that ascend, without those that were ever admitted.
    Drawn {
        places: Vec<(Place, FanId)>,
    },
    /// Admin: these lose their places, except those being admitted just now.
    Remove {
        fans: Vec<FanId>,
        reply: Reply,
    },
    /// Admin: the first `count` lose their places, except those being admitted just now.
    RemoveFirst {
        count: u32,
        reply: Reply,
    },
    /// Admin: everybody loses their place, except those being admitted just now.
    Clear {
        reply: Reply,
    },
    /// Admin: the fan goes on waiting in this class, behind everybody who is there.
    Move {
        fan: FanId,
        class: Class,
        reply: Reply,
    },
    /// The batch of moves sent last is counted and stored,
    Moved,
    /// or perhaps not: each fan is where they were.
    MoveFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub settings: QueueSettings,
    /// When the queue can be joined, and when the sale opens.
    pub hours: Hours,
    pub slots_free: u32,
    pub slots_taken: u32,
    /// Nobody is called in to find nothing.
    pub tickets: Tickets,
    /// Orders that are held and not paid.
    pub holds: u32,
    /// Whether the event is on sale.
    pub selling: bool,
    /// Whether the sale has opened, and not ended: it may be sold out just now.
    pub open: bool,
    /// Whether it is published and still to open.
    pub upcoming: bool,
    pub draw: DrawStage,
    /// The kill switch is on: nobody new gets a place, nobody is called, and nobody's grace runs.
    pub halted: bool,
    /// Fresh randomness: where anybody may be picked, it says who.
    pub dice: u64,
    /// How classes share admissions.
    pub shares: Shares,
}

/// From the event's schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hours {
    pub join_from: EventTime,
    pub on_sale_at: EventTime,
}

impl Hours {
    pub fn of(configuration: &Configuration) -> Self {
        let on_sale_at = configuration.on_sale_at;
        Self { join_from: on_sale_at - configuration.queue.prequeue, on_sale_at }
    }
}

impl Room {
    /// How many more shoppers will find something, beside so many who shop: each of those without a hold yet is going to take as
    /// much as a hold has now.
    pub(super) fn served(&self, shoppers: u64) -> u64 {
        let holds = u64::from(self.holds);
        let each = self.tickets.held.div_ceil(holds.max(1)).max(1);
        // What is too little for one is offered all the same, once nobody else is there to take it.
        (self.tickets.free / each).max(self.tickets.free.min(1)).saturating_sub(shoppers.saturating_sub(holds))
    }

    pub fn of(view: &View, configuration: &Configuration, dice: u64) -> Self {
        Self {
            settings: configuration.queue,
            hours: Hours::of(configuration),
            slots_free: view.slots.saturating_sub(view.slots_taken),
            slots_taken: view.slots_taken,
            tickets: Tickets {
                free: view.available,
                held: view.ticket_types.iter().map(|ticket_type| u64::from(ticket_type.held)).sum(),
            },
            holds: view.holds,
            selling: view.status == Status::OnSale,
            open: matches!(view.status, Status::OnSale | Status::SoldOut),
            upcoming: matches!(view.status, Status::Scheduled | Status::Paused),
            draw: view.draw.as_ref().map(Draw::stage).unwrap_or_default(),
            halted: configuration.halted,
            dice,
            shares: configuration.classes.shares(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<Reply> {
    /// Write these places, in one batch; answer with `Stored` or `StoreFailed`. At most one is under way.
    Store {
        joins: Vec<(Place, FanId)>,
    },
    /// Write that these places have passed on, in one batch; answer with `Tied` or `TieFailed`. At most one is under way.
    Tie {
        ties: Vec<Tie>,
    },
    /// Count these moves and write them, in one batch; answer with `Moved` or `MoveFailed`. At most one is under way.
    Move {
        moves: Vec<Move>,
    },
    /// Places used up: admitted, left or removed. May be lost without harm.
    Forget {
        places: Vec<Place>,
    },
    /// Propose these to the inventory, front first; answer with `Admitted` or `AdmitFailed`. At most one is under way.
    Admit {
        admittees: Vec<Admittee>,
    },
    Reply {
        reply: Reply,
        outcome: Outcome,
    },
    /// A step of the draw; answer with `DrawStepped`, or `Drawn` where that is asked for. At most one is under way.
    Draw(DrawStep),
    /// Tell the fan's sockets.
    Tell {
        fan: FanId,
        news: News,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrawStep {
    /// Commit to a seed.
    Commit,
    /// These are the entries.
    Close { fans: Vec<FanId>, last: Place },
    /// Tell the seed.
    Reveal,
    /// Work out the order.
    Order,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Waiting {
        place: Place,
    },
    /// The fan has a live admission already.
    Admitted(Admission),
    Left,
    NotHere,
    /// The event's admissions are not extended.
    NoExtension,
    Removed {
        count: u32,
    },
    /// The store did not answer: join again.
    TryAgain,
    /// The room holds as many as it can.
    Full,
    /// The queue cannot be joined before.
    NotOpen {
        from: EventTime,
    },
    /// Nobody new gets a place.
    Closed,
    /// Who takes part in a draw has an account: devices are had for nothing.
    AccountNeeded,
    /// The device is somebody else's, or its person's place is the account's by now.
    DeviceTied,
    /// Nobody new gets a place, and nobody is let in, until this is lifted.
    Halted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// Called: claim it, or be here and have it.
    Turn(Admission),
    Admitted(Admission),
    /// It ends within a minute.
    AdmissionEndsSoon(Admission),
    AdmissionEnded,
    Removed,
    /// The draw, a device of theirs, or an admin has given the fan this place.
    Placed(Place),
    /// The device's place is its person's now.
    Tied,
    /// The fan has given the place up, on whichever socket or by HTTP.
    Left,
    /// What the fan was on the waiting list for is held for them.
    Offered {
        reference: OrderRef,
        until: EventTime,
    },
}

/// Where a fan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Waiting(Place),
    Admitted(Admission),
    NotHere,
}

/// What is left of the stock, all ticket types together, as far as their quotas have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tickets {
    pub free: u64,
    /// Held and not paid: these may come back.
    pub held: u64,
}

/// What each node needs to work out everybody's position: published about once a second.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Queue {
    pub at: EventTime,
    /// Live places in order. Position of a place = how many of its class stand before it, plus one. Between nodes only changes of them
    /// travel, as a [`QueueChange`](super::QueueChange).
    #[serde(skip)]
    pub ranks: Arc<Ranks>,
    /// The last place stored by then, or burnt, whatever its class. A later one stands behind all that were given since, of which some may be
    /// gone by now: so counted, a position can only fall.
    pub newest: Place,
    /// `None` when unknown.
    pub outflow: Option<Outflow>,
    pub conditions: Conditions,
    /// The one that `conditions` names. Between nodes it travels when it changes, as ranks do.
    #[serde(skip)]
    pub notice: Option<Arc<Notice>>,
    /// As configured; the places say who is in which.
    pub classes: Arc<Classes>,
    /// How many fans were moved by hand, ever.
    pub manual_moves: u64,
    /// Fans with a socket, waiting or not.
    pub present: usize,
    /// Live ones, called or claimed.
    pub admissions: usize,
    /// How much of the configured rate is used: less than 100 while the journal is slow or fails.
    pub pace_percent: u32,
}

impl Queue {
    /// The room does not know them by name, nor what was moved before: whoever publishes the queue adds that.
    pub fn with_classes(self, classes: &Arc<Classes>, manual_moves: u64) -> Self {
        Self { classes: Arc::clone(classes), manual_moves, ..self }
    }

    /// The room does not know it: whoever publishes the queue adds it.
    pub fn with_notice(self, notice: Option<Arc<Notice>>) -> Self {
        let version = notice.as_ref().map_or(0, |notice| notice.version);
        Self { conditions: Conditions { notice: version, ..self.conditions }, notice, ..self }
    }
}

/// Whose places are entries of a draw, which have no order until it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Entries {
    #[default]
    Nobodys,
    /// Everybody's.
    All,
    /// Those up to this one.
    UpTo(Place),
    /// Those up to this one became others, in the drawn order.
    Drawn(Place),
}

impl Entries {
    /// Whether the place is an entry that has no order yet. It may be heard of before those that it stands among, and the
    /// other way round: then it has none either.
    pub fn has(self, place: Place) -> bool {
        let place = place.arrival();
        match self {
            Self::Nobodys => false,
            Self::All => true,
            Self::UpTo(last) => place.is_drawn() || place <= last,
            Self::Drawn(last) => !place.is_drawn() && place <= last,
        }
    }
}

/// What all who wait are told alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conditions {
    pub mode: Mode,
    /// Admission stands still; places are kept.
    pub paused: bool,
    /// Whether there is a queue at all: below the safety net's threshold everybody is let through.
    pub engaged: bool,
    pub hours: Hours,
    pub entries: Entries,
    /// As the inventory last said; `None` before it has.
    pub tickets: Option<Tickets>,
    /// Which notice there is, by its version; 0: none.
    pub notice: u32,
    /// The store has lost places, and their fans are to show their tickets: until that is over nobody is called, and nobody has a
    /// number.
    pub rebuilding: bool,
    /// The kill switch is on.
    pub halted: bool,
}
