//! What the waiting room actor keeps, and how each message changes it.

mod storing;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use ractor::ActorRef;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Arguments, PULSE, WaitError,
    attachment::{Attachment, Ear, Party, Socket, Sockets},
    drawing,
    lanes::Lanes,
    message::{Attending, Caller, Message, Reply, Request},
    refill::Refill,
};
use crate::{
    actors::{
        beside,
        clock::Clock,
        inventory::{self, AdmissionChange, AskError},
        measures::{RoomMeasures, Share},
    },
    domain::{
        draw::{Book, Digest, Proof},
        id::{EventId, FanId},
        inventory::request::{self, Admission, AdmissionEnd, Admittee, Answer, Command, Refusal},
        queue::{Effect, Input, Outcome, Place, Queue, Room, Standing, WaitingRoom},
    },
    stores::{database::Database, journal::Epoch, ownership::Ownership, queue::QueueStore},
};

/// More places than this are not told at once.
const MEMBERS: usize = 1_000;

pub(super) struct State {
    event: EventId,
    epoch: Epoch,
    term: u32,
    clock: Clock,
    inventory: inventory::Handle,
    store: Arc<dyn QueueStore>,
    ownership: Arc<dyn Ownership>,
    /// Knows who needs more time.
    database: Database,
    room: WaitingRoom<Caller>,
    effects: Vec<Effect<Caller>>,
    sockets: Sockets,
    queue: watch::Sender<Arc<Queue>>,
    lanes: Arc<Lanes>,
    publish_at: Instant,
    publish_every: Duration,
    /// Joins or a part of a refill, one at a time: the store must not get an older place of a fan after a newer one.
    storing: Option<AbortOnDropHandle<()>>,
    /// Needs no turn: where a part of a refill comes after it, the place has two, and the account counts.
    tying: Option<AbortOnDropHandle<()>>,
    /// Places were burnt since the queue was published: who stands behind them must not count them.
    has_burnt: bool,
    /// Joins that wait for a part of a refill.
    next_store: Option<Vec<(Place, FanId)>>,
    refill: Refill,
    admitting: Option<AbortOnDropHandle<()>>,
    /// Claims and ends that the inventory is being asked for, places that the store forgets, the pump of changes.
    beside: JoinSet<()>,
    drained: Option<oneshot::Sender<()>>,
    seeds: Arc<[Digest]>,
    drawing: Option<AbortOnDropHandle<()>>,
    /// The draw, once it is made.
    book: Option<Arc<Book>>,
    length: Share,
    measures: RoomMeasures,
}

impl State {
    pub fn new(
        me: &ActorRef<Message>,
        arguments: Arguments,
        room: WaitingRoom<Caller>,
        queue: watch::Sender<Arc<Queue>>,
    ) -> Self {
        let Arguments {
            event,
            epoch,
            clock,
            inventory,
            begun,
            store,
            ownership,
            database,
            config,
            mut admissions,
            seeds,
        } = arguments;
        let publish_every = Duration::from_millis(config.queue_publish_ms);
        let mut beside = JoinSet::new();
        let (pump, room_of_sockets) = (me.clone(), me.clone());
        beside.spawn(async move {
            while let Some(change) = admissions.recv().await {
                let _ = pump.cast(Message::Changed(change));
            }
        });
        Self {
            event,
            epoch,
            term: begun.term,
            clock,
            inventory,
            store,
            ownership,
            database,
            room,
            effects: Vec::new(),
            sockets: Sockets::new(Arc::new(move |fan, socket| {
                // A room that is gone keeps no presence.
                let _ = room_of_sockets.cast(Message::Detach { fan, socket });
            })),
            lanes: Arc::new(Lanes::new(queue.subscribe(), config.queue_front)),
            queue,
            publish_at: Instant::now() + publish_every,
            publish_every,
            storing: None,
            has_burnt: false,
            next_store: None,
            tying: None,
            refill: Refill::new(),
            admitting: None,
            beside,
            drained: None,
            seeds,
            drawing: None,
            book: None,
            length: Share::of_queue_length(),
            measures: RoomMeasures::new(),
        }
    }

