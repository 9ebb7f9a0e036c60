//! Stand-ins: where an event runs, one for each mirror of it; a mirror's fans are present through it.
//!
//! Owns what its mirror has been told and who was said to be at the mirror's node. Accepts [`Attendance`]; emits
//! [`Bulletin`]s, pieces of what is new: at once for news and for what was heard, otherwise when the queue is published, and
//! once a second at the least. Decides nothing.
//!
//! Bounded: it waits while the link takes no bulletins. What changes meanwhile is told as one change afterwards; the room
//! lets it go if too many news wait. When it ends, however that happens, all its fans count as gone and have their grace.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    bulletin::Content,
    courier::{Attendance, Bulletin},
    directory::EventHandles,
    waiting_room::{Attending, Party},
};
use crate::domain::{
    id::{EventId, FanId},
    inventory::{View, configuration::Configuration},
    queue::{News, Queue},
};

/// Attendances that may wait for one stand-in; one that finds no room is missed, and all of it is said again.
const WAITING: usize = 256;
/// News in one bulletin.
const NEWS: usize = 2_048;
/// How often it is looked whether what is shown has changed in a way that cannot wait.
const LOOK: Duration = Duration::from_millis(100);
/// A mirror that hears nothing for some seconds gives the event up for lost.
const SILENCE: Duration = Duration::from_secs(1);

/// Later ones count higher, in this process; whatever is later than the process has a later epoch.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Those of the mirrors of one node, for as long as there is a link to it.
pub struct StandIns {
    bulletins: mpsc::Sender<Bulletin>,
    by_event: HashMap<EventId, StandIn>,
}

struct StandIn {
    mirror: u64,
    attendances: mpsc::Sender<Attendance>,
    work: AbortOnDropHandle<()>,
}

impl StandIns {
    /// `bulletins` go to the mirrors' node, in their order.
    pub fn new(bulletins: mpsc::Sender<Bulletin>) -> Self {
        Self { bulletins, by_event: HashMap::new() }
    }

    /// Passes on what a mirror says, to a new stand-in if there is none; `here` gives the event's handles. Says whether the
    /// event runs here.
    pub fn attend(
        &mut self,
        event: EventId,
        attendance: Attendance,
        here: impl FnOnce() -> Option<EventHandles>,
    ) -> bool {
        if let Some(known) = self.by_event.get(&event).filter(|known| !known.work.is_finished()) {
            if attendance.mirror < known.mirror {
                return true;
            }
            if attendance.mirror == known.mirror {
                // One that is lost is missed, and said again.
                let _ = known.attendances.try_send(attendance);
                return true;
            }
        }
        self.by_event.retain(|_, stand_in| !stand_in.work.is_finished());
        // Whoever is present through both for a moment is counted so, and stays.
        self.by_event.remove(&event);
        if attendance.over {
            return true;
        }
        let Some(handles) = here() else { return false };
        let (sender, attendances) = mpsc::channel(WAITING);
        let mirror = attendance.mirror;
        let _ = sender.try_send(attendance);
        let speaker = Speaker::new(event, mirror, handles, self.bulletins.clone());
        let work = AbortOnDropHandle::new(tokio::spawn(run(speaker, attendances)));
        self.by_event.insert(event, StandIn { mirror, attendances: sender, work });
        true
    }
}

/// Until the mirror is not needed, the event's actors end, or the link does.
async fn run(mut speaker: Speaker, mut attendances: mpsc::Receiver<Attendance>) {
    // The next attendance finds that there is none, and begins another.
    let Ok(mut party) = speaker.handles.waiting_room.gather().await else { return };
    let (mut hearing, mut news) = (Hearing::default(), Vec::new());
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_due = tokio::select! {
            attendance = attendances.recv() => {
                let Some(attendance) = attendance else { return };
                if attendance.over {
                    return;
                }
                speaker.wants_all(attendance.wants_all);
                hear(&mut hearing, &party, attendance);
                true
            }
            count = party.news.recv_many(&mut news, NEWS) => {
                if count == 0 {
                    return drop(speaker.farewell(&hearing).await);
                }
                true
            }
            changed = party.queue.changed() => match changed {
                Ok(()) => true,
                Err(_) => return drop(speaker.farewell(&hearing).await),
            },
            _ = look.tick() => speaker.is_due(),
        };
        if is_due && speaker.tell(&mut party, &hearing, std::mem::take(&mut news)).await.is_err() {
            return;
        }
    }
}

fn hear(hearing: &mut Hearing, party: &Party, attendance: Attendance) {
    if let Some(who) = hearing.hear(attendance) {
        party.attend(who);
    }
}

/// What was said of who is here, in order.
struct Hearing {
    last: u64,
    missed: bool,
    /// Under way: all of it.
    all: Option<HashSet<FanId>>,
}

impl Default for Hearing {
    /// Whatever was said before was not heard.
    fn default() -> Self {
        Self { last: 0, missed: true, all: None }
    }
}

