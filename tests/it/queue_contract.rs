//! What every queue store promises, and what the one in Redis does when Redis or the way to it fails.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use onsale::{
    domain::{
        id::{EventId, FanId},
        queue::{Class, Move, Place, Tie},
    },
    stores::{
        error::StoreError,
        queue::{Mark, QueueStore, embedded::EmbeddedQueue, redis::RedisQueue},
    },
};
use tokio::time::timeout;

use crate::{
    harness::{Home, address, in_time, new_event},
    proxy::{Proxy, server_of},
    servers,
};

async fn open(home: &Home) -> Arc<dyn QueueStore> {
    match home {
        Home::Embedded(folder) => {
            println!("embedded queue");
            Arc::new(EmbeddedQueue::open(&folder.path().join("queue.db")).await.expect("open"))
        }
        Home::Redis(url) => {
            println!("queue in Redis");
            Arc::new(RedisQueue::open(url).expect("open"))
        }
    }
}

/// The places `numbers` of a term, each with a fan of its own.
fn members(term: u32, numbers: std::ops::RangeInclusive<u32>) -> Vec<(Place, FanId)> {
    numbers.map(|n| (Place::new(term, n), fan(term, n))).collect()
}

fn fan(term: u32, n: u32) -> FanId {
    FanId::from_u128(0xFA00_0000_0000_0000_0000 + (u128::from(term) << 32) + u128::from(n))
}

fn places(members: &[(Place, FanId)]) -> Vec<Place> {
    members.iter().map(|(place, _)| *place).collect()
}

#[tokio::test]
async fn open_gives_back_what_was_joined_and_not_forgotten_in_order() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        assert_eq!(store.open(event, 1).await.expect("open"), []);

        let mut shuffled = members(1, 1..=20);
        shuffled.reverse();
        store.join(event, 1, &shuffled).await.expect("join");
        store.join(event, 1, &members(1, 21..=30)).await.expect("join");
        store.forget(event, 1, &places(&members(1, 5..=24))).await.expect("forget");
        store.forget(event, 1, &[Place::new(1, 999), Place::new(0, 0)]).await.expect("nothing to forget");
        store.forget(event, 1, &[]).await.expect("nothing asked");
        store.join(event, 1, &[]).await.expect("nothing asked");

        let left = [members(1, 1..=4), members(1, 25..=30)].concat();
        assert_eq!(store.open(event, 1).await.expect("the same term again"), left);
        assert_eq!(open(&home).await.open(event, 2).await.expect("reopened"), left);
    }
}

#[tokio::test]
async fn places_are_counted_also_when_all_are_lost() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        let count = async |term| store.count(event, term).await.map(|counted| counted.places);
        assert_eq!(count(3).await.expect("of an event that was never opened"), 0);
        store.join(event, 3, &members(3, 1..=20)).await.expect("join");
        store.join(event, 3, &members(3, 11..=30)).await.expect("some of them again");
        store.forget(event, 3, &places(&members(3, 5..=9))).await.expect("forget");
        assert_eq!(count(3).await.expect("count"), 25);
        assert_eq!(count(4).await.expect("by the next owner"), 25);
        let refused = count(3).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_store_knows_whether_it_is_the_one_that_had_everything() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        let is_whole = async |store: &Arc<dyn QueueStore>, term| {
            let (remains, counted) = (store.remains(event, term).await, store.count(event, term).await);
            let is_whole = remains.expect("remains").is_whole;
            assert_eq!(counted.expect("count").is_whole, is_whole);
            is_whole
        };
        store.open(event, 1).await.expect("open");
        assert!(!is_whole(&store, 1).await, "it never had the event");
        store.mark(event, 1, Mark::Filling).await.expect("mark");
        assert!(!is_whole(&store, 1).await);
        for _ in 0..2 {
            store.mark(event, 1, Mark::Whole).await.expect("mark");
            assert!(is_whole(&store, 1).await);
        }
        assert!(is_whole(&open(&home).await, 2).await, "for the next owner");
        let refused = [store.mark(event, 1, Mark::Filling).await, store.remains(event, 1).await.map(|_| ())];
        assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::Conflict(_)))), "{refused:?}");
        assert!(is_whole(&store, 2).await);
    }
}

