//! The order bus on RabbitMQ when the broker, or the way to it, fails: nothing that was confirmed is lost, everything is
//! found again without help.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::{options::QueueDeleteOptions, types::FieldTable};
use onsale::stores::{
    error::StoreError,
    order_bus::{Delivery, OrderBus, Topic, rabbitmq::RabbitBus},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    buses::{PATIENCE, RabbitHome, message, messages, next, number},
    harness::{address, in_time, until},
    proxy::{Proxy, server_of},
    servers,
};

/// A bus behind a proxy.
async fn behind_a_proxy() -> Option<(RabbitHome, Proxy, RabbitBus)> {
    let home = RabbitHome::on(address("ONSALE_TEST_RABBITMQ")?);
    let proxy = Proxy::to(server_of(&home.url)).await;
    let bus = home.open(&proxy.url(&home.url));
    Some((home, proxy, bus))
}

/// As the outbox does: until all are confirmed.
async fn publish_until_confirmed(bus: &RabbitBus, numbers: std::ops::Range<u32>) {
    let messages = messages(numbers);
    until("the bus works again by itself", async || bus.publish(Topic::Orders, &messages).await.is_ok()).await;
}

async fn depth_exceeds(bus: &RabbitBus, depth: u64) {
    let exceeds = async { while bus.depth(Topic::Orders).await.expect("depth") <= depth {} };
    timeout(PATIENCE, exceeds).await.expect("more messages in time");
}

/// Acknowledges until each of these has come at least once.
async fn receive_all(deliveries: &mut mpsc::Receiver<Delivery>, numbers: std::ops::Range<u32>) {
    let mut missing: BTreeSet<u32> = numbers.collect();
    while !missing.is_empty() {
        let delivery = next(deliveries).await;
        missing.remove(&number(&delivery));
        // The connection may be gone by now: then it comes again.
        let _ = delivery.settle.ack().await;
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_has_taken_nothing_and_is_found_when_it_is_back() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    proxy.refuse();
    let mut deliveries = bus.consume(Topic::Orders, 10).await.expect("consume");
    for _ in 0..3 {
        let refused = in_time(bus.publish(Topic::Orders, &[message(1)])).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        bus.ping().await.expect_err("unreachable");
        bus.depth(Topic::Orders).await.expect_err("unreachable");
    }
    proxy.heal();
    publish_until_confirmed(&bus, 0..5).await;
    receive_all(&mut deliveries, 0..5).await;
    bus.ping().await.expect("reachable");
    drop(deliveries);
    home.remove().await;
    assert!(RabbitBus::open(onsale::stores::order_bus::rabbitmq::Options::new("http://[")).is_err());
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_publishing_is_an_error_and_the_next_publish_works() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    let bus = Arc::new(bus);
    bus.publish(Topic::Orders, &messages(0..1)).await.expect("publish");
    let direct = home.open(&home.url);
    for round in 0..3 {
        let first = round * 20_000;
        let before = direct.depth(Topic::Orders).await.expect("depth");
        let publishing = {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move { bus.publish(Topic::Orders, &messages(first..first + 20_000)).await })
        };
        // Some have arrived, so the cut is in the middle.
        depth_exceeds(&direct, before).await;
        proxy.cut();
        let cut = publishing.await.expect("ran");
        assert!(matches!(cut, Err(StoreError::Unknown(_))), "round {round}: {cut:?}");
        bus.publish(Topic::Orders, &messages(first..first + 100)).await.expect("on a new connection");
    }
    let mut deliveries = bus.consume(Topic::Orders, 500).await.expect("consume");
    for round in 0..3 {
        receive_all(&mut deliveries, round * 20_000..round * 20_000 + 100).await;
    }
    drop(deliveries);
    home.remove().await;
}

#[tokio::test]
async fn a_lost_confirm_is_unknown_and_publishing_again_loses_nothing() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    bus.publish(Topic::Orders, &messages(0..1)).await.expect("publish");
    proxy.eat_replies();
    let sent = messages(1..11);
    let publishing = bus.publish(Topic::Orders, &sent);
    let unknown = async {
        proxy.eaten().await;
        // Not before the broker has all of them: it is the confirms that are lost.
        depth_exceeds(&home.open(&home.url), 10).await;
        proxy.heal();
    };
    let (published, ()) = tokio::join!(publishing, unknown);
    assert!(matches!(published, Err(StoreError::Unknown(_))), "{published:?}");
    publish_until_confirmed(&bus, 1..11).await;

    let mut deliveries = bus.consume(Topic::Orders, 100).await.expect("consume");
    let mut seen = Vec::new();
    for _ in 0..21 {
        let delivery = next(&mut deliveries).await;
        seen.push(number(&delivery));
        delivery.settle.ack().await.expect("ack");
    }
    // First deliveries in order; then the copies, in order.
    assert_eq!(seen, (0..11).chain(1..11).collect::<Vec<_>>());
    drop(deliveries);
    home.remove().await;
}

#[tokio::test]
async fn a_silent_broker_does_not_hold_a_publisher_for_ever() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    bus.publish(Topic::Orders, &messages(0..1)).await.expect("publish");
    bus.ping().await.expect("ping");
    proxy.fall_silent();
    let pinged = in_time(bus.ping()).await;
    assert!(matches!(pinged, Err(StoreError::Unavailable(_))), "{pinged:?}");
    let published = in_time(bus.publish(Topic::Orders, &messages(1..3))).await;
    assert!(matches!(published, Err(StoreError::Unknown(_))), "{published:?}");
    proxy.heal();
    publish_until_confirmed(&bus, 1..3).await;
    home.remove().await;
}

