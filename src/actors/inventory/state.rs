//! What the inventory actor keeps, and how each message changes it.

use std::{mem, sync::Arc, time::Instant};

use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    AdmissionChange, Arguments, AskError,
    in_flight::{self, Admitted, Counters, InFlight},
    inlet::{Asked, Outlet},
    message::{Begun, Message, SnapshotMade, StockNow},
    show::Shown,
    slots::{Caller, Slot, Slots},
    snapshot,
    tail::Tail,
};
use crate::{
    actors::{beside, clock::Clock, config::Config, gate::Permit, halt::Halt, measures::InventoryMeasures},
    domain::{
        id::{EventId, FanId},
        inventory::{
            View,
            batch::{Batcher, Effect, Input, Outcome},
            fact::Facts,
        },
        queue::Place,
        time::Millis,
    },
    stores::{
        crash_point,
        journal::{Append, AppendError, Epoch, InventoryJournal},
        ownership::Ownership,
    },
};

pub(super) struct State {
    event: EventId,
    epoch: Epoch,
    clock: Clock,
    config: Config,
    halt: Option<Halt>,
    journal: Arc<dyn InventoryJournal>,
    ownership: Arc<dyn Ownership>,
    facts: mpsc::UnboundedSender<Facts>,
    admissions: mpsc::UnboundedSender<AdmissionChange>,
    outlet: Outlet,
    batcher: Batcher<Slot>,
    effects: Vec<Effect<Slot>>,
    slots: Slots,
    // Invariant: `Some` exactly while the batcher waits for `Committed`.
    in_flight: Option<InFlight>,
    view: watch::Sender<Arc<View>>,
    shown: Arc<Shown>,
    counters: Counters,
    admitted: Admitted,
    marked_active: Option<bool>,
    tail: Tail,
    drained: Option<oneshot::Sender<()>>,
    /// Set between a batch's answers and the next batch: whoever asks again at once is to be in it. Without this the first of
    /// them would go alone, and all others wait for a commit more.
    gathering: Option<Gathering>,
    measures: InventoryMeasures,
}

struct Gathering {
    /// Who waited at the last look.
    waiting: usize,
    rounds: u32,
}

/// Looks at most; each lets every caller that is ready run once.
const GATHERING_ROUNDS: u32 = 4;

impl State {
    pub fn new(arguments: Arguments, outlet: Outlet, view: watch::Sender<Arc<View>>, shown: Arc<Shown>) -> Self {
        let Arguments { event, epoch, folded, clock, journal, ownership, config, halt, facts, admissions } = arguments;
        let tail = Tail::new(folded.tail_bytes, folded.snapshot_bytes, config.snapshot_tail_bytes);
        let admitted = Admitted::new(&folded.inventory);
        // The seed only has to differ between activations, so that no two batches can be taken for one another.
        let batcher = Batcher::new(folded.inventory, folded.seq, epoch.0, rand::random(), config.outbox_limit);
        Self {
            event,
            epoch,
            clock,
            config,
            halt,
            journal,
            ownership,
            facts,
            admissions,
            outlet,
            batcher,
            effects: Vec::new(),
            slots: Slots::default(),
            in_flight: None,
            view,
            shown,
            counters: Counters::default(),
            admitted,
            marked_active: None,
            tail,
            drained: None,
            gathering: None,
            measures: InventoryMeasures::new(),
        }
    }

    pub fn activate(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        self.batcher.activate(self.clock.now(), &mut self.effects)?;
        self.run_effects(me)
    }

    /// Takes what waits in the inlet. While a batch is in flight it is left there, but for its deadlines: whoever asks then has
    /// no need to tell the actor.
    fn take_in(&mut self) -> Result<(), ActorProcessingErr> {
        let mut waiting = self.outlet.take();
        for Asked { request, deadline, reply, permit } in waiting.drain(..) {
            if self.drained.is_some() {
                let _ = reply.send(Err(AskError::Unavailable));
                continue;
            }
            let reply = self.slots.add(Caller::Answer(reply), deadline, Some(permit));
            self.batcher.step(Input::Ask { request, reply, deadline }, &mut self.effects)?;
        }
        self.outlet.give_back(waiting);
        Ok(())
    }

    pub fn read(
        &mut self,
        me: &ActorRef<Message>,
        caller: Caller,
        permit: Option<Permit>,
    ) -> Result<(), ActorProcessingErr> {
        let deadline = self.clock.now() + Millis(self.config.ask_deadline_ms);
        let reply = self.slots.add(caller, deadline, permit);
        self.step(me, Input::Read { reply })
    }

