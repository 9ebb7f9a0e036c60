//! The keys that this process knows, kept up with the store; reading them costs nothing.
//!
//! Owns the root secret, when the store is looked at, and rotation. The store is listed every two seconds: long before a new
//! generation signs, every node believes it. Whoever meets one earlier has it looked for.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::{ArcSwap, Guard};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{InForce, KeyStore, Stored};
use crate::{
    domain::{
        keys::{Generation, NotRotated, Schedule},
        time::{EventTime, Millis},
    },
    stores::{
        error::StoreError,
        pass_key::PassKey,
        secret::{RootSecret, TicketKey},
    },
};

/// How often the store is looked at.
pub const LIST: Duration = Duration::from_secs(2);
/// For one look.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks for a generation that is not known: tokens cannot make a node ask without end.
const APART: Duration = Duration::from_secs(1);
/// Others have time to fetch a new public key before codes and passes are signed with it: as long as they may keep the list of
/// keys, twice.
const PUBLISHED_FIRST: Millis = Millis::minutes(10);

/// All keys at one time; which of them counts when, the schedule says.
pub struct Keys {
    pub schedule: Schedule,
    /// Newest generation first; of each, the first secret's first.
    tickets: Vec<(Generation, Vec<TicketKey>)>,
    passes: Vec<(Generation, Vec<PassKey>)>,
}

impl Keys {
    fn new(secret: &RootSecret, schedule: Schedule) -> Self {
        let of = |generation| (generation, TicketKey::of(secret, generation));
        let tickets = schedule.iter().rev().map(|listed| of(listed.generation)).collect();
        let of = |generation| (generation, PassKey::of(secret, generation));
        let passes = schedule.iter().rev().map(|listed| of(listed.generation)).collect();
        Self { schedule, tickets, passes }
    }

    /// The one that signs ticket codes.
    pub fn ticket_key(&self, now: EventTime) -> &TicketKey {
        let signing = self.schedule.signing(now - PUBLISHED_FIRST);
        let of_it = self.tickets.iter().find(|(generation, _)| *generation == signing);
        of_it.and_then(|(_, keys)| keys.first()).expect("each generation has a key of each secret")
    }

    /// Every one that may have signed, or will: a code is good for ever.
    pub fn ticket_keys(&self) -> impl Iterator<Item = &TicketKey> {
        self.tickets.iter().flat_map(|(_, keys)| keys)
    }

    /// The one that signs passes.
    pub fn pass_key(&self, now: EventTime) -> &PassKey {
        let signing = self.schedule.signing(now - PUBLISHED_FIRST);
        let of_it = self.passes.iter().find(|(generation, _)| *generation == signing);
        of_it.and_then(|(_, keys)| keys.first()).expect("each generation has a key of each secret")
    }

    /// Every one that passes can be good by, or will: none is good for longer than `life`.
    pub fn pass_keys(&self, now: EventTime, life: Millis) -> impl Iterator<Item = &PassKey> {
        let is_over = move |generation| {
            let until = self.schedule.believed_until(generation, Millis(PUBLISHED_FIRST.0 + life.0));
            until.is_some_and(|until| until < now)
        };
        self.passes.iter().filter(move |(generation, _)| !is_over(*generation)).flat_map(|(_, keys)| keys)
    }
}

/// Why a generation that is not known was not looked for.
#[derive(Debug, thiserror::Error)]
pub enum NotLooked {
    #[error("another one was looked for just now")]
    TooSoon,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error(transparent)]
    Refused(#[from] NotRotated),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub struct KeyRing {
    inner: Arc<Inner>,
    _listing: Option<AbortOnDropHandle<()>>,
}

struct Inner {
    secret: RootSecret,
    keys: ArcSwap<Keys>,
    /// Without one, what is known stays.
    store: Option<Arc<dyn KeyStore>>,
    /// One look at a time, so that an older answer never comes after a newer one. When one was last made for a generation
    /// that is not known.
    looking: Mutex<Option<Instant>>,
}

impl KeyRing {
    /// Returns when this node knows what is stored, and has said so.
    pub async fn open(secret: RootSecret, store: Arc<dyn KeyStore>) -> Result<Arc<Self>, StoreError> {
        Self::open_with(secret, store, LIST).await
    }

    /// The same, looking at the store at another pace.
    pub async fn open_with(
        secret: RootSecret,
        store: Arc<dyn KeyStore>,
        every: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let stored = store.read().await?;
        let keys = Keys::new(&secret, stored.schedule);
        let inner = Inner { secret, keys: ArcSwap::from_pointee(keys), store: Some(store), looking: Mutex::default() };
        let inner = Arc::new(inner);
        inner.report().await?;
        let listing = tokio::spawn(Arc::clone(&inner).list(every));
        Ok(Arc::new(Self { inner, _listing: Some(AbortOnDropHandle::new(listing)) }))
    }

    /// Of given generations, which stay: for what ends before they could change.
    pub fn fixed(secret: RootSecret, schedule: Schedule) -> Arc<Self> {
        let keys = ArcSwap::from_pointee(Keys::new(&secret, schedule));
        let inner = Inner { secret, keys, store: None, looking: Mutex::default() };
        Arc::new(Self { inner: Arc::new(inner), _listing: None })
    }

