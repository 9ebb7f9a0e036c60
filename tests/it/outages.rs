//! A server that goes away in the middle of a sale, and comes back: the sale goes on by itself, and everything adds up.
//!
//! Each test has the one server that it takes away to itself, or behind a proxy; the other stores are embedded.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    harness::{address, one_etcd, until},
    node::{Node, Site},
    proxy::{Proxy, server_of},
    rush::{self, Rush},
    servers,
};

const AWAY: Duration = Duration::from_secs(2);
/// Longer than the lease under which a node owns its events.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(7);

/// A sale in full swing.
async fn begin(site: &Site) -> (Node, Rush) {
    let node = site.start().await;
    let mut rush = Rush::open(site, &mut rush::random()).await;
    rush.goes_on().await;
    (node, rush)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_goes_on_after_etcd_was_cut_off_until_the_lease_was_lost() {
    let Some(member) = one_etcd() else { return };
    let proxy = Proxy::to(server_of(&member)).await;
    let site = Site::embedded().set("stores.etcd", &proxy.url(&member));
    let (node, mut rush) = begin(&site).await;
    proxy.refuse();
    rush.shop_during(sleep(LONGER_THAN_A_LEASE)).await;
    proxy.heal();
    rush.goes_on().await;
    rush.end(&site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_goes_on_while_redis_is_away_and_after_it_lost_the_queue() {
    if address("ONSALE_TEST_REDIS").is_none() {
        return;
    }
    let mut redis = servers::Redis::start().await;
    let site = Site::embedded().set("stores.redis", &redis.url());
    let (node, mut rush) = begin(&site).await;
    redis.kill();
    rush.goes_on().await;
    redis.restart().await;
    rush.check().await;

    // A running event knows its queue, and writes it again: another process finds it.
    redis.lose_all().await;
    rush.check().await;
    // Some go in meanwhile.
    until("all places are stored again", async || redis.places().await >= rush.waiting().await).await;
    node.kill().await;
    let node = site.start().await;
    rush.check().await;
    rush.goes_on().await;
    // One that begins just when all is lost knows nothing of those who wait.
    redis.lose_all().await;
    node.kill().await;
    let node = site.start().await;
    rush.lose_places();
    rush.check().await;
    rush.goes_on().await;
    rush.end(&site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_goes_on_after_rabbitmq_was_cut_off() {
    if address("ONSALE_TEST_RABBITMQ").is_none() {
        return;
    }
    let broker = servers::Rabbit::start().await;
    let proxy = Proxy::to(server_of(&broker.url())).await;
    let site = Site::embedded().set("stores.rabbitmq", &proxy.url(&broker.url()));
    let (node, mut rush) = begin(&site).await;
    proxy.refuse();
    rush.shop_during(sleep(AWAY)).await;
    proxy.heal();
    rush.goes_on().await;
    rush.end(&site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_goes_on_after_postgresql_was_killed() {
    if address("ONSALE_TEST_DATABASE").is_none() {
        return;
    }
    let mut database = servers::Postgres::start().await;
    let site = Site::embedded().set("stores.database", &database.url());
    let (node, mut rush) = begin(&site).await;
    database.kill();
    rush.shop_during(sleep(AWAY)).await;
    database.restart().await;
    rush.goes_on().await;
    rush.end(&site, [node]).await;
}
