//! What a mirror keeps, and how each message changes it.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};

use super::{Arguments, message::Message, reflection::Reflection, registry::Shelf, roll::Roll};
use crate::{
    actors::{
        bulletin::{Content, Reader, Told},
        clock::Clock,
        courier::{Bulletin, Courier},
        directory::{DirectoryError, EventHandles, Slot},
        event_keeper::Found,
        inventory, orders, stock,
        waiting_room::{self, Attachment, Ear, Lanes, Socket, Sockets},
    },
    domain::{
        id::{EventId, FanId},
        inventory::{View, configuration::Configuration},
        queue::{Queue, QueueChange},
    },
    stores::journal::Epoch,
};

/// Without a bulletin for so long nobody knows whether what is shown still holds: there is one about every second.
const SILENCE: Duration = Duration::from_secs(3);
/// Nobody has asked for this long, and no socket is attached: the mirror ends.
const IDLE: Duration = Duration::from_secs(60);
/// Callers that wait for the first bulletins; more are told to try again.
const FINDERS: usize = 1_024;

pub(super) struct State {
    event: EventId,
    number: u64,
    courier: Arc<dyn Courier>,
    deadline: Duration,
    queue_front: usize,
    slot: Arc<Slot>,
    shelf: Shelf,
    reader: Reader,
    /// `None`: everything has to be told first.
    live: Option<Live>,
    // Invariant: without sockets while it is not live.
    sockets: Sockets,
    roll: Roll,
    /// Until the owner has heard that these are here.
    attaching: Vec<Attaching>,
    finders: Vec<Found>,
    heard: Instant,
}

/// What is shown of one activation.
struct Live {
    handles: EventHandles,
    reflection: Arc<Reflection>,
    view: watch::Sender<Arc<View>>,
    configuration: watch::Sender<Arc<Configuration>>,
    queue: watch::Sender<Arc<Queue>>,
    lanes: Arc<Lanes>,
}

struct Attaching {
    fan: FanId,
    attachment: Attachment,
    reply: oneshot::Sender<Attachment>,
}

impl State {
    pub fn new(me: &ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { event, number, courier, deadline, queue_front, slot, shelf } = arguments;
        let mirror = me.clone();
        let goodbye = move |fan, socket| {
            // A mirror that is gone keeps no presence.
            let _ = mirror.cast(Message::Detach { fan, socket });
        };
        let mut state = Self {
            event,
            number,
            courier,
            deadline,
            queue_front,
            slot,
            shelf,
            reader: Reader::default(),
            live: None,
            sockets: Sockets::new(Arc::new(goodbye)),
            roll: Roll::new(number),
            attaching: Vec::new(),
            finders: Vec::new(),
            heard: Instant::now(),
        };
        state.speak();
        state
    }

    pub fn find(&mut self, found: Found) {
        // A caller that gave up is no error.
        match &self.live {
            Some(live) => drop(found.send(Ok(live.handles.clone()))),
            None if self.finders.len() >= FINDERS => drop(found.send(Err(DirectoryError::Unavailable))),
            None => self.finders.push(found),
        }
    }

    pub fn attach(&mut self, fan: FanId, ear: Box<dyn Ear>, reply: oneshot::Sender<Attachment>) {
        // Without an answer the caller knows that it has to try again.
        let Some(live) = &self.live else { return };
        let attachment = self.sockets.attach(fan, ear, &live.lanes);
        self.roll.came(fan);
        self.attaching.push(Attaching { fan, attachment, reply });
        self.answer_attached();
        self.speak();
    }

    pub fn detach(&mut self, fan: FanId, socket: Socket) {
        self.sockets.detach(fan, socket);
        self.roll.went(fan);
    }

    pub fn bulletin(&mut self, me: &ActorRef<Message>, bulletin: Bulletin) {
        if bulletin.mirror != self.number {
            return;
        }
        let read = self.reader.read(bulletin);
        if read.broken {
            self.lose();
        }
        let Some(told) = read.told else { return };
        self.heard = Instant::now();
        if told.content.over {
            return self.lose();
        }
        self.roll.heard(told.content.heard, told.content.missed);
        self.show(me, told);
        self.answer_attached();
        self.speak();
    }

    /// What was to be heard may be lost, or the event runs elsewhere: sockets are cut off, and everything is asked for anew.
    pub fn lose(&mut self) {
        if self.live.take().is_none() {
            return;
        }
        self.slot.show(None);
        self.roll.restart(Instant::now(), self.sockets.fans());
        self.sockets.cut_off();
        self.attaching.clear();
    }

