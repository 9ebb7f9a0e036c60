//! Who waits for an answer: the batcher carries small numbers, the channels stay here.
//!
//! So a caller can be let go at its deadline while its request is still in a batch that a slow journal holds up.

use super::{
    AskError,
    message::{Begun, Reply, StockNow},
};
use crate::{
    actors::gate::Permit,
    domain::{
        code::SeatId,
        id::{FanId, OrderId},
        inventory::{
            SeatState,
            request::{Answer, HoldView},
        },
        queue::Place,
        time::EventTime,
    },
};

/// Names one waiting caller within this activation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(u32);

/// Who is to be told what.
pub(super) enum Caller {
    Answer(Reply<Answer>),
    /// Strong reads: looked up when the batch that they ride in is durable.
    Order(OrderId, Reply<Option<HoldView>>),
    Seats(Reply<Vec<(SeatId, SeatState)>>),
    Stock(Reply<StockNow>),
    Begin(Vec<(Place, FanId)>, Reply<Begun>),
}

impl Caller {
    /// Whoever gave up meanwhile is not told; that is no error.
    pub fn refuse(self, why: AskError) {
        match self {
            Self::Answer(reply) => drop(reply.send(Err(why))),
            Self::Order(_, reply) => drop(reply.send(Err(why))),
            Self::Seats(reply) => drop(reply.send(Err(why))),
            Self::Stock(reply) => drop(reply.send(Err(why))),
            Self::Begin(_, reply) => drop(reply.send(Err(why))),
        }
    }
}

struct Waiting {
    /// `None` once the caller has been let go.
    caller: Option<Caller>,
    deadline: EventTime,
    _permit: Option<Permit>,
}

#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Waiting>>,
    free: Vec<u32>,
}

impl Slots {
    pub fn add(&mut self, caller: Caller, deadline: EventTime, permit: Option<Permit>) -> Slot {
        let waiting = Some(Waiting { caller: Some(caller), deadline, _permit: permit });
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            *slot = waiting;
            return Slot(index);
        }
        let index = u32::try_from(self.slots.len()).expect("the gate lets far fewer in");
        self.slots.push(waiting);
        Slot(index)
    }

    /// Frees the slot; gives the caller back, unless it was let go.
    pub fn take(&mut self, Slot(index): Slot) -> Option<Caller> {
        let waiting = self.slots.get_mut(index as usize).and_then(Option::take);
        debug_assert!(waiting.is_some(), "a slot is answered once");
        let waiting = waiting?;
        self.free.push(index);
        waiting.caller
    }

    /// Tells those whose deadline has passed that the outcome is unknown. Their slots stay taken until the batcher is done
    /// with them.
    pub fn let_go(&mut self, now: EventTime) {
        for waiting in self.slots.iter_mut().flatten() {
            if waiting.deadline >= now {
                continue;
            }
            if let Some(caller) = waiting.caller.take() {
                caller.refuse(AskError::Unknown);
            }
        }
    }
}