impl Hearing {
    fn hear(&mut self, attendance: Attendance) -> Option<Attending> {
        let Attendance { number, whole, more, came, went, .. } = attendance;
        // Repeated, or late.
        if number <= self.last {
            return None;
        }
        let follows = number == self.last + 1;
        self.last = number;
        if !follows {
            (self.missed, self.all) = (true, None);
        }
        if whole {
            self.all = Some(HashSet::new());
        }
        let Some(all) = &mut self.all else {
            return (!self.missed).then_some(Attending::Change { came, went });
        };
        all.extend(came);
        if more {
            return None;
        }
        self.missed = false;
        self.all.take().map(Attending::All)
    }
}

/// What the mirror has been told, and how it is told more.
struct Speaker {
    event: EventId,
    mirror: u64,
    stand_in: u64,
    number: u64,
    handles: EventHandles,
    bulletins: mpsc::Sender<Bulletin>,
    /// `None`: nothing, or what was told does not count.
    told: Option<Told>,
    spoke: Instant,
}

struct Told {
    view: Arc<View>,
    configuration: Arc<Configuration>,
    queue: Arc<Queue>,
}

/// The link is gone.
struct Gone;

impl Speaker {
    fn new(event: EventId, mirror: u64, handles: EventHandles, bulletins: mpsc::Sender<Bulletin>) -> Self {
        let stand_in = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Self { event, mirror, stand_in, number: 0, handles, bulletins, told: None, spoke: Instant::now() }
    }

    fn wants_all(&mut self, wants_all: bool) {
        if wants_all {
            self.told = None;
        }
    }

    fn is_due(&self) -> bool {
        let Some(told) = &self.told else { return true };
        let view = self.handles.inventory.view();
        // Counts may be a second old; what is sold, and whether, is not.
        let changed = (view.version, view.status) != (told.view.version, told.view.status);
        changed || self.spoke.elapsed() >= SILENCE
    }

    async fn tell(&mut self, party: &mut Party, hearing: &Hearing, news: Vec<(FanId, News)>) -> Result<(), Gone> {
        // In this order: a version that is told comes with a view that is not older.
        let configuration = self.handles.inventory.configuration();
        let (view, queue) = (self.handles.inventory.view(), Arc::clone(&party.queue.borrow_and_update()));
        let empty = Queue::default();
        let told = self.told.as_ref();
        let content = Content {
            at: self.handles.inventory.clock().now(),
            heard: hearing.last,
            missed: hearing.missed,
            view: differs(told.map(|told| &told.view), &view),
            configuration: differs(told.map(|told| &told.configuration), &configuration),
            queue: differs(told.map(|told| &told.queue), &queue)
                .map(|queue| queue.change_since(told.map_or(&empty, |told| &told.queue))),
            news,
            over: false,
        };
        let whole = told.is_none();
        self.told = Some(Told { view, configuration, queue });
        self.send(&content, whole).await
    }

    /// The event's actors have ended.
    async fn farewell(&mut self, hearing: &Hearing) -> Result<(), Gone> {
        let content = Content {
            at: self.handles.inventory.clock().now(),
            heard: hearing.last,
            missed: hearing.missed,
            view: None,
            configuration: None,
            queue: None,
            news: Vec::new(),
            over: true,
        };
        self.send(&content, false).await
    }

    async fn send(&mut self, content: &Content, whole: bool) -> Result<(), Gone> {
        for (piece, bytes) in content.cut(whole) {
            self.number += 1;
            let bulletin = Bulletin {
                event: self.event,
                mirror: self.mirror,
                epoch: self.handles.epoch,
                stand_in: self.stand_in,
                number: self.number,
                piece,
                bytes,
            };
            self.bulletins.send(bulletin).await.map_err(|_| Gone)?;
        }
        self.spoke = Instant::now();
        Ok(())
    }
}

fn differs<T>(told: Option<&Arc<T>>, now: &Arc<T>) -> Option<Arc<T>> {
    (!told.is_some_and(|told| Arc::ptr_eq(told, now))).then(|| Arc::clone(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attendance(number: u64, whole: bool, more: bool, came: &[u128]) -> Attendance {
        let came = came.iter().map(|&fan| FanId::from_u128(fan)).collect();
        Attendance { mirror: 1, number, whole, more, came, went: Vec::new(), wants_all: false, over: false }
    }

    #[test]
    fn changes_count_only_after_all_was_heard_and_in_order() {
        let mut hearing = Hearing::default();
        assert!(hearing.hear(attendance(4, false, false, &[1])).is_none() && hearing.missed);
        assert!(hearing.hear(attendance(5, true, true, &[1])).is_none());
        assert!(hearing.hear(attendance(5, true, true, &[1])).is_none(), "twice");
        let all = hearing.hear(attendance(6, false, false, &[2]));
        assert!(matches!(all, Some(Attending::All(all)) if all.len() == 2));
        assert!(!hearing.missed);
        assert!(matches!(hearing.hear(attendance(7, false, false, &[3])), Some(Attending::Change { .. })));
        assert!(hearing.hear(attendance(9, false, false, &[4])).is_none() && hearing.missed, "one was lost");
        assert!(matches!(hearing.hear(attendance(10, true, false, &[])), Some(Attending::All(_))));
    }

    #[test]
    fn all_of_which_a_piece_was_lost_is_not_believed() {
        let mut hearing = Hearing::default();
        assert!(hearing.hear(attendance(1, true, true, &[1])).is_none());
        assert!(hearing.hear(attendance(3, false, false, &[3])).is_none());
        assert!(hearing.missed && hearing.last == 3);
    }
}