    pub fn pulse(&mut self, me: &ActorRef<Message>) {
        if self.live.is_some() && self.heard.elapsed() >= SILENCE {
            tracing::warn!(event = %self.event, "the event's node is silent");
            self.lose();
        }
        if self.sockets.is_empty() && self.slot.idle() >= IDLE {
            return self.end(me);
        }
        self.roll.expect_no_longer(Instant::now());
        self.finders.retain(|found| !found.is_closed());
        self.speak();
    }

    pub fn end(&mut self, me: &ActorRef<Message>) {
        self.courier.attend(self.event, self.roll.over());
        me.stop(Some("not needed".into()));
    }

    pub fn ended(&mut self) {
        self.lose();
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if shelf.get(&self.event).is_some_and(|entry| Arc::ptr_eq(&entry.slot, &self.slot)) {
            shelf.remove(&self.event);
        }
    }

    fn speak(&mut self) {
        let (now, live) = (Instant::now(), self.live.is_some());
        if self.roll.is_due(now, live) {
            for attendance in self.roll.say(now, &self.sockets, live) {
                self.courier.attend(self.event, attendance);
            }
        }
    }

    fn answer_attached(&mut self) {
        let roll = &self.roll;
        for Attaching { attachment, reply, .. } in self.attaching.extract_if(.., |one| roll.is_heard(one.fan)) {
            // If nobody receives it, it is dropped and detaches by itself.
            let _ = reply.send(attachment);
        }
    }

    fn show(&mut self, me: &ActorRef<Message>, told: Told) {
        let Told { epoch, whole, mut content } = told;
        let change = content.queue.take();
        match &self.live {
            Some(live) => live.show(&content),
            None if whole => self.begin(me, epoch, &content, change.clone()),
            None => return,
        }
        for (fan, news) in content.news {
            self.sockets.tell(fan, news);
        }
        // After the news: a position is of no use to whoever is admitted.
        if let (Some(live), Some(change)) = (&self.live, change) {
            let before = if whole { Arc::default() } else { Arc::clone(&live.queue.borrow()) };
            live.queue.send_replace(Arc::new(before.changed_by(change)));
        }
    }

    fn begin(&mut self, me: &ActorRef<Message>, epoch: Epoch, content: &Content, change: Option<QueueChange>) {
        let (Some(view), Some(configuration)) = (content.view.clone(), content.configuration.clone()) else { return };
        let first = change.map(|change| Queue::default().changed_by(change)).unwrap_or_default();
        let (view, view_shown) = watch::channel(view);
        let (configuration, configuration_shown) = watch::channel(configuration);
        let (queue, queue_shown) = watch::channel(Arc::new(first));
        let lanes = Arc::new(Lanes::new(queue_shown.clone(), self.queue_front));
        let reflection = Arc::new(Reflection {
            event: self.event,
            courier: Arc::clone(&self.courier),
            deadline: self.deadline,
            mirror: me.clone(),
            view: view_shown,
            configuration: configuration_shown,
            queue: queue_shown,
            clock: ArcSwap::from_pointee(Clock::at(content.at)),
        });
        let handles = EventHandles {
            inventory: inventory::Handle::there(Arc::clone(&reflection)),
            waiting_room: waiting_room::Handle::there(Arc::clone(&reflection)),
            orders: orders::Handle::there(Arc::clone(&reflection)),
            stock: stock::Handle::there(Arc::clone(&reflection)),
            epoch,
        };
        self.slot.show(Some(&handles));
        for found in self.finders.drain(..) {
            let _ = found.send(Ok(handles.clone()));
        }
        self.live = Some(Live { handles, reflection, view, configuration, queue, lanes });
    }
}

impl Live {
    /// All but news and queue.
    fn show(&self, content: &Content) {
        // Whatever was under way longest is furthest behind: the clock goes by the quickest.
        let clock = &self.reflection.clock;
        if content.at > clock.load().now() {
            clock.store(Arc::new(Clock::at(content.at)));
        }
        // As where the event runs: the view first, so that what is read under a version is not older.
        if let Some(view) = &content.view {
            self.view.send_replace(Arc::clone(view));
        }
        if let Some(configuration) = &content.configuration {
            self.configuration.send_replace(Arc::clone(configuration));
        }
    }
}
