//! What one socket shows: what it was told last, and what has changed since.
//!
//! Used from two sides: the connection's actor says what happens to its fan, a lane shows each published queue. Neither waits
//! for the reader: one that is slow gets the newest position only.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use ractor::ActorRef;

use super::{
    Clock, Conditions, Notice, Outgoing, Outlet, Position, Put, Seen, Standing, Update, digest, message::Message,
};
use crate::{
    actors::{
        measures::Share,
        waiting_room::{Attachment, Viewer},
    },
    domain::{
        queue::Queue,
        time::{EventTime, Millis},
    },
};

/// Positions are not told more often than this, by the times at which queues are published: when a sweep gets to a socket
/// varies.
const UPDATE_EVERY: Millis = Millis(1_000);
/// A publication may be so much early.
const EARLY: Millis = Millis(200);
/// Nor, however far back, less often than after so many of these.
const LONGEST: u64 = 10;
/// A reader that takes nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// The reader is gone, or so slow that it has to be given up.
#[derive(Debug)]
pub(super) struct Lost;

pub(super) struct Screen {
    me: ActorRef<Message>,
    outlet: Box<dyn Outlet>,
    shown: Mutex<Shown>,
    _counted: Share,
}

/// The screen as one attachment's lane sees it: goes when the socket attaches again.
pub(super) struct Sight {
    screen: Arc<Screen>,
    attempt: u64,
}

struct Shown {
    standing: Standing,
    /// `None`: nothing is known of the queue, and nothing told.
    tie: Option<Tie>,
    seq: u64,
    told: Option<Told>,
    /// Since when the reader has not taken what is new.
    behind: Option<Instant>,
}

struct Tie {
    attempt: u64,
    clock: Clock,
    front: usize,
}

/// What the last update said.
struct Told {
    /// Of the same attachment only: another one's clock may be behind.
    queue_at: EventTime,
    standing: Standing,
    position: Option<Position>,
    conditions: Conditions,
}

impl Told {
    /// What does not wait for its turn when it changes: all but the stock, and the notice, which is long and the same for all.
    fn rules(&self) -> Conditions {
        Conditions { tickets: None, notice: 0, ..self.conditions }
    }
}

impl Screen {
    pub fn new(me: ActorRef<Message>, outlet: Box<dyn Outlet>) -> Self {
        let shown = Shown { standing: Standing::NotHere, tie: None, seq: 0, told: None, behind: None };
        Self { me, outlet, shown: Mutex::new(shown), _counted: Share::of_sockets() }
    }

    /// From now on the queue is shown: first as it is, then each that is published.
    pub fn tie(
        self: &Arc<Self>,
        attempt: u64,
        attachment: &Attachment,
        clock: Clock,
        standing: Standing,
    ) -> Result<Arc<Sight>, Lost> {
        let lanes = &attachment.lanes;
        let mut shown = self.lock();
        shown.tie = Some(Tie { attempt, clock, front: lanes.front() });
        shown.standing = standing;
        if let Some(told) = &mut shown.told {
            told.queue_at = EventTime(0);
        }
        let sight = Arc::new(Sight { screen: Arc::clone(self), attempt });
        lanes.add(Arc::downgrade(&sight) as Weak<dyn Viewer>);
        self.update(&mut shown, &lanes.queue())?;
        Ok(sight)
    }

    /// Until it is tied again, or for good.
    pub fn untie(&self) {
        self.lock().tie = None;
    }

    pub fn stand(&self, standing: Standing, queue: &Queue) -> Result<(), Lost> {
        let mut shown = self.lock();
        shown.standing = standing;
        self.update(&mut shown, queue)
    }

    /// Another socket can go on from what this one was told.
    pub fn goaway(&self) -> Result<(), Lost> {
        let seen = {
            let shown = self.lock();
            let seen = |told: &Told| {
                let Told { standing, position, conditions, .. } = *told;
                Seen { seq: shown.seq, notice: conditions.notice, digest: digest(standing, position, conditions) }
            };
            shown.told.as_ref().map(seen)
        };
        self.say(Outgoing::Goaway(seen))
    }

