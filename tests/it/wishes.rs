//! What operators want of the nodes, as etcd keeps it. Others use the same etcd: each test looks at its own nodes and events.

use std::sync::Arc;

use etcd_client::WatchStream;
use futures_util::future::join_all;
use onsale::{
    domain::id::EventId,
    stores::{
        etcd::Etcd,
        wishes::{Change, WishStore},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::{address, in_time, new_event, open_etcd};

/// More than one reply of etcd brings.
const MANY: usize = 1_100;

fn endpoints() -> Option<Vec<String>> {
    Some(address("ONSALE_TEST_ETCD")?.split(',').map(str::to_owned).collect())
}

async fn open(endpoints: &[String]) -> WishStore {
    WishStore::new(Arc::new(Etcd::new(endpoints).await.expect("addresses")))
}

fn new_node() -> String {
    format!("n-{:08x}", rand::random::<u32>())
}

#[tokio::test]
async fn what_is_wanted_is_listed_everywhere_until_it_is_taken_back() {
    let Some(endpoints) = endpoints() else { return };
    let (here, there) = (open(&endpoints).await, open(&endpoints).await);
    let (node, other, event) = (new_node(), new_node(), new_event());
    let listed = async || {
        let wishes = there.list().await.expect("listed");
        (wishes.drained.contains(&node), wishes.pinned.get(&event).cloned())
    };
    assert_eq!(listed().await, (false, None));
    for _ in 0..2 {
        here.drain(&node).await.expect("again does no harm");
        assert_eq!(listed().await, (true, None));
    }
    here.pin(event, &node).await.expect("pinned");
    assert_eq!(listed().await, (true, Some(node.clone())));
    here.pin(event, &other).await.expect("pinned elsewhere");
    assert_eq!(listed().await, (true, Some(other.clone())));
    for _ in 0..2 {
        here.undrain(&node).await.expect("again does no harm");
        here.unpin(event).await.expect("again does no harm");
        assert_eq!(listed().await, (false, None));
    }
}

#[tokio::test]
async fn a_list_that_one_reply_does_not_hold_is_read_to_its_end() {
    let Some(endpoints) = endpoints() else { return };
    let (store, node) = (open(&endpoints).await, new_node());
    let events: Vec<EventId> = (0..MANY).map(|_| new_event()).collect();
    for pinned in in_time(join_all(events.iter().map(|event| store.pin(*event, &node)))).await {
        pinned.expect("pinned");
    }
    let pinned = store.list().await.expect("listed").pinned;
    let found = events.iter().filter(|event| pinned.get(event) == Some(&node)).count();
    for unpinned in in_time(join_all(events.iter().map(|event| store.unpin(*event)))).await {
        unpinned.expect("unpinned");
    }
    assert_eq!(found, MANY);
}

/// An HTTP/2 server that answers every connection with `GOAWAY`, `ENHANCE_YOUR_CALM`, and nothing else.
async fn hangs_up() -> String {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hears = [0; 1_024];
                let _ = stream.read(&mut hears).await;
                let _ = stream.write_all(&[&SETTINGS[..], &GOAWAY].concat()).await;
                while stream.read(&mut hears).await.is_ok_and(|heard| heard > 0) {}
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn what_our_own_end_says_of_a_connection_that_broke_is_no_refusal() {
    let Some(endpoints) = endpoints() else { return };
    let store = open(&[vec![hangs_up().await], endpoints].concat()).await;
    let (event, node) = (new_event(), new_node());
    in_time(store.pin(event, &node)).await.expect("asked elsewhere");
    assert_eq!(store.list().await.expect("listed").pinned.get(&event), Some(&node));
    store.unpin(event).await.expect("unpinned");
}

/// Waits until a change of this key is told.
async fn told(stream: &mut WatchStream, key: &str) {
    let telling = async {
        loop {
            let message = stream.message().await.expect("it goes on").expect("it goes on");
            let mut keys = message.events().iter().filter_map(|event| event.kv()?.key_str().ok());
            if keys.any(|found| found == key) {
                return;
            }
        }
    };
    in_time(telling).await;
}

#[tokio::test]
async fn a_look_is_due_when_a_wish_has_changed_and_when_an_event_is_given_up_but_not_when_it_is_claimed() {
    let Some(endpoints) = endpoints() else { return };
    let (store, node, event) = (open(&endpoints).await, new_node(), new_event());
    let mut drained = store.watch(Change::Drained).await.expect("watched");
    let mut pinned = store.watch(Change::Pinned).await.expect("watched");
    let mut unowned = store.watch(Change::Unowned).await.expect("watched");
    store.drain(&node).await.expect("drained");
    told(&mut drained, &format!("onsale/drained/{node}")).await;
    store.undrain(&node).await.expect("undrained");
    told(&mut drained, &format!("onsale/drained/{node}")).await;
    store.pin(event, &node).await.expect("pinned");
    told(&mut pinned, &format!("onsale/pinned/{event}")).await;
    store.unpin(event).await.expect("unpinned");
    told(&mut pinned, &format!("onsale/pinned/{event}")).await;

    let opened = open_etcd(&endpoints, &node).await;
    let (first, second) = (new_event(), new_event());
    opened.ownership.claim(first).await.expect("claimed");
    let epoch = opened.ownership.claim(second).await.expect("claimed");
    opened.ownership.release(second, epoch).await.expect("given up");
    loop {
        let message = in_time(unowned.message()).await.expect("it goes on").expect("it goes on");
        let keys: Vec<_> = message.events().iter().filter_map(|event| event.kv()?.key_str().ok()).collect();
        assert!(!keys.contains(&format!("onsale/own/{first}").as_str()), "a claim");
        if keys.contains(&format!("onsale/own/{second}").as_str()) {
            return;
        }
    }
}
