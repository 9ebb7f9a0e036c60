//! Events: the root of all actors of a node.
//!
//! Owns one keeper for each event that runs here, and the intake. Starts a keeper when its event is asked for; starts it
//! again if it fails while its event ran. Ends them in order at the end.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::{sync::oneshot, task::JoinSet};

use super::{Directory, DirectoryError, Part, Slot, local::Slots};
use crate::{
    actors::{
        event_keeper::{self, EventKeeper, Found},
        foundation::Foundation,
        intake,
    },
    domain::id::EventId,
};

/// Before the intake, or a keeper that failed, starts again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(RactorMessage)]
pub(super) enum Message {
    /// Start the intake and these events.
    Begin {
        active: Vec<EventId>,
        directory: Weak<dyn Directory>,
    },
    Find {
        event: EventId,
        /// Also if it was given up here.
        take: bool,
        found: Found,
    },
    Kill {
        event: EventId,
        part: Part,
        done: oneshot::Sender<bool>,
    },
    KillIntake,
    /// A keeper that failed: its event must run.
    Run(EventId),
    RunIntake,
    /// To another node.
    GiveUp {
        event: EventId,
        done: oneshot::Sender<()>,
    },
    Shutdown(oneshot::Sender<()>),
}

pub(super) struct Events;

pub(super) struct State {
    on: Foundation,
    slots: Slots,
    /// Whether there are no other nodes.
    alone: bool,
    /// To other nodes: whoever asks here without knowing must not take them back.
    given_up: HashSet<EventId>,
    keepers: HashMap<EventId, ActorRef<event_keeper::Message>>,
    events: HashMap<ActorId, EventId>,
    directory: Option<Weak<dyn Directory>>,
    intake: Option<ActorCell>,
    closing: bool,
}

impl Actor for Events {
    type Msg = Message;
    type State = State;
    type Arguments = (Foundation, Slots, bool);

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        (on, slots, alone): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            on,
            slots,
            alone,
            given_up: HashSet::new(),
            keepers: HashMap::new(),
            events: HashMap::new(),
            directory: None,
            intake: None,
            closing: false,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Begin { active, directory } => {
                state.directory = Some(directory);
                state.run_intake(&me).await;
                for event in active {
                    state.keeper(&me, event, true).await;
                }
            }
            Message::Find { event, take, found } => {
                if take {
                    state.given_up.remove(&event);
                }
                state.find(&me, event, found).await;
            }
            Message::Kill { event, part, done } => {
                if let Some(keeper) = state.keepers.get(&event) {
                    let _ = keeper.cast(event_keeper::Message::Kill { part, done });
                }
            }
            Message::KillIntake => state.intake.iter().for_each(ActorCell::kill),
            Message::Run(event) => drop(state.keeper(&me, event, true).await),
            Message::GiveUp { event, done } => {
                state.given_up.insert(event);
                // Without a keeper the sender is dropped: there is nothing to give up.
                if let Some(keeper) = state.keepers.get(&event) {
                    let _ = keeper.cast(event_keeper::Message::GiveUp(done));
                }
            }
            Message::RunIntake => state.run_intake(&me).await,
            Message::Shutdown(done) => state.shutdown(done),
        }
        Ok(())
    }

    /// The default would end everything when one event ends.
    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            // A keeper that stops by itself says why and was not needed any more; one that was killed ends with this word.
            SupervisionEvent::ActorTerminated(who, _, why) => {
                state.child_ended(&me, who.get_id(), why.as_deref() == Some("killed"), why.unwrap_or_default());
            }
            SupervisionEvent::ActorFailed(who, error) => {
                state.child_ended(&me, who.get_id(), true, error.to_string());
            }
            _ => {}
        }
        Ok(())
    }
}

impl State {
    async fn find(&mut self, me: &ActorRef<Message>, event: EventId, found: Found) {
        // A sender that is dropped tells its caller that the event is not available.
        if let Some(keeper) = self.keeper(me, event, false).await {
            let _ = keeper.cast(event_keeper::Message::Find(found));
        } else {
            let _ = found.send(Err(DirectoryError::Unavailable));
        }
    }

    /// The event's keeper, started if it is not there.
    async fn keeper(
        &mut self,
        me: &ActorRef<Message>,
        event: EventId,
        must_run: bool,
    ) -> Option<ActorRef<event_keeper::Message>> {
        if self.closing {
            return None;
        }
        if let Some(keeper) = self.keepers.get(&event) {
            return Some(keeper.clone());
        }
        if self.given_up.contains(&event) {
            return None;
        }
        let (slot, alone) = (Arc::new(Slot::new()), self.alone);
        let arguments =
            event_keeper::Arguments { event, on: self.on.clone(), slot: Arc::clone(&slot), must_run, alone };
        let (keeper, _) = match Actor::spawn_linked(None, EventKeeper, arguments, me.get_cell()).await {
            Ok(spawned) => spawned,
            Err(error) => {
                tracing::error!(%event, %error, "the event's keeper does not start");
                return None;
            }
        };
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(event, slot);
        self.keepers.insert(event, keeper.clone());
        self.events.insert(keeper.get_id(), event);
        Some(keeper)
    }

    fn child_ended(&mut self, me: &ActorRef<Message>, who: ActorId, failed: bool, why: String) {
        if self.intake.as_ref().is_some_and(|intake| intake.get_id() == who) {
            self.intake = None;
            if !self.closing {
                tracing::error!(why, "the intake starts again");
                me.send_after(PAUSE, || Message::RunIntake);
            }
            return;
        }
        let Some(event) = self.events.remove(&who) else { return };
        self.keepers.remove(&event);
        let slot = self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(&event);
        // A keeper that was killed could not take its handles back.
        if let Some(slot) = slot {
            slot.show(None);
        }
        if failed && !self.closing {
            tracing::error!(%event, why, "the event's keeper starts again");
            me.send_after(PAUSE, move || Message::Run(event));
        }
    }

    async fn run_intake(&mut self, me: &ActorRef<Message>) {
        let Some(directory) = self.directory.clone() else { return };
        if self.closing || self.intake.is_some() {
            return;
        }
        match intake::start(&self.on, directory, me.get_cell()).await {
            Ok(intake) => self.intake = Some(intake),
            Err(error) => {
                tracing::error!(%error, "the intake does not start");
                me.send_after(PAUSE, || Message::RunIntake);
            }
        }
    }

    /// Deliveries that are not acknowledged come again, so the intake simply ends.
    fn shutdown(&mut self, done: oneshot::Sender<()>) {
        self.closing = true;
        if let Some(intake) = &self.intake {
            intake.kill();
        }
        let mut draining = JoinSet::new();
        for keeper in self.keepers.values() {
            let (drained, finished) = oneshot::channel();
            if keeper.cast(event_keeper::Message::Drain(drained)).is_ok() {
                draining.spawn(finished);
            }
        }
        tokio::spawn(async move {
            draining.join_all().await;
            let _ = done.send(());
        });
    }
}
