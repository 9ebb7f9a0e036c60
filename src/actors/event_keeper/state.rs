//! What a keeper keeps, and how each message changes it.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{ActorCell, ActorId, ActorRef};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Arguments, Found, Message, Part,
    activation::{self, Fault, Prepared},
    budget::Budget,
};
use crate::{
    actors::{
        beside,
        clock::Clock,
        directory::{DirectoryError, EventHandles, Slot},
        foundation::Foundation,
        inventory::{self, AdmissionChange, Begun},
        measures::{self, Share},
        orders, stock, waiting_room,
    },
    domain::{draw::Digest, id::EventId, inventory::fact::Facts},
    stores::journal::Epoch,
};

/// Nobody has asked for this long: the event may be given up.
const IDLE: Duration = Duration::from_secs(600);
/// Callers that wait for the event to run; more are told to try again.
const FINDERS: usize = 1_024;
/// How long the broker may take to accept what is left when an event is given up; the rest is published by whoever runs it
/// next. Where another node waits for the event, nobody can buy meanwhile.
const FLUSH: Duration = Duration::from_secs(5);
const SHORT_FLUSH: Duration = Duration::from_millis(300);

pub(in crate::actors) struct State {
    event: EventId,
    on: Foundation,
    slot: Arc<Slot>,
    must_run: bool,
    alone: bool,
    budget: Budget,
    finders: Vec<Found>,
    phase: Phase,
    /// The last one that was taken.
    epoch: Option<Epoch>,
    /// Told when the event is given up, which has to wait until it is known what was taken.
    leaving: Option<oneshot::Sender<()>>,
}

enum Phase {
    /// Reading, beside the actor.
    Preparing {
        _work: AbortOnDropHandle<()>,
    },
    /// The inventory runs; the queue is being opened beside the actor.
    Opening(Box<Opening>),
    Running(Running),
    /// Something failed: `Restart` comes.
    Pausing,
    Ending {
        _work: AbortOnDropHandle<()>,
    },
    Ended,
    /// Ended too: there never was such an event, or another node has it.
    NotOurs(DirectoryError),
}

struct Opening {
    inventory: inventory::Handle,
    epoch: Epoch,
    clock: Clock,
    facts: mpsc::UnboundedReceiver<Facts>,
    admissions: mpsc::UnboundedReceiver<AdmissionChange>,
    _work: AbortOnDropHandle<()>,
}

struct Running {
    handles: EventHandles,
    _counted: Share,
}

impl State {
    pub fn new(me: &ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { event, on, slot, must_run, alone } = arguments;
        let budget = Budget::new(on.config.restart_budget);
        let phase = Phase::Preparing { _work: prepare(me, &on, event) };
        let (finders, epoch, leaving) = (Vec::new(), None, None);
        Self { event, on, slot, must_run, alone, budget, finders, phase, epoch, leaving }
    }

    pub fn find(&mut self, found: Found) {
        // A caller that gave up is no error.
        match &self.phase {
            Phase::Running(running) => drop(found.send(Ok(running.handles.clone()))),
            Phase::NotOurs(why) => drop(found.send(Err(why.clone()))),
            Phase::Ending { .. } | Phase::Ended => drop(found.send(Err(DirectoryError::Unavailable))),
            _ if self.finders.len() >= FINDERS => drop(found.send(Err(DirectoryError::Unavailable))),
            _ => self.finders.push(found),
        }
    }

    pub async fn prepared(&mut self, me: &ActorRef<Message>, prepared: Result<Box<Prepared>, Fault>) {
        let Phase::Preparing { .. } = self.phase else { return };
        if let Ok(prepared) = &prepared {
            self.epoch = Some(prepared.epoch);
        }
        if let Some(done) = self.leaving.take() {
            return self.let_go(me, done);
        }
        match prepared {
            Ok(prepared) => match self.start_inventory(me, *prepared).await {
                Ok(opening) => self.phase = Phase::Opening(Box::new(opening)),
                Err(error) => self.fail(me, &error.to_string()),
            },
            Err(Fault::UnknownEvent) => self.disown(me, DirectoryError::UnknownEvent),
            Err(fault @ Fault::Elsewhere) if self.alone => self.fail(me, &fault.to_string()),
            Err(Fault::Elsewhere) => self.disown(me, DirectoryError::Elsewhere),
            Err(Fault::Failed(why)) => self.fail(me, &why),
        }
    }

    fn disown(&mut self, me: &ActorRef<Message>, why: DirectoryError) {
        me.stop(Some(why.to_string()));
        self.answer(&Err(why.clone()));
        self.phase = Phase::NotOurs(why);
    }

