//! Commits whose replies are lost on the way from etcd, and commits that reach etcd late, amid a whole sale.
//!
//! `journal_late` shows the same of the journal alone, case by case.

use std::sync::Arc;

use onsale::stores::{etcd::Etcd, wishes::WishStore};
use rand::Rng as _;

use crate::{
    harness::{one_etcd, open_etcd, until},
    http2_proxy::{Flow, Proxy},
    ledger::Ledger,
    node::Site,
    rush::{self, Rush},
};

const ROUNDS: u32 = 6;
/// Commits by the other way while one is late, or its reply lost.
const AMID: u32 = 10;

/// Whose commits come first.
async fn in_use(proxies: &[Proxy; 2]) -> (&Proxy, &Proxy) {
    let [one, other] = proxies;
    tokio::select! {
        () = one.requests.next_commit() => (one, other),
        () = other.requests.next_commit() => (other, one),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_whose_replies_are_lost_and_commits_that_land_late_amid_a_sale_count_once() {
    let Some(server) = one_etcd() else { return };
    // Two ways to one server.
    let proxies = [Proxy::start(&server).await, Proxy::start(&server).await];
    let site = Site::embedded().set("stores.etcd", &proxies.each_ref().map(Proxy::url).join(","));
    let mut random = rush::random();
    let node = site.start().await;
    let mut rush = Rush::open(&site, &mut random).await;
    rush.goes_on().await;
    let mut held_back = 0;
    for round in 1..=ROUNDS {
        let (after, progress) = (random.random_range(0..40), rush.progress());
        let is_lost = round % 2 == 0;
        println!("after {after} more answers, {}", if is_lost { "a reply is lost" } else { "a request is late" });
        let fault = async {
            progress.more(after).await;
            let (road, detour) = in_use(&proxies).await;
            let before = road.requests.commits();
            if is_lost {
                road.replies.set(Flow::Swallow);
            } else {
                road.requests.set(Flow::HoldAfter(0));
            }
            // None goes there before one was not answered by the road.
            for _ in 0..AMID {
                detour.requests.next_commit().await;
            }
            let late = road.requests.commits() - before;
            // It arrives among those that were made after it.
            road.requests.set(Flow::Pass);
            road.replies.set(Flow::Pass);
            if is_lost {
                road.cut();
            }
            late
        };
        let late = rush.shop_during(fault).await;
        held_back += if is_lost { 0 } else { late };
        rush.check().await;
    }
    assert!(held_back > 0, "what was late were no commits");
    rush.goes_on().await;
    // Sent again, a commit was found to be its own, and not somebody else's.
    let log = node.log();
    assert!(["holds other bytes", "does not follow"].iter().all(|wrong| !log.contains(wrong)), "{log}");
    rush.end(&site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_land_when_another_node_has_the_event_are_refused_and_their_fans_answered_once() {
    let (Some(server), Some(site)) = (one_etcd(), Site::on_servers().await) else { return };
    let proxy = Proxy::start(&server).await;
    let [other, cut_off] = <[_; 2]>::try_from(site.with_siblings(1)).unwrap_or_else(|_| unreachable!("two"));
    let sites = [other, cut_off.set("stores.etcd", &proxy.url())];
    let nodes = [sites[0].start().await, sites[1].start().await];
    let mut rush = Rush::open_over(&sites, &mut rush::random()).await;
    let (event, stores) = (rush.event(), sites[0].config().stores);
    let wishes = WishStore::new(Arc::new(Etcd::new(&stores.etcd).await.expect("addresses")));
    let ownership = open_etcd(&stores.etcd, "reader").await.ownership;
    let owner = async || ownership.owner(event).await.expect("read");
    let victim = sites[1].config().node;
    wishes.pin(event, &victim).await.expect("noted");
    until("it runs there", async || owner().await.is_some_and(|owner| owner.node == victim)).await;
    rush.goes_on().await;

    let before = owner().await.expect("it runs").epoch.0;
    let fault = async {
        proxy.requests.set(Flow::HoldAfter(0));
        proxy.requests.next_commit().await;
        until("another node sells", async || {
            Ledger::read(&stores, event).await.segments.last().is_some_and(|last| last.epoch > before)
        })
        .await;
        // All that was asked since, and asked again.
        proxy.requests.set(Flow::Pass);
    };
    rush.shop_during(fault).await;
    rush.check().await;
    until("it comes back by itself", async || owner().await.is_some_and(|owner| owner.node == victim)).await;
    rush.goes_on().await;
    rush.end(&sites[0], nodes).await;
}
