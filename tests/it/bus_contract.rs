//! What every order bus promises. What RabbitMQ's does when the broker or the way to it fails is in `bus_faults`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;
use onsale::stores::{
    error::StoreError,
    order_bus::{Delivery, Message, OrderBus, Topic, embedded::EmbeddedBus},
};

use crate::{
    buses::{Home, message, messages, next, number, quick},
    harness::until,
};

/// Waits until a count is as expected: brokers count behind their own backs.
async fn becomes<F: Future<Output = u64>>(expected: u64, count: impl Fn() -> F) {
    until(&format!("the count becomes {expected}"), async || count().await == expected).await;
}

async fn depth_becomes(bus: &Arc<dyn OrderBus>, expected: u64) {
    becomes(expected, || async { bus.depth(Topic::Orders).await.expect("depth") }).await;
}

async fn dead_become(bus: &Arc<dyn OrderBus>, expected: u64) {
    becomes(expected, || async { bus.depth(Topic::Dead).await.expect("dead letters") }).await;
}

#[tokio::test]
async fn what_was_published_is_delivered_once_in_order_and_gone_when_acknowledged() {
    for home in Home::all() {
        let bus = home.open().await;
        let sent = messages(0..1000);
        for batch in sent.chunks(300) {
            bus.publish(Topic::Orders, batch).await.expect("publish");
        }
        bus.publish(Topic::Orders, &[]).await.expect("nothing asked");
        depth_becomes(&bus, 1000).await;

        let mut deliveries = bus.consume(Topic::Orders, 50).await.expect("consume");
        for expected in &sent {
            let delivery = next(&mut deliveries).await;
            assert_eq!((&delivery.message, delivery.attempt), (expected, 1));
            delivery.settle.ack().await.expect("ack");
        }
        drop(deliveries);
        depth_becomes(&bus, 0).await;

        drop(bus);
        let bus = home.open().await;
        bus.publish(Topic::Orders, &[message(7)]).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 50).await.expect("consume");
        let delivery = next(&mut deliveries).await;
        assert_eq!((number(&delivery), delivery.attempt), (7, 1), "nothing else comes again");
        delivery.settle.ack().await.expect("ack");
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn a_waiting_consumer_gets_a_message_when_it_is_published() {
    for home in Home::all() {
        let bus = home.open().await;
        let mut deliveries = bus.consume(Topic::Payments, 1).await.expect("consume");
        for n in 0..20 {
            let routing_key = "order.payment-success".to_owned();
            bus.publish(Topic::Payments, &[Message { routing_key, ..message(n) }]).await.expect("publish");
            let delivery = next(&mut deliveries).await;
            assert_eq!(number(&delivery), n);
            delivery.settle.ack().await.expect("ack");
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn topics_are_apart_and_a_key_that_leads_nowhere_is_refused() {
    for home in Home::all() {
        let bus = home.open().await;
        let paid = Message { routing_key: "order.payment-success".to_owned(), ..message(1) };
        let lost = Message { routing_key: "order.lost".to_owned(), ..message(2) };
        let other = bus.publish(Topic::Orders, std::slice::from_ref(&paid)).await;
        let nowhere = bus.publish(Topic::Payments, &[paid.clone(), lost]).await;
        for refused in [other, nowhere] {
            assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
        }
        bus.publish(Topic::Orders, &[message(3)]).await.expect("publish");
        bus.publish(Topic::Payments, std::slice::from_ref(&paid)).await.expect("publish");

        let mut orders = bus.consume(Topic::Orders, 5).await.expect("consume");
        let mut payments = bus.consume(Topic::Payments, 5).await.expect("consume");
        let (order, payment) = (next(&mut orders).await, next(&mut payments).await);
        assert_eq!((number(&order), &payment.message), (3, &paid));
        order.settle.ack().await.expect("ack");
        payment.settle.ack().await.expect("ack");
        drop((orders, payments));
        home.remove().await;
    }
}

#[tokio::test]
async fn a_body_of_any_bytes_and_any_length_arrives_as_it_was() {
    for home in Home::all() {
        let bus = home.open().await;
        let mut deliveries = bus.consume(Topic::Orders, 1).await.expect("consume");
        for length in [0, 1, 256, 4_000, 131_064, 131_072, 1_000_000] {
            let body: Vec<u8> = (0..length).map(|n| (n % 256) as u8).collect();
            let sent = Message { body, ..message(length) };
            bus.publish(Topic::Orders, std::slice::from_ref(&sent)).await.expect("publish");
            let delivery = next(&mut deliveries).await;
            assert!(delivery.message == sent, "{length} bytes");
            delivery.settle.ack().await.expect("ack");
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_with_a_higher_attempt() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..4)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 4).await.expect("consume");
        let mut settled = BTreeSet::new();
        // Each the given number of times: by retry, by being dropped, by retry.
        while settled.len() < 4 {
            let delivery = next(&mut deliveries).await;
            let n = number(&delivery);
            if delivery.attempt > n {
                assert_eq!(delivery.attempt, n + 1);
                delivery.settle.ack().await.expect("ack");
                assert!(settled.insert(n), "{n} was settled for good");
            } else if delivery.attempt % 2 == 0 {
                drop(delivery);
            } else {
                delivery.settle.retry().await.expect("retry");
            }
        }
        drop(deliveries);
        depth_becomes(&bus, 0).await;
        home.remove().await;
    }
}

#[tokio::test]
async fn what_is_acknowledged_together_is_gone_and_what_is_held_beside_it_comes_again() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..12)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 12).await.expect("consume");
        let mut all = Vec::new();
        while all.len() < 12 {
            all.push(next(&mut deliveries).await);
        }
        // A run of them, and then every other one.
        let is_done = |delivery: &Delivery| number(delivery) < 4 || number(delivery).is_multiple_of(2);
        let (done, held): (Vec<_>, Vec<_>) = all.into_iter().partition(is_done);
        for acknowledged in join_all(done.into_iter().map(|delivery| delivery.settle.ack())).await {
            acknowledged.expect("ack");
        }
        drop(held);
        let mut again = BTreeSet::new();
        while again.len() < 4 {
            let delivery = next(&mut deliveries).await;
            assert_eq!(delivery.attempt, 2);
            again.insert(number(&delivery));
            delivery.settle.ack().await.expect("ack");
        }
        assert_eq!(again, BTreeSet::from([5, 7, 9, 11]));
        drop(deliveries);
        depth_becomes(&bus, 0).await;
        let mut deliveries = bus.consume(Topic::Orders, 12).await.expect("consume");
        bus.publish(Topic::Orders, &messages(12..13)).await.expect("publish");
        assert_eq!(number(&next(&mut deliveries).await), 12, "nothing else is left");
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn a_message_that_waits_to_come_again_does_not_hold_up_others() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..50)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 2).await.expect("consume");
        let mut settled = 0;
        while settled < 49 {
            let delivery = next(&mut deliveries).await;
            if number(&delivery) == 0 && delivery.attempt < 10 {
                delivery.settle.retry().await.expect("retry");
            } else {
                settled += u32::from(number(&delivery) != 0);
                delivery.settle.ack().await.expect("ack");
            }
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn a_rejected_message_and_one_that_fails_ten_times_go_to_the_dead_letters() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..3)).await.expect("publish");
        assert_eq!(bus.depth(Topic::Dead).await.expect("dead letters"), 0);
        let mut deliveries = bus.consume(Topic::Orders, 3).await.expect("consume");
        let mut attempts = BTreeMap::new();
        for _ in 0..21 {
            let delivery = next(&mut deliveries).await;
            let seen = attempts.entry(number(&delivery)).or_insert(0);
            *seen += 1;
            assert_eq!(delivery.attempt, *seen);
            match number(&delivery) {
                0 => delivery.settle.reject().await.expect("reject"),
                1 => delivery.settle.retry().await.expect("retry"),
                _ => drop(delivery),
            }
        }
        assert_eq!(attempts, BTreeMap::from([(0, 1), (1, 10), (2, 10)]));
        dead_become(&bus, 3).await;
        // A later message is the next delivery: there is no eleventh attempt.
        bus.publish(Topic::Orders, &[message(99)]).await.expect("publish");
        let delivery = next(&mut deliveries).await;
        assert_eq!(number(&delivery), 99);
        delivery.settle.ack().await.expect("ack");
        drop(deliveries);

        drop(bus);
        let bus = home.open().await;
        dead_become(&bus, 3).await;
        depth_becomes(&bus, 0).await;
        home.remove().await;
    }
}