    pub fn ask(&mut self, me: &ActorRef<Message>, request: Request, caller: Caller) {
        if self.drained.is_some() {
            return caller.tell(Err(WaitError::Unavailable));
        }
        let input = match request {
            Request::Join(fan) => Input::Join { fan, reply: caller },
            Request::Tie { device, account } => Input::Tie { device, account, reply: caller },
            Request::Leave(fan) => Input::Leave { fan, reply: caller },
            Request::Claim(fan) => return self.claim(me, fan, caller),
            Request::Extend(fan) => return self.extend(me, fan, caller),
            Request::Revoke(fans) => return self.revoke(&fans, caller),
            Request::Remove(fans) => Input::Remove { fans, reply: caller },
            Request::RemoveFirst(count) => Input::RemoveFirst { count, reply: caller },
            Request::Clear => Input::Clear { reply: caller },
        };
        self.step(me, input);
    }

    pub fn tell_standing(&mut self, me: &ActorRef<Message>, fan: FanId, poll: bool, reply: Reply<Standing>) {
        if poll {
            self.step(me, Input::Present { fan });
            self.step(me, Input::Absent { fan });
        }
        let _ = reply.send(self.if_sure(self.room.standing(fan)));
    }

    pub fn tell_members(&self, after: Option<Place>, limit: usize, reply: Reply<Vec<(Place, FanId)>>) {
        let _ = reply.send(Ok(self.room.members(after, limit.min(MEMBERS))));
    }

    pub fn attach(&mut self, me: &ActorRef<Message>, fan: FanId, ear: Box<dyn Ear>, reply: Reply<Attachment>) {
        if self.drained.is_some() {
            let _ = reply.send(Err(WaitError::Unavailable));
            return;
        }
        self.step(me, Input::Present { fan });
        // If nobody receives it, it is dropped and detaches by itself.
        let _ = reply.send(Ok(self.sockets.attach(fan, ear, &self.lanes)));
    }

    pub fn detach(&mut self, me: &ActorRef<Message>, fan: FanId, socket: Socket) {
        self.sockets.detach(fan, socket);
        self.step(me, Input::Absent { fan });
    }

    pub fn gather(&mut self, me: &ActorRef<Message>, reply: Reply<Party>) {
        if self.drained.is_some() {
            let _ = reply.send(Err(WaitError::Unavailable));
            return;
        }
        let _ = reply.send(Ok(self.sockets.gather(me, self.queue.subscribe())));
    }

    pub fn attend(&mut self, me: &ActorRef<Message>, party: Socket, who: Attending) {
        let (came, went) = self.sockets.attend(party, who);
        came.into_iter().for_each(|fan| self.step(me, Input::Present { fan }));
        went.into_iter().for_each(|fan| self.step(me, Input::Absent { fan }));
    }

    pub fn disband(&mut self, me: &ActorRef<Message>, party: Socket) {
        let left = self.sockets.disband(party);
        left.into_iter().for_each(|fan| self.step(me, Input::Absent { fan }));
    }

    pub fn admit_now(&mut self, me: &ActorRef<Message>, count: u32) {
        // The wish is only good with slots and stock as they are now.
        self.tick(me);
        self.step(me, Input::AdmitNow { count });
    }

    pub fn admit_returned(&mut self, me: &ActorRef<Message>, returned: Result<Answer, AskError>) {
        self.admitting = None;
        match returned {
            Ok(Answer::Admitted(admissions)) => self.step(me, Input::Admitted { admissions }),
            Ok(_) | Err(_) => self.step(me, Input::AdmitFailed),
        }
    }

    pub fn changed_returned(&mut self, me: &ActorRef<Message>, caller: Caller, returned: Result<Answer, AskError>) {
        match returned {
            Ok(Answer::Claimed(admission) | Answer::AdmissionExtended(admission)) => {
                self.step(me, Input::Changed { admission });
                caller.tell(Ok(Outcome::Admitted(admission)));
            }
            Err(AskError::Refused(Refusal::NoExtension)) => caller.tell(Ok(Outcome::NoExtension)),
            // It ended meanwhile; the change that says so is on its way.
            Err(AskError::Refused(_)) => caller.tell(Ok(Outcome::NotHere)),
            Ok(_) | Err(_) => caller.tell(Err(WaitError::TryAgain)),
        }
    }

