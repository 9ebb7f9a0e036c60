//! The node's lease: kept alive, measured, and granted anew when it is lost.
//!
//! All of this node's owner keys hang on it, and its entry among the nodes. A lease never proves that one still owns something: a stalled leader may
//! revoke it at any moment. It bounds for how long this node may answer without asking.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use crate::stores::{
    etcd::{Etcd, Failure},
    journal::Epoch,
};

const TTL_SECONDS: i64 = 5;
const INTERVAL: Duration = Duration::from_millis(500);
/// For one keep-alive at one endpoint.
const DEADLINE: Duration = Duration::from_millis(500);
/// After this long without an acknowledged keep-alive, others may soon claim what this node owns.
const SURE: Duration = Duration::from_secs(4);
/// Before the next endpoint is asked.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
struct Lease {
    id: i64,
    /// etcd's revision at the grant: all keys under this lease are newer.
    granted_at: u64,
    /// When the last acknowledged keep-alive was sent; the server cannot have counted from an earlier moment.
    renewed: Instant,
}

pub struct LeaseKeeper {
    lease: watch::Receiver<Option<Lease>>,
    _task: AbortOnDropHandle<()>,
}

impl LeaseKeeper {
    /// `etcd` is its own: no large commit may delay a keep-alive.
    pub fn start(etcd: Etcd) -> Arc<Self> {
        let (sender, lease) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                let granted = grant(&etcd).await;
                keep(&etcd, granted, &sender).await;
                tracing::warn!("the lease is lost: another one is taken");
                sender.send_replace(None);
            }
        });
        Arc::new(Self { lease, _task: AbortOnDropHandle::new(task) })
    }

    /// Waits until there is one.
    pub async fn id(&self) -> i64 {
        self.id_that(|_| true).await
    }

    /// Waits until there is another one than this: what hung on this is gone, or soon will be.
    pub async fn id_after(&self, id: i64) -> i64 {
        self.id_that(|other| other != id).await
    }

    async fn id_that(&self, fits: impl Fn(i64) -> bool) -> i64 {
        let mut lease = self.lease.clone();
        let found = lease.wait_for(|lease| lease.is_some_and(|lease| fits(lease.id))).await;
        match found.ok().and_then(|lease| lease.map(|lease| lease.id)) {
            Some(id) => id,
            // The keeper has ended: only when the runtime shuts down.
            None => std::future::pending().await,
        }
    }

    /// An epoch from before the grant hung on a lease that was lost, and may be another node's by now.
    pub fn is_sure(&self, epoch: Epoch) -> bool {
        self.lease.borrow().is_some_and(|lease| epoch.0 > lease.granted_at && Instant::now() < lease.renewed + SURE)
    }

    /// For how long this node may answer without asking if no further keep-alive is acknowledged; `None` without a lease.
    pub fn sure_for(&self) -> Option<Duration> {
        self.lease.borrow().map(|lease| (lease.renewed + SURE).saturating_duration_since(Instant::now()))
    }

    /// Known once another lease is granted: before that there is nothing to claim under anyway.
    pub fn is_lost(&self, epoch: Epoch) -> bool {
        self.lease.borrow().is_some_and(|lease| epoch.0 <= lease.granted_at)
    }
}

async fn grant(etcd: &Etcd) -> Lease {
    loop {
        let renewed = Instant::now();
        match etcd.attempt(DEADLINE, |mut server| async move { server.lease.grant(TTL_SECONDS, None).await }).await {
            Ok(granted) => {
                let granted_at = granted.header().map_or(0, |header| header.revision().unsigned_abs());
                return Lease { id: granted.id(), granted_at, renewed };
            }
            Err(error) => tracing::warn!(%error, "no lease is granted, trying on"),
        }
        sleep_until(renewed + INTERVAL).await;
    }
}

/// Returns when the lease is lost.
async fn keep(etcd: &Etcd, mut lease: Lease, state: &watch::Sender<Option<Lease>>) {
    state.send_replace(Some(lease));
    sleep_until(lease.renewed + INTERVAL).await;
    loop {
        let sent = Instant::now();
        // A stream of its own for each: it is then also the next endpoint's, and its first reply is checked for a time
        // to live of zero, which is how etcd says that there is no such lease.
        match etcd.attempt(DEADLINE, |mut server| async move { server.lease.keep_alive(lease.id).await }).await {
            Ok(_) => {
                lease.renewed = sent;
                state.send_replace(Some(lease));
                sleep_until(sent + INTERVAL).await;
            }
            Err(Failure::Refused(error)) => {
                tracing::warn!(%error, "the lease is not kept alive");
                return;
            }
            Err(Failure::NoAnswer(_)) => sleep(PAUSE).await,
        }
    }
}
