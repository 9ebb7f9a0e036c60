//! Fans and an organizer who ask again, under the same key, until they are answered, however often the node dies meanwhile.

use std::{cell::Cell, collections::VecDeque};

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
        database::{
            Database, orders, outbox,
            refunds::{self, Stock},
        },
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{books, kind::Kind};
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
/// The money is under way for some seconds.
pub const PROCESSING: &str = "outcome=pay&card=4000000000000077";
pub const PAY: &str = "outcome=pay";

/// An order that has been paid for, and what must have become of it.
#[derive(Debug, Clone, Copy)]
pub struct Bought {
    pub reference: OrderRef,
    pub state: OrderState,
    pub tickets: i64,
    pub refunded: i64,
}

impl Bought {
    pub fn ticketed(reference: OrderRef, tickets: i64, refunded: i64) -> Self {
        Self { reference, state: OrderState::Ticketed, tickets, refunded }
    }

    pub fn refunded(reference: OrderRef, refunded: i64) -> Self {
        Self { reference, state: OrderState::Refunded, tickets: 0, refunded }
    }
}

/// An event on sale, and the fans' admissions to it.
pub struct Hall {
    pub event: EventId,
    admissions: Vec<String>,
}

pub struct Shop {
    client: Client,
    admin: Client,
    pub stores: Config,
    pub organizer: String,
    /// Whoever stands at the door.
    pub staff: String,
    /// They take turns: no fan may have more than twenty tickets of an event.
    fans: Vec<String>,
    pub standing: Hall,
    pub seated: Hall,
    /// To be cancelled.
    others: VecDeque<Hall>,
    /// All there ever were, and how much can be sold of each.
    pub events: Vec<(EventId, u32)>,
    pub bought: Vec<Bought>,
    /// Of tickets in whose place another is, and the others'.
    pub codes: Vec<(EventId, [String; 2])>,
    seats: Cell<u32>,
}

impl Shop {
    /// With a node running that does not die.
    pub async fn open(site: &Site) -> Self {
        let config = site.config();
        let (client, organizer, staff) = (site.client(), site.organizer().await, site.account("staff").await);
        let admin = Client::new(&format!("http://{}", config.http.admin_listen)).expect("an address");
        let nowhere = || Hall { event: EventId::from_u128(0), admissions: Vec::new() };
        let mut shop = Self {
            client,
            admin,
            stores: config.stores,
            organizer,
            staff,
            fans: Vec::new(),
            standing: nowhere(),
            seated: nowhere(),
            others: VecDeque::new(),
            events: Vec::new(),
            bought: Vec::new(),
            codes: Vec::new(),
            seats: Cell::new(0),
        };
        for _ in 0..FANS {
            let fan = shop.new_fan().await;
            shop.fans.push(fan);
        }
        shop.standing = shop.new_hall(standing(STOCK), None, FANS).await;
        shop.seated = shop.new_hall(seated(), Some(seat_plan()), FANS).await;
        // One for each place to die in, and one more.
        for _ in 0..=2 * Kind::Cancelled.steps().len() {
            let other = shop.new_hall(standing(STOCK), None, 1).await;
            shop.others.push_back(other);
        }
        shop
    }

