//! A node killed (SIGKILL) in the middle of a sale, again and again, and started again on the same stores.
//!
//! After each start every fan finds all that was ever answered. At the end the stores are read: nobody admitted twice or
//! overtaken, one effect of each request, stock that adds up, every entry published.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::sleep;

use crate::{
    node::Site,
    rush::{self, Rush},
};

const KILLS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_amid_a_sale_on_embedded_stores_comes_back_with_all_it_answered() {
    sale(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_while_it_makes_snapshots_comes_back_with_all_it_answered() {
    sale(Site::embedded().set("actors.snapshot_tail_bytes", "2000")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_amid_a_sale_on_real_servers_comes_back_with_all_it_answered() {
    let Some(site) = Site::on_servers().await else { return };
    sale(site).await;
}

async fn sale(site: Site) {
    let mut random = rush::random();
    let mut node = site.start().await;
    let mut rush = Rush::open(&site, &mut random).await;
    for kill in 1..=KILLS {
        let (after, progress) = (random.random_range(5..100), rush.progress());
        println!("kill {kill} after {after} more answers");
        rush.shop_during(async {
            progress.more(after).await;
            node.kill().await;
        })
        .await;
        // Some nodes do not live to see their first request.
        if random.random_bool(0.3) {
            let stillborn = site.spawn();
            sleep(Duration::from_millis(random.random_range(0..500))).await;
            stillborn.kill().await;
        }
        site.let_a_minute_pass().await;
        node = site.start().await;
        rush.check().await;
    }
    rush.end(&site, [node]).await;
}