#[tokio::test]
async fn a_consumer_whose_connection_is_cut_gets_everything_over_the_next_one() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    let direct = home.open(&home.url);
    direct.publish(Topic::Orders, &messages(0..200)).await.expect("publish");
    let mut deliveries = bus.consume(Topic::Orders, 20).await.expect("consume");
    let mut missing: BTreeSet<u32> = (0..200).collect();
    let mut received = 0;
    while !missing.is_empty() {
        let delivery = next(&mut deliveries).await;
        missing.remove(&number(&delivery));
        received += 1;
        if received % 50 == 0 {
            proxy.cut();
        }
        let _ = delivery.settle.ack().await;
    }
    drop(deliveries);
    home.remove().await;
}

#[tokio::test]
async fn a_message_whose_consumer_dies_each_time_goes_to_the_dead_letters() {
    let Some((home, proxy, bus)) = behind_a_proxy().await else { return };
    bus.publish(Topic::Orders, &[message(1)]).await.expect("publish");
    let mut deliveries = bus.consume(Topic::Orders, 1).await.expect("consume");
    let direct = home.open(&home.url);
    let mut attempts = Vec::new();
    let started = Instant::now();
    while direct.depth(Topic::Dead).await.expect("dead letters") == 0 {
        assert!(started.elapsed() < PATIENCE, "{attempts:?}");
        let Ok(delivery) = timeout(Duration::from_millis(100), deliveries.recv()).await else { continue };
        let delivery = delivery.expect("the bus delivers on");
        attempts.push(delivery.attempt);
        assert!(attempts.len() <= 10, "{attempts:?}");
        // Never answered: it is the broker that counts.
        proxy.cut();
        std::mem::forget(delivery);
    }
    assert_eq!(attempts, (1..=10).collect::<Vec<_>>());
    drop(deliveries);
    home.remove().await;
}

#[tokio::test]
async fn a_message_that_finds_no_queue_is_an_error_and_the_way_is_mended() {
    let Some((home, _proxy, bus)) = behind_a_proxy().await else { return };
    bus.publish(Topic::Orders, &messages(0..3)).await.expect("publish");
    let admin = home.admin().await;
    let (queue, exchange) = (format!("{}.orders", home.prefix), home.prefix.clone());
    let (key, no_arguments) = ("order.created".into(), FieldTable::default());
    admin.queue_unbind(queue.as_str().into(), exchange.into(), key, no_arguments).await.expect("unbind");

    let returned = bus.publish(Topic::Orders, &messages(3..6)).await;
    assert!(matches!(returned, Err(StoreError::Unknown(_))), "{returned:?}");
    bus.publish(Topic::Orders, &messages(3..6)).await.expect("bound again");

    let mut deliveries = bus.consume(Topic::Orders, 10).await.expect("consume");
    receive_all(&mut deliveries, 0..6).await;
    // A queue that was deleted under its consumer is made again, too.
    admin.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("delete");
    publish_until_confirmed(&bus, 6..7).await;
    receive_all(&mut deliveries, 6..7).await;
    drop(deliveries);
    home.remove().await;
}

#[tokio::test]
async fn what_was_confirmed_outlives_the_broker_and_all_is_found_again() {
    if address("ONSALE_TEST_RABBITMQ").is_none() {
        return;
    }
    let mut broker = servers::Rabbit::start().await;
    let home = RabbitHome::on(broker.url());
    let bus = Arc::new(home.open(&home.url));
    let mut deliveries = bus.consume(Topic::Orders, 50).await.expect("consume");
    publish_until_confirmed(&bus, 0..100).await;
    for _ in 0..50 {
        next(&mut deliveries).await.settle.ack().await.expect("ack");
    }
    let held = next(&mut deliveries).await;

    broker.kill();
    // Whether or not it has noticed yet that there is nobody to tell.
    let _ = held.settle.ack().await;
    bus.publish(Topic::Orders, &messages(0..1)).await.expect_err("nobody to take it");
    broker.restart().await;
    publish_until_confirmed(&bus, 100..200).await;
    // The first fifty may come again: an acknowledgement is not confirmed.
    receive_all(&mut deliveries, 50..200).await;
}

#[tokio::test]
async fn a_broker_short_of_memory_is_unavailable_at_once_and_consumers_go_on() {
    if address("ONSALE_TEST_RABBITMQ").is_none() {
        return;
    }
    let broker = servers::Rabbit::start().await;
    let home = RabbitHome::on(broker.url());
    let bus = home.open(&home.url);
    publish_until_confirmed(&bus, 0..5).await;
    let watermark = |limit: &str| {
        let done = broker.command("rabbitmqctl").args(["set_vm_memory_high_watermark", "absolute", limit]).output();
        let done = done.expect("rabbitmqctl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    watermark("1MB");

    let until_blocked = async {
        let blocked = loop {
            if let Err(blocked) = bus.publish(Topic::Orders, &messages(5..6)).await {
                break blocked;
            }
        };
        assert!(matches!(blocked, StoreError::Unknown(_)), "{blocked}");
    };
    timeout(PATIENCE, until_blocked).await.expect("the alarm is raised");
    let mut told_at_once = 0;
    while told_at_once < 100 {
        match in_time(bus.publish(Topic::Orders, &messages(5..6))).await {
            Err(StoreError::Unavailable(_)) => told_at_once += 1,
            // By a connection that was just made, and does not know of the alarm yet.
            Err(StoreError::Unknown(_)) => {}
            other => unreachable!("{other:?}"),
        }
    }
    let mut deliveries = bus.consume(Topic::Orders, 5).await.expect("consume");
    receive_all(&mut deliveries, 0..5).await;

    watermark("1GB");
    publish_until_confirmed(&bus, 5..10).await;
    receive_all(&mut deliveries, 5..10).await;
}
