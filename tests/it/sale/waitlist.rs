//! The waiting list, and tickets that go back to who waits: over HTTP, on real stores.

use futures_util::future::join_all;
use onsale::{domain::account::Role, stores::database::checks};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::shop::{Shop, heard};
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

impl Shop {
    /// `stock` standing tickets and nothing else, with a waiting list.
    async fn with_a_list(&self, stock: u32, hold_seconds: u32) -> String {
        let mut body = Self::concert();
        body["ticket_types"] = json!([
            {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": stock}]);
        body["quotas"] = json!([]);
        body["limits"] = json!({"hold_seconds": hold_seconds});
        let event = self.served.post("/api/v1/events", Some(&self.organizer.access), body).await;
        let event = event.expect(StatusCode::CREATED)["id"].as_str().expect("id").to_owned();
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        self.set_list(&event, json!({"mode": "open", "gather_seconds": 1})).await;
        event
    }

    async fn set_list(&self, event: &str, mut body: Value) -> Value {
        body["reason"] = json!("a test");
        let path = format!("/api/v1/admin/events/{event}/waitlist");
        self.served.call(Method::PUT, &path, Some(&self.organizer.access), Some(body)).await.expect(StatusCode::OK)
    }

    async fn list(&self, event: &str) -> Value {
        let path = format!("/api/v1/admin/events/{event}/waitlist");
        self.served.get(&path, Some(&self.organizer.access)).await.expect(StatusCode::OK)
    }

    async fn wait(&self, event: &str, fan: &SignedIn, quantity: u32) -> Answer {
        let body = json!({"ticket_types": ["GA"], "quantity": quantity});
        self.served.call(Method::PUT, &format!("/api/v1/events/{event}/waitlist"), Some(&fan.access), Some(body)).await
    }

    async fn entry(&self, event: &str, fan: &SignedIn) -> Value {
        let path = format!("/api/v1/events/{event}/waitlist");
        self.served.get(&path, Some(&fan.access)).await.json()
    }

    /// Waits for the offer; its reference.
    async fn offered(&self, event: &str, fan: &SignedIn) -> String {
        until("an offer", async || self.entry(event, fan).await["state"] == "offered").await;
        self.entry(event, fan).await["hold"]["reference"].as_str().expect("a reference").to_owned()
    }

    async fn pay(&self, reference: &str, fan: &SignedIn) {
        let checkout = format!("/orders/{reference}/checkout");
        let opened = self.act(&checkout, fan, &self.key(), Some(json!({"provider": "sandbox"}))).await;
        let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
        assert_eq!(self.choose(&page, "pay").await, StatusCode::OK);
        self.order_becomes(reference, fan, "ticketed").await;
    }

    async fn lets_go(&self, reference: &str, fan: &SignedIn) {
        let path = format!("/api/v1/holds/{reference}");
        self.served.call(Method::DELETE, &path, Some(&fan.access), None).await.expect(StatusCode::NO_CONTENT);
    }

    async fn takes(&self, event: &str, fan: &SignedIn, quantity: u32) -> Answer {
        let admission = self.admitted(event, fan).await;
        self.hold(event, fan, &admission, &self.key(), &ga(quantity)).await
    }

    async fn nothing_is_wrong(&self, event: &str) {
        let (event, database) = (event.parse().expect("id"), &self.served.below.database);
        for wrong in [checks::unbalanced(database, event).await, checks::miscounted(database, event).await] {
            assert_eq!(wrong.expect("check"), []);
        }
    }

    async fn put_up(&self, method: Method, ticket: &Value, fan: &SignedIn) -> Answer {
        let path = format!("/api/v1/tickets/{}/return", ticket["id"].as_str().expect("id"));
        self.served.call(method, &path, Some(&fan.access), None).await
    }

    async fn scan(&self, event: &str, staff: &SignedIn, ticket: &Value) -> Value {
        let scan = json!({"id": Uuid::new_v4().simple().to_string(), "code": ticket["code"], "direction": "in"});
        let body = json!({"device": "north", "scans": [scan]});
        let path = format!("/api/v1/events/{event}/scans");
        self.served.post(&path, Some(&staff.access), body).await.expect(StatusCode::OK)["scans"][0]["outcome"].clone()
    }
}

fn ga(quantity: u32) -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": quantity}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sold_out_somebody_lets_go_and_who_waited_has_an_offer_a_mail_and_a_ticket() {
    let shop = Shop::open().await;
    let event = shop.with_a_list(4, 4).await;
    let [ann, bob, cid, dan] =
        join_all(["ann", "bob", "cid", "dan"].map(|name| shop.fan(name))).await.try_into().ok().expect("four");
    assert_eq!(shop.wait(&event, &bob, 2).await.problem(), (409, "not_sold_out".into()));
    let dans = shop.admitted(&event, &dan).await;
    shop.takes(&event, &ann, 4).await.expect(StatusCode::CREATED);

    let first = shop.wait(&event, &bob, 2).await.expect(StatusCode::OK);
    assert_eq!((&first["state"], &first["people_ahead"]), (&json!("waiting"), &json!(0)));
    let again = shop.wait(&event, &bob, 2).await.expect(StatusCode::OK);
    assert_eq!(again["wanted"], first["wanted"]);
    assert_eq!(shop.wait(&event, &bob, 1).await.problem(), (409, "already_waiting".into()));
    let second = shop.wait(&event, &cid, 2).await.expect(StatusCode::OK);
    assert_eq!((&second["people_ahead"], &second["tickets_ahead"]), (&json!(1), &json!(2)));

    // The first hold lapses by itself; nobody gets in between.
    let mut socket = shop.socket(&event, &bob).await;
    let reference = shop.offered(&event, &bob).await;
    let said = loop {
        let said = heard(&mut socket).await;
        if said["type"] == "waitlist.offer" {
            break said;
        }
    };
    let hold = shop.entry(&event, &bob).await["hold"].clone();
    assert_eq!((&said["reference"], &said["expiresAt"]), (&hold["reference"], &hold["expires_at"]));
    let refused = shop.hold(&event, &dan, &dans, &shop.key(), &ga(1)).await;
    assert_eq!(refused.problem(), (409, "sold_out".into()));
    let others = shop.offered(&event, &cid).await;
    shop.pay(&reference, &bob).await;
    assert_eq!(shop.tickets(&bob).await.len(), 2);
    assert_eq!(shop.entry(&event, &bob).await["state"], "taken");
    shop.lets_go(&others, &cid).await;
    assert_eq!(shop.entry(&event, &cid).await["state"], "lapsed");
    // Nobody waits any more: it is for sale again.
    shop.hold(&event, &dan, &dans, &shop.key(), &ga(2)).await.expect(StatusCode::CREATED);

    let list = shop.list(&event).await;
    let counts = ["waiting", "tickets_wanted", "offered", "taken", "lapsed"].map(|name| list[name].as_u64());
    assert_eq!(counts, [Some(0), Some(0), Some(2), Some(1), Some(1)], "{list}");
    for fan in [&bob, &cid] {
        let told = async || {
            let messages = shop.served.get("/api/v1/me/messages", Some(&fan.access)).await.expect(StatusCode::OK);
            let messages = messages["items"].as_array().expect("messages").clone();
            messages.into_iter().filter(|message| message["kind"] == "offer").collect::<Vec<_>>()
        };
        until("told of the offer", async || !told().await.is_empty()).await;
        let told = told().await;
        assert_eq!(told.len(), 1, "once");
        let text = told[0]["text"].as_str().expect("a text");
        assert!(text.contains("2 × Standing") && text.contains("60.00 EUR"), "{text}");
    }
    let other = shop.fan("eve").await;
    assert_eq!(shop.wait(&event, &other, 4).await.expect(StatusCode::OK)["state"], "waiting");
    let path = format!("/api/v1/events/{event}/waitlist");
    for _ in 0..2 {
        shop.served.call(Method::DELETE, &path, Some(&other.access), None).await.expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(shop.served.get(&path, Some(&other.access)).await.problem(), (404, "not_waiting".into()));
    shop.nothing_is_wrong(&event).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_who_come_at_once_are_served_in_the_order_that_they_were_told() {
    let shop = Shop::open().await;
    // One more than are held: nobody is let in for nothing.
    let event = shop.with_a_list(9, 600).await;
    let names: Vec<_> = (0..8).map(|n| format!("holder-{n}")).collect();
    let holders = join_all(names.iter().map(|name| shop.fan(name))).await;
    let stranger = shop.fan("stranger").await;
    let admission = shop.admitted(&event, &stranger).await;
    let mut holds = Vec::new();
    for fan in &holders {
        let hold = shop.takes(&event, fan, 1).await.expect(StatusCode::CREATED);
        holds.push(hold["reference"].as_str().expect("a reference").to_owned());
    }
    let eight = json!({"ticket_type": "GA", "stock": 8, "reason": "a test"});
    let path = format!("/api/v1/admin/events/{event}/stock");
    let set = shop.served.call(Method::PUT, &path, Some(&shop.organizer.access), Some(eight)).await;
    set.expect(StatusCode::OK);
    let names: Vec<_> = (0..30).map(|n| format!("fan-{n}")).collect();
    let fans = join_all(names.iter().map(|name| shop.fan(name))).await;
    let told = join_all(fans.iter().map(|fan| shop.wait(&event, fan, 1))).await;
    let mut order: Vec<_> = told
        .iter()
        .zip(&fans)
        .map(|(told, fan)| (told.expect(StatusCode::OK)["people_ahead"].as_u64().expect("a number"), fan))
        .collect();
    order.sort_by_key(|(ahead, _)| *ahead);
    assert_eq!(order.iter().map(|(ahead, _)| *ahead).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());

    for (round, (holder, hold)) in holders.iter().zip(&holds).enumerate() {
        let next = async { shop.lets_go(hold, holder).await };
        let past = async { shop.hold(&event, &stranger, &admission, &shop.key(), &ga(1)).await };
        let ((), past) = tokio::join!(next, past);
        assert_eq!(past.problem(), (409, "sold_out".into()), "round {round}");
        let (_, fan) = order[round];
        let reference = shop.offered(&event, fan).await;
        for (_, later) in &order[round + 1..] {
            assert_eq!(shop.entry(&event, later).await["state"], "waiting", "after round {round}");
        }
        // Every other one pays; the others' go on in the line.
        if round % 2 == 0 {
            shop.pay(&reference, fan).await;
        }
    }
    let list = shop.list(&event).await;
    assert_eq!((&list["waiting"], &list["offered"], &list["taken"]), (&json!(22), &json!(8), &json!(4)), "{list}");
    let stock = shop.stock(&event).await["ticket_types"][0].clone();
    assert_eq!((&stock["free"], &stock["held"], &stock["sold"]), (&json!(0), &json!(4), &json!(4)));
    shop.nothing_is_wrong(&event).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_goes_back_to_who_waits_and_only_then_stops_to_be_good() {
    let shop = Shop::open().await;
    let event = shop.with_a_list(3, 600).await;
    let [ann, bob, cid] =
        join_all(["ann", "bob", "cid"].map(|name| shop.fan(name))).await.try_into().ok().expect("three");
    let staff = shop.served.with_roles("staff@example.org", &[Role::Staff]).await;
    let order = shop.bought(&event, &ann, &ga(3)).await;
    let [first, second, third] = shop.tickets(&ann).await.try_into().expect("three tickets");

    let closed = shop.put_up(Method::PUT, &first, &ann).await;
    assert_eq!((closed.problem(), closed.json()["why"].clone()), ((409, "not_returnable".into()), json!("closed")));
    shop.set_list(&event, json!({"returns_until": "2035-06-01T12:00:00Z"})).await;
    assert_eq!(shop.put_up(Method::PUT, &first, &bob).await.problem(), (404, "not_found".into()));
    assert_eq!(shop.scan(&event, &staff, &second).await, "accepted");
    let scanned = shop.put_up(Method::PUT, &second, &ann).await;
    assert_eq!((scanned.problem().0, scanned.json()["why"].clone()), (409, json!("scanned")));
    for ticket in [&first, &third] {
        for _ in 0..2 {
            let told = shop.put_up(Method::PUT, ticket, &ann).await.expect(StatusCode::OK);
            assert_eq!((&told["id"], &told["state"]), (&ticket["id"], &json!("returning")));
        }
    }
    let state = async |ticket: &Value| {
        let path = format!("/api/v1/tickets/{}", ticket["id"].as_str().expect("id"));
        shop.served.get(&path, Some(&ann.access)).await.expect(StatusCode::OK)["state"].clone()
    };
    // The third is kept after all.
    assert_eq!(shop.put_up(Method::DELETE, &third, &ann).await.expect(StatusCode::OK)["state"], "live");
    assert_eq!((state(&first).await, state(&third).await), (json!("returning"), json!("live")));
    assert_eq!(shop.list(&event).await["returning"], 1);

    shop.wait(&event, &cid, 2).await.expect(StatusCode::OK);
    shop.wait(&event, &bob, 1).await.expect(StatusCode::OK);
    // One is not enough for the first of the two.
    until("the ticket is taken", async || state(&first).await == "void").await;
    assert_eq!(shop.scan(&event, &staff, &first).await, "void");
    assert_eq!(shop.put_up(Method::DELETE, &first, &ann).await.problem(), (409, "not_returnable".into()));
    until("the money is back", async || shop.books(&order).await == [9_000, 0, 6_000, 0, 3_000]).await;
    let refunds = shop.refunds(&ann).await;
    assert_eq!((refunds.len(), &refunds[0]["reason"]), (1, &json!("returned")));
    let offer = shop.offered(&event, &bob).await;
    shop.pay(&offer, &bob).await;
    let new = shop.tickets(&bob).await;
    assert_eq!((new.len(), shop.scan(&event, &staff, &new[0]).await), (1, json!("accepted")));
    assert_eq!(shop.entry(&event, &cid).await["state"], "waiting");
    let stock = shop.stock(&event).await["ticket_types"][0].clone();
    assert_eq!((&stock["free"], &stock["held"], &stock["sold"]), (&json!(0), &json!(0), &json!(3)));
    let list = shop.list(&event).await;
    assert_eq!((&list["returning"], &list["returned"], &list["taken"]), (&json!(0), &json!(1), &json!(1)), "{list}");
    let door = shop.served.get(&format!("/api/v1/events/{event}/door"), Some(&staff.access)).await;
    assert_eq!(door.expect(StatusCode::OK), json!({"live": 3, "void": 1, "entered": 2, "inside": 2}));
    shop.nothing_is_wrong(&event).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_20_settings_of_a_list_are_checked_and_told() {
    let shop = Shop::open().await;
    let event = shop.with_a_list(1, 600).await;
    let fan = shop.fan("ann").await;
    let path = format!("/api/v1/admin/events/{event}/waitlist");
    let set = async |token: &str, body: Value| shop.served.call(Method::PUT, &path, Some(token), Some(body)).await;
    let good = json!({"mode": "closed", "reason": "x"});
    assert_eq!(set(&fan.access, good.clone()).await.problem(), (403, "forbidden".into()));
    for wrong in [
        json!({"mode": "closed"}),
        json!({"mode": "ajar", "reason": "x"}),
        json!({"offer_seconds": 0, "reason": "x"}),
        json!({"offer_seconds": 604_801, "reason": "x"}),
        json!({"max_entries": 100_001, "reason": "x"}),
        json!({"gather_seconds": -1, "reason": "x"}),
        json!({"starts_at": "2035-06-01T12:00:00Z", "reason": "x"}),
    ] {
        assert_eq!(set(&shop.organizer.access, wrong.clone()).await.problem(), (422, "invalid_body".into()), "{wrong}");
    }
    shop.takes(&event, &fan, 1).await.expect(StatusCode::CREATED);
    set(&shop.organizer.access, good).await.expect(StatusCode::OK);
    let told = shop.served.get(&format!("/api/v1/events/{event}"), Some(&shop.organizer.access)).await;
    assert_eq!(told.expect(StatusCode::OK)["waitlist"], json!({"mode": "closed", "returns_until": null}));
    let other = shop.fan("bob").await;
    assert_eq!(shop.wait(&event, &other, 1).await.problem(), (409, "waitlist_closed".into()));
    for wrong in
        [json!({}), json!({"ticket_types": [], "quantity": 1}), json!({"ticket_types": ["GA"], "quantity": 21})]
    {
        let path = format!("/api/v1/events/{event}/waitlist");
        let answer = shop.served.call(Method::PUT, &path, Some(&other.access), Some(wrong.clone())).await;
        assert_eq!(answer.problem(), (422, "invalid_body".into()), "{wrong}");
    }
}
