//! What a mirror is told.

use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use crate::{
    actors::{
        courier::Bulletin,
        event_keeper::Found,
        waiting_room::{Attachment, Ear, Socket},
    },
    domain::id::FanId,
};

#[derive(RactorMessage)]
pub(in crate::actors) enum Message {
    /// Answered when the mirror is live.
    Find(Found),
    /// Answered when the owner counts the fan as present; dropped if that cannot be.
    Attach {
        fan: FanId,
        ear: Box<dyn Ear>,
        reply: oneshot::Sender<Attachment>,
    },
    Detach {
        fan: FanId,
        socket: Socket,
    },
    Bulletin(Bulletin),
    /// The event has moved, or its node is gone.
    Lost,
    Pulse,
    End,
}
