//! The posts to all nodes that can be reached.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::post::Post;
use crate::{cluster::link::Peers, stores::membership::Incarnation};

pub(super) struct Posts {
    me: Incarnation,
    peers: watch::Receiver<Arc<Peers>>,
    open: RwLock<HashMap<String, Arc<Post>>>,
}

impl Posts {
    pub fn new(me: Incarnation, peers: watch::Receiver<Arc<Peers>>) -> Self {
        Self { me, peers, open: RwLock::default() }
    }

    /// While the link to the node is up.
    pub fn to(&self, node: &str) -> Option<Arc<Post>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned();
        let remote = self.peers.borrow().get(node)?.clone();
        if let Some(open) = open.filter(|open| open.remote.is_same_link(&remote)) {
            return Some(open);
        }
        let mut all = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have been quicker.
        if let Some(open) = all.get(node).filter(|open| open.remote.is_same_link(&remote)) {
            return Some(Arc::clone(open));
        }
        let post = Post::open(self.me.clone(), remote);
        if let Some(former) = all.insert(node.to_owned(), Arc::clone(&post)) {
            former.close();
        }
        Some(post)
    }

    /// The same for this life of a node only. What a node sends may come before its link is known to be up.
    pub async fn back_to(&self, node: &Incarnation, until: Instant) -> Option<Arc<Post>> {
        let mut peers = self.peers.clone();
        let is_there = |peers: &Arc<Peers>| peers.get(&node.node).is_some_and(|remote| remote.peer == *node);
        timeout_at(until, peers.wait_for(is_there)).await.ok()?.ok()?;
        self.to(&node.node)
    }

    /// Lets those go who wait for what a link that has ended can no longer bring. Returns the nodes that were lost.
    pub fn sweep(&self) -> Vec<String> {
        let peers = Arc::clone(&self.peers.borrow());
        let mut lost = Vec::new();
        self.open.write().unwrap_or_else(PoisonError::into_inner).retain(|node, post| {
            let is_up = peers.get(node).is_some_and(|remote| remote.is_same_link(&post.remote));
            if !is_up {
                post.close();
                lost.push(node.clone());
            }
            is_up
        });
        lost
    }

    pub fn changes(&self) -> watch::Receiver<Arc<Peers>> {
        self.peers.clone()
    }
}
