//! The waiting room of one event: who waits, in which order, who is called next. A deterministic state machine.
//!
//! Owns places and presence. Does not own admissions (the journal does) and does no I/O: joins become visible only after
//! the store has them, and nobody is told of an admission before the journal has it.

mod place;
mod rank;

use serde::{Deserialize, Serialize};

pub use self::{place::Place, rank::Ranks};
use super::{
    id::FanId,
    inventory::{
        configuration::QueueSettings,
        request::{Admission, Admittee},
    },
    time::EventTime,
};

/// `Reply` is whatever the shell answers through.
pub enum Input<Reply> {
    /// Asks for a place; the same fan gets the same one.
    Join {
        fan: FanId,
        reply: Reply,
    },
    /// The batch of joins sent last is stored,
    Stored,
    /// or perhaps not: its fans are told to try again.
    StoreFailed,
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
    /// The proposal failed or may have failed; the next one repeats the same places, which is harmless.
    AdmitFailed,
    /// An admission has changed: claimed.
    Claimed {
        admission: Admission,
    },
    /// The admission is over.
    Ended {
        fan: FanId,
        place: Place,
    },
    /// Admin: admits the first `count` regardless of the rate, within free slots.
    AdmitNow {
        count: u32,
    },
    /// Admin: these lose their places.
    Remove {
        fans: Vec<FanId>,
        reply: Reply,
    },
    /// Admin: the first `count` lose their places.
    RemoveFirst {
        count: u32,
        reply: Reply,
    },
    /// Admin: everybody loses their place.
    Clear {
        reply: Reply,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub settings: QueueSettings,
    pub slots_free: u32,
    /// Tickets free now; nobody is called in to find nothing.
    pub stock_free: u64,
    /// Whether the event is on sale.
    pub selling: bool,
}

pub enum Effect<Reply> {
    /// Write these places, in one batch; answer with `Stored` or `StoreFailed`. At most one is under way.
    Store {
        joins: Vec<(Place, FanId)>,
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
    /// Tell the fan's sockets.
    Tell {
        fan: FanId,
        news: News,
    },
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
    Removed {
        count: u32,
    },
    /// The store did not answer: join again.
    TryAgain,
    /// The room holds as many as it can.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// Called: claim it, or be here and have it.
    Turn(Admission),
    Admitted(Admission),
    AdmissionEnded,
    Removed,
}

/// Where a fan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Waiting(Place),
    Admitted(Admission),
    NotHere,
}

/// What each node needs to work out everybody's position: published about once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub at: EventTime,
    /// Live places in order. Position of a place = how many stand before it, plus one.
    pub ranks: std::sync::Arc<Ranks>,
    /// Measured over the last minute; `None` when unknown.
    pub outflow_per_minute: Option<u32>,
    pub paused: bool,
}

pub struct WaitingRoom<Reply> {
    _reply: std::marker::PhantomData<Reply>,
}

/// No more waiting fans than this in one event.
pub const MAX_WAITING: usize = 10_000_000;

impl<Reply> WaitingRoom<Reply> {
    /// Begins a term with the places that the store gave back (any order, minus those ever admitted) and the live
    /// admissions of the journal. Everybody counts as just gone, and has the grace time to come back.
    pub fn new(
        _now: EventTime,
        _term: u32,
        _places: Vec<(Place, FanId)>,
        _admissions: Vec<Admission>,
        _settings: QueueSettings,
    ) -> Self {
        todo!("queue helper")
    }

    pub fn step(&mut self, _now: EventTime, _input: Input<Reply>, _effects: &mut Vec<Effect<Reply>>) {
        todo!("queue helper")
    }

    pub fn standing(&self, _fan: FanId) -> Standing {
        todo!("queue helper")
    }

    pub fn waiting(&self) -> usize {
        todo!("queue helper")
    }

    /// Waiting fans in order, `limit` of them from `after` on.
    pub fn members(&self, _after: Option<Place>, _limit: usize) -> Vec<(Place, FanId)> {
        todo!("queue helper")
    }

    pub fn publish(&mut self, _now: EventTime) -> Queue {
        todo!("queue helper")
    }
}
