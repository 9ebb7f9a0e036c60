//! What every store of key generations promises.

use std::{path::Path, sync::Arc};

use onsale::{
    domain::{
        keys::{Generation, Schedule},
        time::{EventTime, Millis},
    },
    stores::{
        error::StoreError,
        etcd::{Etcd, lease::LeaseKeeper},
        keys::{InForce, KeyStore, embedded::EmbeddedKeys, etcd::EtcdKeys},
    },
};

use crate::{
    harness::{address, in_time, one_etcd, until},
    proxy::{Proxy, server_of},
};

/// Where generations are kept in one test, opened as often as the test likes.
enum Home {
    Embedded(tempfile::TempDir),
    Etcd { endpoints: Vec<String>, key: String },
}

impl Home {
    /// One for each adapter.
    fn all() -> Vec<Self> {
        let embedded = Self::Embedded(tempfile::tempdir().expect("temporary folder"));
        let etcd = address("ONSALE_TEST_ETCD").map(|all| Self::etcd(all.split(',').map(str::to_owned).collect()));
        [embedded].into_iter().chain(etcd).collect()
    }

    fn etcd(endpoints: Vec<String>) -> Self {
        Self::Etcd { endpoints, key: format!("onsale/test/keys-{:032x}", rand::random::<u128>()) }
    }

    async fn open(&self) -> Arc<dyn KeyStore> {
        match self {
            Self::Embedded(folder) => {
                println!("embedded keys");
                Arc::new(embedded(folder.path()).expect("opened"))
            }
            Self::Etcd { endpoints, key } => {
                println!("keys in etcd");
                let connect = async || Etcd::new(endpoints).await.expect("addresses");
                let lease = LeaseKeeper::start(connect().await);
                Arc::new(EtcdKeys::new(Arc::new(connect().await), lease, "n1", key))
            }
        }
    }
}

fn embedded(folder: &Path) -> Result<EmbeddedKeys, StoreError> {
    EmbeddedKeys::open(&folder.join("keys.json"), "n1")
}

fn second(made_ms: u64) -> Schedule {
    let schedule = Schedule::first().rotated(Generation(2), EventTime(made_ms), Millis(1_000), Millis(1_000));
    schedule.expect("rotated")
}

#[tokio::test]
async fn what_was_written_is_read_and_only_in_place_of_what_was_read() {
    for home in Home::all() {
        let store = home.open().await;
        let first = store.read().await.expect("read");
        assert_eq!((&first.schedule, first.nodes.len()), (&Schedule::first(), 0));

        store.replace(first.version, &second(10)).await.expect("written");
        let late = store.replace(first.version, &second(20)).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
        let found = store.read().await.expect("read");
        assert_eq!(found.schedule, second(10));
        assert!(found.version > first.version);

        let third = found.schedule.rotated(Generation(7), EventTime(5_000), Millis(1), Millis(1)).expect("rotated");
        store.replace(found.version, &third).await.expect("written");
        drop(store);
        assert_eq!(home.open().await.read().await.expect("read").schedule, third, "opened again");
    }
}

#[tokio::test]
async fn what_a_node_says_stands_until_it_says_something_else() {
    for home in Home::all() {
        let store = home.open().await;
        let name = store.node().to_owned();
        for believes in [1, 2, 2].map(Generation) {
            let in_force = InForce { believes, signs: Generation(1) };
            store.report(in_force).await.expect("said");
            assert_eq!(store.read().await.expect("read").nodes, [(name.clone(), in_force)]);
        }
    }
}

#[tokio::test]
async fn in_etcd_a_node_says_nothing_any_more_when_its_lease_has_run_out() {
    let Some(endpoint) = one_etcd() else { return };
    let home = Home::etcd(vec![endpoint]);
    let (there, here) = (home.open().await, home.open().await);
    there.report(InForce { believes: Generation(1), signs: Generation(1) }).await.expect("said");
    assert_eq!(here.read().await.expect("read").nodes.len(), 1);
    // Its lease is not kept alive any more.
    drop(there);
    until("it is forgotten", async || here.read().await.expect("read").nodes.is_empty()).await;
}

#[tokio::test]
async fn in_etcd_a_write_whose_reply_was_lost_is_there_once() {
    let Some(endpoint) = one_etcd() else { return };
    let proxy = Proxy::to(server_of(&endpoint)).await;
    let Home::Etcd { key, .. } = Home::etcd(Vec::new()) else { unreachable!() };
    let by_proxy = Home::Etcd { endpoints: vec![proxy.url(&endpoint)], key: key.clone() }.open().await;
    let store = Home::Etcd { endpoints: vec![endpoint], key }.open().await;
    let first = by_proxy.read().await.expect("read");
    proxy.eat_replies();
    let schedule = second(10);
    let writing = tokio::spawn(async move { by_proxy.replace(first.version, &schedule).await });
    in_time(proxy.eaten()).await;
    until("it is written", async || store.read().await.expect("read").schedule == second(10)).await;
    let written = store.read().await.expect("read").version;
    proxy.heal();
    let told = in_time(writing).await.expect("ended");
    // The copy that was sent again found it done.
    assert!(matches!(told, Err(StoreError::Conflict(_))), "{told:?}");
    assert_eq!(store.read().await.expect("read").version, written);
}

#[test]
fn a_file_that_cannot_be_read_stops_the_start_and_one_half_written_does_no_harm() {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("keys.new"), "[{").expect("written");
    embedded(folder.path()).expect("a crash left this before anything was answered");
    for wrong in ["", "[{", "[]", "{}"] {
        std::fs::write(folder.path().join("keys.json"), wrong).expect("written");
        let refused = embedded(folder.path()).err();
        assert!(matches!(refused, Some(StoreError::Corrupt(_))), "{wrong}: {refused:?}");
    }
}
