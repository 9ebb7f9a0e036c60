//! Viewers that keep up and one that does not, on real sockets with little room in the kernel.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use serde_json::Value;
use socket2::SockRef;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::*;
use crate::{
    domain::stock::{Delta, Feed, Map, Section},
    http::server::Connection,
};

const KERNEL: usize = 4_096;
const SEATS: u32 = 8_000;
const TURNS: u32 = 400;

async fn open() -> (Arc<Line>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(KERNEL as u32).expect("set");
    let (client, accepted) =
        tokio::join!(socket.connect(listener.local_addr().expect("bound")), async { listener.accept().await });
    let (client, (server, _)) = (client.expect("connected"), accepted.expect("accepted"));
    SockRef::from(&server).set_send_buffer_size(KERNEL).expect("set");
    let line = Arc::new(Line::new(Connection::for_a_test(server, None).await, Bytes::new()));
    let tended = line.clone();
    tokio::spawn(async move { tended.tend().await });
    (line, client)
}

fn station(editions: Editions) -> Arc<Station> {
    let lanes = Lanes::new(editions.clone());
    let work = AbortOnDropHandle::new(tokio::spawn(async {}));
    Arc::new(Station { event: EventId::from_u128(1), editions, lanes, among: Weak::new(), _work: work })
}

/// All seats of one section; those of one eighth are taken, another one each turn.
fn map(turn: u32) -> Map {
    let bits = (0..SEATS / 8).map(|at| if (at + turn).is_multiple_of(5) { 0xff } else { 1 << (turn % 8) });
    let section = Section { zone: "A".parse().expect("a code"), seats: SEATS, bits: bits.collect() };
    Map { version: 1, sections: vec![section], counts: Vec::new() }
}

/// Reads until it has seen this number; the bits it knows then, and how many messages that took.
async fn reads(client: &mut TcpStream, until: u64, has_read: &watch::Sender<u64>) -> (Vec<u8>, u32) {
    let (mut bits, mut seq, mut messages) = (Vec::new(), 0, 0);
    while seq < until {
        assert_eq!(client.read_u8().await.expect("a frame"), 0x81);
        let length = match client.read_u8().await.expect("a length") {
            126 => usize::from(client.read_u16().await.expect("a length")),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).await.expect("a payload");
        let message: Value = serde_json::from_slice(&payload).expect("JSON");
        let now = message["seq"].as_u64().expect("a number");
        let decoded = |text: &Value| STANDARD_NO_PAD.decode(text.as_str().expect("text")).expect("base64");
        if message["type"] == "stock.snapshot" {
            bits = decoded(&message["sections"][0]["bits"]);
        } else {
            assert_eq!(now, seq + 1, "without a gap");
            for run in message["bits"].as_array().expect("runs") {
                let (from, new) = (run[0].as_u64().expect("a number") as usize, decoded(&run[1]));
                bits[from..from + new.len()].copy_from_slice(&new);
            }
        }
        (seq, messages) = (now, messages + 1);
        has_read.send_replace(seq);
    }
    (bits, messages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_viewer_holds_nobody_up_and_comes_right_by_all_of_it_when_it_reads_again() {
    let mut feed = Feed::new(1, map(0));
    let first = Edition::new(feed.mark(), feed.map().clone(), &[]);
    let (publish, editions) = watch::channel(Some(Arc::new(first)));
    let station = station(editions);
    let (quick_line, mut quick) = open().await;
    let (slow_line, mut slow) = open().await;
    let _watching = [station.clone().watch(&quick_line, None), station.clone().watch(&slow_line, None)];
    let (has_read, mut read) = watch::channel(0);
    let quick = tokio::spawn(async move { reads(&mut quick, u64::from(TURNS), &has_read).await });
    for turn in 1..=TURNS {
        let before = feed.mark();
        feed.take(map(turn));
        let Update::Since(deltas) = feed.since(Some(before)) else { unreachable!("one change") };
        let deltas: Vec<Delta> = deltas;
        publish.send_if_modified(|edition| {
            let next = edition.as_ref().expect("one before").followed_by(&deltas).expect("it follows");
            *edition = Some(Arc::new(next));
            true
        });
        read.wait_for(|seq| *seq >= u64::from(turn)).await.expect("the quick one reads on");
    }
    let expected = feed.map().sections[0].bits.clone();
    let (bits, _) = timeout(Duration::from_secs(20), quick).await.expect("in time").expect("no panic");
    assert!(bits == expected, "whoever reads is not held up by the other");
    assert!(!slow_line.is_clear(), "the other has taken nothing");
    let (bits, messages) = timeout(Duration::from_secs(20), reads(&mut slow, u64::from(TURNS), &watch::Sender::new(0)))
        .await
        .expect("in time");
    assert!(bits == expected);
    assert!(messages < TURNS / 2, "{messages}: what was missed came as a whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_ends_with_its_last_viewer_and_another_one_begins() {
    let stations = Stations::default();
    let directory: Arc<dyn Directory> = Arc::new(Nowhere);
    let event = EventId::from_u128(1);
    let first = stations.station(&directory, event);
    assert!(Arc::ptr_eq(&first, &stations.station(&directory, event)), "one for all who watch");
    drop(first);
    assert!(lock(&stations.0).is_empty());
    let again = stations.station(&directory, event);
    assert_eq!((lock(&stations.0).len(), again.editions().borrow().is_none()), (1, true));
}

/// Where no event is found.
struct Nowhere;

#[async_trait::async_trait]
impl Directory for Nowhere {
    async fn event(&self, _: EventId) -> Result<EventHandles, DirectoryError> {
        Err(DirectoryError::Unavailable)
    }
}
