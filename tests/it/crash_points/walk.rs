//! A fan and an organizer who ask again, under the same key, until they are answered, however often the node dies meanwhile.

use std::collections::VecDeque;

use onsale::{
    demo::fans::{Client, Headers, Reply},
    domain::{
        id::{EventId, OrderRef},
        order::OrderState,
        refund::RefundState,
        time::Millis,
    },
    http::{now, shapes::Timestamp},
    stores::{
        config::Config,
        crash_point::Step,
        database::{
            Database, orders, outbox,
            refunds::{self, Stock},
        },
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{PASSWORD, eventually, until},
    node::Site,
};

pub const PRICE: i64 = 3_500;
pub const STOCK: u32 = 100;
const FANS: usize = 4;
/// Whoever pays by it hears that the page has timed out, however often.
const TIMES_OUT: &str = "outcome=pay&card=4000000000000028";
/// Of the others the one repeats its message, the other tells an older decline after it.
const CARDS: [&str; 3] = [TIMES_OUT, "outcome=pay&card=4000000000000036", "outcome=pay&card=4000000000000044"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two tickets are bought, and one is given back, with its place.
    Refunded,
    /// The event is cancelled when the payment comes.
    Cancelled,
}

impl Kind {
    /// Where a node dies on such a walk.
    pub fn has(self, step: Step) -> bool {
        match self {
            Self::Refunded => !matches!(step, Step::OrderEnsured | Step::ReturnBegun),
            Self::Cancelled => step == Step::ReturnBegun,
        }
    }
}

/// An order that has been paid for, and what must have become of it.
#[derive(Debug, Clone, Copy)]
pub struct Bought {
    pub reference: OrderRef,
    pub state: OrderState,
    pub tickets: i64,
    pub refunded: i64,
}

pub struct Shop {
    client: Client,
    admin: Client,
    stores: Config,
    organizer: String,
    pub event: EventId,
    /// With their admissions to it. They take turns: no fan may have more than twenty tickets.
    fans: Vec<(String, String)>,
    /// To be cancelled, with the first fan's admissions.
    others: VecDeque<(EventId, String)>,
    pub bought: Vec<Bought>,
}

impl Shop {
    /// With a node running that does not die.
    pub async fn open(site: &Site) -> Self {
        let config = site.config();
        let (client, organizer) = (site.client(), site.organizer().await);
        let admin = Client::new(&format!("http://{}", config.http.admin_listen)).expect("an address");
        let (event, fans) = (EventId::from_u128(0), Vec::new());
        let (others, bought) = (VecDeque::new(), Vec::new());
        let stores = config.stores;
        let mut shop = Self { client, admin, stores, organizer, event, fans, others, bought };
        shop.event = shop.new_event().await;
        for _ in 0..FANS {
            let fan = shop.new_fan().await;
            let admission = shop.admitted(shop.event, &fan).await;
            shop.fans.push((fan, admission));
        }
        // One for each place to die in, and one more.
        for _ in 0..3 {
            let other = shop.new_event().await;
            let admission = shop.admitted(other, &shop.fans[0].0).await;
            shop.others.push_back((other, admission));
        }
        shop
    }

    async fn new_fan(&self) -> String {
        let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
        let fan = self.client.send(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
        fan.expect("an answer").text("access_token").expect("registered")
    }

    /// On sale.
    async fn new_event(&self) -> EventId {
        let event = self.ask(&self.organizer, Method::POST, "/events", Some(event_body())).await;
        let event: EventId = event.text("id").expect("an id").parse().expect("an id");
        self.ask(&self.organizer, Method::POST, &format!("/events/{event}/publish"), Some(json!({}))).await;
        event
    }

    async fn admitted(&self, event: EventId, fan: &str) -> String {
        let queue = format!("/events/{event}/queue");
        self.ask(fan, Method::POST, &queue, None).await;
        eventually("the fan is admitted", async || {
            let standing = self.ask(fan, Method::GET, &queue, None).await;
            if standing.body["state"] == "called" {
                self.ask(fan, Method::POST, &format!("{queue}/claim"), None).await;
            }
            standing.body["acceptedTokenId"].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
        })
        .await
    }

    /// Until there is an answer: it must be a good one.
    async fn ask(&self, access: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_by(&self.client, (access, None), method, path, body).await
    }

    async fn ask_by(
        &self,
        client: &Client,
        (access, admission): (&str, Option<&str>),
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let key = Uuid::new_v4().to_string();
        let headers = Headers { access: Some(access), admission, key: Some(&key) };
        let reply = client.send(method.clone(), path, headers, body.as_ref()).await.expect("an answer");
        assert!(reply.status.is_success(), "{method} {path}: {reply:?}");
        reply
    }

    async fn hold(&self, (fan, admission): (&str, &str), event: EventId, quantity: u32) -> OrderRef {
        let body = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        let (who, path) = ((fan, Some(admission)), format!("/events/{event}/holds"));
        let hold = self.ask_by(&self.client, who, Method::POST, &path, Some(body)).await;
        hold.text("reference").expect("a reference").parse().expect("a reference")
    }

    /// The provider's page.
    async fn check_out(&self, fan: &str, reference: OrderRef) -> String {
        let path = format!("/orders/{reference}/checkout");
        let checkout = self.ask(fan, Method::POST, &path, Some(json!({"provider": "sandbox"}))).await;
        checkout.text("payment_url").expect("a page")
    }

    async fn pay(&self, page: &str, form: &'static str) {
        until("paid", async || {
            let status = self.client.post_form(page, form).await;
            status.is_ok_and(|status: StatusCode| status.is_success() || form == TIMES_OUT)
        })
        .await;
    }

    async fn becomes(&self, fan: &str, reference: OrderRef, state: &str) {
        let path = format!("/orders/{reference}");
        until(state, async || self.ask(fan, Method::GET, &path, None).await.body["state"] == state).await;
    }

    /// With nobody dying: the provider that times out after the capture, repeats itself, or is heard in another order.
    pub async fn buy_with_cards(&mut self) {
        for card in CARDS {
            let (fan, admission) = self.next_fan();
            let reference = self.hold((fan, admission), self.event, 1).await;
            let page = self.check_out(fan, reference).await;
            self.pay(&page, card).await;
            self.becomes(fan, reference, "ticketed").await;
            self.bought.push(Bought { reference, state: OrderState::Ticketed, tickets: 1, refunded: 0 });
        }
    }

    /// The same until the next order is bought.
    fn next_fan(&self) -> (&str, &str) {
        let (access, admission) = &self.fans[self.bought.len() % FANS];
        (access, admission)
    }

    pub async fn walk(&mut self, kind: Kind) {
        let bought = match kind {
            Kind::Refunded => self.buy_and_give_one_back().await,
            Kind::Cancelled => self.pay_when_cancelled().await,
        };
        self.bought.push(bought);
    }

    async fn buy_and_give_one_back(&self) -> Bought {
        let (fan, admission) = self.next_fan();
        let reference = self.hold((fan, admission), self.event, 2).await;
        let other = self.hold((fan, admission), self.event, 1).await;
        self.ask(fan, Method::DELETE, &format!("/holds/{other}"), None).await;
        let page = self.check_out(fan, reference).await;
        self.pay(&page, "outcome=pay").await;
        self.becomes(fan, reference, "ticketed").await;
        let tickets = self.ask(fan, Method::GET, "/tickets?limit=200", None).await;
        let mut of_order = tickets.body["items"]
            .as_array()
            .expect("tickets")
            .iter()
            .filter(|ticket| ticket["order"] == reference.to_string());
        let ticket = of_order.next().expect("a ticket")["id"].clone();
        let body = json!({"tickets": [ticket], "restock": true, "reason": "as asked"});
        let path = format!("/admin/orders/{reference}/refunds");
        self.ask_by(&self.admin, (&self.organizer, None), Method::POST, &path, Some(body)).await;
        self.is_refunded(reference).await;
        Bought { reference, state: OrderState::Ticketed, tickets: 1, refunded: 1 }
    }

    async fn pay_when_cancelled(&mut self) -> Bought {
        let (event, admission) = self.others.pop_front().expect("an event for each walk");
        let fan = &self.fans[0].0;
        let reference = self.hold((fan, &admission), event, 2).await;
        let page = self.check_out(fan, reference).await;
        self.ask(&self.organizer, Method::POST, &format!("/events/{event}/cancel"), Some(json!({}))).await;
        self.pay(&page, "outcome=pay").await;
        self.becomes(fan, reference, "refunded").await;
        Bought { reference, state: OrderState::Refunded, tickets: 0, refunded: 2 }
    }

    /// Its money is back, and its place.
    async fn is_refunded(&self, reference: OrderRef) {
        let database = Database::connect(&self.stores).await.expect("connect");
        until("refunded", async || {
            let refunds = refunds::of_order(&database, reference).await.unwrap_or_default();
            refunds.iter().any(|refund| (refund.state, refund.stock) == (RefundState::Done, Stock::Back))
        })
        .await;
        database.close().await;
    }

    /// Every order is what it must become, and no message is under way.
    pub async fn come_to_rest(&self) {
        let database = Database::connect(&self.stores).await.expect("connect");
        let rests = async || {
            for Bought { reference, state, .. } in &self.bought {
                if orders::by_reference(&database, *reference).await.ok()??.state != *state {
                    return None;
                }
            }
            let far = onsale::domain::time::EventTime(i64::MAX.unsigned_abs());
            let waiting =
                outbox::unsent(&database, 1).await.ok()?.len() + outbox::overdue(&database, far, 1).await.ok()?.len();
            (waiting == 0).then_some(())
        };
        until("all is at rest", async || rests().await.is_some()).await;
        database.close().await;
    }
}

fn event_body() -> Value {
    let day = Millis::minutes(24 * 60);
    json!({
        "title": "Concert", "category": "concert", "venue": "Hall", "city": "Zagreb", "time_zone": "Europe/Zagreb",
        "starts_at": Timestamp(now() + day), "ends_at": Timestamp(now() + day + day), "on_sale_at": Timestamp(now()),
        "currency": "EUR",
        "limits": {"per_order": 4, "per_fan": 20, "hold_seconds": 600},
        "ticket_types": [{"code": "GA", "name": "Standing", "price": {"minor": PRICE, "currency": "EUR"}, "stock": STOCK}],
        "queue": {"slots": 10, "rate_per_minute": 60_000, "session_seconds": 600, "claim_seconds": 60, "grace_seconds": 120},
    })
}
