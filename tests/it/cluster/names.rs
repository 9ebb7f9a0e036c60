//! No two nodes run under one name.

use std::time::Duration;

use etcd_client::{KeyValue, PutOptions};
use serde_json::Value;

use super::clan::Clan;
use crate::harness::until;

/// A lease's time and what a start takes.
const REFUSED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_of_one_name_is_refused_and_the_first_one_goes_on() {
    let Some(clan) = Clan::new() else { return };
    let site = clan.site('a');
    let first = site.start().await;
    let mut client = clan.etcd_client().await;
    let mut found = async || client.get(clan.key('a'), None).await.expect("read").kvs().to_vec();
    let is_up = |found: &[KeyValue]| found.iter().any(|found| found.value_str().is_ok_and(|it| it.contains(r#""up""#)));
    // After that nothing of it changes by itself.
    until("it says that it is up", async || is_up(&found().await)).await;
    let before = found().await;
    let (status, log) = clan.site('a').spawn().ended(REFUSED).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&format!("another node runs as {}", clan.name('a'))) && log.contains("--node"), "{log}");
    assert_eq!(format!("{before:?}"), format!("{:?}", found().await));
    first.signal("TERM").await;
    assert!(first.ended(REFUSED).await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_no_certificate_could_say_is_refused() {
    let Some(clan) = Clan::new() else { return };
    let (status, log) = clan.site('a').set("node", "N_1").spawn().ended(REFUSED).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(r#"node = "N_1""#) && log.contains("a-z, 0-9 and -"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_somebody_took_away_is_put_again_and_a_name_that_somebody_took_ends_the_node() {
    let Some(clan) = Clan::new() else { return };
    let site = clan.site('a');
    let node = site.start().await;
    let mut client = clan.etcd_client().await;
    let key = clan.key('a');
    let read = async |client: &mut etcd_client::Client| -> Option<Value> {
        let found = client.get(clan.key('a'), None).await.expect("read");
        found.kvs().first().map(|found| serde_json::from_slice(found.value()).expect("JSON"))
    };
    let record = read(&mut client).await.expect("registered");
    client.delete(key.as_str(), None).await.expect("deleted");
    until("it is registered again", async || {
        let mut client = clan.etcd_client().await;
        read(&mut client).await.is_some_and(|found| found["boot"] == record["boot"])
    })
    .await;

    let mut other = record.clone();
    (other["boot"], other["home"]) = ("1".into(), "elsewhere".into());
    let lease = client.lease_grant(60, None).await.expect("granted").id();
    let options = PutOptions::new().with_lease(lease);
    client.put(key.as_str(), other.to_string(), Some(options)).await.expect("put");
    let (status, log) = node.ended(REFUSED).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("another process runs as"), "{log}");
    client.lease_revoke(lease).await.expect("revoked");
}
