//! What every store of used tickets promises, and what the one in Redis does when Redis or the way to it fails.

use std::sync::Arc;

use futures_util::future::join_all;
use onsale::stores::{
    error::StoreError,
    redis::Redis,
    used_tickets::{UsedTickets, embedded::EmbeddedTickets, redis::RedisTickets},
};

use crate::{
    harness::{address, in_time},
    proxy::{Proxy, server_of},
};

fn in_redis(url: &str) -> Arc<dyn UsedTickets> {
    Arc::new(RedisTickets::new(Arc::new(Redis::open(url).expect("an address"))))
}

/// Two openings of the same, one for each node; an embedded one has one.
fn all() -> Vec<[Arc<dyn UsedTickets>; 2]> {
    let embedded: Arc<dyn UsedTickets> = Arc::new(EmbeddedTickets::default());
    let redis = address("ONSALE_TEST_REDIS").map(|url| [in_redis(&url), in_redis(&url)]);
    [[Arc::clone(&embedded), embedded]].into_iter().chain(redis).collect()
}

fn new_ticket() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[tokio::test]
async fn s_08_a_ticket_is_used_once_wherever_it_is_shown() {
    for [here, there] in all() {
        let (one, other) = (new_ticket(), new_ticket());
        assert!(here.use_once(&one).await.expect("answers"));
        assert!(!here.use_once(&one).await.expect("answers"));
        assert!(!there.use_once(&one).await.expect("answers"));
        assert!(there.use_once(&other).await.expect("answers"), "another one");
    }
}

#[tokio::test]
async fn s_08_of_many_who_show_the_same_ticket_at_once_one_is_let_in() {
    for nodes in all() {
        let ticket = new_ticket();
        let shown = join_all((0..20).map(|n| nodes[n % 2].use_once(&ticket))).await;
        let let_in = shown.into_iter().filter(|shown| *shown.as_ref().expect("answers")).count();
        assert_eq!(let_in, 1);
    }
}

#[tokio::test]
async fn without_redis_nobody_is_let_in_by_a_ticket_that_may_be_used() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let store = in_redis(&proxy.url(&url));
    proxy.refuse();
    let ticket = new_ticket();
    let away = in_time(store.use_once(&ticket)).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    proxy.heal();
    assert!(store.use_once(&ticket).await.expect("back"), "it was not used");
}

#[tokio::test]
async fn a_use_whose_connection_was_lost_counts_for_whoever_made_it() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let (store, direct) = (in_redis(&proxy.url(&url)), in_redis(&url));
    store.use_once(&new_ticket()).await.expect("connected");
    let ticket = new_ticket();
    proxy.eat_replies();
    let asked = tokio::spawn({
        let (store, ticket) = (Arc::clone(&store), ticket.clone());
        async move { store.use_once(&ticket).await }
    });
    in_time(proxy.eaten()).await;
    proxy.heal();
    // On a new connection the same call finds that it was itself.
    assert!(in_time(asked).await.expect("ended").expect("answers"));
    assert!(!direct.use_once(&ticket).await.expect("answers"));
}