    pub fn committed(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        let batch = self.in_flight.take().ok_or("an append returned that was not sent")?;
        self.measures.committed(batch.sent.elapsed(), batch.entries, batch.size_bytes, batch.holds);
        self.tail.grow(batch.size_bytes);
        let seq = batch.view.seq;
        self.show(batch.view, batch.active);
        if let Some(configuration) = &batch.configuration {
            self.shown.show_configuration(configuration);
        }
        for change in batch.admissions {
            // No waiting room listens when the inventory runs alone.
            let _ = self.admissions.send(change);
        }
        if batch.entries > 1 {
            self.gathering = Some(Gathering { waiting: self.batcher.waiting(), rounds: 0 });
            me.cast(Message::Gathered)?;
        }
        self.batcher.step(Input::Committed, &mut self.effects)?;
        self.run_effects(me)?;
        // Until the next batch is formed, the state is what is durable.
        self.snapshot_if_due(me, seq);
        self.form(me)
    }

    /// Tells everybody, as far as that can be known, and gives the reason to fail with.
    pub fn step_down(&mut self, me: &ActorRef<Message>, error: AppendError) -> ActorProcessingErr {
        // The batcher answers who waits; that it then wants to step down is what happens here.
        let _ = self.step(me, Input::Fenced);
        error.into()
    }

    pub fn published(&mut self, me: &ActorRef<Message>, number: u64) -> Result<(), ActorProcessingErr> {
        self.step(me, Input::Published { number })?;
        self.refresh_view();
        Ok(())
    }

    pub fn pulse(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        // A commit would find out, but an event that stands still makes none, and would answer nobody for ever.
        if self.ownership.is_lost(self.epoch) {
            let _ = self.step(me, Input::Fenced);
            return Err("the lease was lost: the event has to be claimed anew".into());
        }
        let now = self.clock.now();
        if self.batcher.next_tick().is_some_and(|at| at <= now) {
            self.step(me, Input::Tick)?;
        }
        // Whoever is not in a batch is dropped by the batcher when it forms the next one.
        if self.in_flight.is_some() {
            self.take_in()?;
            self.slots.let_go(now);
        } else {
            let seq = self.view.borrow().seq;
            self.snapshot_if_due(me, seq);
        }
        self.refresh_view();
        Ok(())
    }

    pub fn drain(&mut self, me: &ActorRef<Message>, reply: oneshot::Sender<()>) -> Result<(), ActorProcessingErr> {
        // Whoever asked before is answered yet.
        self.take_in()?;
        self.drained = Some(reply);
        self.form(me)
    }

    pub fn end_if_drained(&mut self, me: &ActorRef<Message>) {
        if self.in_flight.is_some() || self.batcher.waiting() > 0 {
            return;
        }
        if let Some(reply) = self.drained.take() {
            let _ = reply.send(());
            me.stop(Some("drained".into()));
        }
    }

    pub fn snapshot_returned(&mut self, made: Result<SnapshotMade, String>) {
        match made {
            Ok(SnapshotMade { size_bytes }) => {
                self.tail.was_made(size_bytes);
                tracing::info!(event = %self.event, size_bytes, "snapshot made");
            }
            Err(error) => {
                self.tail.was_not_made();
                tracing::warn!(event = %self.event, error, "no snapshot made; recovery takes longer until one is");
            }
        }
    }

    fn snapshot_if_due(&mut self, me: &ActorRef<Message>, seq: u64) {
        if !self.tail.is_due(Instant::now()) {
            return;
        }
        let frozen = self.batcher.inventory().frozen();
        let making = snapshot::make(Arc::clone(&self.journal), self.event, self.epoch, seq, frozen);
        let work = beside::run(me, async move { Message::SnapshotReturned(making.await) });
        self.tail.is_made_by(work);
    }

    fn step(&mut self, me: &ActorRef<Message>, input: Input<Slot>) -> Result<(), ActorProcessingErr> {
        self.batcher.step(input, &mut self.effects)?;
        // Until the next batch is formed, the state is what is durable.
        self.run_effects(me)?;
        self.form(me)
    }

    /// Unless a batch is in flight, or one is being gathered: then what waits is looked at in time anyway.
    pub fn form(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        if self.gathering.is_some() || self.in_flight.is_some() {
            return Ok(());
        }
        self.take_in()?;
        self.batcher.halt_all(self.halt.as_ref().is_some_and(Halt::is_on));
        self.batcher.form(self.clock.now(), &mut self.effects)?;
        self.run_effects(me)
    }

    /// Forms the next batch once nobody more has come since the last look.
    pub fn gathered(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        self.take_in()?;
        let Some(gathering) = &mut self.gathering else { return Ok(()) };
        let waiting = self.batcher.waiting();
        // At the first look those who run elsewhere may not have had time to ask.
        let grows = gathering.rounds == 0 || waiting > gathering.waiting;
        if grows && gathering.rounds < GATHERING_ROUNDS {
            *gathering = Gathering { waiting, rounds: gathering.rounds + 1 };
            me.cast(Message::Gathered)?;
            return Ok(());
        }
        self.gathering = None;
        self.form(me)
    }

