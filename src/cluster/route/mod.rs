//! Routing: any node serves any event, wherever it runs.
//!
//! The [`Router`] is this node's [`Directory`](crate::actors::directory::Directory) (the event's own handles where it runs
//! here, otherwise its mirror's), its [`Courier`](crate::actors::courier::Courier) (errands to the event's node), and its
//! [`Inbox`](super::gateway::Inbox) (what other nodes send). Where an event runs is what the owner key in etcd says; who is to
//! run one that nobody runs is [placement](super::placement)'s word.
//!
//! Decides nothing about events. Whatever goes wrong on the way is one of: certainly not done, or nobody knows; the second is
//! tried again only where that is harmless.

mod courier;
mod directory;
mod inbox;
mod owners;
mod pieces;
mod post;
mod posts;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio_util::task::AbortOnDropHandle;

use self::{
    inbox::Visitors,
    owners::{NotFound, Owners},
    posts::Posts,
};
use super::{
    Entered,
    gateway::{Answer, Question, Taken},
    operations::Portrait,
    placement::Placement,
};
use crate::{
    actors::{
        config::Config,
        directory::{DirectoryError, LocalDirectory},
        mirror::Mirrors,
    },
    domain::id::EventId,
    stores::{membership::Incarnation, ownership::Ownership},
};

/// For a node to start an event's actors, its recovery included.
const TAKE: Duration = Duration::from_secs(5);

pub struct Router {
    me: Incarnation,
    local: Arc<LocalDirectory>,
    ownership: Arc<dyn Ownership>,
    placement: Placement,
    owners: Owners,
    posts: Posts,
    /// Set once; they need the router as their courier.
    mirrors: OnceLock<Mirrors>,
    visitors: Mutex<HashMap<Incarnation, Visitors>>,
    itself: Weak<Router>,
    following: OnceLock<AbortOnDropHandle<()>>,
    /// Set once, when this node can say how it stands.
    portrait: OnceLock<Arc<Portrait>>,
}

impl Router {
    pub fn new(
        entered: &Entered,
        local: Arc<LocalDirectory>,
        ownership: Arc<dyn Ownership>,
        placement: Placement,
        config: &Config,
    ) -> Arc<Self> {
        let posts = Posts::new(entered.me().clone(), entered.peers());
        let router = Arc::new_cyclic(|itself| Self {
            me: entered.me().clone(),
            local,
            ownership,
            placement,
            owners: Owners::new(),
            posts,
            mirrors: OnceLock::new(),
            visitors: Mutex::default(),
            itself: Weak::clone(itself),
            following: OnceLock::new(),
            portrait: OnceLock::new(),
        });
        let _ = router.mirrors.set(Mirrors::new(Arc::clone(&router) as _, config));
        let following = tokio::spawn(follow(Arc::downgrade(&router)));
        let _ = router.following.set(AbortOnDropHandle::new(following));
        router
    }

    /// Lets this node say how it stands.
    pub fn introduce(&self, portrait: Arc<Portrait>) {
        let _ = self.portrait.set(portrait);
    }

    /// Sockets here that are attached to events elsewhere are told to go.
    pub fn shutdown(&self) {
        self.mirrors().shutdown();
    }

    /// The event has left this node, or has come: nobody here may believe what was known of it.
    pub fn moved(&self, event: EventId) {
        if let Some(node) = self.owners.known(event) {
            self.owners.forget(event, &node);
        }
        self.mirrors().lost(event);
    }

    fn mirrors(&self) -> &Mirrors {
        self.mirrors.get().expect("set by `new`")
    }

    /// The node that runs the event; one is made to if none does.
    async fn locate(&self, event: EventId) -> Result<String, NotFound> {
        let router = self.itself.clone();
        let search = || async move { router.upgrade().ok_or(NotFound::Unavailable)?.search(event).await }.boxed();
        self.owners.find(event, search).await
    }

    async fn search(&self, event: EventId) -> Result<String, NotFound> {
        let owner = self.ownership.owner(event).await;
        let owner = owner.inspect_err(|error| tracing::debug!(%event, %error, "the owner is not learnt"));
        if let Some(owner) = owner.map_err(|_| NotFound::Unavailable)? {
            return Ok(owner.node);
        }
        for node in self.placement.order(event) {
            match self.start_at(event, &node).await {
                Taken::Here => return Ok(node),
                Taken::UnknownEvent => return Err(NotFound::UnknownEvent),
                Taken::NotNow => {}
            }
        }
        Err(NotFound::Unavailable)
    }

    /// Has the node run the event.
    async fn start_at(&self, event: EventId, node: &str) -> Taken {
        if node == self.me.node {
            return match self.local.activate(event).await {
                Ok(_) => Taken::Here,
                Err(DirectoryError::UnknownEvent) => Taken::UnknownEvent,
                Err(DirectoryError::Unavailable | DirectoryError::Elsewhere) => Taken::NotNow,
            };
        }
        let Some(post) = self.posts.to(node) else { return Taken::NotNow };
        match post.remote.ask(Question::Take(event), TAKE).await {
            Ok(Answer::Taken(taken)) => taken,
            Ok(_) | Err(_) => Taken::NotNow,
        }
    }
}

/// Clears up after each link that ends.
async fn follow(router: Weak<Router>) {
    let Some(mut peers) = router.upgrade().map(|router| router.posts.changes()) else { return };
    while peers.changed().await.is_ok() {
        let Some(router) = router.upgrade() else { return };
        for node in router.posts.sweep() {
            router.visitors.lock().unwrap_or_else(PoisonError::into_inner).retain(|visitor, _| visitor.node != node);
            for event in router.owners.forget_node(&node) {
                router.mirrors().lost(event);
            }
        }
    }
}
