//! What the inventory actor is told. Local: remote requests come through their node's gateway.

use std::sync::Arc;

use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use super::AskError;
use crate::{
    actors::gate::Permit,
    domain::{
        code::{Code, SeatId},
        id::{FanId, OrderId},
        inventory::{
            AdmittedPlaces, SeatState,
            configuration::Configuration,
            request::{Admission, HoldView},
        },
        queue::{Loss, Place},
        time::EventTime,
    },
    stores::journal::AppendError,
};

pub(super) type Reply<T> = oneshot::Sender<Result<T, AskError>>;

#[derive(RactorMessage)]
pub(super) enum Message {
    /// Requests wait in the inlet.
    Asked,
    /// A strong read of one order.
    Order {
        order: OrderId,
        reply: Reply<Option<HoldView>>,
        permit: Permit,
    },
    Seats {
        reply: Reply<Vec<(SeatId, SeatState)>>,
        permit: Permit,
    },
    Stock {
        reply: Reply<StockNow>,
        permit: Permit,
    },
    /// Asked once by the keeper, for the waiting room: which of the places that the queue's store gave back still wait.
    Begin {
        places: Vec<(Place, FanId)>,
        reply: Reply<Begun>,
    },
    AppendReturned(Result<(), AppendError>),
    /// Those who were just answered have had a moment to ask again.
    Gathered,
    /// The broker has the facts up to this number.
    Published(u64),
    SnapshotReturned(Result<SnapshotMade, String>),
    /// Time passes: what is due ends, who waited too long is told so.
    Pulse,
    /// Take nothing more, finish what waits, say so, end.
    Drain {
        reply: oneshot::Sender<()>,
    },
}

/// What viewers are shown is made of it.
pub(in crate::actors) struct StockNow {
    pub configuration: Option<Arc<Configuration>>,
    /// Of each seat, in the configuration's order.
    pub free: Vec<bool>,
    /// Of each ticket type without seats.
    pub counts: Vec<(Code, u32)>,
}

/// What a waiting room starts from.
pub(in crate::actors) struct Begun {
    pub term: u32,
    /// Never admitted yet.
    pub places: Vec<(Place, FanId)>,
    pub admissions: Vec<Admission>,
    /// Who takes part in the draw, in the order of their entries; nobody before they are closed.
    pub entrants: Arc<Vec<FanId>>,
    /// Every place that ever was admitted.
    pub admitted: AdmittedPlaces,
    /// What the queue's store has lost: whoever opens the queue says so.
    pub loss: Option<Loss>,
}

/// What fans may have to hear of: told to the waiting room after the commit, in journal order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionChange {
    /// Claimed, or extended.
    Changed(Admission),
    Ended {
        fan: FanId,
        place: Place,
    },
    /// To who is on the waiting list.
    Offered {
        fan: FanId,
        order: OrderId,
        until: EventTime,
    },
}

pub(super) struct SnapshotMade {
    pub size_bytes: u64,
}
