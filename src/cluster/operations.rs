//! What operators ask of a cluster: how its nodes stand, and where its events shall run.
//!
//! What is wanted is a key in etcd and nothing else; each node's [steward](super::steward) sees to it. How a node stands it says
//! itself, when it is asked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::{Notify, watch};

use super::{
    Cluster,
    gateway::{Answer, Question, Remote},
    link::Peers,
    membership::Members,
    wire::Opaque,
};
use crate::{
    actors::{
        directory::LocalDirectory,
        operations::{ClusterStatus, NodeStatus, OperationError, Operations, Rates},
    },
    domain::id::EventId,
    stores::{
        database::{Database, events},
        membership::{Membership, Record, State},
        wishes::{WishStore, Wishes},
    },
};

/// For another node to say how it stands.
const ANSWER: Duration = Duration::from_secs(2);
/// Events in one answer, about 60 bytes each: it has to stay below 256 KiB.
const EVENTS: usize = 4_000;

/// How this node stands.
pub struct Portrait {
    node: String,
    membership: Arc<Membership>,
    local: Arc<LocalDirectory>,
    rates: Arc<Mutex<Rates>>,
    members: watch::Receiver<Arc<Members>>,
    peers: watch::Receiver<Arc<Peers>>,
    wishes: watch::Receiver<Arc<Wishes>>,
}

impl Portrait {
    pub fn new(
        cluster: &Cluster,
        membership: Arc<Membership>,
        local: Arc<LocalDirectory>,
        wishes: watch::Receiver<Arc<Wishes>>,
        rates: Arc<Mutex<Rates>>,
    ) -> Self {
        let (members, peers) = (cluster.members(), cluster.peers());
        Self { node: cluster.me().node.clone(), membership, local, rates, members, peers, wishes }
    }

    /// `None` while it is not registered.
    pub fn status(&self) -> Option<NodeStatus> {
        let record = self.members.borrow().get(&self.node).cloned()?;
        let drained = self.wishes.borrow().drained.contains(&self.node);
        let lease_left = self.membership.sure_for().unwrap_or_default();
        let events = self.rates.lock().unwrap_or_else(PoisonError::into_inner).status(self.local.running());
        Some(NodeStatus {
            answers: true,
            links: self.peers.borrow().iter().map(|remote| remote.peer.node.clone()).collect(),
            events,
            lease_ms_left: Some(u64::try_from(lease_left.as_millis()).unwrap_or(u64::MAX)),
            ..NodeStatus::of_record(&self.node, &record, drained)
        })
    }

    /// For another node; the first events only, if there are very many.
    pub fn answer(&self) -> Answer {
        let encoded = self.status().and_then(|mut status| {
            status.events.truncate(EVENTS);
            postcard::to_allocvec(&status).ok()
        });
        encoded.map_or(Answer::Incompatible, |status| Answer::Status(Opaque(status)))
    }
}

pub struct Operator {
    portrait: Arc<Portrait>,
    store: WishStore,
    database: Database,
    /// This node's steward is to look.
    hint: Arc<Notify>,
    state: watch::Receiver<State>,
}

impl Operator {
    pub fn new(portrait: Arc<Portrait>, database: Database, hint: Arc<Notify>, state: watch::Receiver<State>) -> Self {
        Self { store: portrait.membership.wishes(), portrait, database, hint, state }
    }

    fn record(&self, node: &str) -> Option<Record> {
        self.portrait.members.borrow().get(node).cloned()
    }

    async fn node(&self, node: String, record: Record, remote: Option<Remote>) -> NodeStatus {
        let said = if node == self.portrait.node { self.portrait.status() } else { ask(remote).await };
        // Another life of it may have answered.
        said.filter(|said| said.boot == record.boot).unwrap_or_else(|| {
            let drained = self.portrait.wishes.borrow().drained.contains(&node);
            NodeStatus::of_record(&node, &record, drained)
        })
    }
}

async fn ask(remote: Option<Remote>) -> Option<NodeStatus> {
    match remote?.ask(Question::Status, ANSWER).await {
        Ok(Answer::Status(status)) => postcard::from_bytes(&status.0).ok(),
        _ => None,
    }
}

#[async_trait]
impl Operations for Operator {
    fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    async fn status(&self) -> ClusterStatus {
        let (members, peers) = (Arc::clone(&self.portrait.members.borrow()), Arc::clone(&self.portrait.peers.borrow()));
        let nodes =
            members.iter().map(|(node, record)| self.node(node.to_owned(), record.clone(), peers.get(node).cloned()));
        ClusterStatus { nodes: join_all(nodes).await }
    }

    async fn drain(&self, node: &str) -> Result<(), OperationError> {
        self.record(node).ok_or(OperationError::UnknownNode)?;
        self.store.drain(node).await?;
        self.hint.notify_one();
        Ok(())
    }

    async fn undrain(&self, node: &str) -> Result<(), OperationError> {
        if self.record(node).is_none() && !self.store.list().await?.drained.contains(node) {
            return Err(OperationError::UnknownNode);
        }
        self.store.undrain(node).await?;
        self.hint.notify_one();
        Ok(())
    }

    async fn move_event(&self, event: EventId, to: Option<&str>) -> Result<(), OperationError> {
        if let Some(node) = to {
            let record = self.record(node).ok_or(OperationError::UnknownNode)?;
            if record.state != State::Up || self.store.list().await?.drained.contains(node) {
                return Err(OperationError::NotUp);
            }
        }
        events::by_id(&self.database, event).await?.ok_or(OperationError::UnknownEvent)?;
        match to {
            Some(node) => self.store.pin(event, node).await?,
            None => self.store.unpin(event).await?,
        }
        self.hint.notify_one();
        Ok(())
    }
}
