//! How an event comes to this node, and how it goes to another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

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
/// Before it is asked again.
const LOOK: Duration = Duration::from_millis(50);

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

    /// Gives the event up here, and has the other node run it; without one, whoever needs the event will.
    pub async fn give(&self, event: EventId, to: Option<Remote>) -> Outcome {
        let began = Instant::now();
        let Some(to) = to else {
            self.local.give_up(event).await;
            self.routes.moved(event);
            return Outcome::Done;
        };
        let is_given_up = AtomicBool::new(false);
        let giving_up = async {
            self.local.give_up(event).await;
            is_given_up.store(true, Ordering::Relaxed);
            // Sockets here attach again, and wait for the other node.
            self.routes.moved(event);
        };
        let ((), was_taken) = tokio::join!(giving_up, take(&to, event, &is_given_up));
        let was_moved = was_taken || self.went_elsewhere(event).await;
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

/// Asks until the other node runs it. It may take this node longer to give the event up than the other tries.
async fn take(to: &Remote, event: EventId, is_given_up: &AtomicBool) -> bool {
    loop {
        let was_given_up = is_given_up.load(Ordering::Relaxed);
        match to.ask(Question::Take(event), TAKE).await {
            Ok(Answer::Taken(Taken::Here)) => return true,
            Ok(Answer::Taken(Taken::NotNow)) if !was_given_up => sleep(LOOK).await,
            Ok(_) | Err(_) => return false,
        }
    }
}
