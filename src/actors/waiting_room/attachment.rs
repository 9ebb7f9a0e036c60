//! Sockets tied to the room: who is here, and how they are told news.

use std::{collections::HashMap, sync::Arc};

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};

use super::message::{Message, Socket};
use crate::domain::{
    id::FanId,
    queue::{News, Queue},
};

/// News that may wait for one socket. More come only if its connection stands still; then it has to attach again.
const NEWS: usize = 8;

/// A socket's tie to the room: while it lives the fan counts as present.
pub struct Attachment {
    /// Turns, admissions and removals of this fan; closed when the actor stops: attach again through the directory.
    pub news: mpsc::Receiver<News>,
    /// The queue about once a second.
    pub queue: watch::Receiver<Arc<Queue>>,
    _tie: Tie,
}

/// Says goodbye when it is dropped, however that happens.
struct Tie {
    actor: ActorRef<Message>,
    fan: FanId,
    socket: Socket,
}

impl Drop for Tie {
    fn drop(&mut self) {
        // A room that is gone keeps no presence.
        let _ = self.actor.cast(Message::Detach { fan: self.fan, socket: self.socket });
    }
}

/// The sockets that are attached now.
#[derive(Default)]
pub(super) struct Sockets {
    by_fan: HashMap<FanId, Vec<(Socket, mpsc::Sender<News>)>>,
    last: u64,
}

impl Sockets {
    pub fn attach(&mut self, me: &ActorRef<Message>, fan: FanId, queue: watch::Receiver<Arc<Queue>>) -> Attachment {
        self.last += 1;
        let socket = Socket(self.last);
        let (sender, news) = mpsc::channel(NEWS);
        self.by_fan.entry(fan).or_default().push((socket, sender));
        Attachment { news, queue, _tie: Tie { actor: me.clone(), fan, socket } }
    }

    pub fn detach(&mut self, fan: FanId, socket: Socket) {
        let Some(sockets) = self.by_fan.get_mut(&fan) else { return };
        sockets.retain(|(other, _)| *other != socket);
        if sockets.is_empty() {
            self.by_fan.remove(&fan);
        }
    }

    /// Never waits: a socket that does not keep up loses its sender, sees that, and attaches again.
    pub fn tell(&mut self, fan: FanId, news: News) {
        if let Some(sockets) = self.by_fan.get_mut(&fan) {
            sockets.retain(|(_, sender)| sender.try_send(news).is_ok());
        }
    }
}