#[tokio::test]
async fn what_is_forgotten_of_places_that_may_come_back_is_kept_as_spent() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        store.join(event, 3, &members(3, 1..=4)).await.expect("join");
        store.forget(event, 3, &places(&members(3, 1..=1))).await.expect("forget");
        let remains = store.remains(event, 3).await.expect("remains");
        assert_eq!((remains.lost_before, remains.spent), (0, Vec::new()), "none may come back");
        store.mark(event, 4, Mark::Lost { before: 4 }).await.expect("mark");
        store.mark(event, 4, Mark::Lost { before: 2 }).await.expect("it never falls");
        // Whether it has them or not.
        store.forget(event, 4, &places(&members(3, 3..=3))).await.expect("forget");
        store.forget(event, 4, &[Place::new(4, 1), Place::new(1, 7), Place::new(3, 3)]).await.expect("forget");
        let remains = open(&home).await.remains(event, 5).await.expect("remains");
        assert_eq!((remains.lost_before, remains.spent), (4, vec![Place::new(1, 7), Place::new(3, 3)]));
        assert_eq!(store.open(event, 5).await.expect("open"), [members(3, 2..=2), members(3, 4..=4)].concat());
    }
}

#[tokio::test]
async fn a_redis_that_has_started_again_or_lost_all_is_not_whole() {
    if address("ONSALE_TEST_REDIS").is_none() {
        return;
    }
    let mut server = servers::Redis::start().await;
    let (store, event) = (RedisQueue::open(&server.url()).expect("open"), new_event());
    let fill = async || {
        store.open(event, 1).await.expect("open");
        store.mark(event, 1, Mark::Filling).await.expect("mark");
        store.join(event, 1, &members(1, 1..=3)).await.expect("join");
    };
    let is_whole = async || store.remains(event, 1).await.expect("remains").is_whole;
    fill().await;
    server.restart().await;
    store.mark(event, 1, Mark::Whole).await.expect("nothing");
    assert!(!is_whole().await, "started again since");
    fill().await;
    store.mark(event, 1, Mark::Whole).await.expect("mark");
    assert!(is_whole().await);
    server.restart().await;
    assert_eq!(store.open(event, 1).await.expect("open"), members(1, 1..=3), "it has them");
    assert!(!is_whole().await, "and cannot know that it has all");
    fill().await;
    server.lose_all().await;
    store.mark(event, 1, Mark::Whole).await.expect("nothing");
    assert!(!is_whole().await);
}

#[tokio::test]
async fn a_place_passes_from_a_device_to_an_account_whatever_that_had() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        store.join(event, 1, &members(1, 1..=6)).await.expect("join");
        let tie = |n, account| Tie { place: Place::new(1, n), device: fan(1, n), account };
        for _ in 0..2 {
            store.tie(event, 1, &[tie(1, fan(9, 9)), tie(3, fan(1, 5))]).await.expect("tie");
            store.tie(event, 1, &[]).await.expect("nothing asked");
        }
        store.forget(event, 1, &[Place::new(1, 5)]).await.expect("forget");
        let at = |n, fan| (Place::new(1, n), fan);
        let expected = [at(1, fan(9, 9)), at(2, fan(1, 2)), at(3, fan(1, 5)), at(4, fan(1, 4)), at(6, fan(1, 6))];
        assert_eq!(store.open(event, 2).await.expect("open"), expected);
        let refused = store.tie(event, 1, &[tie(2, fan(9, 8))]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(store.open(event, 2).await.expect("open"), expected);
    }
}

#[tokio::test]
async fn an_older_term_can_do_nothing() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        store.open(event, 4).await.expect("open");
        store.join(event, 4, &members(4, 1..=3)).await.expect("join");
        store.open(event, 5).await.expect("the next owner");

        let refused = [
            store.open(event, 4).await.map(|_| ()),
            store.join(event, 4, &members(4, 4..=5)).await,
            store.forget(event, 4, &places(&members(4, 1..=3))).await,
            store.join(event, 4, &[]).await,
            store.join(event, 0, &members(0, 1..=1)).await,
        ];
        for (n, refused) in refused.into_iter().enumerate() {
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{n}: {refused:?}");
        }
        assert_eq!(store.open(event, 5).await.expect("open"), members(4, 1..=3));
    }
}

#[tokio::test]
async fn a_newer_term_is_known_from_any_verb() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        // As after a loss of the whole store under a living owner.
        store.join(event, 7, &members(7, 1..=2)).await.expect("join without open");
        store.forget(event, 8, &[Place::new(7, 1)]).await.expect("forget without open");
        let refused = store.join(event, 7, &members(7, 3..=3)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(store.open(event, 8).await.expect("open"), members(7, 2..=2));
    }
}