    pub async fn opened(&mut self, me: &ActorRef<Message>, epoch: Epoch, opened: Result<Begun, Fault>) {
        let opening = match mem::replace(&mut self.phase, Phase::Pausing) {
            Phase::Opening(opening) if opening.epoch == epoch => *opening,
            // Of an earlier epoch, or too late.
            other => return self.phase = other,
        };
        let inventory = opening.inventory.clone();
        let started = match opened {
            Ok(begun) => self.start_others(me, opening, begun).await.map_err(|error| error.to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        match started {
            Ok(running) => {
                self.slot.show(Some(&running.handles));
                self.answer(&Ok(running.handles.clone()));
                self.phase = Phase::Running(running);
            }
            Err(why) => {
                inventory.cell().into_iter().for_each(|cell| cell.kill());
                self.fail(me, &why);
            }
        }
    }

    pub fn restart(&mut self, me: &ActorRef<Message>) {
        if let Phase::Pausing = self.phase {
            self.phase = Phase::Preparing { _work: prepare(me, &self.on, self.event) };
        }
    }

    pub fn child_ended(&mut self, me: &ActorRef<Message>, who: ActorId, why: Option<String>) {
        let ours = self.children().iter().any(|child| child.get_id() == who);
        // The ends of earlier epochs, and of what is being drained, are expected.
        if ours && !matches!(self.phase, Phase::Ending { .. } | Phase::Ended | Phase::NotOurs(_)) {
            self.fail(me, &why.unwrap_or_else(|| "an actor ended".into()));
        }
    }

    pub fn pulse(&mut self, me: &ActorRef<Message>) {
        if self.slot.idle() < IDLE {
            return;
        }
        match &self.phase {
            Phase::Running(running) => {
                let handles = &running.handles;
                let waiting = handles.waiting_room.queue().borrow().ranks.total();
                if waiting == 0 && !handles.inventory.is_active() {
                    self.end_in_order(me, None);
                }
            }
            // It never ran, or does not any more; nobody misses it.
            Phase::Pausing if !self.must_run => me.stop(Some("idle".into())),
            _ => {}
        }
    }

    pub fn kill(&mut self, me: &ActorRef<Message>, part: Part) -> bool {
        let cell = match (&self.phase, part) {
            (_, Part::Keeper) => Some(me.get_cell()),
            (Phase::Running(running), Part::Inventory) => running.handles.inventory.cell(),
            (Phase::Running(running), Part::WaitingRoom) => running.handles.waiting_room.cell(),
            (Phase::Running(running), Part::Orders) => running.handles.orders.cell(),
            _ => None,
        };
        cell.inspect(ActorCell::kill).is_some()
    }

    pub fn drain(&mut self, me: &ActorRef<Message>, done: oneshot::Sender<()>) {
        match &self.phase {
            Phase::Running(_) => self.end_in_order(me, Some(done)),
            // Nothing has been answered in these phases that is not in the journal.
            _ => {
                let _ = done.send(());
                me.stop(Some("drained".into()));
            }
        }
    }

    pub fn give_up(&mut self, me: &ActorRef<Message>, done: oneshot::Sender<()>) {
        match &self.phase {
            Phase::Running(_) => self.end_in_order(me, Some(done)),
            Phase::Preparing { .. } => self.leaving = Some(done),
            Phase::Opening(_) | Phase::Pausing => self.let_go(me, done),
            // It tells when it has ended: the sender is dropped then.
            Phase::Ending { .. } => self.leaving = Some(done),
            Phase::Ended | Phase::NotOurs(_) => drop(done.send(())),
        }
    }

    /// Gives up what does not run: nothing has been answered that is not in the journal.
    fn let_go(&mut self, me: &ActorRef<Message>, done: oneshot::Sender<()>) {
        for child in self.children() {
            child.kill();
        }
        let (ownership, event, epoch) = (Arc::clone(&self.on.ownership), self.event, self.epoch);
        let work = beside::run(me, async move {
            if let Some(epoch) = epoch
                && let Err(error) = ownership.release(event, epoch).await
            {
                tracing::warn!(%event, %error, "the event was not given up; its ownership lapses by itself");
            }
            let _ = done.send(());
            Message::Drained
        });
        self.phase = Phase::Ending { _work: work };
    }

    pub fn end(&mut self) {
        self.slot.show(None);
        for child in self.children() {
            child.kill();
        }
        self.answer(&Err(DirectoryError::Unavailable));
        self.phase = Phase::Ended;
    }

    /// Ends all three and begins again after a pause. Whoever waits for an answer is told that it is unknown.
    fn fail(&mut self, me: &ActorRef<Message>, why: &str) {
        self.slot.show(None);
        for child in self.children() {
            child.kill();
        }
        if let Phase::Running(running) = &self.phase {
            self.must_run |= running.handles.inventory.is_active();
        }
        self.phase = Phase::Pausing;
        let pause = self.budget.spend(Instant::now());
        tracing::error!(event = %self.event, why, ?pause, "the event's actors start again");
        measures::restarted();
        me.send_after(pause, || Message::Restart);
    }

    async fn start_inventory(&self, me: &ActorRef<Message>, prepared: Prepared) -> Result<Opening, ractor::SpawnErr> {
        let Prepared { epoch, folded, first } = prepared;
        let clock = Clock::start(folded.inventory.last_at());
        let ((facts, facts_receiver), (admissions, admissions_receiver)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let arguments = inventory::Arguments {
            event: self.event,
            epoch,
            folded,
            clock,
            journal: Arc::clone(&self.on.journal),
            ownership: Arc::clone(&self.on.ownership),
            config: (*self.on.config).clone(),
            halt: Some(self.on.halt.clone()),
            facts,
            admissions,
        };
        let inventory = inventory::start(arguments, Some(me.get_cell())).await?;
        let (on, event, begins) = (self.on.clone(), self.event, inventory.clone());
        let work = beside::run(me, async move {
            let opened = activation::open(&on, event, &begins, first).await;
            Message::Opened { epoch, opened }
        });
        Ok(Opening { inventory, epoch, clock, facts: facts_receiver, admissions: admissions_receiver, _work: work })
    }

    async fn start_others(
        &self,
        me: &ActorRef<Message>,
        opening: Opening,
        begun: Begun,
    ) -> Result<Running, ractor::SpawnErr> {
        let Opening { inventory, epoch, clock, facts, admissions, _work } = opening;
        let arguments = orders::Arguments {
            event: self.event,
            epoch,
            inventory: inventory.clone(),
            journal: Arc::clone(&self.on.journal),
            bus: Arc::clone(&self.on.bus),
            database: self.on.database.clone(),
            keys: Arc::clone(&self.on.keys),
            providers: self.on.providers.clone(),
            sale: self.on.sale.clone(),
            outbox_limit: self.on.config.outbox_limit,
            facts,
        };
        let orders = orders::start(arguments, me.get_cell()).await?;
        let arguments = waiting_room::Arguments {
            event: self.event,
            epoch,
            clock,
            inventory: inventory.clone(),
            term: begun.term,
            store: Arc::clone(&self.on.queue),
            ownership: Arc::clone(&self.on.ownership),
            database: self.on.database.clone(),
            config: (*self.on.config).clone(),
            halt: self.on.halt.clone(),
            admissions,
            seeds: self
                .on
                .keys
                .secret()
                .all_keys(&format!("draw {}", self.event))
                .iter()
                .map(|key| Digest(**key))
                .collect(),
        };
        let waiting_room = waiting_room::start(arguments, begun, me.get_cell()).await?;
        let stock = stock::Handle::here(inventory.clone(), epoch);
        let handles = EventHandles { inventory, waiting_room, orders, stock, epoch };
        Ok(Running { handles, _counted: Share::of_events_running() })
    }

    /// No more admissions, then no more decisions, then the last facts to the broker, then the ownership.
    fn end_in_order(&mut self, me: &ActorRef<Message>, done: Option<oneshot::Sender<()>>) {
        let Phase::Running(Running { handles, _counted }) = mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        self.slot.show(None);
        let (ownership, event) = (Arc::clone(&self.on.ownership), self.event);
        let flush = if self.alone { FLUSH } else { SHORT_FLUSH };
        let work = beside::run(me, async move {
            handles.waiting_room.drain().await;
            handles.inventory.drain().await;
            let _ = tokio::time::timeout(flush, handles.orders.drain()).await;
            if let Err(error) = ownership.release(event, handles.epoch).await {
                tracing::warn!(%event, %error, "the event was not given up; its ownership lapses by itself");
            }
            if let Some(done) = done {
                let _ = done.send(());
            }
            Message::Drained
        });
        self.phase = Phase::Ending { _work: work };
    }

    fn children(&self) -> Vec<ActorCell> {
        match &self.phase {
            Phase::Opening(opening) => opening.inventory.cell().into_iter().collect(),
            Phase::Running(running) => {
                let EventHandles { inventory, waiting_room, orders, .. } = &running.handles;
                [inventory.cell(), waiting_room.cell(), orders.cell()].into_iter().flatten().collect()
            }
            _ => Vec::new(),
        }
    }

    fn answer(&mut self, answer: &Result<EventHandles, DirectoryError>) {
        for found in self.finders.drain(..) {
            let _ = found.send(answer.clone());
        }
    }
}

fn prepare(me: &ActorRef<Message>, on: &Foundation, event: EventId) -> AbortOnDropHandle<()> {
    let on = on.clone();
    beside::run(me, async move { Message::Prepared(activation::prepare(&on, event).await) })
}
