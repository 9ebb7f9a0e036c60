//! The owner of a waiting list dies as stock becomes free: whoever comes next offers it, once.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use onsale::stores::{
    crash_point::{self, Side, Step},
    data_dir::DataDir,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::{
    harness::{PASSWORD, eventually, until},
    node::Site,
};

struct Caller<'a> {
    site: &'a Site,
    client: Client,
}

impl Caller<'_> {
    async fn ask(&self, access: &str, method: Method, path: &str, body: Value) -> Value {
        self.ask_with(access, method, path, body, &[]).await
    }

    async fn ask_with(&self, access: &str, method: Method, path: &str, body: Value, more: &[(&str, &str)]) -> Value {
        let base = match path.strip_prefix("/admin") {
            Some(_) => format!("http://{}", self.site.config().http.admin_listen),
            None => self.site.url().to_owned(),
        };
        let mut request = self.client.request(method, format!("{base}/api/v1{path}")).json(&body);
        if !access.is_empty() {
            request = request.bearer_auth(access);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer").json().await.unwrap_or(Value::Null)
    }

    async fn fan(&self) -> String {
        let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
        let fan = self.ask("", Method::POST, "/auth/register", body).await;
        fan["access_token"].as_str().expect("registered").to_owned()
    }

    async fn holds(&self, event: &str, fan: &str, quantity: u32) -> Value {
        let queue = format!("/events/{event}/queue");
        self.ask(fan, Method::POST, &queue, json!({})).await;
        let admission = eventually("the fan is admitted", async || {
            let standing = self.ask(fan, Method::GET, &queue, json!({})).await;
            if standing["state"] == "called" {
                self.ask(fan, Method::POST, &format!("{queue}/claim"), json!({})).await;
            }
            standing["acceptedTokenId"].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
        })
        .await;
        let body = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        let key = Uuid::new_v4().to_string();
        let headers = [("onsale-admission", admission.as_str()), ("idempotency-key", key.as_str())];
        self.ask_with(fan, Method::POST, &format!("/events/{event}/holds"), body, &headers).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_on_embedded_stores_that_dies_as_stock_is_freed_loses_no_offer_and_makes_none_twice() {
    die(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_on_real_servers_that_dies_as_stock_is_freed_loses_no_offer_and_makes_none_twice() {
    let Some(site) = Site::on_servers().await else { return };
    die(site).await;
}

async fn die(site: Site) {
    let client = Client::builder().no_proxy().build().expect("client");
    let caller = Caller { site: &site, client };
    let organizer = {
        let node = site.start().await;
        let organizer = site.organizer().await;
        node.kill().await;
        organizer
    };
    for side in [Side::Before, Side::After] {
        free(&site).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.env(crash_point::VARIABLE, crash_point::value(Step::Ended, side));
        let mut node = site.spawn_by(command);
        node.ready().await;
        let event = caller.ask(&organizer, Method::POST, "/events", event_body()).await;
        let event = event["id"].as_str().expect("an id").to_owned();
        caller.ask(&organizer, Method::POST, &format!("/events/{event}/publish"), json!({})).await;
        let list = format!("/admin/events/{event}/waitlist");
        caller.ask(&organizer, Method::PUT, &list, json!({"mode": "open", "reason": "a test"})).await;
        let (holder, first, second) = (caller.fan().await, caller.fan().await, caller.fan().await);
        let hold = caller.holds(&event, &holder, 2).await;
        assert_eq!(hold["state"], "held", "{hold}");
        let own = format!("/events/{event}/waitlist");
        for fan in [&first, &second] {
            let joined = caller.ask(fan, Method::PUT, &own, json!({"ticket_types": ["GA"], "quantity": 2})).await;
            assert_eq!(joined["state"], "waiting", "{joined}");
        }
        // The hold lapses, and the node with it.
        let (status, log) = node.ended(Duration::from_secs(60)).await;
        assert_eq!(status.signal(), Some(6), "{status}: {log}");

        free(&site).await;
        let node = site.start().await;
        until("the first has an offer", async || {
            caller.ask(&first, Method::GET, &own, json!({})).await["state"] == "offered"
        })
        .await;
        assert_eq!(caller.ask(&second, Method::GET, &own, json!({})).await["state"], "waiting");
        let report = caller.ask(&organizer, Method::GET, &list, json!({})).await;
        assert_eq!((&report["offered"], &report["waiting"]), (&json!(1), &json!(1)), "{side:?}: {report}");
        let stock = caller.ask(&organizer, Method::GET, &format!("/admin/events/{event}/stock"), json!({})).await;
        let stock = &stock["ticket_types"][0];
        assert_eq!((&stock["held"], &stock["free"]), (&json!(2), &json!(0)), "{side:?}: {stock}");
        node.kill().await;
    }
}

/// The one before is quite dead.
async fn free(site: &Site) {
    let data_dir = site.config().stores.data_dir;
    until("the data directory is free", async || DataDir::open(&data_dir).is_ok()).await;
}

fn event_body() -> Value {
    json!({
        "title": "Concert", "category": "music", "venue": "Hall", "city": "Berlin", "time_zone": "Europe/Berlin",
        "starts_at": "2090-06-01T18:00:00Z", "ends_at": "2090-06-01T22:00:00Z",
        "on_sale_at": "2020-01-01T09:00:00Z", "currency": "EUR", "limits": {"hold_seconds": 5},
        "ticket_types": [
            {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 2},
        ],
        "queue": {"slots": 100, "rate_per_minute": 60_000, "mode": "fifo"},
    })
}