#[tokio::test]
async fn joining_again_is_no_change_and_a_fan_has_one_place() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        store.open(event, 1).await.expect("open");
        for _ in 0..3 {
            store.join(event, 1, &members(1, 1..=5)).await.expect("join");
        }
        // Left and joined again: whether the old place was forgotten before, after or twice makes no difference.
        store.join(event, 1, &[(Place::new(1, 6), fan(1, 2))]).await.expect("a new place");
        store.forget(event, 1, &[Place::new(1, 2)]).await.expect("forget the old one");
        let mut expected = members(1, 1..=5);
        expected.remove(1);
        expected.push((Place::new(1, 6), fan(1, 2)));
        assert_eq!(store.open(event, 1).await.expect("open"), expected);
    }
}

#[tokio::test]
async fn a_join_of_many_is_all_or_nothing() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        store.open(event, 2).await.expect("open");
        let joins = Arc::new(members(1, 1..=15_000));
        let joining = {
            let (store, joins) = (Arc::clone(&store), Arc::clone(&joins));
            tokio::spawn(async move { store.join(event, 2, &joins).await })
        };
        // Meanwhile the next owner opens: it sees the whole join or none of it, and none of it later.
        tokio::task::yield_now().await;
        let seen = store.open(event, 3).await.expect("open").len();
        let joined = joining.await.expect("ran");
        assert!(matches!(joined, Ok(()) | Err(StoreError::Conflict(_))), "{joined:?}");
        assert_eq!(seen, if joined.is_ok() { joins.len() } else { 0 });
        assert_eq!(store.open(event, 3).await.expect("open").len(), seen);
    }
}

#[tokio::test]
async fn a_queue_of_any_length_comes_back_whole() {
    // Below, at and above what one page and one chunk of a script hold.
    for length in [1, 1_000, 1_001, 9_999, 10_000, 10_001, 25_000] {
        for home in Home::all() {
            let (store, event) = (open(&home).await, new_event());
            let joined = members(1, 1..=length);
            store.join(event, 1, &joined).await.expect("join");
            assert!(store.open(event, 2).await.expect("open") == joined, "{length}");
            let (forgotten, kept) = joined.split_at(joined.len() * 4 / 5);
            store.forget(event, 2, &places(forgotten)).await.expect("forget");
            assert!(open(&home).await.open(event, 3).await.expect("open") == kept, "{length}");
        }
    }
}

