//! Stations: what one node tells of one event's stock, for as long as somebody watches.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    edition::{Edition, Way},
    lanes::{Editions, Lanes, Viewer},
};
use crate::{
    actors::{
        directory::{Directory, DirectoryError, EventHandles},
        inventory::AskError,
    },
    domain::{
        id::EventId,
        inventory::View,
        stock::{Mark, Misfit, Update},
    },
    http::websocket::Line,
};

/// What changes meanwhile is told together.
const EVERY: Duration = Duration::from_millis(200);
/// While the event is not reached.
const AGAIN: Duration = Duration::from_millis(500);
/// An event that is watched counts as asked for, also when nothing changes.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Stations(Arc<Open>);

type Open = Mutex<HashMap<EventId, Weak<Station>>>;

pub struct Station {
    event: EventId,
    editions: Editions,
    lanes: Lanes,
    among: Weak<Open>,
    _work: AbortOnDropHandle<()>,
}

impl Stations {
    /// The event's, which ends when nobody keeps it.
    pub fn station(&self, directory: &Arc<dyn Directory>, event: EventId) -> Arc<Station> {
        let mut stations = lock(&self.0);
        if let Some(station) = stations.get(&event).and_then(Weak::upgrade) {
            return station;
        }
        let (edited, editions) = watch::channel(None);
        let work = AbortOnDropHandle::new(tokio::spawn(follow(Arc::clone(directory), event, edited)));
        let lanes = Lanes::new(editions.clone());
        let among = Arc::downgrade(&self.0);
        let station = Arc::new(Station { event, editions, lanes, among, _work: work });
        stations.insert(event, Arc::downgrade(&station));
        station
    }
}

impl Station {
    /// `None` until the event was reached.
    pub fn editions(&self) -> Editions {
        self.editions.clone()
    }

    /// From what was seen on, until it is dropped.
    pub fn watch(self: Arc<Self>, line: &Arc<Line>, seen: Option<Mark>) -> Arc<Watching> {
        let watching = Arc::new(Watching { line: Arc::clone(line), seen: Mutex::new(seen), station: self });
        watching.station.lanes.add(Arc::downgrade(&watching) as Weak<dyn Viewer>);
        watching
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let Some(among) = self.among.upgrade() else { return };
        let mut stations = lock(&among);
        // Another one may have begun meanwhile.
        if stations.get(&self.event).is_some_and(|station| station.strong_count() == 0) {
            stations.remove(&self.event);
        }
    }
}

/// A socket that watches.
pub struct Watching {
    line: Arc<Line>,
    seen: Mutex<Option<Mark>>,
    station: Arc<Station>,
}

impl Viewer for Watching {
    fn show(&self, edition: &Edition) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = edition.since(*seen, Way::Socket);
        if missed.is_empty() {
            return true;
        }
        // A line that is broken ends by itself.
        let is_taken = self.line.send_if_clear(&missed).unwrap_or(true);
        if is_taken {
            *seen = Some(edition.mark());
        }
        is_taken
    }
}

async fn follow(directory: Arc<dyn Directory>, event: EventId, editions: watch::Sender<Option<Arc<Edition>>>) {
    loop {
        let began = Instant::now();
        match look(&*directory, event, &editions).await {
            Ok((handles, view)) => {
                sleep_until(began + EVERY).await;
                let _ = timeout(LONGEST, handles.stock.stirred(&view)).await;
            }
            Err(error) => {
                tracing::debug!(%event, %error, "the stock is not seen now");
                sleep(AGAIN).await;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Event(#[from] AskError),
}

async fn look(
    directory: &dyn Directory,
    event: EventId,
    editions: &watch::Sender<Option<Arc<Edition>>>,
) -> Result<(EventHandles, Arc<View>), Unseen> {
    let handles = directory.event(event).await?;
    // Before the stock: what comes between is looked for once more.
    let view = handles.inventory.view();
    let before = editions.borrow().clone();
    let seen = before.as_ref().map(|edition| edition.mark());
    let update = handles.stock.since(seen).await?;
    if let Some(edition) = next(before.as_deref(), update) {
        editions.send_replace(edition.map(Arc::new).ok());
    }
    Ok((handles, view))
}

/// `None`: nothing is new.
fn next(before: Option<&Edition>, update: Update) -> Option<Result<Edition, Misfit>> {
    match (before, update) {
        (_, Update::Whole { mark, map, recent }) => Some(Ok(Edition::new(mark, map, &recent))),
        (_, Update::Since(deltas)) if deltas.is_empty() => None,
        // What does not follow is asked for as a whole.
        (before, Update::Since(deltas)) => Some(before.ok_or(Misfit).and_then(|edition| edition.followed_by(&deltas))),
    }
}

/// Nothing that runs under the lock can panic half way.
fn lock(stations: &Open) -> MutexGuard<'_, HashMap<EventId, Weak<Station>>> {
    stations.lock().unwrap_or_else(PoisonError::into_inner)
}
