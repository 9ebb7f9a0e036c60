//! Who belongs to the cluster now, as etcd says it; and that this node does, for as long as it runs.
//!
//! Lists every two seconds; a watch only makes it look earlier. What cannot be listed stays as it was.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::measures;
use crate::stores::{
    error::StoreError,
    membership::{EnterError, Incarnation, Membership, Record, State},
};

const LIST: Duration = Duration::from_secs(2);
/// After etcd did not let the record be put, or a watch ended.
const PAUSE: Duration = Duration::from_millis(500);

/// The nodes by name, this one included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<String, Record>);

impl Members {
    pub fn get(&self, node: &str) -> Option<&Record> {
        self.0.get(node)
    }

    /// Whether this very life of it is registered.
    pub fn has(&self, incarnation: &Incarnation) -> bool {
        self.get(&incarnation.node).is_some_and(|record| record.boot == incarnation.boot)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.0.iter().map(|(node, record)| (node.as_str(), record))
    }
}

impl FromIterator<(String, Record)> for Members {
    fn from_iter<T: IntoIterator<Item = (String, Record)>>(nodes: T) -> Self {
        Self(nodes.into_iter().collect())
    }
}

/// This node's place among the members; it is left by [`Place::leave`] only.
pub(super) struct Place {
    pub members: watch::Receiver<Arc<Members>>,
    pub state: watch::Sender<State>,
    /// Cancelled when another process has taken the name, so that this one must end.
    pub ousted: CancellationToken,
    closing: CancellationToken,
    keeping: AbortOnDropHandle<()>,
    _listing: AbortOnDropHandle<()>,
}

impl Place {
    /// Returns when the name is this node's and the others are known.
    pub async fn take(store: Arc<Membership>, record: Record) -> Result<Self, EnterError> {
        let lease = store.enter(&record).await?;
        let mut lister = Lister::new(Arc::clone(&store), record.cluster.clone());
        let (sender, members) = watch::channel(Arc::new(lister.list().await?));
        let (state, states) = watch::channel(record.state);
        let (ousted, closing, missing) = (CancellationToken::new(), CancellationToken::new(), Arc::new(Notify::new()));
        let me = Incarnation { node: store.node().to_owned(), boot: record.boot };
        let keeper = Keeper { store, record, states, missing: Arc::clone(&missing), ousted: ousted.clone() };
        let keeping = tokio::spawn(keeper.run(lease, closing.clone()));
        let listing = tokio::spawn(async move { lister.run(&me, &sender, &missing).await });
        Ok(Self {
            members,
            state,
            ousted,
            closing,
            keeping: AbortOnDropHandle::new(keeping),
            _listing: AbortOnDropHandle::new(listing),
        })
    }

    pub async fn leave(self) {
        self.closing.cancel();
        let _ = self.keeping.await;
    }
}

/// Keeps the record there.
struct Keeper {
    store: Arc<Membership>,
    record: Record,
    states: watch::Receiver<State>,
    /// Told when a list lacks this node.
    missing: Arc<Notify>,
    ousted: CancellationToken,
}

impl Keeper {
    async fn run(mut self, lease: i64, closing: CancellationToken) {
        tokio::select! {
            () = self.keep(lease) => self.ousted.cancel(),
            () = closing.cancelled() => {}
        }
        self.store.leave(self.record.boot).await;
    }

    /// Returns when the name is another's.
    async fn keep(&mut self, mut lease: i64) {
        loop {
            tokio::select! {
                () = self.store.lease_lost(lease) => {}
                () = self.missing.notified() => {}
                Ok(()) = self.states.changed() => {}
            }
            self.record.state = *self.states.borrow_and_update();
            lease = loop {
                match self.store.enter(&self.record).await {
                    Ok(lease) => break lease,
                    Err(error @ EnterError::Taken { .. }) => {
                        tracing::error!(%error, "this node's name is another's");
                        return;
                    }
                    Err(EnterError::Store(error)) => {
                        tracing::warn!(%error, "this node cannot register, trying on");
                        sleep(PAUSE).await;
                    }
                }
            };
        }
    }
}

struct Lister {
    store: Arc<Membership>,
    cluster: String,
    /// Nodes of other clusters that were warned of.
    strangers: HashSet<String>,
}

impl Lister {
    fn new(store: Arc<Membership>, cluster: String) -> Self {
        Self { store, cluster, strangers: HashSet::new() }
    }

    async fn list(&mut self) -> Result<Members, StoreError> {
        let mut members = BTreeMap::new();
        for (node, record) in self.store.list().await? {
            if record.cluster == self.cluster {
                members.insert(node, record);
            } else if !self.strangers.contains(&node) {
                tracing::warn!(
                    %node,
                    link = record.link,
                    "a node with another cookie is registered in the same etcd: it is not taken for a member"
                );
                self.strangers.insert(node);
            }
        }
        measures::nodes(members.len());
        Ok(Members(members))
    }

    async fn run(&mut self, me: &Incarnation, members: &watch::Sender<Arc<Members>>, missing: &Notify) {
        let hint = Arc::new(Notify::new());
        let _watching = AbortOnDropHandle::new(tokio::spawn(watch(Arc::clone(&self.store), Arc::clone(&hint))));
        loop {
            let _ = timeout(LIST, hint.notified()).await;
            match self.list().await {
                Ok(list) => {
                    if !list.has(me) {
                        missing.notify_one();
                    }
                    members.send_if_modified(|known| {
                        let is_new = **known != list;
                        if is_new {
                            *known = Arc::new(list);
                        }
                        is_new
                    });
                }
                Err(error) => tracing::warn!(%error, "the nodes cannot be listed; those known stay"),
            }
        }
    }
}

/// Gives a hint at each change that is told.
async fn watch(store: Arc<Membership>, hint: Arc<Notify>) {
    loop {
        if let Ok(mut stream) = store.watch().await {
            while let Ok(Some(_)) = stream.message().await {
                hint.notify_one();
            }
        }
        sleep(PAUSE).await;
    }
}
