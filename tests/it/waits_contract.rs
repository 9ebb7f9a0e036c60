//! What every store of notes promises: in which of an organizer's queues a fan waits.

use std::sync::Arc;

use futures_util::future::join_all;
use onsale::{
    domain::{
        id::{EventId, FanId},
        time::EventTime,
    },
    stores::{
        redis::Redis,
        waits::{Wait, Waits, embedded::EmbeddedWaits, redis::RedisWaits},
    },
};

use crate::harness::{Home, new_event};

async fn open(home: &Home) -> Arc<dyn Waits> {
    match home {
        Home::Embedded(folder) => Arc::new(EmbeddedWaits::open(&folder.path().join("waits.db")).await.expect("open")),
        Home::Redis(url) => Arc::new(RedisWaits::new(Arc::new(Redis::open(url).expect("an address")))),
    }
}

fn someone() -> FanId {
    FanId::random(rand::random())
}

fn wait(event: EventId, coming: u64) -> Wait {
    Wait { event, coming: EventTime(coming) }
}

#[tokio::test]
async fn the_first_note_stays_until_whoever_has_read_it_puts_another_one_in_its_stead() {
    for home in Home::all() {
        let store = open(&home).await;
        let (organizer, fan, first, second) = (someone(), someone(), new_event(), new_event());
        let note = async |wait, instead_of| store.note(organizer, fan, wait, instead_of).await.expect("noted");
        assert_eq!(note(wait(first, 7), None).await, wait(first, 7));
        assert_eq!(note(wait(second, 8), None).await, wait(first, 7));
        assert_eq!(note(wait(first, 0), None).await, wait(first, 0), "of the same event it is changed");
        assert_eq!(note(wait(second, 8), Some(wait(first, 7))).await, wait(first, 0), "it has changed since");
        assert_eq!(note(wait(second, 8), Some(wait(first, 0))).await, wait(second, 8));
        let store = open(&home).await;
        assert_eq!(store.note(organizer, fan, wait(first, 9), None).await.expect("noted"), wait(second, 8), "reopened");
        for (organizer, fan) in [(someone(), fan), (organizer, someone())] {
            assert_eq!(store.note(organizer, fan, wait(first, 9), None).await.expect("noted"), wait(first, 9));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_noted() {
    for home in Home::all() {
        let store = open(&home).await;
        let (organizer, fan) = (someone(), someone());
        let notes = (0..50).map(|_| {
            let (store, event) = (Arc::clone(&store), new_event());
            async move { (event, store.note(organizer, fan, wait(event, 7), None).await.expect("noted").event) }
        });
        let noted = join_all(notes).await;
        assert_eq!(noted.iter().filter(|(own, noted)| own == noted).count(), 1);
        assert!(noted.iter().all(|(_, event)| *event == noted[0].1));
    }
}
