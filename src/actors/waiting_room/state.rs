//! What the waiting room actor keeps, and how each message changes it.

mod admissions;
mod moving;
mod storing;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

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
    look,
    message::{Attending, Caller, Message, Reply, Request},
    refill::Refill,
};
use crate::{
    actors::{
        beside,
        clock::Clock,
        halt::Halt,
        inventory,
        measures::{RoomMeasures, Share},
    },
    domain::{
        draw::{Book, Digest, Proof},
        id::{EventId, FanId},
        inventory::request::{self, Command},
        queue::{Effect, Input, Outcome, Place, Queue, Standing, WaitingRoom},
    },
    stores::{database::Database, journal::Epoch, ownership::Ownership, queue::QueueStore},
};

/// More places than this are not told at once.
const MEMBERS: usize = 1_000;
/// What stands still until somebody acts is said no more often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(600);

pub(super) struct State {
    event: EventId,
    epoch: Epoch,
    term: u32,
    clock: Clock,
    inventory: inventory::Handle,
    halt: Halt,
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
    moving: Option<AbortOnDropHandle<()>>,
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
    /// When it was last said that the draw cannot be revealed.
    complained: Option<Instant>,
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
            term,
            store,
            ownership,
            database,
            config,
            halt,
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
            term,
            clock,
            inventory,
            halt,
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
            moving: None,
            refill: Refill::new(),
            admitting: None,
            beside,
            drained: None,
            seeds,
            drawing: None,
            complained: None,
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
            Request::Join(fan) => Input::JoinIn { fan, class: self.class_of(fan), reply: caller },
            Request::Restore { fan, place } => Input::Restore { fan, place, class: self.class_of(fan), reply: caller },
            Request::Tie { device, account } => Input::Tie { device, account, reply: caller },
            Request::Leave(fan) => Input::Leave { fan, reply: caller },
            Request::Claim(fan) => return self.claim(me, fan, caller),
            Request::Extend(fan) => return self.extend(me, fan, caller),
            Request::Revoke(fans) => return self.revoke(&fans, caller),
            Request::Remove(fans) => Input::Remove { fans, reply: caller },
            Request::RemoveFirst(count) => Input::RemoveFirst { count, reply: caller },
            Request::Clear => Input::Clear { reply: caller },
            Request::Move { fan, class } => Input::Move { fan, class, reply: caller },
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

    pub fn draw_stepped(&mut self, me: &ActorRef<Message>, is_done: bool, lacks_secret: bool) {
        self.drawing = None;
        // It is tried again at each tick: a file with the retired secret may be put back.
        if lacks_secret && self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::error!(event = %self.event, "the secret that the draw was committed to is not known here any more");
        }
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
        let (configuration, moves) = (self.inventory.configuration(), self.inventory.view().manual_moves);
        let queue = self.room.publish(self.clock.now()).with_notice(configuration.notice.clone());
        let queue = queue.with_classes(&configuration.classes, moves);
        self.queue.send_replace(Arc::new(queue));
        self.measures.published(began.elapsed());
    }

    pub fn drain(&mut self, reply: oneshot::Sender<()>) {
        self.drained = Some(reply);
    }

    pub fn end_if_drained(&mut self, me: &ActorRef<Message>) {
        // Whoever owns it next begins with what the store has.
        let writes = [&self.storing, &self.tying, &self.moving, &self.admitting];
        if self.refill.next().is_some() || writes.into_iter().any(Option::is_some) {
            return;
        }
        if let Some(reply) = self.drained.take() {
            let _ = reply.send(());
            me.stop(Some("drained".into()));
        }
    }

    /// A called fan takes the admission up; who has done so already is told the same again.
    fn tick(&mut self, me: &ActorRef<Message>) {
        if self.drained.is_some() {
            return;
        }
        let began = Instant::now();
        let room = look(&self.inventory, &self.halt);
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
                Effect::Move { moves } => self.move_fans(me, moves),
                Effect::Forget { places } => {
                    let now = self.refill.give_up(places);
                    self.forget(now);
                }
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
}

/// Repeating these is harmless by what they say: no identity is needed.
pub(super) fn plain(command: Command) -> request::Request {
    request::Request { identity: None, command }
}
