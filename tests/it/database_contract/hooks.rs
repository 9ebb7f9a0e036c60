//! Deliveries to webhook endpoints: noted once, taken by one sender at a time, those of one endpoint leaving room for others.

use onsale::{
    domain::id::EventId,
    stores::database::{
        Database,
        webhook_deliveries::{self as deliveries, Attempt, Delivery, News, State},
        webhook_endpoints::{self as endpoints, Endpoint, State as EndpointState},
    },
};
use uuid::Uuid;

use super::{
    Home,
    sample::{add_account, add_event, at, event},
};
use crate::harness::new_event;

async fn organizes(database: &Database, n: u128) -> (EventId, Endpoint) {
    let organizer = add_account(database, n).await;
    let id = new_event();
    add_event(database, &event(id, organizer, "Concert")).await;
    let endpoint = Endpoint {
        id: Uuid::now_v7(),
        organizer,
        url: "https://hooks.example.com/".into(),
        description: String::new(),
        topics: vec!["order.created".into(), "refund.done".into()],
        state: EndpointState::Active,
        secret_version: 1,
        previous_until: at(0),
        created_at: at(1),
        updated_at: at(1),
    };
    let mut write = database.begin().await.expect("begin");
    assert!(endpoints::add(&mut write, &endpoint, 1).await.expect("added"));
    let another = Endpoint { id: Uuid::now_v7(), ..endpoint.clone() };
    assert!(!endpoints::add(&mut write, &another, 1).await.expect("asked"), "one is the most here");
    write.commit().await.expect("commit");
    (id, endpoint)
}

fn news(event: EventId, topic: &'static str, n: usize) -> News {
    News { event, topic, message_id: format!("{event}-{n}"), body: "{}".into() }
}

async fn due(database: &Database, now: u64, each: u32) -> Vec<Delivery> {
    deliveries::due(database, at(now), each, 100).await.expect("due")
}

#[tokio::test]
async fn what_happens_is_noted_once_for_whoever_listens_whatever_is_repeated() {
    for home in Home::all().await {
        let database = home.open().await;
        let (one, endpoint) = organizes(&database, 1).await;
        let (two, _) = organizes(&database, 2).await;
        let told: Vec<_> = (0..40).map(|n| news(one, "order.created", n)).collect();
        for _ in 0..2 {
            deliveries::note(&database, &told, at(10)).await.expect("noted");
        }
        deliveries::note(&database, &[news(one, "ticket.issued", 99)], at(10)).await.expect("nobody asked for it");
        deliveries::note(&database, &[news(new_event(), "order.created", 1)], at(10)).await.expect("of nobody");
        assert_eq!(due(&database, 10, 100).await.len(), 40);
        assert!(due(&database, 10, 100).await.iter().all(|one| one.endpoint == endpoint.id));
        deliveries::note(&database, &[news(two, "refund.done", 1)], at(11)).await.expect("noted");
        let of_each = due(&database, 11, 3).await;
        assert_eq!(of_each.len(), 4, "the many of one leave room for the other's");

        // Paused, it is told nothing, and nothing is noted for it.
        let mut write = database.begin().await.expect("begin");
        let paused = Endpoint { state: EndpointState::Paused, ..endpoint.clone() };
        assert!(endpoints::update(&mut write, &paused, at(12)).await.expect("updated"));
        write.commit().await.expect("commit");
        deliveries::note(&database, &[news(one, "order.created", 100)], at(12)).await.expect("asked");
        assert_eq!(due(&database, 12, 100).await.len(), 1);
        assert_eq!(endpoints::by_id(&database, endpoint.id).await.expect("read").expect("there").state, paused.state);
    }
}

#[tokio::test]
async fn of_two_senders_one_takes_a_delivery_and_what_is_old_is_forgotten() {
    for home in Home::all().await {
        let database = home.open().await;
        let (event, endpoint) = organizes(&database, 1).await;
        deliveries::note(&database, &[news(event, "order.created", 1)], at(10)).await.expect("noted");
        let delivery = due(&database, 10, 1).await.remove(0);
        let taken = deliveries::take(&database, delivery.clone(), at(500)).await.expect("asked").expect("taken");
        assert_eq!(deliveries::take(&database, delivery, at(600)).await.expect("asked"), None);
        assert!(due(&database, 499, 1).await.is_empty());
        let attempt = |status: Option<u16>, error: &str| Attempt {
            number: 1,
            at: at(20),
            duration_ms: 7,
            status,
            error: error.to_owned(),
        };
        let gone = attempt(Some(410), "");
        deliveries::record(&database, &taken, (State::Waiting, at(30)), &gone, true).await.expect("recorded");
        // Late words of one that was slow are not believed.
        let slow = Delivery { attempts: 0, ..taken.clone() };
        let late = attempt(None, "late");
        deliveries::record(&database, &slow, (State::Failed, at(30)), &late, false).await.expect("asked");
        let read = deliveries::by_id(&database, endpoint.id, taken.id).await.expect("read").expect("there");
        assert_eq!((read.state, read.next_at, read.last_outcome.as_str()), (State::Waiting, at(30), "answered 410"));
        assert_eq!(deliveries::attempts(&database, taken.id).await.expect("read"), [gone]);
        assert_eq!(
            endpoints::by_id(&database, endpoint.id).await.expect("read").expect("there").state,
            EndpointState::Gone
        );
        assert!(due(&database, 1_000, 1).await.is_empty());

        assert_eq!(deliveries::forget(&database, at(10), 10).await.expect("asked"), 0);
        assert_eq!(deliveries::forget(&database, at(11), 10).await.expect("forgotten"), 1);
        assert!(deliveries::attempts(&database, taken.id).await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn a_secret_is_replaced_once_and_what_is_deleted_takes_its_log_with_it() {
    for home in Home::all().await {
        let database = home.open().await;
        let (event, endpoint) = organizes(&database, 1).await;
        deliveries::note(&database, &[news(event, "order.created", 1)], at(10)).await.expect("noted");
        let mut write = database.begin().await.expect("begin");
        assert!(endpoints::rotate(&mut write, &endpoint, at(90), at(20)).await.expect("rotated"));
        assert!(!endpoints::rotate(&mut write, &endpoint, at(99), at(20)).await.expect("asked"), "somebody was first");
        write.commit().await.expect("commit");
        let rotated = endpoints::by_id(&database, endpoint.id).await.expect("read").expect("there");
        assert_eq!((rotated.secret_version, rotated.previous_until), (2, at(90)));
        let mut write = database.begin().await.expect("begin");
        endpoints::delete(&mut write, endpoint.id).await.expect("deleted");
        write.commit().await.expect("commit");
        assert_eq!(endpoints::of_organizer(&database, endpoint.organizer).await.expect("read"), []);
        let none = deliveries::list(&database, endpoint.id, None, None, 10).await.expect("listed");
        assert!(none.items.is_empty());
    }
}
