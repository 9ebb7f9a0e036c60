//! Every event that must run does, on the node that placement gives it, whatever becomes of the nodes.

use std::{collections::BTreeSet, time::Duration};

use onsale::stores::membership::{Record, State};

use super::fleet::Fleet;
use crate::harness::until;

const EVENTS: usize = 9;
/// For a node to end after it was told to.
const ENDED: Duration = Duration::from_secs(30);

impl Fleet {
    async fn record(&self, letter: char) -> Option<(Record, i64)> {
        let found = self.clan.etcd_client().await.get(self.clan.key(letter), None).await.expect("read");
        let found = found.kvs().first()?;
        Some((serde_json::from_slice(found.value()).expect("a record"), found.lease()))
    }

    async fn says(&self, letter: char, state: State) {
        until("it says how it stands", async || {
            self.record(letter).await.is_some_and(|(record, _)| record.state == state)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_node_that_was_killed_are_run_by_the_others_and_go_back_when_it_comes_again() {
    let Some(mut fleet) = Fleet::open(&['a', 'm', 'z']).await else { return };
    let events = fleet.events('a', EVENTS).await;
    fleet.at_home(&events, &['a', 'm', 'z']).await;
    let before = fleet.owners(&events).await;
    let site = fleet.kill('m').await;
    fleet.at_home(&events, &['a', 'z']).await;
    let after = fleet.owners(&events).await;
    for (event, owner) in &before {
        let is_same = after[event] == *owner;
        assert_eq!(is_same, owner.node != fleet.name('m'), "{event}: only what was the dead node's has moved");
    }
    fleet.start_again('m', site).await;
    fleet.at_home(&events, &['a', 'm', 'z']).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_runs_nothing_over_its_restarts_until_it_is_undrained() {
    let Some(mut fleet) = Fleet::open(&['a', 'm', 'z']).await else { return };
    let events = fleet.events('m', EVENTS).await;
    fleet.at_home(&events, &['a', 'm', 'z']).await;
    fleet.wishes.drain(&fleet.name('m')).await.expect("noted");
    fleet.says('m', State::Draining).await;
    fleet.at_home(&events, &['a', 'z']).await;

    let site = fleet.kill('m').await;
    fleet.start_again('m', site).await;
    fleet.says('m', State::Draining).await;
    let later = fleet.events('m', 3).await;
    let events: BTreeSet<_> = events.into_iter().chain(later).collect();
    fleet.at_home(&events, &['a', 'z']).await;

    fleet.wishes.undrain(&fleet.name('m')).await.expect("noted");
    fleet.says('m', State::Up).await;
    fleet.at_home(&events, &['a', 'm', 'z']).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_goes_where_an_operator_wants_it_and_home_again() {
    let Some(mut fleet) = Fleet::open(&['a', 'z']).await else { return };
    let events = fleet.events('a', EVENTS).await;
    fleet.at_home(&events, &['a', 'z']).await;
    let event = *events.first().expect("nine");
    let (home, other) = if fleet.owned_by(&events, 'a').await.contains(&event) { ('a', 'z') } else { ('z', 'a') };
    let runs_at = async |fleet: &Fleet, letter| {
        until("it runs there", async || fleet.owned_by(&events, letter).await.contains(&event)).await;
    };
    fleet.wishes.pin(event, &fleet.name(other)).await.expect("noted");
    runs_at(&fleet, other).await;
    // Where it is wanted is down: it runs where it can.
    let site = fleet.kill(other).await;
    runs_at(&fleet, home).await;
    fleet.start_again(other, site).await;
    runs_at(&fleet, other).await;
    fleet.wishes.unpin(event).await.expect("noted");
    fleet.at_home(&events, &['a', 'z']).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_takes_its_share_and_one_that_is_told_to_stop_leaves_nothing_behind() {
    let Some(mut fleet) = Fleet::open(&['a', 'z']).await else { return };
    let events = fleet.events('z', EVENTS).await;
    fleet.at_home(&events, &['a', 'z']).await;
    fleet.add('m').await;
    fleet.at_home(&events, &['a', 'm', 'z']).await;

    let (_, node) = fleet.nodes.remove(&'a').expect("it runs");
    node.signal("TERM").await;
    let (status, log) = node.ended(ENDED).await;
    assert!(status.success(), "{status}: {log}");
    let owners = fleet.owners(&events).await;
    let homes = fleet.homes(&events, &['m', 'z']);
    for event in &events {
        assert_eq!(owners.get(event).map(|owner| &owner.node), homes.get(event), "{event}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_lease_was_revoked_has_its_events_again_under_new_epochs() {
    let Some(fleet) = Fleet::open(&['a', 'z']).await else { return };
    let events = fleet.events('a', EVENTS).await;
    fleet.at_home(&events, &['a', 'z']).await;
    let before = fleet.owners(&events).await;
    let (_, lease) = fleet.record('z').await.expect("registered");
    fleet.clan.etcd_client().await.lease_revoke(lease).await.expect("revoked");
    until("it is registered anew", async || fleet.record('z').await.is_some_and(|(_, other)| other != lease)).await;
    fleet.at_home(&events, &['a', 'z']).await;
    let after = fleet.owners(&events).await;
    for (event, owner) in before {
        assert_eq!(after[&event].epoch > owner.epoch, owner.node == fleet.name('z'), "{event}");
    }
}
