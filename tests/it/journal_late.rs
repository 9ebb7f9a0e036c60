//! What is lost or late on the way to etcd changes nothing that was decided meanwhile.
//!
//! Each test holds something back in a proxy, goes on without it, and lets it through at the worst moment.

use std::slice;

use onsale::{
    domain::id::EventId,
    stores::journal::{AppendError, Epoch},
};
use tokio::task::JoinHandle;

use crate::{
    harness::{Opened, append, in_time, new_event, one_etcd, open_etcd, store_snapshot},
    http2_proxy::{Flow, Proxy},
};

/// A proxy before a real etcd, and an event whose owner writes past it or through it.
struct Road {
    proxy: Proxy,
    /// The server's address.
    server: String,
    /// Past the proxy.
    direct: Opened,
    event: EventId,
    epoch: Epoch,
}

impl Road {
    async fn new() -> Option<Self> {
        let server = one_etcd()?;
        let (proxy, direct, event) =
            (Proxy::start(&server).await, open_etcd(slice::from_ref(&server), "node-1").await, new_event());
        let epoch = direct.ownership.claim(event).await.expect("claim");
        Some(Self { proxy, server, direct, event, epoch })
    }

    /// Only by way of the proxy.
    async fn proxied(&self) -> Opened {
        open_etcd(&[self.proxy.url()], "node-1").await
    }

    /// By way of the proxy first; past it when there is no answer.
    async fn both(&self) -> Opened {
        open_etcd(&[self.proxy.url(), self.server.clone()], "node-1").await
    }

    fn begin_append(&self, by: &Opened, seq: u64, bytes: &'static str) -> JoinHandle<Result<(), AppendError>> {
        let (journal, append) = (by.journal.clone(), append(self.event, self.epoch, seq, bytes));
        tokio::spawn(async move { journal.append(append).await })
    }

    async fn append(&self, by: &Opened, seq: u64, bytes: &'static str) {
        in_time(self.begin_append(by, seq, bytes)).await.expect("ran").expect("append");
    }

    /// The first segment goes past the proxy in the end; a copy of it is held back there.
    async fn append_first_and_hold_a_copy(&self, both: &Opened) {
        self.proxy.requests.set(Flow::HoldAfter(0));
        self.append(both, 1, "one").await;
        assert!(self.holds_some(), "a copy is held");
    }

    /// Anew, past the proxy: what was sent before is of an old epoch.
    async fn claim(&mut self) {
        self.epoch = self.direct.ownership.claim(self.event).await.expect("claim");
    }

    /// Lets replies through again, on a new connection.
    fn reconnect(&self) {
        self.proxy.replies.set(Flow::Pass);
        self.proxy.cut();
    }

    async fn segments(&self) -> Vec<(u64, String)> {
        let recovered = self.direct.journal.recover(self.event).await.expect("recover");
        recovered.segments.into_iter().map(|(seq, bytes)| (seq, String::from_utf8(bytes).expect("text"))).collect()
    }

