//! Lanes: send what is new to the sockets that watch one event, all of them in one sweep, one lane per core.
//!
//! A lane never waits for a client: it writes what goes out at once, and what does not stays with the socket, as a slice of the bytes
//! that all share. Who has not taken it yet is left out, and looked at again soon: what was missed is told then, or all of it.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::edition::Edition;

/// Sockets between two moments in which others run.
const SLICE: usize = 64;
/// For clients that had not taken what was sent before.
const AGAIN: Duration = Duration::from_millis(200);

/// A socket, as a lane sees it. Goes when nobody else keeps it.
pub trait Viewer: Send + Sync + 'static {
    /// Never waits. Whether there is nothing more to send for now: it is told, or gone.
    fn show(&self, edition: &Edition) -> bool;
}

pub type Editions = watch::Receiver<Option<Arc<Edition>>>;

pub struct Lanes {
    editions: Editions,
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

/// Its task begins with the first socket.
#[derive(Default)]
struct Lane {
    new: Arc<New>,
    work: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct New {
    viewers: Mutex<Vec<Weak<dyn Viewer>>>,
    came: Notify,
}

impl Lanes {
    pub fn new(editions: Editions) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { editions, lanes: (0..cores).map(|_| Lane::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// It is shown the stock soon, and then whatever is new.
    pub fn add(&self, viewer: Weak<dyn Viewer>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let Some(lane) = self.lanes.get(number) else { return };
        lane.new.lock().push(viewer);
        lane.new.came.notify_one();
        lane.work.get_or_init(|| {
            // Bounded by its slices, not by the budget of a task, after which writing would only seem to be impossible.
            let work = task::unconstrained(run(self.editions.clone(), Arc::clone(&lane.new)));
            AbortOnDropHandle::new(tokio::spawn(work))
        });
    }
}

impl New {
    /// Nothing that runs under the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Viewer>>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(mut editions: Editions, new: Arc<New>) {
    let (mut viewers, mut behind) = (Vec::new(), Vec::new());
    loop {
        let everybody = tokio::select! {
            changed = editions.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            () = new.came.notified() => false,
            () = sleep(AGAIN), if !behind.is_empty() => false,
        };
        let came = mem::take(&mut *new.lock());
        viewers.extend(came.iter().cloned());
        // One that came just now is for everybody, and is not taken as seen here.
        let edition = if everybody { editions.borrow_and_update().clone() } else { editions.borrow().clone() };
        let Some(edition) = edition else { continue };
        behind = if everybody {
            viewers.retain(|viewer| viewer.strong_count() > 0);
            sweep(&viewers, &edition).await
        } else {
            behind.extend(came);
            sweep(&behind, &edition).await
        };
    }
}

/// Those who have not been told all.
async fn sweep(viewers: &[Weak<dyn Viewer>], edition: &Edition) -> Vec<Weak<dyn Viewer>> {
    let mut behind = Vec::new();
    for slice in viewers.chunks(SLICE) {
        for viewer in slice {
            if viewer.upgrade().is_some_and(|viewer| !viewer.show(edition)) {
                behind.push(Weak::clone(viewer));
            }
        }
        task::yield_now().await;
    }
    behind
}
