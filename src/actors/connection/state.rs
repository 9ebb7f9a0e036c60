//! What a connection keeps, and how each message changes it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Clock, Close, Directory, EventId, FanId, Notice, Outgoing, Position, Shut, Standing, Update,
    message::{Attached, Message},
    outbox::{Lost, Outbox},
};
use crate::{
    actors::{
        backoff::Backoff,
        beside,
        directory::DirectoryError,
        measures::Share,
        waiting_room::{self, Attachment},
    },
    domain::queue::{Conditions, News, Outcome, Queue},
};

/// Positions are not told more often than this.
const UPDATE_EVERY: Duration = Duration::from_millis(950);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

pub(super) struct State {
    directory: Arc<dyn Directory>,
    event: EventId,
    fan: FanId,
    outbox: Outbox,
    room: Option<Room>,
    standing: Standing,
    queue: Option<Arc<Queue>>,
    seq: u64,
    told: Option<Told>,
    /// Something has changed that the reader could not be told yet.
    stale: bool,
    closing: bool,
    attaching: Option<AbortOnDropHandle<()>>,
    asking: Option<AbortOnDropHandle<()>>,
    _counted: Share,
}

struct Room {
    handle: waiting_room::Handle,
    clock: Clock,
    _listener: AbortOnDropHandle<()>,
}

/// What the last update said.
struct Told {
    at: Instant,
    standing: Standing,
    position: Option<Position>,
    conditions: Conditions,
}

impl Told {
    /// What does not wait for the next second when it changes: all but the stock.
    fn rules(&self) -> Conditions {
        Conditions { tickets: None, ..self.conditions }
    }
}