#[tokio::test]
async fn what_is_under_way_when_the_process_ends_is_delivered_to_the_next() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..100)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 40).await.expect("consume");
        for _ in 0..10 {
            next(&mut deliveries).await.settle.ack().await.expect("ack");
        }
        let held: Vec<_> = {
            let mut held = Vec::new();
            for _ in 0..20 {
                held.push(next(&mut deliveries).await);
            }
            held
        };
        drop((deliveries, bus));
        drop(held);

        let bus = home.open().await;
        let mut deliveries = bus.consume(Topic::Orders, 40).await.expect("consume");
        let mut seen = BTreeSet::new();
        while seen.len() < 90 {
            let delivery = next(&mut deliveries).await;
            let n = number(&delivery);
            assert!(n >= 10, "{n} was acknowledged");
            if n < 30 {
                assert!(delivery.attempt > 1, "{n} was delivered before");
            }
            seen.insert(n);
            delivery.settle.ack().await.expect("ack");
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[test]
fn a_message_that_ends_the_process_each_time_goes_to_the_dead_letters() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let process = |life: &dyn Fn(&tokio::runtime::Runtime, EmbeddedBus)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let bus = runtime.block_on(EmbeddedBus::open(&folder.path().join("bus.db"), quick())).expect("open");
        life(&runtime, bus);
        runtime.shutdown_background();
    };
    process(&|runtime, bus| runtime.block_on(bus.publish(Topic::Orders, &messages(0..1))).expect("publish"));
    for attempt in 1..=10 {
        process(&|runtime, bus| {
            runtime.block_on(async {
                assert_eq!(bus.depth(Topic::Dead).await.expect("dead letters"), 0, "before attempt {attempt}");
                let mut deliveries = bus.consume(Topic::Orders, 1).await.expect("consume");
                let delivery = next(&mut deliveries).await;
                assert_eq!(delivery.attempt, attempt);
                std::mem::forget(delivery);
            });
        });
    }
    process(&|runtime, bus| {
        runtime.block_on(async {
            assert_eq!(bus.depth(Topic::Dead).await.expect("dead letters"), 1);
            assert_eq!(bus.depth(Topic::Orders).await.expect("depth"), 0);
        });
    });
}

