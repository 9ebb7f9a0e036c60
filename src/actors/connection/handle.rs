//! The edge's way in to a connection.

use ractor::ActorRef;

use super::message::Message;

/// Not to be cloned: dropped with the socket, it ends the connection.
pub struct Handle {
    actor: ActorRef<Message>,
}

impl Handle {
    pub(super) fn new(actor: ActorRef<Message>) -> Self {
        Self { actor }
    }

    /// The client takes up its turn. The answer is the next update.
    pub fn claim(&self) {
        self.tell(Message::Claim);
    }

    /// The client asks for the one extension. The answer is the next update, or a notice.
    pub fn extend(&self) {
        self.tell(Message::Extend);
    }

    /// The client gives up its place or its admission. Answered by closing.
    pub fn leave(&self) {
        self.tell(Message::Leave);
    }

    /// The server goes down: says so, and closes.
    pub fn goaway(&self) {
        self.tell(Message::Goaway);
    }

    /// Kills the actor, as a crash would: for drills and tests.
    pub fn kill(&self) {
        self.actor.kill();
    }

    fn tell(&self, message: Message) {
        // A connection that has ended has closed its socket, or does so now.
        let _ = self.actor.cast(message);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tell(Message::Gone);
    }
}
