//! Lanes: show a queue to the sockets of one node, all of them in one sweep for each that is published.
//!
//! One lane per core, each a task with its own part of the sockets. It writes to them itself and wakes nobody: a message to
//! each socket's actor costs a third more. Between slices it lets others run.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::Instant,
};

use tokio::{sync::watch, task};
use tokio_util::task::AbortOnDropHandle;

use crate::{actors::measures::SweepMeasures, domain::queue::Queue};

/// Sockets between two moments in which others run: about half a millisecond.
const SLICE: usize = 64;

/// A socket, as a lane sees it. Goes when nobody else keeps it.
pub trait Viewer: Send + Sync + 'static {
    /// Never waits.
    fn show(&self, queue: &Queue);
}

pub struct Lanes {
    queue: watch::Receiver<Arc<Queue>>,
    /// Fans no further back are told their position with each publication.
    front: usize,
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

/// Its task begins with the first socket: most events have none on most nodes.
#[derive(Default)]
struct Lane {
    new: Arc<Mutex<Vec<Weak<dyn Viewer>>>>,
    work: OnceLock<AbortOnDropHandle<()>>,
}

impl Lanes {
    pub(in crate::actors) fn new(queue: watch::Receiver<Arc<Queue>>, front: usize) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let lanes = (0..cores).map(|_| Lane::default()).collect();
        Self { queue, front: front.max(1), lanes, next: AtomicUsize::new(0) }
    }

    /// From the next publication on.
    pub fn add(&self, viewer: Weak<dyn Viewer>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let Some(lane) = self.lanes.get(number) else { return };
        lock(&lane.new).push(viewer);
        lane.work.get_or_init(|| {
            // Bounded by its slices, not by the budget of a task, after which writing would only seem to be impossible.
            let work = task::unconstrained(run(self.queue.clone(), Arc::clone(&lane.new)));
            AbortOnDropHandle::new(tokio::spawn(work))
        });
    }

    /// As published last.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue.borrow())
    }

    pub fn front(&self) -> usize {
        self.front
    }
}

async fn run(mut queue: watch::Receiver<Arc<Queue>>, new: Arc<Mutex<Vec<Weak<dyn Viewer>>>>) {
    let (mut viewers, measures) = (Vec::new(), SweepMeasures::new());
    while queue.changed().await.is_ok() {
        let published = Arc::clone(&queue.borrow_and_update());
        viewers.append(&mut lock(&new));
        let began = Instant::now();
        let mut is_gone = false;
        for slice in viewers.chunks(SLICE) {
            for viewer in slice {
                match viewer.upgrade() {
                    Some(viewer) => show(&*viewer, &published),
                    None => is_gone = true,
                }
            }
            task::yield_now().await;
        }
        measures.swept(began.elapsed(), viewers.len());
        if is_gone {
            viewers.retain(|viewer| viewer.strong_count() > 0);
        }
    }
}

/// What goes wrong with one socket is not the others' loss.
fn show(viewer: &dyn Viewer, queue: &Queue) {
    if catch_unwind(AssertUnwindSafe(|| viewer.show(queue))).is_err() {
        tracing::error!("a socket could not be shown its queue");
    }
}

/// Nothing that runs under the lock can panic half way.
fn lock(new: &Mutex<Vec<Weak<dyn Viewer>>>) -> MutexGuard<'_, Vec<Weak<dyn Viewer>>> {
    new.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::domain::time::EventTime;

    struct Counter {
        shown: AtomicU32,
        fails: bool,
    }

    impl Viewer for Counter {
        fn show(&self, _: &Queue) {
            self.shown.fetch_add(1, Ordering::SeqCst);
            assert!(!self.fails, "as it should");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_socket_sees_every_queue_and_one_that_fails_harms_no_other() {
        let (publish, queue) = watch::channel(Arc::new(Queue::default()));
        let lanes = Lanes::new(queue, 1);
        let viewers: Vec<_> =
            (0..300).map(|number| Arc::new(Counter { shown: AtomicU32::new(0), fails: number % 50 == 0 })).collect();
        for viewer in &viewers {
            lanes.add(Arc::downgrade(viewer) as Weak<dyn Viewer>);
        }
        for turn in 1..=3 {
            publish.send_replace(Arc::new(Queue { at: EventTime(turn), ..Queue::default() }));
            let all_have_seen = || viewers.iter().all(|viewer| u64::from(viewer.shown.load(Ordering::SeqCst)) == turn);
            while !all_have_seen() {
                task::yield_now().await;
            }
        }
    }
}