impl State {
    pub fn new(
        me: &ActorRef<Message>,
        directory: Arc<dyn Directory>,
        event: EventId,
        fan: FanId,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Self {
        let mut state = Self {
            directory,
            event,
            fan,
            outbox: Outbox::new(outgoing),
            room: None,
            standing: Standing::NotHere,
            queue: None,
            seq: 0,
            told: None,
            stale: false,
            closing: false,
            attaching: None,
            asking: None,
            _counted: Share::of_sockets(),
        };
        state.attach(me);
        state
    }

    pub fn handle(&mut self, me: &ActorRef<Message>, message: Message) {
        let handled = match message {
            Message::Claim => self.claim(me),
            Message::Extend => self.extend(me),
            Message::Leave => self.leave(me),
            Message::Goaway => self.goaway(me),
            Message::Gone => Err(Lost),
            Message::Attached(attached) => self.attached(me, attached),
            Message::News(news) => self.news(me, news),
            Message::Queue(queue) => {
                self.queue = Some(queue);
                self.update(me)
            }
            Message::Detached => {
                self.attach(me);
                Ok(())
            }
            Message::ChangeReturned(Ok(Outcome::NoExtension)) => {
                self.outbox.send(me, Outgoing::Notice(Notice::NoExtension))
            }
            Message::ChangeReturned(Ok(outcome)) => self.learn(me, &outcome),
            Message::LeaveReturned(Ok(_)) => self.close(me, Close::Left),
            Message::ChangeReturned(Err(_)) | Message::LeaveReturned(Err(_)) => {
                self.outbox.send(me, Outgoing::Notice(Notice::TryAgain))
            }
            Message::Writable(permit) => self.outbox.writable(me, permit).and_then(|()| self.catch_up(me)),
        };
        let closed = self.closing && self.outbox.is_empty();
        if handled.is_err() || closed {
            me.stop(None);
        }
    }

    /// Joins, so that an opened socket has a place, and ties the socket to the room; for as long as that takes.
    fn attach(&mut self, me: &ActorRef<Message>) {
        self.room = None;
        let (directory, event, fan) = (Arc::clone(&self.directory), self.event, self.fan);
        self.attaching = Some(beside::run(me, async move {
            let mut backoff = Backoff::up_to(LONGEST_WAIT);
            loop {
                if let Some(attached) = try_to_attach(&*directory, event, fan).await {
                    break Message::Attached(attached);
                }
                backoff.wait().await;
            }
        }));
    }

    fn attached(&mut self, me: &ActorRef<Message>, attached: Attached) -> Result<(), Lost> {
        self.attaching = None;
        match attached {
            Attached::NoSuchEvent => self.close(me, Close::NoSuchEvent),
            Attached::Refused(why) => {
                self.outbox.send(me, Outgoing::Notice(Notice::Refused(why)))?;
                self.close(me, Close::Refused(why))
            }
            Attached::Here { room, mut attachment, outcome, clock } => {
                self.queue = Some(Arc::clone(&attachment.queue.borrow_and_update()));
                let listener = beside::run(me, listen(me.clone(), attachment));
                self.room = Some(Room { handle: room, clock, _listener: listener });
                self.learn(me, &outcome)
            }
        }
    }

    fn news(&mut self, me: &ActorRef<Message>, news: News) -> Result<(), Lost> {
        match news {
            News::Turn(admission) => {
                self.standing = Standing::Admitted(admission);
                self.outbox.send(me, Outgoing::Turn(admission))?;
            }
            News::Admitted(admission) => self.standing = Standing::Admitted(admission),
            News::AdmissionEndsSoon(admission) => {
                self.standing = Standing::Admitted(admission);
                self.outbox.send(me, Outgoing::Notice(Notice::AdmissionEndsSoon))?;
            }
            News::AdmissionEnded => {
                self.standing = Standing::NotHere;
                self.outbox.send(me, Outgoing::Notice(Notice::AdmissionEnded))?;
            }
            News::Removed => return self.close(me, Close::Removed),
            News::Drawn(place) => self.standing = Standing::Waiting(place),
        }
        self.update(me)
    }

    fn learn(&mut self, me: &ActorRef<Message>, outcome: &Outcome) -> Result<(), Lost> {
        self.standing = match *outcome {
            Outcome::Waiting { place } => Standing::Waiting(place),
            Outcome::Admitted(admission) => Standing::Admitted(admission),
            _ => Standing::NotHere,
        };
        self.update(me)
    }

    fn claim(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some(room) = &self.room else { return self.outbox.send(me, Outgoing::Notice(Notice::TryAgain)) };
        let (room, fan) = (room.handle.clone(), self.fan);
        self.asking = Some(beside::run(me, async move { Message::ChangeReturned(room.claim(fan).await) }));
        Ok(())
    }

    fn extend(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some(room) = &self.room else { return self.outbox.send(me, Outgoing::Notice(Notice::TryAgain)) };
        let (room, fan) = (room.handle.clone(), self.fan);
        self.asking = Some(beside::run(me, async move { Message::ChangeReturned(room.extend(fan).await) }));
        Ok(())
    }

    fn leave(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some(room) = &self.room else { return self.outbox.send(me, Outgoing::Notice(Notice::TryAgain)) };
        let (room, fan) = (room.handle.clone(), self.fan);
        self.asking = Some(beside::run(me, async move { Message::LeaveReturned(room.leave(fan).await) }));
        Ok(())
    }

    fn goaway(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        self.outbox.send(me, Outgoing::Goaway)?;
        self.close(me, Close::GoingAway)
    }

    fn close(&mut self, me: &ActorRef<Message>, why: Close) -> Result<(), Lost> {
        if self.closing {
            return Ok(());
        }
        self.closing = true;
        self.room = None;
        self.attaching = None;
        self.outbox.send(me, Outgoing::Close(why))
    }

    /// Tells what has changed: a standing at once, a position at most once a second.
    fn update(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let (Some(room), Some(queue), false) = (&self.room, &self.queue, self.closing) else { return Ok(()) };
        let position = match self.standing {
            Standing::Waiting(place) => Some(Position::of(place, queue)),
            Standing::Admitted(_) | Standing::NotHere => None,
        };
        let conditions = queue.conditions;
        let now = Told { at: Instant::now(), standing: self.standing, position, conditions };
        if let Some(told) = &self.told {
            let standing_changed = told.standing != now.standing || told.rules() != now.rules();
            let due = now.at.duration_since(told.at) >= UPDATE_EVERY;
            let same = told.position == now.position && told.conditions == now.conditions;
            if !standing_changed && (same || !due) {
                return Ok(());
            }
        }
        if !self.outbox.is_ready(me) {
            self.stale = true;
            return Ok(());
        }
        let server_now = room.clock.now();
        self.seq += 1;
        let update = Update { seq: self.seq, server_now, standing: self.standing, position, conditions };
        self.told = Some(now);
        self.outbox.send(me, Outgoing::Update(update))
    }

    fn catch_up(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        if !std::mem::take(&mut self.stale) {
            return Ok(());
        }
        self.update(me)
    }
}

/// `None`: not now.
async fn try_to_attach(directory: &dyn Directory, event: EventId, fan: FanId) -> Option<Attached> {
    let handles = match directory.event(event).await {
        Ok(handles) => handles,
        Err(DirectoryError::UnknownEvent) => return Some(Attached::NoSuchEvent),
        Err(DirectoryError::Unavailable | DirectoryError::Elsewhere) => return None,
    };
    // Attached first, so that no news is missed between the two.
    let attachment = handles.waiting_room.attach(fan).await.ok()?;
    match handles.waiting_room.join(fan).await.ok()? {
        Outcome::Full => Some(Attached::Refused(Shut::Full)),
        Outcome::NotOpen { from } => Some(Attached::Refused(Shut::NotOpen { from })),
        Outcome::Closed => Some(Attached::Refused(Shut::Closed)),
        outcome => {
            let clock = handles.inventory.clock();
            Some(Attached::Here { room: handles.waiting_room, attachment, outcome, clock })
        }
    }
}

/// Passes on what the room tells, until it ends.
async fn listen(me: ActorRef<Message>, mut attachment: Attachment) -> Message {
    loop {
        let message = tokio::select! {
            // News first: a position is of no use to whoever is admitted.
            biased;
            news = attachment.news.recv() => match news {
                Some(news) => Message::News(news),
                None => return Message::Detached,
            },
            changed = attachment.queue.changed() => match changed {
                Ok(()) => Message::Queue(Arc::clone(&attachment.queue.borrow_and_update())),
                Err(_) => return Message::Detached,
            },
        };
        if me.cast(message).is_err() {
            return Message::Detached;
        }
    }
}
