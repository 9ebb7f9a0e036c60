//! Which node is to run an event: the same answer on every node that sees the same members and wishes.
//!
//! Rendezvous hashing: each node has a rank of its own for each event, so that one which comes or goes moves its own share
//! only. Decides nothing that must be right: who runs an event is what the owner key says.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use tokio::sync::watch;

use super::membership::Members;
use crate::{
    domain::id::EventId,
    stores::{membership::State, wishes::Wishes},
};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Placement {
    members: watch::Receiver<Arc<Members>>,
    wishes: watch::Receiver<Arc<Wishes>>,
}

impl Placement {
    pub fn new(members: watch::Receiver<Arc<Members>>, wishes: watch::Receiver<Arc<Wishes>>) -> Self {
        Self { members, wishes }
    }

    /// Whether nodes or wishes have changed since this was last asked.
    pub fn has_changed(&mut self) -> bool {
        let has_changed = self.members.has_changed().unwrap_or(false) || self.wishes.has_changed().unwrap_or(false);
        self.members.mark_unchanged();
        self.wishes.mark_unchanged();
        has_changed
    }

    /// Where the event is to run; `None` where no node may run anything.
    pub fn home(&self, event: EventId) -> Option<String> {
        self.order(event).into_iter().next()
    }

    /// All that may run the event, the first choice first.
    pub fn order(&self, event: EventId) -> Vec<String> {
        order(event, &self.members.borrow(), &self.wishes.borrow())
    }
}

pub fn order(event: EventId, members: &Members, wishes: &Wishes) -> Vec<String> {
    let eligible = members.iter().filter(|(node, record)| record.state == State::Up && !wishes.drained.contains(*node));
    let pinned = wishes.pinned.get(&event).map(String::as_str);
    let mut ranked: Vec<_> = eligible.map(|(node, _)| (pinned == Some(node), rank(event, node), node)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.into_iter().map(|(.., node)| node.to_owned()).collect()
}

/// Part of what nodes of all versions agree on.
fn rank(event: EventId, node: &str) -> u64 {
    let mut digest = Context::new(&SHA256);
    digest.update(&event.as_u128().to_be_bytes());
    digest.update(node.as_bytes());
    let digest = digest.finish();
    digest.as_ref().iter().take(8).fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::membership::{Boot, Record};

    fn members(nodes: &[(&str, State)]) -> Members {
        let record = |state| Record {
            boot: Boot::random(),
            home: String::new(),
            cluster: String::new(),
            link: String::new(),
            public: String::new(),
            admin: String::new(),
            version: String::new(),
            state,
            since_ms: 0,
        };
        nodes.iter().map(|(node, state)| ((*node).to_owned(), record(*state))).collect()
    }

    fn homes(members: &Members, wishes: &Wishes) -> Vec<String> {
        (0..1_000).map(|event| order(EventId::from_u128(event), members, wishes).remove(0)).collect()
    }

    #[test]
    fn events_are_spread_evenly_and_a_new_node_takes_its_share_only() {
        let up = |nodes: &[&'static str]| members(&nodes.iter().map(|node| (*node, State::Up)).collect::<Vec<_>>());
        let (three, four) = (up(&["n1", "n2", "n3"]), up(&["n1", "n2", "n3", "n4"]));
        let (before, after) = (homes(&three, &Wishes::default()), homes(&four, &Wishes::default()));
        for node in ["n1", "n2", "n3"] {
            let share = before.iter().filter(|home| *home == node).count();
            assert!((267..=400).contains(&share), "{node}: {share} of 1,000 is not within 20 % of even");
        }
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!((200..=300).contains(&moved.len()), "{} move", moved.len());
        assert!(moved.iter().all(|(_, after)| *after == "n4"));
    }

    #[test]
    fn nodes_that_may_run_nothing_are_left_out_and_a_pin_goes_first() {
        let members =
            members(&[("n1", State::Up), ("n2", State::Up), ("n3", State::Draining), ("n4", State::Starting)]);
        let event = EventId::from_u128(7);
        let mut wishes = Wishes::default();
        assert_eq!(order(event, &members, &wishes).len(), 2);
        for node in ["n1", "n2"] {
            wishes.pinned.insert(event, node.to_owned());
            assert_eq!(order(event, &members, &wishes)[0], node);
        }
        wishes.drained.insert("n2".to_owned());
        assert_eq!(order(event, &members, &wishes), ["n1"], "pinned to a node that is drained");
        wishes.drained.insert("n1".to_owned());
        assert_eq!(order(event, &members, &wishes), [""; 0]);
    }

    /// Nodes of another version must come to the same.
    #[test]
    fn ranks_are_fixed() {
        // SHA-256 of 15 zero bytes, a one and "n1".
        assert_eq!(rank(EventId::from_u128(1), "n1"), 12_490_302_400_890_938_609);
    }
}