    async fn new_fan(&self) -> String {
        let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
        let fan = self.client.send(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
        fan.expect("an answer").text("access_token").expect("registered")
    }

    /// For the first of the fans.
    pub async fn new_hall(&mut self, body: Value, plan: Option<Value>, fans: usize) -> Hall {
        let stock = body["ticket_types"][0]["stock"].as_u64();
        let stock = stock
            .unwrap_or_else(|| plan.as_ref().map_or(0, |plan| plan["seats"].as_array().expect("seats").len() as u64));
        let event = self.ask(&self.organizer, Method::POST, "/events", Some(body)).await;
        let (event, version) = (event.text("id").expect("an id"), event.body["version"].clone());
        if let Some(plan) = plan {
            let path = format!("/events/{event}/seat-plan?version={version}");
            self.ask(&self.organizer, Method::PUT, &path, Some(plan)).await;
        }
        self.ask(&self.organizer, Method::POST, &format!("/events/{event}/publish"), Some(json!({}))).await;
        let event: EventId = event.parse().expect("an id");
        let mut admissions = Vec::new();
        for fan in self.fans.iter().take(fans) {
            admissions.push(self.admitted(event, fan).await);
        }
        self.events.push((event, u32::try_from(stock).expect("few")));
        Hall { event, admissions }
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
    pub async fn ask(&self, access: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_by(&self.client, (access, None), method, path, body).await
    }

    /// Who asks again may hear that somebody has the ticket by now.
    pub async fn offer_back(&self, fan: usize, path: &str) {
        let headers = Headers { access: Some(self.fan(fan)), ..Headers::default() };
        let reply = self.client.send(Method::PUT, path, headers, None).await.expect("an answer");
        assert!(reply.status.is_success() || reply.body["why"] == "void", "{reply:?}");
    }

    pub async fn ask_admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_by(&self.admin, (&self.organizer, None), method, path, body).await
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

    pub fn fan(&self, number: usize) -> &str {
        &self.fans[number % FANS]
    }

    /// The same until the next order is bought.
    pub fn next(&self) -> usize {
        self.bought.len() % FANS
    }

    /// The hold as it is told, and its reference.
    pub async fn hold(&self, hall: &Hall, fan: usize, body: Value) -> (Value, OrderRef) {
        let who = (self.fan(fan), Some(hall.admissions[fan % FANS].as_str()));
        let hold =
            self.ask_by(&self.client, who, Method::POST, &format!("/events/{}/holds", hall.event), Some(body)).await;
        let reference = hold.text("reference").expect("a reference").parse().expect("a reference");
        (hold.body, reference)
    }

    pub async fn let_go(&self, fan: usize, reference: OrderRef) {
        self.ask(self.fan(fan), Method::DELETE, &format!("/holds/{reference}"), None).await;
    }

    /// The provider's page.
    pub async fn check_out(&self, fan: usize, reference: OrderRef, more: Value) -> String {
        let path = format!("/orders/{reference}/checkout");
        let mut body = json!({"provider": "sandbox"});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let checkout = self.ask(self.fan(fan), Method::POST, &path, Some(body)).await;
        checkout.text("payment_url").expect("a page")
    }

    pub async fn pay(&self, page: &str, form: &'static str) {
        until("paid", async || {
            let status = self.client.post_form(page, form).await;
            status.is_ok_and(|status: StatusCode| status.is_success() || form == TIMES_OUT)
        })
        .await;
    }

    pub async fn becomes(&self, fan: usize, reference: OrderRef, state: &str) -> Value {
        let (path, fan) = (format!("/orders/{reference}"), self.fan(fan));
        eventually(state, async || {
            Some(self.ask(fan, Method::GET, &path, None).await.body).filter(|order| order["state"] == state)
        })
        .await
    }

    /// Checks out a hold, pays it and waits for the tickets: by position, as their fan sees them.
    pub async fn buy(&self, fan: usize, reference: OrderRef) -> Vec<Value> {
        let page = self.check_out(fan, reference, json!({})).await;
        self.pay(&page, PAY).await;
        self.becomes(fan, reference, "ticketed").await;
        self.tickets(fan, reference).await
    }

    /// Of this order, those that the fan has.
    pub async fn tickets(&self, fan: usize, reference: OrderRef) -> Vec<Value> {
        let tickets = self.ask(self.fan(fan), Method::GET, "/tickets?limit=200", None).await;
        let tickets = tickets.body["items"].as_array().expect("tickets").clone();
        let mut tickets: Vec<_> = tickets.into_iter().filter(|one| one["order"] == reference.to_string()).collect();
        tickets.sort_by_key(|ticket| ticket["position"].as_u64());
        tickets
    }

    /// Seats that nobody has had yet: two and one.
    pub fn new_seats(&self) -> ([String; 2], String) {
        let first = self.seats.get();
        self.seats.set(first + 3);
        let [first, second, third] = [1, 2, 3].map(|n| seat_id(first + n));
        ([first, second], third)
    }

    /// With nobody dying: the provider that times out after the capture, repeats itself, or is heard in another order.
    pub async fn buy_with_cards(&mut self) {
        for card in CARDS {
            let fan = self.next();
            let (_, reference) = self.hold(&self.standing, fan, standing_tickets(1)).await;
            let page = self.check_out(fan, reference, json!({})).await;
            self.pay(&page, card).await;
            self.becomes(fan, reference, "ticketed").await;
            self.bought.push(Bought::ticketed(reference, 1, 0));
        }
    }

    pub async fn walk(&mut self, kind: Kind) {
        match kind {
            Kind::Refunded => self.buy_and_give_one_back().await,
            Kind::Cancelled => self.pay_when_cancelled().await,
            Kind::Moved => self.move_one().await,
            Kind::HandedOn => self.hand_one_on().await,
            Kind::Reissued => self.make_one_anew().await,
            Kind::Limited => self.buy_too_much_with_a_card().await,
            Kind::Returned => self.return_one().await,
            Kind::Awaited => self.wait_for_the_money().await,
            Kind::Overtaken => self.be_overtaken().await,
            Kind::Told => self.buy_one().await,
        }
    }

    async fn buy_and_give_one_back(&mut self) {
        let fan = self.next();
        let (_, reference) = self.hold(&self.standing, fan, standing_tickets(2)).await;
        let (_, other) = self.hold(&self.standing, fan, standing_tickets(1)).await;
        self.let_go(fan, other).await;
        let tickets = self.buy(fan, reference).await;
        let body = json!({"tickets": [tickets[0]["id"]], "restock": true, "reason": "as asked"});
        self.ask_admin(Method::POST, &format!("/admin/orders/{reference}/refunds"), Some(body)).await;
        self.is_refunded(reference).await;
        self.bought.push(Bought::ticketed(reference, 1, 1));
    }

    async fn pay_when_cancelled(&mut self) {
        let hall = self.others.pop_front().expect("an event for each walk");
        let (_, reference) = self.hold(&hall, 0, standing_tickets(2)).await;
        let page = self.check_out(0, reference, json!({})).await;
        self.ask(&self.organizer, Method::POST, &format!("/events/{}/cancel", hall.event), Some(json!({}))).await;
        self.pay(&page, PAY).await;
        self.becomes(0, reference, "refunded").await;
        self.bought.push(Bought::refunded(reference, 2));
    }

    async fn buy_one(&mut self) {
        let fan = self.next();
        let (_, reference) = self.hold(&self.standing, fan, standing_tickets(1)).await;
        self.buy(fan, reference).await;
        self.bought.push(Bought::ticketed(reference, 1, 0));
    }

    /// Its money is back, and its place.
    pub async fn is_refunded(&self, reference: OrderRef) {
        let database = Database::connect(&self.stores).await.expect("connect");
        until("refunded", async || {
            let refunds = refunds::of_order(&database, reference).await.unwrap_or_default();
            refunds.iter().any(|refund| (refund.state, refund.stock) == (RefundState::Done, Stock::Back))
        })
        .await;
        database.close().await;
    }

    /// Every order is what it must become, and nothing is under way.
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
        let mut left = books::waiting(&self.stores).await;
        while left > 0 {
            left = eventually("fewer rows wait to be worked off", async || {
                Some(books::waiting(&self.stores).await).filter(|count| *count < left)
            })
            .await;
        }
        database.close().await;
    }
}

pub fn standing_tickets(quantity: u32) -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": quantity}]})
}