    pub fn secret(&self) -> &RootSecret {
        &self.inner.secret
    }

    /// The same pointer until something has changed.
    pub fn load(&self) -> Guard<Arc<Keys>> {
        self.inner.keys.load()
    }

    /// What counts now.
    pub fn in_force(&self) -> InForce {
        self.inner.in_force()
    }

    /// Has a look whether there is this generation, if that is not known. Whoever asks meanwhile is answered by the same look.
    pub async fn look_for(&self, generation: Generation) -> Result<bool, NotLooked> {
        let asked = Instant::now();
        let mut looked = self.inner.looking.lock().await;
        let is_known = || self.load().schedule.iter().any(|listed| listed.generation == generation);
        if is_known() {
            return Ok(true);
        }
        match *looked {
            Some(at) if at >= asked => return Ok(false),
            Some(at) if at.elapsed() < APART => return Err(NotLooked::TooSoon),
            _ => *looked = Some(Instant::now()),
        }
        self.inner.look().await?;
        Ok(is_known())
    }

    /// What is stored now, and what each node says.
    pub async fn status(&self) -> Result<Stored, StoreError> {
        let _looking = self.inner.looking.lock().await;
        let mut stored = self.inner.look().await?;
        if self.inner.report_to(&stored).await? {
            stored = self.inner.look().await?;
        }
        Ok(stored)
    }

    /// Makes another generation, which signs when `overlap` has passed. `life` is the longest of what it will sign.
    pub async fn rotate(&self, overlap: Millis, life: Millis) -> Result<Generation, RotateError> {
        let _looking = self.inner.looking.lock().await;
        let stored = self.inner.look().await?;
        let generation = self.inner.next();
        let schedule = stored.schedule.rotated(generation, now(), overlap, life)?;
        let store = self.inner.store()?;
        match store.replace(stored.version, &schedule).await {
            Ok(()) => {}
            Err(error) => {
                // Perhaps it was done all the same. Or somebody else's was: then that is under way.
                let found = self.inner.look().await?.schedule;
                if found != schedule {
                    return match found.rotated(self.inner.next(), now(), overlap, life) {
                        Err(refused) => Err(refused.into()),
                        Ok(_) => Err(error.into()),
                    };
                }
            }
        }
        self.inner.take(schedule);
        tracing::info!(%generation, overlap_ms = overlap.0, "keys are rotated");
        Ok(generation)
    }
}

impl Inner {
    async fn list(self: Arc<Self>, every: Duration) {
        loop {
            sleep(every).await;
            let listed = async {
                let _looking = self.looking.lock().await;
                let stored = self.look().await?;
                self.report_to(&stored).await
            };
            if let Err(error) = listed.await {
                tracing::warn!(%error, "generations of keys cannot be listed; those known stay");
            }
        }
    }

    /// To be called by one at a time.
    async fn look(&self) -> Result<Stored, StoreError> {
        let stored = timeout(LOOK, self.store()?.read()).await;
        let stored = stored.unwrap_or_else(|late| Err(StoreError::Unavailable(late.into())))?;
        self.take(stored.schedule.clone());
        Ok(stored)
    }

    fn take(&self, schedule: Schedule) {
        if self.keys.load().schedule != schedule {
            tracing::info!(newest = %schedule.newest().generation, "generations of keys have changed");
            self.keys.store(Arc::new(Keys::new(&self.secret, schedule)));
        }
    }

    /// Where that is not what the store says of this node. Says whether it was not.
    async fn report_to(&self, stored: &Stored) -> Result<bool, StoreError> {
        let in_force = self.in_force();
        let me = self.store()?.node();
        let is_said = stored.nodes.iter().any(|(node, said)| node == me && *said == in_force);
        if !is_said {
            self.report().await?;
        }
        Ok(!is_said)
    }

    async fn report(&self) -> Result<(), StoreError> {
        let reported = timeout(LOOK, self.store()?.report(self.in_force())).await;
        reported.unwrap_or_else(|late| Err(StoreError::Unknown(late.into())))
    }

    fn in_force(&self) -> InForce {
        let schedule = &self.keys.load().schedule;
        InForce { believes: schedule.newest().generation, signs: schedule.signing(now()) }
    }

    /// The next number whose ticket keys are not called like others; when all names are taken, codes are held against several.
    fn next(&self) -> Generation {
        let keys = self.keys.load();
        let taken: Vec<u8> = keys.ticket_keys().map(TicketKey::id).collect();
        let is_free = |generation: &Generation| {
            let of_it = TicketKey::of(&self.secret, *generation);
            of_it.iter().all(|key| !taken.contains(&key.id()))
        };
        let first = keys.schedule.newest().generation.0 + 1;
        (first..first + 1_000).map(Generation).find(is_free).unwrap_or(Generation(first))
    }

    fn store(&self) -> Result<&Arc<dyn KeyStore>, StoreError> {
        self.store.as_ref().ok_or_else(|| StoreError::Invalid("these keys stay as they are".into()))
    }
}

/// Tokens go by the wall clock.
fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
