//! A shop of a test's own: a whole server on embedded stores, an organizer, and the steps of a fan.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{SinkExt, StreamExt};
use onsale::{
    domain::account::Role,
    http::config::Config,
    stores::{egress, provider},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{
    harness::until,
    served::{Answer, Served, SignedIn, config},
};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Shop {
    pub served: Served,
    pub organizer: SignedIn,
    keys: AtomicU32,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(config()).await
    }

    pub async fn open_with(config: Config) -> Self {
        Self::on(Served::start(config).await).await
    }

    /// On real servers; `None` where there are none.
    pub async fn open_on_servers() -> Option<Self> {
        Some(Self::on(Served::start_on_servers(config()).await?).await)
    }

    /// With these payment providers.
    pub async fn open_paying(payments: provider::config::Config) -> Self {
        Self::on(Served::start_paying(config(), payments).await).await
    }

    /// With webhooks that may call this.
    pub async fn open_calling(webhooks: egress::config::Config) -> Self {
        Self::on(Served::start_with(config(), provider::config::Config::default(), webhooks).await).await
    }

    async fn on(served: Served) -> Self {
        let organizer = served.with_roles("organizer@example.org", &[Role::Fan, Role::Organizer]).await;
        Self { served, organizer, keys: AtomicU32::new(0) }
    }

    /// General admission with a quota, and two rows of numbered seats; on sale since long ago.
    pub fn concert() -> Value {
        json!({
            "title": "Concert", "description": "Two\nlines", "category": "music", "venue": "Hall", "city": "Berlin",
            "time_zone": "Europe/Berlin", "starts_at": "2035-06-01T18:00:00Z", "ends_at": "2035-06-01T22:00:00Z",
            "doors_at": "2035-06-01T17:00:00Z", "on_sale_at": "2020-01-01T09:00:00Z", "currency": "EUR", "age_limit": 16,
            "ticket_types": [
                {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 50,
                 "quotas": ["floor"]},
                {"code": "VIP", "name": "Balcony", "price": {"minor": 9000, "currency": "EUR"}, "seated": true}],
            "quotas": [{"code": "floor", "capacity": 40}],
            "queue": {"slots": 100, "rate_per_minute": 60_000}
        })
    }

    /// A draft, with its seats.
    pub async fn draft(&self, body: Value) -> String {
        let event = self.served.post("/api/v1/events", Some(&self.organizer.access), body).await;
        let event = event.expect(StatusCode::CREATED)["id"].as_str().expect("id").to_owned();
        let mut plan = String::from("id,zone,row,number,ticket_type,kind\n");
        for row in 1..=2 {
            for number in 1..=8 {
                plan.push_str(&format!("A-{row}-{number},A,{row},{number},VIP,standard\n"));
            }
        }
        self.plan(&event, 1, "text/csv", plan).await.expect(StatusCode::OK);
        event
    }

    pub async fn plan(&self, event: &str, version: u32, kind: &str, body: String) -> Answer {
        let url = format!("{}/api/v1/events/{event}/seat-plan?version={version}", self.served.public);
        let request = self.served.client.put(url).bearer_auth(&self.organizer.access).header("content-type", kind);
        Answer::of(request.body(body).send().await.expect("an answer")).await
    }

    pub async fn published(&self) -> String {
        let event = self.draft(Self::concert()).await;
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        event
    }

    pub async fn steer(&self, event: &str, step: &str) -> Answer {
        self.served.post(&format!("/api/v1/events/{event}/{step}"), Some(&self.organizer.access), json!({})).await
    }

    /// An act on the event's queue, as its organizer.
    pub async fn control(&self, event: &str, verb: &str, mut body: Value) -> Value {
        body["reason"] = json!("a test");
        let answer = self.control_as(Some(&self.organizer.access), event, verb, body).await;
        answer.expect(StatusCode::OK)
    }

    pub async fn control_as(&self, token: Option<&str>, event: &str, verb: &str, body: Value) -> Answer {
        let path = format!("/api/v1/admin/events/{event}/queue/{verb}");
        self.served.call(Self::method_of(verb), &path, token, Some(body)).await
    }

    pub fn method_of(verb: &str) -> Method {
        if matches!(verb, "rate" | "slots" | "mode" | "notice") { Method::PUT } else { Method::POST }
    }

    /// What those who steer the event's queue see.
    pub async fn queue(&self, event: &str) -> Value {
        let path = format!("/api/v1/admin/events/{event}/queue");
        self.served.get(&path, Some(&self.organizer.access)).await.expect(StatusCode::OK)
    }

    pub async fn fan(&self, name: &str) -> SignedIn {
        self.served.register(&format!("{name}@example.org")).await
    }

    /// Joins and waits; the admission token.
    pub async fn admitted(&self, event: &str, fan: &SignedIn) -> String {
        let path = format!("/api/v1/events/{event}/queue");
        self.served.post(&path, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
        let state = async || self.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
        until("admitted", async || {
            let state = state().await;
            if state["state"] == "called" {
                let claim = format!("{path}/claim");
                self.served.post(&claim, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
            }
            state["state"] == "admitted"
        })
        .await;
        state().await["acceptedTokenId"].as_str().expect("a token").to_owned()
    }

    /// An idempotency key that nobody has used.
    pub fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    pub async fn hold(&self, event: &str, fan: &SignedIn, admission: &str, key: &str, body: &Value) -> Answer {
        let url = format!("{}/api/v1/events/{event}/holds", self.served.public);
        let request = self.served.client.post(url).bearer_auth(&fan.access).header("idempotency-key", key);
        let request = request.header("onsale-admission", admission).json(body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// A POST that moves stock or money.
    pub async fn act(&self, path: &str, fan: &SignedIn, key: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/api/v1{path}", self.served.public);
        let request = self.served.client.request(Method::POST, url).bearer_auth(&fan.access);
        let request = request.header("idempotency-key", key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// The walk until the payment is asked for: the order's reference, and the provider's page.
    pub async fn checked_out(&self, event: &str, fan: &SignedIn, wanted: &Value) -> (String, String) {
        let admission = self.admitted(event, fan).await;
        let hold = self.hold(event, fan, &admission, &self.key(), wanted).await.expect(StatusCode::CREATED);
        let reference = hold["reference"].as_str().expect("reference").to_owned();
        let checkout = format!("/orders/{reference}/checkout");
        let opened = self.act(&checkout, fan, &self.key(), Some(json!({"provider": "sandbox"}))).await;
        let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
        (reference, page)
    }

    /// The whole walk, until the tickets are there; the order's reference.
    pub async fn bought(&self, event: &str, fan: &SignedIn, wanted: &Value) -> String {
        let (reference, page) = self.checked_out(event, fan, wanted).await;
        assert_eq!(self.choose(&page, "pay").await, StatusCode::OK);
        self.order_becomes(&reference, fan, "ticketed").await;
        reference
    }

    pub async fn stock(&self, event: &str) -> Value {
        let path = format!("/api/v1/admin/events/{event}/stock");
        self.served.get(&path, Some(&self.organizer.access)).await.expect(StatusCode::OK)
    }

    /// Presses a button on the hosted page.
    pub async fn choose(&self, payment_url: &str, outcome: &str) -> StatusCode {
        let form = self.served.client.post(payment_url).header("content-type", "application/x-www-form-urlencoded");
        form.body(format!("outcome={outcome}")).send().await.expect("an answer").status()
    }

    /// Waits until the order is in this state.
    pub async fn order_becomes(&self, reference: &str, fan: &SignedIn, state: &str) -> Value {
        let path = format!("/api/v1/orders/{reference}");
        let read = async || self.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
        until(state, async || read().await["state"] == state).await;
        read().await
    }

    /// Opens the queue's socket with an access token.
    pub async fn socket(&self, event: &str, fan: &SignedIn) -> Socket {
        self.socket_by(event, &fan.access).await
    }

    /// By an access token or a device key.
    pub async fn socket_by(&self, event: &str, token: &str) -> Socket {
        let mut request = self.socket_url(event).into_client_request().expect("a URL");
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
        request.headers_mut().insert("authorization", bearer);
        connect_async(request).await.expect("a socket").0
    }

    pub fn socket_url(&self, event: &str) -> String {
        format!("ws://{}/api/v1/events/{event}/queue/socket", self.served.authority())
    }
}

/// A shop with an event on sale and a fan who is admitted to it.
pub struct Scene {
    pub shop: Shop,
    pub event: String,
    pub fan: SignedIn,
    pub admission: String,
}

impl Scene {
    pub async fn set() -> Self {
        let shop = Shop::open().await;
        let event = shop.published().await;
        let fan = shop.fan("ann").await;
        let admission = shop.admitted(&event, &fan).await;
        Self { shop, event, fan, admission }
    }

    pub async fn hold(&self, body: &Value) -> Answer {
        self.shop.hold(&self.event, &self.fan, &self.admission, &self.shop.key(), body).await
    }

    /// What nothing wrong may change.
    pub async fn counts(&self) -> Value {
        let stock = self.shop.stock(&self.event).await;
        json!([stock["ticket_types"], stock["quotas"], stock["holds"]])
    }
}

/// The next text, as JSON; pings are answered on the way.
pub async fn heard(socket: &mut Socket) -> Value {
    loop {
        match next(socket).await {
            Some(Message::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => panic_with(&other),
        }
    }
}

fn panic_with(other: &Option<Message>) -> ! {
    unreachable!("a text was expected, got {other:?}")
}

pub async fn next(socket: &mut Socket) -> Option<Message> {
    let next = tokio::time::timeout(std::time::Duration::from_secs(20), socket.next()).await;
    next.expect("something within 20 s")?.ok()
}

pub async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("sent");
}

/// The code that the server closes with.
pub async fn closed_with(socket: &mut Socket) -> u16 {
    loop {
        match next(socket).await {
            Some(Message::Close(Some(frame))) => return frame.code.into(),
            Some(Message::Close(None)) | None => return 0,
            Some(_) => {}
        }
    }
}