pub fn standing(stock: u32) -> Value {
    let day = Millis::minutes(24 * 60);
    json!({
        "title": "Concert", "category": "concert", "venue": "Hall", "city": "Zagreb", "time_zone": "Europe/Zagreb",
        "starts_at": Timestamp(now() + day), "ends_at": Timestamp(now() + day + day), "on_sale_at": Timestamp(now()),
        "currency": "EUR",
        "limits": {"per_order": 4, "per_fan": 20, "hold_seconds": 600},
        "ticket_types": [{"code": "GA", "name": "Standing", "price": {"minor": PRICE, "currency": "EUR"}, "stock": stock}],
        "queue": {"slots": 10, "rate_per_minute": 60_000, "session_seconds": 3_600, "claim_seconds": 60, "grace_seconds": 120},
    })
}

fn seated() -> Value {
    let mut body = standing(STOCK);
    body["ticket_types"] =
        json!([{"code": "VIP", "name": "Balcony", "price": {"minor": PRICE, "currency": "EUR"}, "seated": true}]);
    body
}

fn seat_id(number: u32) -> String {
    format!("A-1-{number}")
}

fn seat_plan() -> Value {
    let seat =
        |number: u32| json!({"id": seat_id(number), "zone": "A", "row": "1", "number": number, "ticket_type": "VIP"});
    json!({"seats": (1..=STOCK).map(seat).collect::<Vec<_>>()})
}
