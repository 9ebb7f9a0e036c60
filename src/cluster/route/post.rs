//! Post: what goes to one node over one link, and what is expected back.
//!
//! Owns the parcels that wait for their fate and the gathering of many into one notice. When the link ends, nobody knows what
//! became of what waits.
//!
//! Limit: [`IN_FLIGHT`] parcels to a node; beyond it an asker is told so at once. Nothing else on a link is bounded.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::pieces::{Joiner, pack};
use crate::{
    cluster::gateway::{Fate, Notice, Parcel, Piece, Remote},
    stores::membership::Incarnation,
};

const IN_FLIGHT: usize = 8_192;
/// Gathered at once.
const GATHERED: usize = 512;

/// The numbers of this process's parcels: of whichever link, one is never used again.
static LAST: AtomicU64 = AtomicU64::new(0);

pub(super) struct Post {
    pub remote: Remote,
    outgoing: mpsc::UnboundedSender<Letter>,
    /// `None`: the link has ended.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Fate>>>>,
    errands: Mutex<Joiner>,
    reports: Mutex<Joiner>,
    _work: AbortOnDropHandle<()>,
}

enum Letter {
    Errand(u64, Vec<u8>),
    Report(u64, Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// Certainly nothing was done.
    NotSent,
    Overloaded,
    /// It may have been done, or may be yet.
    Unknown,
}

impl Post {
    pub fn open(me: Incarnation, remote: Remote) -> Arc<Self> {
        let (outgoing, letters) = mpsc::unbounded_channel();
        let work = AbortOnDropHandle::new(tokio::spawn(send(me, remote.clone(), letters)));
        let (errands, reports) = (Mutex::default(), Mutex::default());
        Arc::new(Self { remote, outgoing, waiting: Mutex::new(Some(HashMap::new())), errands, reports, _work: work })
    }

    /// Everybody who waits is told that nobody knows.
    pub fn close(&self) {
        *locked(&self.waiting) = None;
    }

    pub async fn ask(&self, parcel: &Parcel, until: Instant) -> Result<Fate, Undelivered> {
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, fate) = oneshot::channel();
        {
            let mut waiting = locked(&self.waiting);
            let waiting = waiting.as_mut().ok_or(Undelivered::NotSent)?;
            if waiting.len() >= IN_FLIGHT {
                return Err(Undelivered::Overloaded);
            }
            waiting.insert(id, sender);
        }
        let _forget = Forget { post: self, id };
        let bytes = postcard::to_allocvec(parcel).map_err(|_| Undelivered::NotSent)?;
        self.outgoing.send(Letter::Errand(id, bytes)).map_err(|_| Undelivered::NotSent)?;
        timeout_at(until, fate).await.ok().and_then(Result::ok).ok_or(Undelivered::Unknown)
    }

    /// To whoever sent the parcel with this number.
    pub fn report(&self, id: u64, fate: &Fate) {
        match postcard::to_allocvec(fate) {
            // A link that has ended needs no report.
            Ok(bytes) => drop(self.outgoing.send(Letter::Report(id, bytes))),
            Err(error) => tracing::error!(%error, "a report that cannot be encoded"),
        }
    }

    /// Parcels that have arrived whole.
    pub fn parcels(&self, pieces: Vec<Piece>) -> Vec<(u64, Parcel)> {
        let mut joiner = locked(&self.errands);
        let whole = pieces.into_iter().filter_map(|piece| joiner.join(piece));
        whole.filter_map(|(id, bytes)| Some((id, read(&bytes)?))).collect()
    }

    /// Gives the fates that have arrived whole to who waits for them.
    pub fn settle(&self, pieces: Vec<Piece>) {
        let mut joiner = locked(&self.reports);
        for piece in pieces {
            let Some((id, bytes)) = joiner.join(piece) else { continue };
            let Some(fate) = read(&bytes) else { continue };
            let asker = locked(&self.waiting).as_mut().and_then(|waiting| waiting.remove(&id));
            // Whoever waits no longer has said so to its caller.
            if let Some(asker) = asker {
                let _ = asker.send(fate);
            }
        }
    }
}

/// What cannot be read is not answered: its asker's time runs out, and nobody knows.
fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).inspect_err(|error| tracing::warn!(%error, "a letter that cannot be read")).ok()
}

/// An asker that is gone waits no longer.
struct Forget<'a> {
    post: &'a Post,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *locked(&self.post.waiting) {
            waiting.remove(&self.id);
        }
    }
}

/// Many at once: a message costs far more than what is in it.
async fn send(me: Incarnation, remote: Remote, mut letters: mpsc::UnboundedReceiver<Letter>) {
    let mut gathered = Vec::new();
    while letters.recv_many(&mut gathered, GATHERED).await > 0 {
        // Who is about to send is let run.
        yield_now().await;
        while gathered.len() < GATHERED
            && let Ok(letter) = letters.try_recv()
        {
            gathered.push(letter);
        }
        let (mut errands, mut reports) = (Vec::new(), Vec::new());
        for letter in gathered.drain(..) {
            match letter {
                Letter::Errand(id, bytes) => errands.push((id, bytes)),
                Letter::Report(id, bytes) => reports.push((id, bytes)),
            }
        }
        for pieces in pack(errands) {
            remote.tell(Notice::Errands { from: me.clone(), pieces });
        }
        for pieces in pack(reports) {
            remote.tell(Notice::Reports { from: me.clone(), pieces });
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