    fn run_effects(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Commit { seq, bytes, active } => self.append(me, seq, bytes, active),
                Effect::Reply { reply, outcome, covered } => {
                    if let Some(caller) = self.slots.take(reply) {
                        self.tell(caller, outcome, covered);
                    }
                }
                Effect::Committed { facts } => {
                    if facts.len() > 0 {
                        let _ = self.facts.send(facts);
                    }
                }
                Effect::StepDown => return Err("stepped down".into()),
            }
        }
        self.effects = effects;
        Ok(())
    }

    fn tell(&mut self, caller: Caller, outcome: Outcome, covered: bool) {
        // Without a commit to prove the ownership, another owner may have decided otherwise meanwhile.
        let sure = covered || self.ownership.is_sure(self.epoch);
        // A caller that gave up is no error.
        match (caller, outcome) {
            (Caller::Answer(reply), Outcome::Answered(answer)) if sure => drop(reply.send(Ok(answer))),
            (Caller::Answer(reply), Outcome::Refused(refusal)) if sure => drop(reply.send(Err(refusal.into()))),
            (Caller::Answer(reply), Outcome::TooLate) => drop(reply.send(Err(AskError::TooLate))),
            (Caller::Answer(reply), Outcome::Unknown) => drop(reply.send(Err(AskError::Unknown))),
            (Caller::Order(order, reply), Outcome::Readable) if sure => {
                let _ = reply.send(Ok(self.batcher.inventory().order(order)));
            }
            // All seats at once are no strong read: they may be those of a former owner.
            (Caller::Seats(reply), Outcome::Readable) => drop(reply.send(Ok(self.batcher.inventory().seats()))),
            (Caller::Stock(reply), Outcome::Readable) => {
                let inventory = self.batcher.inventory();
                let configuration = inventory.configuration().map(Arc::clone);
                let (free, counts) = (inventory.free_seats(), inventory.free_counts());
                let _ = reply.send(Ok(StockNow { configuration, free, counts }));
            }
            (Caller::Begin(places, reply), Outcome::Readable) if sure => {
                let _ = reply.send(Ok(self.beginning(places)));
            }
            (caller, _) => caller.refuse(AskError::Unavailable),
        }
    }

    fn beginning(&self, mut places: Vec<(Place, FanId)>) -> Begun {
        let inventory = self.batcher.inventory();
        places.retain(|&(place, _)| !inventory.was_admitted(place));
        Begun {
            term: inventory.term(),
            places,
            admissions: inventory.admissions(),
            entrants: inventory.entrants(),
            admitted: inventory.ever_admitted().clone(),
            loss: None,
        }
    }

    fn append(&mut self, me: &ActorRef<Message>, seq: u64, bytes: Vec<u8>, active: bool) {
        debug_assert!(self.in_flight.is_none(), "one batch at a time");
        let inventory = self.batcher.inventory();
        let view = Arc::new(View { seq, ..inventory.view(self.clock.now()) });
        let configuration = inventory.configuration().cloned();
        let counters = self.counters.changed(&view);
        // The mark is a key of its own in the journal: written only when it changes.
        let mark = (self.marked_active != Some(active)).then_some(active);
        self.marked_active = Some(active);
        let size_bytes = bytes.len() as u64;
        let append = Append { event: self.event, epoch: self.epoch, seq, bytes, counters, active: mark };
        let journal = Arc::clone(&self.journal);
        let segment = self.batcher.in_flight();
        let step = segment.and_then(in_flight::step);
        let work = beside::run(me, async move {
            crash_point::before(step);
            let appended = journal.append(append).await;
            crash_point::after(step);
            Message::AppendReturned(appended)
        });
        self.in_flight = Some(InFlight {
            sent: Instant::now(),
            size_bytes,
            entries: segment.map_or(0, |segment| segment.entries.len()),
            holds: segment.map_or(0, in_flight::holds),
            admissions: segment.map(|segment| self.admitted.changes(segment, inventory)).unwrap_or_default(),
            view,
            configuration,
            active,
            _work: work,
        });
    }

    fn show(&self, view: Arc<View>, active: bool) {
        self.shown.set_active(active);
        self.view.send_replace(view);
    }

    /// Status and outbox change without a commit: with time, and when facts are published.
    fn refresh_view(&mut self) {
        if self.in_flight.is_some() {
            return;
        }
        let seq = self.view.borrow().seq;
        let view = View { seq, ..self.batcher.inventory().view(self.clock.now()) };
        self.shown.set_active(self.batcher.inventory().is_active());
        self.view.send_if_modified(|shown| {
            let changed =
                shown.status != view.status || shown.outbox != view.outbox || shown.slots_taken != view.slots_taken;
            if changed {
                *shown = Arc::new(view);
            }
            changed
        });
    }
}