    pub fn end_returned(
        &mut self,
        me: &ActorRef<Message>,
        admission: Admission,
        caller: Caller,
        returned: Result<Answer, AskError>,
    ) {
        match returned {
            Ok(Answer::AdmissionEnded) | Err(AskError::Refused(Refusal::NotAdmitted)) => {
                self.step(me, Input::Ended { fan: admission.fan, place: admission.place });
                caller.tell(Ok(Outcome::Left));
            }
            Ok(_) | Err(_) => caller.tell(Err(WaitError::TryAgain)),
        }
    }

    pub fn changed(&mut self, me: &ActorRef<Message>, change: AdmissionChange) {
        match change {
            AdmissionChange::Changed(admission) => self.step(me, Input::Changed { admission }),
            AdmissionChange::Ended { fan, place } => self.step(me, Input::Ended { fan, place }),
        }
    }

    pub fn draw_stepped(&mut self, me: &ActorRef<Message>, is_done: bool) {
        self.drawing = None;
        self.step(me, Input::DrawStepped);
        // What follows need not wait for the next pulse; what failed does.
        if is_done {
            self.tick(me);
        }
    }

    pub fn drawn(&mut self, me: &ActorRef<Message>, places: Vec<(Place, FanId)>, book: Arc<Book>) {
        self.drawing = None;
        self.book = Some(book);
        self.step(me, Input::Drawn { places });
        // In this order: whoever is told the place finds it in the queue.
        self.publish();
        self.tick(me);
    }

    pub fn tell_proof(&self, fan: FanId, reply: Reply<Option<Proof>>) {
        let _ = reply.send(Ok(self.book.as_ref().and_then(|book| book.proof(fan))));
    }

    pub fn pulse(&mut self, me: &ActorRef<Message>) {
        while self.beside.try_join_next().is_some() {}
        self.tick(me);
        self.length.set(self.room.waiting() as u64);
        self.look_after_store(me);
        // A pulse that is a little early is nearer than the next one; one that is late does not put off those after it.
        let now = Instant::now();
        if now + PULSE / 2 >= self.publish_at {
            self.publish_at = (self.publish_at + self.publish_every).max(now);
            self.publish();
        }
    }

    fn publish(&mut self) {
        let began = Instant::now();
        self.has_burnt = false;
        let notice = self.inventory.configuration().notice.clone();
        let queue = self.room.publish(self.clock.now()).with_notice(notice);
        self.queue.send_replace(Arc::new(queue));
        self.measures.published(began.elapsed());
    }

    pub fn drain(&mut self, reply: oneshot::Sender<()>) {
        self.drained = Some(reply);
    }

    pub fn end_if_drained(&mut self, me: &ActorRef<Message>) {
        // Whoever owns it next begins with what the store has.
        if self.storing.is_some() || self.tying.is_some() || self.refill.next().is_some() || self.admitting.is_some() {
            return;
        }
        if let Some(reply) = self.drained.take() {
            let _ = reply.send(());
            me.stop(Some("drained".into()));
        }
    }

    /// A called fan takes the admission up; who has done so already is told the same again.
    fn claim(&mut self, me: &ActorRef<Message>, fan: FanId, caller: Caller) {
        let admission = match self.room.standing(fan) {
            Standing::Admitted(admission) if admission.claim_by.is_some() => admission,
            Standing::Admitted(admission) => return caller.tell(self.if_sure(Outcome::Admitted(admission))),
            Standing::Waiting(place) => return caller.tell(self.if_sure(Outcome::Waiting { place })),
            Standing::NotHere => return caller.tell(self.if_sure(Outcome::NotHere)),
        };
        let needs_more_time = self.database.needs_more_time(fan);
        self.ask_for_change(me, Command::Claim { place: admission.place, fan, needs_more_time }, caller);
    }

    fn extend(&mut self, me: &ActorRef<Message>, fan: FanId, caller: Caller) {
        match self.room.standing(fan) {
            Standing::Admitted(admission) if admission.claim_by.is_none() => {
                self.ask_for_change(me, Command::ExtendAdmission { place: admission.place, fan }, caller);
            }
            _ => caller.tell(self.if_sure(Outcome::NotHere)),
        }
    }

