//! What is lost or late on the way to etcd changes nothing that was decided meanwhile.
//!
//! Each test holds something back in a proxy, goes on without it, and lets it through at the worst moment.

use onsale::{domain::id::EventId, stores::journal::AppendError};

use crate::{
    harness::{Opened, address, append, in_time, new_event, open_etcd, store_snapshot},
    http2_proxy::{Flow, Proxy},
};

/// A proxy before a real etcd; what goes through it, and what goes past it.
struct Road {
    proxy: Proxy,
    direct: String,
}

impl Road {
    async fn new() -> Option<Self> {
        let direct = address("ONSALE_TEST_ETCD")?.split(',').next().expect("at least one").to_owned();
        Some(Self { proxy: Proxy::start(&direct).await, direct })
    }

    /// Past the proxy.
    async fn direct(&self) -> Opened {
        open_etcd(std::slice::from_ref(&self.direct), "node-1").await
    }

    /// Only by way of the proxy.
    async fn proxied(&self) -> Opened {
        open_etcd(&[self.proxy.url()], "node-1").await
    }

    /// By way of the proxy first; past it when there is no answer.
    async fn both(&self) -> Opened {
        open_etcd(&[self.proxy.url(), self.direct.clone()], "node-1").await
    }

    fn holds_some(&self) -> bool {
        self.proxy.requests.complete() > self.proxy.replies.complete()
    }

    /// Lets through what was held, and waits until the server has answered all of it.
    async fn release(&self) {
        self.proxy.requests.set(Flow::Pass);
        self.proxy.replies.wait_for(self.proxy.requests.complete()).await;
    }
}

async fn segments(opened: &Opened, event: EventId) -> Vec<(u64, String)> {
    let recovered = opened.journal.recover(event).await.expect("recover");
    recovered.segments.into_iter().map(|(seq, bytes)| (seq, String::from_utf8(bytes).expect("text"))).collect()
}

async fn wait_for_segments(opened: &Opened, event: EventId, count: usize) {
    in_time(async { while segments(opened, event).await.len() < count {} }).await;
}

