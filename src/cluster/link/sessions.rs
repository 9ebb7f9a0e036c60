//! What ractor_cluster tells of its sessions, passed on to the switchboard.

use ractor::ActorRef;
use ractor_cluster::{NodeEventSubscription, node::NodeServerSessionInformation};

use super::switchboard::Message;

/// Of every connection that was let in by the door; ractor_cluster's own listener cannot be left out, and gives addresses.
const MARK: &str = "link ";

pub(super) fn label(serial: u64) -> String {
    format!("{MARK}{serial}")
}

/// The other way.
pub(super) fn serial(session: &NodeServerSessionInformation) -> Option<u64> {
    session.peer_addr.strip_prefix(MARK)?.parse().ok()
}

pub(super) struct Told(pub ActorRef<Message>);

impl NodeEventSubscription for Told {
    fn node_session_opened(&self, session: NodeServerSessionInformation) {
        // It came past the door.
        if serial(&session).is_none() {
            session.actor.kill();
        }
    }

    fn node_session_authenticated(&self, _: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        // A switchboard that is gone needs to know nothing.
        let _ = self.0.cast(Message::Ready(session));
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        let _ = self.0.cast(Message::Disconnected(session));
    }
}
