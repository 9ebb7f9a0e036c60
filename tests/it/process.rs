//! The program as its supervisor sees it: how it stops, and when it refuses to start.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use onsale::{
    demo::fans::{Client, Headers, Pass, Socket},
    domain::id::EventId,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    crowd::Fan,
    harness::{PASSWORD, in_time},
    node::{Node, Site},
    rush::{event_body, seat_plan},
};

const AT_ONCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_amid_a_sale_on_embedded_stores_it_says_goodbye_and_forgets_nothing_it_answered() {
    stopped_amid_a_sale(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_amid_a_sale_on_real_servers_it_says_goodbye_and_forgets_nothing_it_answered() {
    let Some(site) = Site::on_servers().await else { return };
    stopped_amid_a_sale(site).await;
}

async fn stopped_amid_a_sale(site: Site) {
    let node = site.start().await;
    let event: EventId = site.event(event_body(), Some(seat_plan())).await.parse().expect("an id");
    let client = Arc::new(site.client());
    let fans = join_all((0..16).map(|n| Fan::register(Arc::clone(&client), event, n))).await;
    let mut sockets = Vec::new();
    for fan in &fans {
        let mut socket = client.open_queue(event, &Pass::Access(fan.access().to_owned())).await.expect("a socket");
        socket.next().await.expect("open").expect("the first message");
        sockets.push(socket);
    }
    let stop = CancellationToken::new();
    let shopping: Vec<_> = fans.into_iter().map(|fan| tokio::spawn(fan.shop(stop.clone()))).collect();
    let listening: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(farewell(socket))).collect();
    in_time(until_taken(&client, event, 33)).await;

    node.signal("TERM").await;
    let (status, log) = node.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
    for farewell in listening {
        let last = in_time(farewell).await.expect("no panic");
        assert_eq!(last.as_deref(), Some("goaway"), "{log}");
    }
    stop.cancel();
    let fans: Vec<Fan> = join_all(shopping).await.into_iter().map(|fan| fan.expect("no panic")).collect();
    assert!(fans.iter().map(|fan| fan.orders.len()).sum::<usize>() > 10, "there was no sale to stop");

    let node = site.start().await;
    let checking = fans.into_iter().map(|fan| tokio::spawn(fan.check()));
    for checked in join_all(checking).await {
        checked.expect("a fan finds all as it was told");
    }
    drop(node);
}

/// Waits until so many tickets are held or sold. An order takes three at most, so 33 are more than ten orders.
async fn until_taken(client: &Client, event: EventId, tickets: u64) {
    let path = format!("/events/{event}/availability");
    loop {
        let reply = client.send(Method::GET, &path, Headers::default(), None).await.expect("an answer");
        let types = reply.body["ticket_types"].as_array().expect("ticket types");
        let taken = |kind: &Value| kind["capacity"].as_u64().unwrap_or(0) - kind["free"].as_u64().unwrap_or(0);
        if types.iter().map(taken).sum::<u64>() >= tickets {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The type of the last message.
async fn farewell(mut socket: Socket) -> Option<String> {
    let mut last = None;
    while let Ok(Some(message)) = socket.next().await {
        last = message["type"].as_str().map(str::to_owned);
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_while_it_starts_it_ends_at_once_and_well() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("bound");
    let site = Site::embedded().set("stores.database", &format!("postgres://{address}/onsale"));
    let node = site.spawn();
    let (connection, _) = in_time(silent.accept()).await.expect("it asks the database, which never answers");
    node.signal("TERM").await;
    let (status, log) = node.ended(AT_ONCE).await;
    assert!(status.success(), "{status}: {log}");
    drop(connection);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_data_directory_is_refused() {
    let site = Site::embedded();
    let first = site.start().await;
    let (status, log) = site.spawn().ended(AT_ONCE).await;
    assert!(!status.success(), "{status}");
    assert!(log.contains("data directory") && log.contains("is in use by another process"), "{log}");
    // The first one did not notice.
    site.organizer().await;
    first.signal("TERM").await;
    assert!(first.ended(AT_ONCE).await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_53_a_default_short_or_exposed_root_secret_is_refused() {
    let random = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let cases = [
        ("", 0o600, "there is none"),
        ("not base64!", 0o600, "neither base64 nor hexadecimal"),
        ("changeme", 0o600, "at least 32 bytes"),
        ("c2VjcmV0", 0o600, "at least 32 bytes"),
        (&"00".repeat(32), 0o600, "not random"),
        ("Y2hhbmdlbWUtY2hhbmdlbWUtY2hhbmdlbWUtY2hhbmdlbWUtMDEyMzQ1Njc4OQ==", 0o600, "it is text"),
        (&random, 0o644, "can be read by others"),
        (&random, 0o640, "can be read by others"),
    ];
    for (secret, mode, reason) in cases {
        let site = Site::embedded();
        let path = site.folder().join("root.secret");
        fs::write(&path, secret).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("mode");
        let site = site.set("http.root_secret_file", &path.display().to_string());
        let (status, log) = site.spawn().ended(AT_ONCE).await;
        assert!(!status.success() && log.contains("root secret") && log.contains(reason), "{secret}, {mode:o}: {log}");
        assert!(secret.is_empty() || !log.contains(secret), "{log}");
    }
    let missing = Site::embedded().set("http.root_secret_file", "/nowhere/root.secret");
    let (status, log) = missing.spawn().ended(AT_ONCE).await;
    assert!(!status.success() && log.contains("/nowhere/root.secret"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_amid_a_sale_ends_the_process_and_the_next_one_recovers() {
    let (site, node, fan) = with_a_fan().await;
    let fan = fan.until_it_holds().await;
    let told = fan.orders.clone();
    fail_disk(&node).await;
    let stop = CancellationToken::new();
    let shopping = tokio::spawn(fan.shop(stop.clone()));
    // Which store is the first to write is open: the journal, or the order bus for the hold before.
    ends_by_itself(node, "has failed; start again to recover").await;
    stop.cancel();
    let fan = in_time(shopping).await.expect("no panic");
    assert_eq!(fan.orders.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>(), "nothing more was answered");
    let node = site.start().await;
    fan.check().await;
    drop(node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_the_database_ends_the_process_and_the_next_one_recovers() {
    let (site, node, fan) = with_a_fan().await;
    fail_disk(&node).await;
    let body = json!({"email": "late@example.com", "password": PASSWORD, "name": "A", "language": "en"});
    let client = site.client();
    let late = client.send_once(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
    assert!(!late.is_ok_and(|reply| reply.status.is_success()));
    ends_by_itself(node, "the database has failed; start again to recover").await;

    let node = site.start().await;
    fan.until_it_holds().await;
    drop(node);
}

/// A node that does not end by the signal that comes with writing beyond a limit.
async fn with_a_fan() -> (Site, Node, Fan) {
    let site = Site::embedded();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_onsale")]);
    let mut node = site.spawn_by(shell);
    node.ready().await;
    let event: EventId = site.event(event_body(), Some(seat_plan())).await.parse().expect("an id");
    let fan = Fan::register(Arc::new(site.client()), event, 1).await;
    (site, node, fan)
}

/// From now on no byte can be written. It is not a full disk: what a commit has left behind nobody knows.
async fn fail_disk(node: &Node) {
    let limit = Command::new("prlimit").args(["--pid", &node.id().to_string(), "--fsize=0"]).status().await;
    assert!(limit.expect("prlimit is installed").success());
}

async fn ends_by_itself(node: Node, said: &str) {
    let (status, log) = node.ended(AT_ONCE).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(said), "{log}");
}