fn expected(bytes: &[&str]) -> Vec<(u64, String)> {
    (1..).zip(bytes).map(|(seq, bytes)| (seq, (*bytes).to_owned())).collect()
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_has_exactly_one_effect() {
    let Some(road) = Road::new().await else { return };
    let (direct, proxied) = (road.direct().await, road.proxied().await);
    let event = new_event();
    let epoch = direct.ownership.claim(event).await.expect("claim");
    in_time(proxied.journal.append(append(event, epoch, 1, "one"))).await.expect("append");

    road.proxy.replies.set(Flow::Swallow);
    let answered = road.proxy.replies.complete();
    let task = tokio::spawn({
        let journal = proxied.journal.clone();
        async move { journal.append(append(event, epoch, 2, "two")).await }
    });
    wait_for_segments(&direct, event, 2).await;
    road.proxy.replies.wait_for(answered + 1).await;
    assert!(!task.is_finished(), "nobody has told the writer");

    road.proxy.replies.set(Flow::Pass);
    road.proxy.cut();
    in_time(task).await.expect("ran").expect("its own bytes are found");
    in_time(proxied.journal.append(append(event, epoch, 3, "three"))).await.expect("append");
    assert_eq!(segments(&direct, event).await, expected(&["one", "two", "three"]));
}

#[tokio::test]
async fn a_first_copy_that_lands_after_the_second_changes_nothing() {
    let Some(road) = Road::new().await else { return };
    let (direct, both) = (road.direct().await, road.both().await);
    let event = new_event();
    let epoch = direct.ownership.claim(event).await.expect("claim");

    road.proxy.requests.set(Flow::HoldAfter(0));
    in_time(both.journal.append(append(event, epoch, 1, "one"))).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    in_time(both.journal.append(append(event, epoch, 2, "two"))).await.expect("append");
    road.release().await;

    assert_eq!(segments(&direct, event).await, expected(&["one", "two"]));
    in_time(both.journal.append(append(event, epoch, 3, "three"))).await.expect("append");
    assert_eq!(segments(&direct, event).await, expected(&["one", "two", "three"]));
}

#[tokio::test]
async fn a_first_segment_that_lands_after_it_was_trimmed_stays_away() {
    let Some(road) = Road::new().await else { return };
    let (direct, both) = (road.direct().await, road.both().await);
    let event = new_event();
    let epoch = direct.ownership.claim(event).await.expect("claim");

    road.proxy.requests.set(Flow::HoldAfter(0));
    in_time(both.journal.append(append(event, epoch, 1, "one"))).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    direct.journal.append(append(event, epoch, 2, "two")).await.expect("append");
    direct.journal.mark_published(event, epoch, 5).await.expect("mark");
    store_snapshot(&*direct.journal, event, epoch, 2, b"snapshot").await.expect("snapshot");
    road.release().await;

    let recovered = direct.journal.recover(event).await.expect("recover");
    assert_eq!(recovered.snapshot, Some((2, b"snapshot".to_vec())));
    assert!(recovered.segments.is_empty());
    assert_eq!(recovered.published, 5, "written along with the first segment");
    let mut kv = etcd_client::Client::connect([&road.direct], None).await.expect("address").kv_client();
    let key = format!("onsale/journal/{event}/{:016x}", 1);
    assert_eq!(kv.get(key, None).await.expect("read").kvs().len(), 0);
}

#[tokio::test]
async fn what_an_old_epoch_sent_before_the_claim_is_refused_when_it_lands_after() {
    let Some(road) = Road::new().await else { return };
    let (direct, proxied) = (road.direct().await, road.proxied().await);
    let event = new_event();
    let old = direct.ownership.claim(event).await.expect("claim");
    in_time(proxied.journal.append(append(event, old, 1, "one"))).await.expect("append");

    let arrived = road.proxy.requests.complete();
    road.proxy.requests.set(Flow::HoldAfter(0));
    let task = tokio::spawn({
        let journal = proxied.journal.clone();
        async move { journal.append(append(event, old, 2, "of the old epoch")).await }
    });
    road.proxy.requests.wait_for(arrived + 1).await;
    let new = direct.ownership.claim(event).await.expect("claim");
    assert_eq!(segments(&direct, event).await, expected(&["one"]));
    road.release().await;
    let refused = in_time(task).await.expect("ran");
    assert!(matches!(refused, Err(AppendError::Fenced)), "{refused:?}");

    direct.journal.append(append(event, new, 2, "of the new epoch")).await.expect("append");
    assert_eq!(segments(&direct, event).await, expected(&["one", "of the new epoch"]));
}

#[tokio::test]
async fn who_was_replaced_while_waiting_still_learns_that_it_was_done() {
    let Some(road) = Road::new().await else { return };
    let (direct, proxied) = (road.direct().await, road.proxied().await);
    let event = new_event();
    let old = direct.ownership.claim(event).await.expect("claim");

    road.proxy.replies.set(Flow::Swallow);
    let task = tokio::spawn({
        let journal = proxied.journal.clone();
        async move { journal.append(append(event, old, 1, "one")).await }
    });
    wait_for_segments(&direct, event, 1).await;
    let new = direct.ownership.claim(event).await.expect("claim");
    direct.journal.append(append(event, new, 2, "two")).await.expect("append");
    road.proxy.replies.set(Flow::Pass);
    road.proxy.cut();
    in_time(task).await.expect("ran").expect("it was done before the claim, and the new owner has it");
}

#[tokio::test]
async fn a_snapshot_that_lands_after_its_successor_does_not_take_its_place() {
    let Some(road) = Road::new().await else { return };
    let (direct, both) = (road.direct().await, road.both().await);
    let event = new_event();
    let epoch = direct.ownership.claim(event).await.expect("claim");
    for seq in 1..=4 {
        direct.journal.append(append(event, epoch, seq, format!("segment {seq}"))).await.expect("append");
    }
    // The manifest is read, the one chunk is written; the manifest's transaction is held.
    road.proxy.requests.set(Flow::HoldAfter(2));
    in_time(store_snapshot(&*both.journal, event, epoch, 4, b"first")).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    store_snapshot(&*direct.journal, event, epoch, 4, b"second").await.expect("snapshot");
    road.release().await;

    let recovered = direct.journal.recover(event).await.expect("the chunks of the manifest are there");
    assert_eq!(recovered.snapshot, Some((4, b"second".to_vec())));
}

#[tokio::test]
async fn a_claim_that_lands_late_does_not_fence_the_owner() {
    let Some(road) = Road::new().await else { return };
    let (direct, both) = (road.direct().await, road.both().await);
    let event = new_event();
    // Reading the owner passes, writing it is held.
    road.proxy.requests.set(Flow::HoldAfter(1));
    let epoch = in_time(both.ownership.claim(event)).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    road.release().await;

    let owner = direct.ownership.owner(event).await.expect("read").expect("owned");
    assert_eq!(owner.epoch, epoch);
    direct.journal.append(append(event, epoch, 1, "one")).await.expect("still the owner");
}