    fn ask_for_change(&mut self, me: &ActorRef<Message>, command: Command, caller: Caller) {
        let (me, inventory) = (me.clone(), self.inventory.clone());
        self.beside.spawn(async move {
            let returned = inventory.ask(plain(command)).await;
            let _ = me.cast(Message::ChangedReturned { caller, returned });
        });
    }

    /// The room hears of each end from the journal.
    fn revoke(&mut self, fans: &[FanId], caller: Caller) {
        let admitted = fans.iter().filter_map(|&fan| match self.room.standing(fan) {
            Standing::Admitted(admission) => Some(admission.place),
            _ => None,
        });
        let (places, inventory) = (admitted.collect::<Vec<_>>(), self.inventory.clone());
        self.beside.spawn(async move {
            let why = AdmissionEnd::Revoked;
            let ends = places.into_iter().map(|place| inventory.ask(plain(Command::EndAdmission { place, why })));
            let ended = join_all(ends).await;
            let unknown = ended.iter().any(|end| !matches!(end, Ok(_) | Err(AskError::Refused(_))));
            let count = u32::try_from(ended.iter().filter(|end| end.is_ok()).count()).unwrap_or(u32::MAX);
            // Asked again, those that have ended have ended.
            caller.tell(if unknown { Err(WaitError::TryAgain) } else { Ok(Outcome::Removed { count }) });
        });
    }

    fn end_admission(&mut self, me: &ActorRef<Message>, admission: Admission, caller: Caller) {
        let (me, inventory) = (me.clone(), self.inventory.clone());
        self.beside.spawn(async move {
            let command = Command::EndAdmission { place: admission.place, why: AdmissionEnd::Finished };
            let returned = inventory.ask(plain(command)).await;
            let _ = me.cast(Message::EndReturned { admission, caller, returned });
        });
    }

    fn tick(&mut self, me: &ActorRef<Message>) {
        if self.drained.is_some() {
            return;
        }
        let began = Instant::now();
        let room = Room::of(&self.inventory.view(), &self.inventory.configuration(), rand::random());
        self.step(me, Input::Tick { room });
        self.measures.ticked(began.elapsed());
    }

    fn step(&mut self, me: &ActorRef<Message>, input: Input<Caller>) {
        self.room.step(self.clock.now(), input, &mut self.effects);
        self.carry_out(me);
    }

    fn carry_out(&mut self, me: &ActorRef<Message>) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Store { joins } => self.store(me, joins),
                Effect::Tie { ties } => self.tie(me, ties),
                Effect::Forget { places } => self.forget(places),
                Effect::Admit { admittees } => self.admit(me, admittees),
                Effect::Reply { reply, outcome } => self.tell(me, reply, outcome),
                Effect::Draw(step) => {
                    let (event, inventory, seeds) = (self.event, self.inventory.clone(), Arc::clone(&self.seeds));
                    self.drawing = Some(beside::run(me, drawing::take(step, event, inventory, seeds)));
                }
                Effect::Tell { fan, news } => self.sockets.tell(fan, news),
            }
        }
        self.effects = effects;
    }

    fn tell(&mut self, me: &ActorRef<Message>, caller: Caller, outcome: Outcome) {
        match outcome {
            Outcome::Admitted(admission) if caller.leaving => self.end_admission(me, admission, caller),
            Outcome::TryAgain => caller.tell(Err(WaitError::TryAgain)),
            outcome => caller.tell(self.if_sure(outcome)),
        }
    }

    /// Places and admissions are told only by who is sure to be the owner.
    fn if_sure<T>(&self, answer: T) -> Result<T, WaitError> {
        if self.ownership.is_sure(self.epoch) { Ok(answer) } else { Err(WaitError::Unavailable) }
    }

    fn admit(&mut self, me: &ActorRef<Message>, mut admittees: Vec<Admittee>) {
        for admittee in &mut admittees {
            admittee.needs_more_time = self.database.needs_more_time(admittee.fan);
        }
        let inventory = self.inventory.clone();
        self.admitting = Some(beside::run(me, async move {
            Message::AdmitReturned(inventory.ask(plain(Command::Admit(admittees))).await)
        }));
    }
}

/// Repeating these is harmless by what they say: no identity is needed.
pub(super) fn plain(command: Command) -> request::Request {
    request::Request { identity: None, command }
}
