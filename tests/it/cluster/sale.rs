//! A sale over three nodes on real servers, with fans at each, while nodes are killed, frozen and told to stop.
//!
//! After each fault every fan finds all that was ever answered; at the end the stores are read.

use std::{sync::Arc, time::Duration};

use onsale::stores::{etcd::Etcd, wishes::WishStore};
use rand::{Rng as _, rngs::StdRng};

use crate::{
    harness::{open_etcd, until},
    node::{Node, Site},
    rush::{self, Rush},
};

const NODES: usize = 3;
const FAULTS: u32 = 4;
const MOVES: usize = 4;
/// For a node to end after it was told to.
const ENDED: Duration = Duration::from_secs(30);

pub struct Stage {
    pub sites: Vec<Site>,
    pub nodes: Vec<Node>,
    pub rush: Rush,
    random: StdRng,
}

impl Stage {
    async fn set() -> Option<Self> {
        Some(Self::set_on(Site::on_servers().await?).await)
    }

    /// All nodes on the servers of this one.
    pub async fn set_on(first: Site) -> Self {
        let sites = first.with_siblings(NODES - 1);
        let mut random = rush::random();
        let mut nodes = Vec::new();
        for site in &sites {
            nodes.push(site.start().await);
        }
        let rush = Rush::open_over(&sites, &mut random).await;
        Self { sites, nodes, rush, random }
    }

    /// Which node the next fault comes to.
    fn victim(&mut self) -> usize {
        self.random.random_range(0..NODES)
    }

    pub async fn end(self) {
        self.rush.end(&self.sites[0], self.nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_killed_amid_a_sale_lose_nothing_that_any_node_answered() {
    let Some(mut stage) = Stage::set().await else { return };
    let endpoints = stage.sites[0].config().stores.etcd;
    let ownership = open_etcd(&endpoints, "reader").await.ownership;
    let event = stage.rush.event();
    let owner = async || ownership.owner(event).await.expect("read").map(|owner| owner.node);
    for fault in 1..=FAULTS {
        // By turns the event's own node, which stays away until another one has the event, and any.
        let running = owner().await;
        let is_owner = |site: &Site| running.as_ref() == Some(&site.config().node);
        let at = stage.sites.iter().position(is_owner).filter(|_| fault % 2 == 1);
        assert!(fault % 2 == 0 || at.is_some(), "nobody runs the event amid its sale");
        let victim = at.unwrap_or_else(|| stage.victim());
        let after = stage.random.random_range(5..100);
        println!("fault {fault}: node {victim} is killed after {after} more answers");
        let Stage { sites, nodes, rush, .. } = &mut stage;
        let progress = rush.progress();
        let node = nodes.remove(victim);
        let site = &sites[victim];
        let name = site.config().node;
        let node = rush
            .shop_during(async {
                progress.more(after).await;
                node.kill().await;
                if at.is_some() {
                    until("another node runs the event", async || owner().await.is_some_and(|node| node != name)).await;
                }
                progress.more(after).await;
                site.start().await
            })
            .await;
        nodes.insert(victim, node);
        site.let_a_minute_pass().await;
        rush.check().await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_moves_from_node_to_node_amid_its_sale_loses_nothing() {
    let Some(mut stage) = Stage::set().await else { return };
    let endpoints = stage.sites[0].config().stores.etcd;
    let wishes = WishStore::new(Arc::new(Etcd::new(&endpoints).await.expect("addresses")));
    let ownership = open_etcd(&endpoints, "reader").await.ownership;
    let event = stage.rush.event();
    let first = stage.victim();
    for at in (first..).take(MOVES) {
        let node = stage.sites[at % NODES].config().node;
        println!("the event goes to node {}", at % NODES);
        let moving = async {
            wishes.pin(event, &node).await.expect("noted");
            until("the event runs there", async || {
                ownership.owner(event).await.expect("read").is_some_and(|owner| owner.node == node)
            })
            .await;
        };
        stage.rush.shop_during(moving).await;
        stage.rush.goes_on().await;
        stage.rush.check().await;
    }
    wishes.unpin(event).await.expect("noted");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_told_to_stop_one_after_the_other_amid_a_sale_lose_nothing() {
    let Some(mut stage) = Stage::set().await else { return };
    for at in 0..NODES {
        let after = stage.random.random_range(5..100);
        println!("node {at} is told to stop after {after} more answers");
        let Stage { sites, nodes, rush, .. } = &mut stage;
        let progress = rush.progress();
        let (node, site) = (nodes.remove(at), &sites[at]);
        let node = rush
            .shop_during(async {
                progress.more(after).await;
                node.signal("TERM").await;
                let (status, log) = node.ended(ENDED).await;
                assert!(status.success(), "{status}: {log}");
                site.start().await
            })
            .await;
        nodes.insert(at, node);
        rush.check().await;
    }
    stage.end().await;
}
