//! Where it runs: which nodes there are, and how they reach each other.
//!
//! A node on etcd is a member of a cluster, if only of one node. It takes its name in etcd ([`membership`]), and has a link to
//! every other member ([`link`]), over which each reaches the other's [`gateway`]. What a node does with what arrives there is
//! its [`gateway::Inbox`]'s affair.
//!
//! Architecture invariant: knows `actors`, `stores` and `domain`, not `http`. Who is registered is etcd's word, who can be
//! reached is the links'; neither says who owns an event.

pub mod bundle;
pub mod config;
pub mod credentials;
pub mod gateway;
pub mod link;
pub mod measures;
pub mod membership;
pub mod operations;
pub mod placement;
pub mod route;
pub mod steward;
pub mod wire;

use std::{io, sync::Arc};

use tokio::{net::TcpListener, sync::watch};

use self::{
    config::{Config, InvalidConfig, reached_at},
    credentials::Credentials,
    gateway::Inbox,
    link::{Links, Peers, door::Door},
    membership::{Members, Place},
};
use crate::stores::membership::{Boot, EnterError, Incarnation, Membership, Record, State, is_node_name, now_ms};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    #[error("cluster.listen = {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("node = {0:?}: in a cluster, a name is up to 32 of a-z, 0-9 and -, with a letter or digit first and last")]
    Name(String),
    #[error(transparent)]
    Enter(#[from] EnterError),
}

/// What others are told of this node.
pub struct Me {
    /// Names the node's data; see [`Record::home`].
    pub home: String,
    pub public: String,
    pub admin: String,
}

/// This node as a member that others do not reach yet: it has its name, so that it may own events.
pub struct Entered {
    me: Incarnation,
    place: Place,
    listener: TcpListener,
    credentials: Credentials,
    peers: watch::Sender<Arc<Peers>>,
}

/// This node as a member.
pub struct Cluster {
    me: Incarnation,
    place: Place,
    peers: watch::Receiver<Arc<Peers>>,
    _links: Links,
}

impl Entered {
    /// Returns when this node has its name. Others see that it is starting.
    pub async fn new(
        config: &Config,
        credentials: Credentials,
        store: Arc<Membership>,
        me: Me,
    ) -> Result<Self, StartError> {
        let Me { home, public, admin } = me;
        let node = store.node().to_owned();
        if !is_node_name(&node) {
            return Err(StartError::Name(node));
        }
        let listen = |source| StartError::Listen { address: config.listen.clone(), source };
        let addresses = config.addresses(credentials.tls.is_some()).await?;
        let listener = link::bind(&addresses).await.map_err(listen)?;
        let link = config.advertised(listener.local_addr().map_err(listen)?);
        let me = Incarnation { node, boot: Boot::random() };
        let record = Record {
            boot: me.boot,
            home,
            cluster: credentials.cluster.clone(),
            public: reached_at(&public, &link),
            admin: reached_at(&admin, &link),
            link,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: State::Starting,
            since_ms: now_ms(),
        };
        let place = Place::take(store, record).await?;
        let (peers, _) = watch::channel(Arc::default());
        Ok(Self { me, place, listener, credentials, peers })
    }

    pub fn me(&self) -> &Incarnation {
        &self.me
    }

    /// Who is registered.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.place.members.clone()
    }

    /// Who can be reached.
    pub fn peers(&self) -> watch::Receiver<Arc<Peers>> {
        self.peers.subscribe()
    }

    /// Lets the others reach this node, and it them.
    pub fn open(self, inbox: Arc<dyn Inbox>) -> Cluster {
        let Self { me, place, listener, credentials, peers } = self;
        let door = Door { me: me.clone(), credentials, members: place.members.clone() };
        let receiver = peers.subscribe();
        Cluster { me, place, peers: receiver, _links: Links::start(listener, door, inbox, peers) }
    }
}

impl Cluster {
    pub fn me(&self) -> &Incarnation {
        &self.me
    }

    /// Who is registered.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.place.members.clone()
    }

    /// Who can be reached.
    pub fn peers(&self) -> watch::Receiver<Arc<Peers>> {
        self.peers.clone()
    }

    /// Tells the others, soon.
    pub fn announce(&self, state: State) {
        self.place.state.send_replace(state);
    }

    /// The same, for whoever decides how this node stands.
    pub fn announcer(&self) -> watch::Sender<State> {
        self.place.state.clone()
    }

    /// Returns when the list of members says that this node serves, or gives its events away.
    pub async fn announced(&self) {
        let so =
            |members: &Arc<Members>| members.get(&self.me.node).is_some_and(|record| record.state != State::Starting);
        let _ = self.place.members.clone().wait_for(so).await;
    }

    /// Returns when another process has this node's name: then this one must end, for it cannot own anything.
    pub async fn ousted(&self) {
        self.place.ousted.cancelled().await;
    }

    /// Gives the name up and ends all links.
    pub async fn stop(self) {
        self.place.leave().await;
    }
}