#[tokio::test]
async fn a_receiver_that_is_dropped_loses_nothing_and_what_is_held_can_still_be_settled() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..30)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 20).await.expect("consume");
        let held = next(&mut deliveries).await;
        drop(deliveries);
        held.settle.ack().await.expect("ack after the receiver");

        let mut deliveries = bus.consume(Topic::Orders, 20).await.expect("consume");
        let mut seen = BTreeSet::new();
        while seen.len() < 29 {
            let delivery = next(&mut deliveries).await;
            seen.insert(number(&delivery));
            delivery.settle.ack().await.expect("ack");
        }
        assert!(!seen.contains(&0), "it was acknowledged");
        drop(deliveries);
        depth_becomes(&bus, 0).await;
        home.remove().await;
    }
}

#[tokio::test]
async fn no_more_are_under_way_than_prefetch_allows() {
    for home in Home::all() {
        let bus = home.open().await;
        bus.publish(Topic::Orders, &messages(0..100)).await.expect("publish");
        let mut deliveries = bus.consume(Topic::Orders, 7).await.expect("consume");
        let mut held = Vec::new();
        for _ in 0..7 {
            held.push(next(&mut deliveries).await);
        }
        depth_becomes(&bus, 93).await;
        assert!(deliveries.try_recv().is_err(), "an eighth");
        held.remove(3).settle.ack().await.expect("ack");
        held.push(next(&mut deliveries).await);
        depth_becomes(&bus, 92).await;
        assert!(deliveries.try_recv().is_err(), "an eighth after one was settled");
        for delivery in held {
            delivery.settle.ack().await.expect("ack");
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn two_consumers_share_the_messages() {
    for home in Home::all() {
        let bus = home.open().await;
        let mut first = bus.consume(Topic::Orders, 5).await.expect("consume");
        let mut second = bus.consume(Topic::Orders, 5).await.expect("consume");
        bus.publish(Topic::Orders, &messages(0..200)).await.expect("publish");
        // Both hold some before either settles any.
        let (one, other) = (next(&mut first).await, next(&mut second).await);
        let mut seen = BTreeSet::from([number(&one), number(&other)]);
        assert_eq!(seen.len(), 2);
        one.settle.ack().await.expect("ack");
        other.settle.ack().await.expect("ack");
        while seen.len() < 200 {
            let delivery = tokio::select! {
                delivery = next(&mut first) => delivery,
                delivery = next(&mut second) => delivery,
            };
            assert!(seen.insert(number(&delivery)), "{} twice", number(&delivery));
            delivery.settle.ack().await.expect("ack");
        }
        drop((first, second));
        home.remove().await;
    }
}

#[tokio::test]
async fn each_of_many_publishers_has_its_messages_delivered_in_its_order() {
    for home in Home::all() {
        let bus = home.open().await;
        let publishers: Vec<_> = (0..8)
            .map(|publisher: u32| {
                let bus = Arc::clone(&bus);
                tokio::spawn(async move {
                    for batch in 0..20 {
                        let first = publisher * 1000 + batch * 5;
                        bus.publish(Topic::Orders, &messages(first..first + 5)).await.expect("publish");
                    }
                })
            })
            .collect();
        let mut deliveries = bus.consume(Topic::Orders, 100).await.expect("consume");
        let mut expected = BTreeMap::new();
        for _ in 0..800 {
            let delivery = next(&mut deliveries).await;
            let (publisher, n) = (number(&delivery) / 1000, number(&delivery) % 1000);
            let expected = expected.entry(publisher).or_insert(0);
            assert_eq!(n, *expected, "of publisher {publisher}");
            *expected += 1;
            delivery.settle.ack().await.expect("ack");
        }
        for publisher in publishers {
            publisher.await.expect("ran");
        }
        drop(deliveries);
        home.remove().await;
    }
}

#[tokio::test]
async fn a_bus_that_is_there_answers_a_ping() {
    for home in Home::all() {
        home.open().await.ping().await.expect("ping");
        home.remove().await;
    }
}

#[tokio::test]
async fn news_reaches_whoever_has_bound_a_queue_and_is_no_error_where_nobody_has() {
    for home in Home::all() {
        let bus = home.open().await;
        let news = |id: &str| Message { routing_key: "refund.done".into(), id: id.into(), body: b"{}".to_vec() };
        bus.announce(&[]).await.expect("nothing to tell");
        bus.announce(&[news("unheard")]).await.expect("nobody listens");
        let refused = bus.publish(Topic::Payments, &[news("1")]).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
        if let Home::Rabbit(rabbit) = &home {
            let (channel, queue) = (rabbit.admin().await, format!("{}.listener", rabbit.prefix));
            let declared = channel.queue_declare(queue.as_str().into(), Default::default(), Default::default()).await;
            declared.expect("declared");
            let (exchange, options) = (rabbit.prefix.as_str().into(), Default::default());
            let bound =
                channel.queue_bind(queue.as_str().into(), exchange, "refund.*".into(), options, Default::default());
            bound.await.expect("bound");
            bus.announce(&[news("first"), news("second")]).await.expect("told");
            for expected in ["first", "second"] {
                let got = channel.basic_get(queue.as_str().into(), Default::default()).await.expect("asked");
                let got = got.expect("it is there before it was confirmed");
                assert_eq!(got.properties.message_id().as_ref().map(|id| id.as_str()), Some(expected));
                assert_eq!(got.routing_key.as_str(), "refund.done");
            }
            channel.queue_delete(queue.as_str().into(), Default::default()).await.expect("deleted");
        }
        for topic in Topic::ALL {
            assert_eq!(bus.depth(topic).await.expect("depth"), 0, "no work came of it");
        }
        drop(bus);
        home.remove().await;
    }
}

#[tokio::test]
async fn dead_letters_are_as_they_were_and_stay_until_they_are_acknowledged() {
    for home in Home::all() {
        let bus = home.open().await;
        let paid = Message { routing_key: "order.payment-success".to_owned(), body: vec![0xff, 0], ..message(8) };
        bus.publish(Topic::Orders, &[message(7)]).await.expect("publish");
        bus.publish(Topic::Payments, std::slice::from_ref(&paid)).await.expect("publish");
        for topic in Topic::WORK {
            let mut deliveries = bus.consume(topic, 1).await.expect("consume");
            next(&mut deliveries).await.settle.reject().await.expect("reject");
        }
        dead_become(&bus, 2).await;
        assert!(matches!(bus.publish(Topic::Dead, &[message(9)]).await, Err(StoreError::Invalid(_))));

        let mut dead = bus.consume(Topic::Dead, 2).await.expect("consume");
        let mut seen = BTreeMap::new();
        // More often than any other message may come back.
        for turn in 0..24 {
            let delivery = next(&mut dead).await;
            seen.insert(delivery.message.id.clone(), delivery.message.clone());
            match turn % 3 {
                0 => delivery.settle.reject().await.expect("comes again"),
                1 => delivery.settle.retry().await.expect("comes again"),
                _ => drop(delivery),
            }
        }
        assert_eq!(seen, BTreeMap::from([("7".to_owned(), message(7)), ("8".to_owned(), paid)]));
        drop((dead, bus));

        let bus = home.open().await;
        let mut dead = bus.consume(Topic::Dead, 2).await.expect("consume");
        for _ in 0..2 {
            let delivery = next(&mut dead).await;
            assert!(seen.remove(&delivery.message.id).is_some(), "once after a restart");
            delivery.settle.ack().await.expect("ack");
        }
        drop(dead);
        dead_become(&bus, 0).await;
        home.remove().await;
    }
}
