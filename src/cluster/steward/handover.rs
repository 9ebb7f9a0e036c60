//! How an event comes to this node, and how it goes to another.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::plan::Outcome;
use crate::{
    actors::directory::{DirectoryError, LocalDirectory},
    cluster::{
        gateway::{Answer, Question, Remote, Taken},
        measures,
        route::Router,
    },
    domain::id::EventId,
    stores::ownership::Ownership,
};

/// The other node tries for five seconds before it says no.
const TAKE: Duration = Duration::from_secs(6);

pub(super) struct Hands {
    pub local: Arc<LocalDirectory>,
    pub routes: Arc<Router>,
    pub ownership: Arc<dyn Ownership>,
    pub me: String,
}

impl Hands {
    pub async fn claim(&self, event: EventId) -> Outcome {
        let claimed = self.local.activate(event).await;
        measures::claimed(claimed.is_ok());
        match claimed {
            Ok(_) => {
                tracing::info!(%event, "an event that nobody ran runs here");
                self.routes.moved(event);
                Outcome::Done
            }
            // Somebody was faster.
            Err(DirectoryError::Elsewhere) => Outcome::Done,
            Err(DirectoryError::UnknownEvent) => Outcome::Hopeless,
            // Or its recovery takes long: the owner key tells.
            Err(DirectoryError::Unavailable) => Outcome::Failed,
        }
    }

    /// Gives the event up here, and has the other node run it; without one, whoever needs the event will. Asked before that, the
    /// other one would look into etcd and the database in vain, again and again.
    pub async fn give(&self, event: EventId, to: Option<Remote>) -> Outcome {
        let began = Instant::now();
        self.local.give_up(event).await;
        // Sockets here attach again, and find or wait for the other node.
        self.routes.moved(event);
        let Some(to) = to else { return Outcome::Done };
        let taken = to.ask(Question::Take(event), TAKE).await;
        let was_moved = taken == Ok(Answer::Taken(Taken::Here)) || self.went_elsewhere(event).await;
        measures::moved(was_moved, began.elapsed());
        let node = &to.peer.node;
        if was_moved {
            tracing::info!(%event, to = %node, took = ?began.elapsed(), "the event runs on another node");
            return Outcome::Done;
        }
        tracing::warn!(%event, to = %node, "the other node did not take the event");
        self.take_back(event).await
    }

    /// Whoever has claimed it may still be reading its journal.
    async fn went_elsewhere(&self, event: EventId) -> bool {
        let owner = self.ownership.owner(event).await;
        owner.is_ok_and(|owner| owner.is_some_and(|owner| owner.node != self.me))
    }

    /// Nobody else runs it, so this node does, even if it is to run nothing.
    async fn take_back(&self, event: EventId) -> Outcome {
        match self.local.activate(event).await {
            Err(DirectoryError::Elsewhere) => Outcome::Done,
            Ok(_) | Err(_) => Outcome::Failed,
        }
    }
}