    async fn wait_for_segments(&self, count: usize) {
        in_time(async { while self.segments().await.len() < count {} }).await;
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

fn expected(bytes: &[&str]) -> Vec<(u64, String)> {
    (1..).zip(bytes).map(|(seq, bytes)| (seq, (*bytes).to_owned())).collect()
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_has_exactly_one_effect() {
    let Some(road) = Road::new().await else { return };
    let proxied = road.proxied().await;
    road.append(&proxied, 1, "one").await;

    road.proxy.replies.set(Flow::Swallow);
    let answered = road.proxy.replies.complete();
    let second = road.begin_append(&proxied, 2, "two");
    road.wait_for_segments(2).await;
    road.proxy.replies.wait_for(answered + 1).await;
    assert!(!second.is_finished(), "nobody has told the writer");

    road.reconnect();
    in_time(second).await.expect("ran").expect("its own bytes are found");
    road.append(&proxied, 3, "three").await;
    assert_eq!(road.segments().await, expected(&["one", "two", "three"]));
}

#[tokio::test]
async fn a_first_copy_that_lands_after_the_second_changes_nothing() {
    let Some(road) = Road::new().await else { return };
    let both = road.both().await;
    road.append_first_and_hold_a_copy(&both).await;
    road.append(&both, 2, "two").await;
    road.release().await;

    assert_eq!(road.segments().await, expected(&["one", "two"]));
    road.append(&both, 3, "three").await;
    assert_eq!(road.segments().await, expected(&["one", "two", "three"]));
}

#[tokio::test]
async fn a_first_segment_that_lands_after_it_was_trimmed_stays_away() {
    let Some(road) = Road::new().await else { return };
    // Kept to the end: the copy is on its connection.
    let (Road { direct, event, epoch, .. }, both) = (&road, road.both().await);
    road.append_first_and_hold_a_copy(&both).await;
    road.append(direct, 2, "two").await;
    direct.journal.mark_published(*event, *epoch, 5).await.expect("mark");
    store_snapshot(&*direct.journal, *event, *epoch, 2, b"snapshot").await.expect("snapshot");
    road.release().await;

    let recovered = direct.journal.recover(*event).await.expect("recover");
    assert_eq!(recovered.snapshot, Some((2, b"snapshot".to_vec())));
    assert!(recovered.segments.is_empty());
    assert_eq!(recovered.published, 5, "written along with the first segment");
    let mut kv = etcd_client::Client::connect([&road.server], None).await.expect("address").kv_client();
    let key = format!("onsale/journal/{event}/{:016x}", 1);
    assert_eq!(kv.get(key, None).await.expect("read").kvs().len(), 0);
}

#[tokio::test]
async fn what_an_old_epoch_sent_before_the_claim_is_refused_when_it_lands_after() {
    let Some(mut road) = Road::new().await else { return };
    let proxied = road.proxied().await;
    road.append(&proxied, 1, "one").await;

    let arrived = road.proxy.requests.complete();
    road.proxy.requests.set(Flow::HoldAfter(0));
    let late = road.begin_append(&proxied, 2, "of the old epoch");
    road.proxy.requests.wait_for(arrived + 1).await;
    road.claim().await;
    assert_eq!(road.segments().await, expected(&["one"]));
    road.release().await;
    let refused = in_time(late).await.expect("ran");
    assert!(matches!(refused, Err(AppendError::Fenced)), "{refused:?}");

    road.append(&road.direct, 2, "of the new epoch").await;
    assert_eq!(road.segments().await, expected(&["one", "of the new epoch"]));
}

#[tokio::test]
async fn who_was_replaced_while_waiting_still_learns_that_it_was_done() {
    let Some(mut road) = Road::new().await else { return };
    let proxied = road.proxied().await;
    road.proxy.replies.set(Flow::Swallow);
    let first = road.begin_append(&proxied, 1, "one");
    road.wait_for_segments(1).await;
    road.claim().await;
    road.append(&road.direct, 2, "two").await;
    road.reconnect();
    in_time(first).await.expect("ran").expect("it was done before the claim, and the new owner has it");
}

#[tokio::test]
async fn a_snapshot_that_lands_after_its_successor_does_not_take_its_place() {
    let Some(road) = Road::new().await else { return };
    let (Road { direct, event, epoch, .. }, both) = (&road, road.both().await);
    for (seq, bytes) in (1..).zip(["one", "two", "three", "four"]) {
        road.append(direct, seq, bytes).await;
    }
    // The manifest is read, the one chunk is written; the manifest's transaction is held.
    road.proxy.requests.set(Flow::HoldAfter(2));
    let first = store_snapshot(&*both.journal, *event, *epoch, 4, b"first");
    in_time(first).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    store_snapshot(&*direct.journal, *event, *epoch, 4, b"second").await.expect("snapshot");
    road.release().await;

    let recovered = direct.journal.recover(*event).await.expect("the chunks of the manifest are there");
    assert_eq!(recovered.snapshot, Some((4, b"second".to_vec())));
}

#[tokio::test]
async fn a_claim_that_lands_late_does_not_fence_the_owner() {
    let Some(mut road) = Road::new().await else { return };
    let both = road.both().await;
    // Reading the owner passes, writing it is held.
    road.proxy.requests.set(Flow::HoldAfter(1));
    road.epoch = in_time(both.ownership.claim(road.event)).await.expect("by the other endpoint");
    assert!(road.holds_some(), "a copy is held");
    road.release().await;

    let owner = road.direct.ownership.owner(road.event).await.expect("read").expect("owned");
    assert_eq!(owner.epoch, road.epoch);
    road.append(&road.direct, 1, "one").await;
}