#[tokio::test]
async fn events_do_not_see_each_other() {
    for home in Home::all() {
        let store = open(&home).await;
        let tasks: Vec<_> = (1..=16)
            .map(|n: u32| {
                let (store, event) = (Arc::clone(&store), new_event());
                tokio::spawn(async move {
                    store.open(event, n).await.expect("open");
                    for k in 1..=20 {
                        store.join(event, n, &members(n, k..=k)).await.expect("join");
                    }
                    assert_eq!(store.open(event, n).await.expect("open"), members(n, 1..=20));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("each has its own queue");
        }
    }
}

#[tokio::test]
async fn each_class_is_a_line_of_its_own_and_a_move_takes_the_fan_from_one_to_another() {
    for home in Home::all() {
        let (store, event) = (open(&home).await, new_event());
        let at = |n, class: u8| (Place::new(1, n).in_class(Class(class)), fan(1, n));
        let all: Vec<_> = (1..=30).map(|n| at(n, n as u8 % Class::COUNT as u8)).collect();
        store.join(event, 1, &all).await.expect("join");
        let mut expected = all.clone();
        expected.sort();
        assert_eq!(store.open(event, 1).await.expect("open"), expected, "class by class");
        assert_eq!(store.count(event, 1).await.expect("count").places, 30);

        let moves = [(2, 2, 9), (3, 3, 0), (10, 0, 1)].map(|(n, from, to): (u32, u8, u8)| Move {
            fan: fan(1, n),
            from: Place::new(1, n).in_class(Class(from)),
            to: Place::new(1, 100 + n).in_class(Class(to)),
        });
        for _ in 0..2 {
            store.relocate(event, 1, &moves).await.expect("moved, or again");
            store.relocate(event, 1, &[]).await.expect("nothing asked");
        }
        // By place and class: what has the same number in another class stays.
        store.forget(event, 1, &[at(4, 4).0, at(5, 6).0]).await.expect("forget");
        expected.retain(|(_, member)| *member != fan(1, 4) && moves.iter().all(|one| one.fan != *member));
        expected.extend(moves.map(|one| (one.to, one.fan)));
        expected.sort();
        assert_eq!(open(&home).await.open(event, 2).await.expect("reopened"), expected);
        assert_eq!(store.count(event, 2).await.expect("count").places, expected.len());
        let refused = store.relocate(event, 1, &moves).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(store.open(event, 2).await.expect("open"), expected);
    }
}

#[tokio::test]
async fn a_store_that_is_there_answers_a_ping() {
    for home in Home::all() {
        open(&home).await.ping().await.expect("ping");
    }
}

#[tokio::test]
async fn a_redis_that_refuses_connections_has_done_nothing() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let closed = proxy.url(&url);
    drop(proxy);
    let store = RedisQueue::open(&closed).expect("open");
    for outcome in [
        store.open(new_event(), 1).await.map(|_| ()),
        store.join(new_event(), 1, &members(1, 1..=1)).await,
        store.forget(new_event(), 1, &[Place::new(1, 1)]).await,
        store.ping().await,
    ] {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    let nonsense = RedisQueue::open("http://127.0.0.1").err();
    assert!(matches!(nonsense, Some(StoreError::Invalid(_))), "{nonsense:?}");
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_repeating_has_one_effect() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let (store, event) = (RedisQueue::open(&proxy.url(&url)).expect("open"), new_event());
    store.open(event, 1).await.expect("open");
    store.join(event, 1, &members(1, 1..=3)).await.expect("join");

    proxy.eat_replies();
    let joined = store.join(event, 1, &members(1, 4..=6)).await;
    assert!(matches!(joined, Err(StoreError::Unknown(_))), "{joined:?}");
    proxy.eaten().await;
    proxy.heal();
    let direct = RedisQueue::open(&url).expect("open");
    assert_eq!(direct.open(event, 1).await.expect("open"), members(1, 1..=6), "it was done");

    store.join(event, 1, &members(1, 4..=6)).await.expect("again");
    assert_eq!(store.open(event, 1).await.expect("open"), members(1, 1..=6));

    proxy.eat_replies();
    let forgotten = store.forget(event, 1, &[Place::new(1, 1)]).await;
    assert!(matches!(forgotten, Err(StoreError::Unknown(_))), "{forgotten:?}");
    proxy.heal();
    store.forget(event, 1, &[Place::new(1, 1)]).await.expect("again");
    assert_eq!(store.open(event, 1).await.expect("open"), members(1, 2..=6));
}

#[tokio::test]
async fn a_connection_that_was_cut_while_idle_costs_no_error() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let (store, event) = (RedisQueue::open(&proxy.url(&url)).expect("open"), new_event());
    for n in 1..=5 {
        store.join(event, 1, &members(1, n..=n)).await.expect("join");
        proxy.cut();
    }
    assert_eq!(store.open(event, 1).await.expect("open"), members(1, 1..=5));
}

#[tokio::test]
async fn a_silent_redis_does_not_hold_a_caller_for_long() {
    let Some(url) = address("ONSALE_TEST_REDIS") else { return };
    let proxy = Proxy::to(server_of(&url)).await;
    let (store, event) = (RedisQueue::open(&proxy.url(&url)).expect("open"), new_event());
    store.ping().await.expect("ping");
    proxy.fall_silent();
    let joins = members(1, 1..=1);
    let (first, second) = in_time(join(store.join(event, 1, &joins), store.open(event, 1))).await;
    assert!(matches!(first, Err(StoreError::Unknown(_))), "{first:?}");
    assert!(second.is_err(), "{second:?}");
    proxy.heal();
    store.join(event, 1, &members(1, 1..=1)).await.expect("works again");
}

#[tokio::test]
async fn a_redis_restarted_in_the_middle_is_used_again_by_itself() {
    if address("ONSALE_TEST_REDIS").is_none() {
        return;
    }
    let mut server = servers::Redis::start().await;
    let (store, event) = (Arc::new(RedisQueue::open(&server.url()).expect("open")), new_event());
    store.open(event, 1).await.expect("open");

    let joining = tokio::spawn(join_until(Arc::clone(&store), event, 400));
    for _ in 0..3 {
        server.restart().await;
        store_answers(&store).await;
    }
    server.kill();
    // The first to notice may be unsure; who comes later has certainly done nothing.
    store.ping().await.expect_err("dead");
    let refused = store.join(event, 1, &members(1, 9_999..=9_999)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    server.restart().await;

    timeout(Duration::from_secs(60), joining).await.expect("in time").expect("ran");
    assert_eq!(store.open(event, 1).await.expect("open"), members(1, 1..=400));
}

/// Repeats each join until it is acknowledged.
async fn join_until(store: Arc<RedisQueue>, event: EventId, last: u32) {
    for n in 1..=last {
        while store.join(event, 1, &members(1, n..=n)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn store_answers(store: &RedisQueue) {
    let until = async { while store.ping().await.is_err() {} };
    timeout(Duration::from_secs(10), until).await.expect("the store finds its server again");
}