    /// Must arrive.
    pub fn say(&self, outgoing: Outgoing) -> Result<(), Lost> {
        match self.outlet.put(outgoing) {
            Put::Taken => Ok(()),
            Put::NotNow | Put::Never => Err(Lost),
        }
    }

    /// Tells what has changed: a standing at once, a position at most once a second.
    fn update(&self, shown: &mut Shown, queue: &Queue) -> Result<(), Lost> {
        let Some(tie) = &shown.tie else { return Ok(()) };
        let position = Position::of_standing(shown.standing, queue);
        let conditions = queue.conditions;
        let now = Told { queue_at: queue.at, standing: shown.standing, position, conditions };
        if let Some(told) = &shown.told {
            // A lane may be behind what the actor has told.
            if now.queue_at < told.queue_at {
                return Ok(());
            }
            let standing_changed = told.standing != now.standing || told.rules() != now.rules();
            let due = (now.queue_at + EARLY).since(told.queue_at) >= every(position, tie.front);
            let same = told.position == now.position && told.conditions == now.conditions;
            if !standing_changed && (same || !due) {
                return Ok(());
            }
        }
        let is_rebuilt = shown.told.as_ref().is_some_and(|told| told.conditions.rebuilding) && !conditions.rebuilding;
        // By its version: no socket keeps the texts.
        let told_notice = shown.told.as_ref().map_or(0, |told| told.conditions.notice);
        let notice = (told_notice != conditions.notice).then(|| queue.notice.clone());
        let seq = shown.seq + 1;
        let whole = Update::of(shown.standing, position, queue, tie.clock.now());
        let update = Update { seq, notice, ..whole };
        match self.outlet.put(Outgoing::Update(update)) {
            Put::Taken => {
                shown.seq = seq;
                shown.told = Some(now);
                shown.behind = None;
                if is_rebuilt { self.say(Outgoing::Notice(Notice::QueueRebuilt)) } else { Ok(()) }
            }
            // The next queue that is published is tried again.
            Put::NotNow if shown.behind.get_or_insert_with(Instant::now).elapsed() < PATIENCE => Ok(()),
            Put::NotNow | Put::Never => Err(Lost),
        }
    }

    /// Nothing that runs under the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Viewer for Sight {
    fn show(&self, queue: &Queue) {
        let mut shown = self.screen.lock();
        if shown.tie.as_ref().is_none_or(|tie| tie.attempt != self.attempt) {
            return;
        }
        if self.screen.update(&mut shown, queue).is_err() {
            // An actor that is gone needs no telling.
            let _ = self.screen.me.cast(Message::Gone);
        }
    }
}

/// Further back a second changes little.
fn every(position: Option<Position>, front: usize) -> Millis {
    let ahead = position.and_then(|position| position.ahead()).unwrap_or_default();
    Millis(UPDATE_EVERY.0 * (ahead as u64 / front as u64).clamp(1, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::waiting_room::Spot;

    #[test]
    fn a_socket_is_no_larger_for_notices() {
        // Hours, entries and stock; the mode, four flags and a notice's version.
        assert_eq!(size_of::<Conditions>(), 72);
    }

    #[test]
    fn the_front_is_told_each_second_and_far_back_less_often_but_at_least_every_ten() {
        let behind = |ahead| Position { spot: Spot::Behind { ahead, wait: None }, total: ahead + 1 };
        for (ahead, times) in [(0, 1), (1_000, 1), (1_999, 1), (2_000, 2), (5_500, 5), (1_000_000, 10)] {
            assert_eq!(every(Some(behind(ahead)), 1_000), Millis(UPDATE_EVERY.0 * times), "{ahead}");
        }
        assert_eq!(every(None, 1_000), UPDATE_EVERY);
    }
}
