//! A fan's socket goes on at another node when its own one ends.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use onsale::stores::{etcd::Etcd, wishes::WishStore};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest, http::HeaderValue},
};

use crate::{
    harness::{PASSWORD, eventually, in_time, until},
    node::Site,
    rush::event_body,
    sale::shop::{Socket, closed_with, heard, say},
};

/// The status of the handshake's answer, and the socket if there is one.
async fn open(site: &Site, event: &str, header: &'static str, value: &str) -> (u16, Option<Socket>) {
    let url = format!("ws://{}/api/v1/events/{event}/queue/socket", site.config().http.listen);
    let mut request = url.into_client_request().expect("a URL");
    request.headers_mut().insert(header, HeaderValue::from_str(value).expect("a value"));
    match in_time(connect_async(request)).await {
        Ok((socket, response)) => (response.status().as_u16(), Some(socket)),
        Err(Error::Http(response)) => (response.status().as_u16(), None),
        Err(other) => unreachable!("{other}"),
    }
}

/// As the queue ticket says it, which fans can read and not change.
fn place(state: &Value) -> Value {
    let payload = state["queueTicket"].as_str().and_then(|ticket| ticket.split('.').nth(1)).expect("a queue ticket");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON");
    claims["plc"].clone()
}

/// A socket that waits, and its place.
type Waiting = (Socket, Value);

/// An event at which everybody waits, and fans whose sockets are at this node.
async fn crowd(site: &Site) -> (String, Vec<Waiting>) {
    let mut body = event_body();
    body["queue"]["paused"] = json!(true);
    body["ticket_types"].as_array_mut().expect("a list").truncate(1);
    let event = site.event(body, None).await;
    let mut fans = Vec::new();
    for n in 0..4 {
        let fan =
            json!({"email": format!("fan-{n}@example.com"), "password": PASSWORD, "name": "Fan", "language": "en"});
        let made = site.client().send(Method::POST, "/auth/register", Default::default(), Some(&fan)).await;
        let access = made.expect("an answer").text("access_token").expect("registered");
        let (status, socket) = open(site, &event, "authorization", &format!("Bearer {access}")).await;
        assert_eq!(status, 101);
        let mut socket = socket.expect("open");
        let state = heard(&mut socket).await;
        assert_eq!(state["state"], "waiting");
        fans.push((socket, place(&state)));
    }
    (event, fans)
}

/// Told to go, the fan is at the same place at the other node, without signing in.
async fn goes_on((mut socket, place_before): Waiting, other: &Site, event: &str) {
    let goaway = eventually("goaway", async || Some(heard(&mut socket).await).filter(|m| m["type"] == "goaway")).await;
    assert_eq!(closed_with(&mut socket).await, 1001);
    let resume = format!("onsale.v1, resume.{}", goaway["resumeTicket"].as_str().expect("a ticket"));
    // The event may be moving too; that leaves the ticket as it is.
    let mut socket = eventually("it goes on at the other node", async || {
        let (status, socket) = open(other, event, "sec-websocket-protocol", &resume).await;
        assert!(matches!(status, 101 | 503), "{status}");
        socket
    })
    .await;
    let state = heard(&mut socket).await;
    assert_eq!((&state["state"], place(&state)), (&json!("waiting"), place_before));
    assert_eq!(open(other, event, "sec-websocket-protocol", &resume).await.0, 401, "used");
    say(&mut socket, r#"{"type": "ping"}"#).await;
    eventually("it lives on", async || Some(heard(&mut socket).await).filter(|m| m["type"] == "pong")).await;
}

async fn readiness(site: &Site) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    let url = format!("http://{}/api/v1/health/ready", site.config().http.listen);
    let answer = client.get(url).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON")["status"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_whose_node_ends_goes_on_at_another_one_at_the_same_place() {
    let Some(site) = Site::on_servers().await else { return };
    let sites = <[_; 2]>::try_from(site.with_siblings(1)).unwrap_or_else(|_| unreachable!("two"));
    let (leaving, staying) = (sites[0].start().await, sites[1].start().await);
    let (event, fans) = crowd(&sites[0]).await;
    leaving.signal("TERM").await;
    for fan in fans {
        goes_on(fan, &sites[1], &event).await;
    }
    let (status, log) = leaving.ended(std::time::Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
    drop(staying);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_whose_node_is_drained_goes_on_at_another_one_and_proxies_are_told() {
    let Some(site) = Site::on_servers().await else { return };
    let sites = <[_; 2]>::try_from(site.with_siblings(1)).unwrap_or_else(|_| unreachable!("two"));
    let _nodes = (sites[0].start().await, sites[1].start().await);
    let (event, fans) = crowd(&sites[0]).await;
    assert_eq!(readiness(&sites[0]).await, (200, json!("ready")));
    let config = sites[0].config();
    let wishes = WishStore::new(Arc::new(Etcd::new(&config.stores.etcd).await.expect("an address")));
    wishes.drain(&config.node).await.expect("noted");
    for fan in fans {
        goes_on(fan, &sites[1], &event).await;
    }
    assert_eq!(readiness(&sites[0]).await, (503, json!("draining")));
    assert_eq!(readiness(&sites[1]).await, (200, json!("ready")));
    wishes.undrain(&config.node).await.expect("noted");
    until("it is ready again", async || readiness(&sites[0]).await == (200, json!("ready"))).await;
}
