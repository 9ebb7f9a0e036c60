//! What the waiting room actor is told.

use std::{collections::HashSet, sync::Arc};

use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use super::{
    Attachment, WaitError,
    attachment::{Ear, Party, Socket},
};
use crate::{
    actors::{
        gate::Permit,
        inventory::{AdmissionChange, AskError},
    },
    domain::{
        draw::{Book, Proof},
        id::FanId,
        inventory::request::{Admission, Answer},
        queue::{Class, Outcome, Place, Standing},
    },
    stores::{
        error::StoreError,
        queue::{Counted, Mark},
    },
};

pub(super) type Reply<T> = oneshot::Sender<Result<T, WaitError>>;

#[derive(RactorMessage)]
pub(super) enum Message {
    Ask {
        request: Request,
        caller: Caller,
    },
    Standing {
        fan: FanId,
        poll: bool,
        reply: Reply<Standing>,
        permit: Permit,
    },
    Attach {
        fan: FanId,
        ear: Box<dyn Ear>,
        reply: Reply<Attachment>,
        permit: Permit,
    },
    Detach {
        fan: FanId,
        socket: Socket,
    },
    /// For fans whose sockets are on another node.
    Gather {
        reply: Reply<Party>,
        permit: Permit,
    },
    Attend {
        party: Socket,
        who: Attending,
    },
    Disband {
        party: Socket,
    },
    Members {
        after: Option<Place>,
        limit: usize,
        reply: Reply<Vec<(Place, FanId)>>,
        permit: Permit,
    },
    AdmitNow {
        count: u32,
    },
    StoreReturned(Result<(), StoreError>),
    TieReturned(Result<(), StoreError>),
    MoveReturned(Result<(), StoreError>),
    /// How many places the store has, and of how many when it was asked: see `Refill::ever`.
    Counted {
        ever: usize,
        counted: Result<Counted, StoreError>,
    },
    /// The store knows that all is written from now on, or was.
    Marked {
        mark: Mark,
        returned: Result<(), StoreError>,
    },
    /// Some places were written again, up to this one.
    Refilled {
        last: Place,
        returned: Result<(), StoreError>,
    },
    AdmitReturned(Result<Answer, AskError>),
    /// Of a claim or an extension.
    ChangedReturned {
        caller: Caller,
        returned: Result<Answer, AskError>,
    },
    EndReturned {
        admission: Admission,
        caller: Caller,
        returned: Result<Answer, AskError>,
    },
    /// A step of the draw is done, or was not.
    DrawStepped {
        is_done: bool,
        /// It was committed to a seed that nobody can work out any more.
        lacks_secret: bool,
    },
    Drawn {
        places: Vec<(Place, FanId)>,
        book: Arc<Book>,
    },
    Proof {
        fan: FanId,
        reply: Reply<Option<Proof>>,
        permit: Permit,
    },
    Changed(AdmissionChange),
    Pulse,
    /// Take nothing more, finish what is under way, say so, end.
    Drain {
        reply: oneshot::Sender<()>,
    },
}

pub(super) enum Request {
    Join(FanId),
    /// By signed ticket.
    Restore {
        fan: FanId,
        place: Place,
    },
    Tie {
        device: FanId,
        account: FanId,
    },
    Leave(FanId),
    Claim(FanId),
    /// The one extension of the fan's admission.
    Extend(FanId),
    /// Their admissions end.
    Revoke(Vec<FanId>),
    Remove(Vec<FanId>),
    RemoveFirst(u32),
    Clear,
    Move {
        fan: FanId,
        class: Class,
    },
}

/// Who is to be told the outcome.
pub(super) struct Caller {
    pub reply: Reply<Outcome>,
    /// Wants to leave: an admission that the place has become is ended too.
    pub leaving: bool,
    pub _permit: Permit,
}

impl Caller {
    /// A caller that gave up is no error.
    pub fn tell(self, outcome: Result<Outcome, WaitError>) {
        let _ = self.reply.send(outcome);
    }
}

/// Who of a party is here.
pub(in crate::actors) enum Attending {
    Change { came: Vec<FanId>, went: Vec<FanId> },
    All(HashSet<FanId>),
}
