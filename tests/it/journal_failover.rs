//! etcd members that die, hang or are full, under a journal in use; and leases that are lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use onsale::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        journal::{AppendError, Epoch, InventoryJournal},
    },
};
use tokio::task::JoinHandle;

use crate::{
    etcd_members::Members,
    harness::{address, append, eventually, in_time, new_event, one_etcd, open_etcd, until},
    http2_proxy::{Flow, Proxy},
};

/// Appends one after another until told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(u64, Duration)>,
}

impl Writer {
    fn start(journal: Arc<dyn InventoryJournal>, event: EventId, epoch: Epoch, first: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move {
                let mut longest = Duration::ZERO;
                for seq in first.. {
                    let begun = Instant::now();
                    in_time(journal.append(append(event, epoch, seq, seq.to_string()))).await.expect("append");
                    longest = longest.max(begun.elapsed());
                    if stop.load(Ordering::Relaxed) {
                        return (seq, longest);
                    }
                }
                unreachable!("the numbers do not end")
            }
        });
        Self { stop, task }
    }

    /// The last segment acknowledged, and the longest wait for one.
    async fn stop(self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every append succeeded")
    }
}

/// Waits until the journal has grown by some segments.
async fn wait_for_growth(journal: &dyn InventoryJournal, event: EventId) {
    let grown = async {
        let length = async || journal.recover(event).await.map_or(0, |recovered| recovered.segments.len());
        let before = length().await;
        while length().await < before + 20 {
            tokio::task::yield_now().await;
        }
    };
    in_time(grown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_when_the_leader_hangs_and_when_it_is_killed_each_with_one_effect() {
    if address("ONSALE_TEST_ETCD").is_none() {
        return;
    }
    let mut members = Members::start(3, &[]).await;
    let opened = open_etcd(members.urls(), "node-1").await;
    let event = new_event();
    let epoch = opened.ownership.claim(event).await.expect("claim");
    let mut first = 1;
    for way in ["hangs", "goes on", "is killed"] {
        let writer = Writer::start(opened.journal.clone(), event, epoch, first);
        wait_for_growth(&*opened.journal, event).await;
        let leader = members.leader().await;
        match way {
            "hangs" => members.hang(leader),
            "is killed" => members.kill(leader),
            _ => (0..3).for_each(|member| members.go_on(member)),
        }
        wait_for_growth(&*opened.journal, event).await;
        let (last, longest) = writer.stop().await;
        println!("a member {way}: {} commits, the longest took {longest:?}", last + 1 - first);
        first = last + 1;
    }
    let recovered = opened.journal.recover(event).await.expect("recover");
    let expected: Vec<_> = (1..first).map(|seq| (seq, seq.to_string().into_bytes())).collect();
    assert_eq!(recovered.segments, expected);
    assert_eq!(opened.ownership.owner(event).await.expect("read").expect("owned").epoch, epoch);
}

#[tokio::test]
async fn an_etcd_without_space_takes_no_segment_and_still_gives_all_back() {
    if address("ONSALE_TEST_ETCD").is_none() {
        return;
    }
    let members = Members::start(1, &["--quota-backend-bytes", "4000000"]).await;
    let opened = open_etcd(members.urls(), "node-1").await;
    let event = new_event();
    let epoch = opened.ownership.claim(event).await.expect("claim");
    let mut acknowledged = 0;
    let refused = loop {
        match opened.journal.append(append(event, epoch, acknowledged + 1, vec![7; 300_000])).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::ReadOnly(_)), "{refused:?}");
    assert!(acknowledged > 0);
    let claim = opened.ownership.claim(event).await;
    assert!(matches!(claim, Err(StoreError::ReadOnly(_))), "{claim:?}");
    let recovered = opened.journal.recover(event).await.expect("reads go on");
    assert_eq!(recovered.segments.len() as u64, acknowledged);
}

#[tokio::test]
async fn nothing_is_sure_while_the_lease_may_have_run_out_nor_later_what_hung_on_it() {
    let Some(direct) = one_etcd() else { return };
    let proxy = Proxy::start(&direct).await;
    let first = open_etcd(&[proxy.url()], "node-1").await;
    let second = open_etcd(&[direct], "node-2").await;
    let event = new_event();
    let old = first.ownership.claim(event).await.expect("claim");
    assert!(first.ownership.is_sure(old) && !first.ownership.is_lost(old));
    let refused = second.ownership.claim(event).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");

    proxy.requests.set(Flow::HoldAfter(0));
    let taken_over = eventually("the event is taken over", async || {
        // The owner must have stopped being sure before anybody else can claim.
        let sure = first.ownership.is_sure(old);
        match second.ownership.claim(event).await {
            Ok(epoch) => {
                assert!(!sure, "still sure when the event was taken over");
                Some(epoch)
            }
            Err(StoreError::Conflict(_)) => None,
            Err(error) => unreachable!("{error}"),
        }
    });
    let new = taken_over.await;
    assert!(new > old);

    proxy.requests.set(Flow::Pass);
    proxy.cut();
    let other = new_event();
    let epoch = in_time(first.ownership.claim(other)).await.expect("under a new lease");
    assert!(first.ownership.is_sure(epoch) && !first.ownership.is_lost(epoch));
    assert!(!first.ownership.is_sure(old) && first.ownership.is_lost(old), "its key went with the old lease");
    let refused = first.journal.append(append(event, old, 1, "late")).await;
    assert!(matches!(refused, Err(AppendError::Fenced)), "{refused:?}");
    let refused = first.ownership.claim(event).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn a_pause_shorter_than_the_lease_keeps_the_epoch() {
    let Some(direct) = one_etcd() else { return };
    let proxy = Proxy::start(&direct).await;
    let opened = open_etcd(&[proxy.url()], "node-1").await;
    let event = new_event();
    let epoch = opened.ownership.claim(event).await.expect("claim");
    proxy.requests.set(Flow::HoldAfter(0));
    until("the owner is not sure", async || !opened.ownership.is_sure(epoch)).await;
    proxy.requests.set(Flow::Pass);
    proxy.cut();
    // About a second of the lease is left. On a machine that stands still for so long it is lost, and the event with it.
    let resumed = async {
        loop {
            let owner = opened.ownership.owner(event).await.expect("read");
            if opened.ownership.is_sure(epoch) || owner.is_none() {
                return owner;
            }
        }
    };
    let Some(owner) = in_time(resumed).await else {
        assert!(!opened.ownership.is_sure(epoch));
        return;
    };
    assert_eq!(owner.epoch, epoch);
    opened.journal.append(append(event, epoch, 1, "one")).await.expect("still the owner");
}
