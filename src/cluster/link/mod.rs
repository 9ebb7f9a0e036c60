//! Links between nodes: one to each other node, up for as long as both live and the network lets them.
//!
//! ractor_cluster carries the messages; everything about connections is ours, because it neither dials again nor notices that
//! a peer is frozen. A [`door`] turns connections into introduced ones, the switchboard has one of them at a time with each
//! peer, and [`Peers`] says to whom the link is up.
//!
//! What goes wrong with a link ends the link, never more. If ractor_cluster's own actors or the gateway end, all is started
//! anew, and the links come back.

pub mod door;
pub mod hello;
mod sessions;
mod stream;
mod switchboard;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use ractor::Actor as _;
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use self::{door::Door, switchboard::Switchboard};
use super::gateway::{Inbox, Remote};

/// Before all links are started anew.
const PAUSE: Duration = Duration::from_millis(500);

/// The other nodes to which the link is up, by name.
#[derive(Debug, Clone, Default)]
pub struct Peers(BTreeMap<String, Remote>);

impl Peers {
    pub fn get(&self, node: &str) -> Option<&Remote> {
        self.0.get(node)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Remote> {
        self.0.values()
    }
}

/// The sockets for links; dropped, all links end.
pub(super) struct Links {
    _running: AbortOnDropHandle<()>,
}

pub(super) async fn bind(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    TcpListener::bind(addresses).await
}

impl Links {
    pub fn start(listener: TcpListener, door: Door, inbox: Arc<dyn Inbox>, peers: watch::Sender<Arc<Peers>>) -> Self {
        let running = tokio::spawn(run(Arc::new(listener), Arc::new(door), inbox, Arc::new(peers)));
        Self { _running: AbortOnDropHandle::new(running) }
    }
}

/// Ends everything that hangs on it when dropped.
struct StopOnDrop(ractor::ActorRef<switchboard::Message>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(None);
    }
}

async fn run(
    listener: Arc<TcpListener>,
    door: Arc<Door>,
    inbox: Arc<dyn Inbox>,
    peers: Arc<watch::Sender<Arc<Peers>>>,
) {
    loop {
        let start = switchboard::Start {
            listener: Arc::clone(&listener),
            door: Arc::clone(&door),
            inbox: Arc::clone(&inbox),
            peers: Arc::clone(&peers),
        };
        match Switchboard::spawn(None, Switchboard, start).await {
            Ok((switchboard, ended)) => {
                let _stop = StopOnDrop(switchboard);
                let _ = ended.await;
                tracing::error!("the links have ended, starting them anew");
            }
            Err(error) => tracing::error!(%error, "the links cannot be started, trying on"),
        }
        peers.send_replace(Arc::default());
        sleep(PAUSE).await;
    }
}
