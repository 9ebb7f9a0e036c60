//! Money goes back: by hand, by itself, as a whole event; and the books say the same as the provider's.

use onsale::{
    domain::{account::Role, id::OrderRef, ledger::Account},
    stores::database::{checks, ledger},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use super::shop::Shop;
use crate::{
    harness::{in_time, until},
    served::{Answer, SignedIn},
};

impl Shop {
    async fn bought_by(&self, card: &str, event: &str, fan: &SignedIn, body: &Value) -> String {
        let (reference, page) = self.checked_out(event, fan, body).await;
        self.choose(&page, &format!("pay&card={card}")).await;
        self.order_becomes(&reference, fan, "ticketed").await;
        reference
    }

    async fn admin_act(&self, path: &str, token: &str, key: &str, body: Value) -> Answer {
        let url = format!("{}/api/v1/admin{path}", self.served.admin);
        let request = self.served.client.post(url).bearer_auth(token).header("idempotency-key", key);
        Answer::of(request.json(&body).send().await.expect("an answer")).await
    }

    pub(super) async fn refund(&self, reference: &str, body: Value) -> Answer {
        self.admin_act(&format!("/orders/{reference}/refunds"), &self.organizer.access, &self.key(), body).await
    }

    pub(super) async fn tickets(&self, fan: &SignedIn) -> Vec<Value> {
        let tickets = self.served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
        tickets["items"].as_array().expect("tickets").clone()
    }

    pub(super) async fn refunds(&self, fan: &SignedIn) -> Vec<Value> {
        let refunds = self.served.get("/api/v1/me/refunds", Some(&fan.access)).await.expect(StatusCode::OK);
        refunds["items"].as_array().expect("refunds").clone()
    }

    /// captured, pending, ticketed, refunding, refunded
    pub(super) async fn books(&self, reference: &str) -> [i64; 5] {
        let reference: OrderRef = reference.parse().expect("a reference");
        let books = ledger::of_order(&self.served.below.database, reference).await.expect("books");
        assert!(books.balance());
        Account::ALL.map(|account| books.of(account))
    }

    async fn audited(&self, action: &str) -> usize {
        let admin = self.served.with_roles(&format!("{}@example.org", self.key()), &[Role::Admin]).await;
        let audit = self.served.get("/api/v1/admin/audit?limit=200", Some(&admin.access)).await.expect(StatusCode::OK);
        audit["items"].as_array().expect("rows").iter().filter(|row| row["action"] == action).count()
    }
}

const GOOD: &str = "4242424242424242";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_go_back_one_by_one_and_their_seats_to_others() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.bought_by(GOOD, &event, &fan, &json!({"seats": ["A-1-1", "A-1-2"]})).await;
    let tickets = shop.tickets(&fan).await;
    let seat = |name: &str| tickets.iter().find(|ticket| ticket["seat"] == name).expect("a seat")["id"].clone();

    let (key, path) = (shop.key(), format!("/orders/{reference}/refunds"));
    let body = json!({"tickets": [seat("A-1-1")], "restock": true, "reason": "a broken leg"});
    let refund = shop.admin_act(&path, &shop.organizer.access, &key, body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(
        (&refund["amount"], &refund["tickets"], &refund["note"]),
        (&json!({"minor": 9000, "currency": "EUR"}), &json!(1), &json!("a broken leg"))
    );
    // At once it lets nobody in.
    let path_of = |id: &Value| format!("/api/v1/tickets/{}", id.as_str().expect("id"));
    let read = shop.served.get(&path_of(&seat("A-1-1")), Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!(read["state"], "void");
    let again = shop.admin_act(&path, &shop.organizer.access, &key, body.clone()).await;
    assert_eq!(again.expect(StatusCode::CREATED), refund, "the same key, the same refund");
    let other = json!({"reason": "all of it"});
    assert_eq!(
        shop.admin_act(&path, &shop.organizer.access, &key, other).await.problem(),
        (422, "idempotency_key_reused".into())
    );
    assert_eq!(shop.refund(&reference, body).await.problem(), (422, "unknown_ticket".into()));

    until("the money is back", async || shop.refunds(&fan).await[0]["state"] == "done").await;
    assert_eq!(shop.books(&reference).await, [18_000, 0, 9_000, 0, 9_000]);
    shop.order_becomes(&reference, &fan, "ticketed").await;
    until("the seat is free", async || shop.stock(&event).await["ticket_types"][1]["sold"] == 1).await;
    let next = shop.fan("bob").await;
    shop.bought_by(GOOD, &event, &next, &json!({"seats": ["A-1-1"]})).await;

    // The rest, whose seat nobody gets.
    shop.refund(&reference, json!({"reason": "the other leg"})).await.expect(StatusCode::CREATED);
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(shop.books(&reference).await, [18_000, 0, 0, 0, 18_000]);
    assert_eq!(shop.stock(&event).await["ticket_types"][1]["sold"], 2);
    assert_eq!(shop.refund(&reference, json!({"reason": "once more"})).await.problem(), (409, "order_state".into()));
    let event = event.parse().expect("id");
    let database = &shop.served.below.database;
    for wrong in [checks::unbalanced(database, event).await, checks::miscounted(database, event).await] {
        assert_eq!(wrong.expect("check"), []);
    }
    let told = shop.served.get(&format!("/api/v1/admin{path}"), Some(&shop.organizer.access)).await;
    let told = told.expect(StatusCode::OK);
    assert_eq!((told[0]["places"].as_str(), told[1]["places"].as_str()), (Some("back"), Some("kept")), "{told}");
    assert_eq!((shop.audited("order.refund").await, shop.audited("payment.refund").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_21_a_refund_needs_a_role_a_fresh_password_and_a_sensible_body() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.bought_by(GOOD, &event, &fan, &json!({"items": [{"ticket_type": "GA", "quantity": 2}]})).await;
    let path = format!("/orders/{reference}/refunds");
    let ask = async |token: &str, body: Value| shop.admin_act(&path, token, &shop.key(), body).await.problem();
    let good = json!({"reason": "as asked"});
    let stranger = shop.served.with_roles("other@example.org", &[Role::Organizer]).await;
    for token in [&fan.access, &stranger.access] {
        assert_eq!(ask(token, good.clone()).await, (403, "forbidden".into()));
    }
    let refreshed = shop.served.refresh(&shop.organizer.refresh).await.expect(StatusCode::OK);
    let refreshed = refreshed["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(ask(&refreshed, good.clone()).await, (403, "step_up_needed".into()));
    let ticket = shop.tickets(&fan).await[0]["id"].clone();
    for wrong in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": "x", "amount": {"minor": 1, "currency": "EUR"}}),
        json!({"reason": "x", "tickets": []}),
        json!({"reason": "x", "tickets": [ticket, ticket]}),
        json!({"reason": "x", "tickets": ["not an id"]}),
    ] {
        assert_eq!(ask(&refreshed, wrong.clone()).await, (422, "invalid_body".into()), "{wrong}");
    }
    let unknown = format!("{}-{:032x}", event, 7);
    let answer = shop.refund(&unknown, good.clone()).await;
    assert_eq!(answer.problem(), (404, "not_found".into()));
    assert_eq!(shop.books(&reference).await, [6_000, 0, 6_000, 0, 0]);
    assert_eq!(shop.refunds(&fan).await, Vec::<Value>::new());

    let operator = shop.served.with_roles("op@example.org", &[Role::Operator]).await;
    shop.admin_act(&path, &operator.access, &shop.key(), good).await.expect(StatusCode::CREATED);
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(shop.refunds(&stranger).await, Vec::<Value>::new(), "another's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_card_does_the_order_ends_in_tickets_once_or_stays_unpaid() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    for (name, card, answered) in [
        ("slow", "4000 0000 0000 0010", StatusCode::OK),
        ("times-out", "4000000000000028", StatusCode::SERVICE_UNAVAILABLE),
        ("repeats", "4000000000000036", StatusCode::OK),
        ("out-of-order", "4000000000000044", StatusCode::OK),
    ] {
        let fan = shop.fan(name).await;
        let (reference, page) = shop.checked_out(&event, &fan, &body).await;
        let status = shop.choose(&page, &format!("pay&card={}", card.replace(' ', "+"))).await;
        assert_eq!(status, answered, "{name}");
        shop.order_becomes(&reference, &fan, "ticketed").await;
        let is_told = async || {
            let due = onsale::stores::database::sandbox::due(&shop.served.below.database, onsale::http::now(), 9).await;
            due.expect("read").is_empty()
        };
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        until("everything is told", is_told).await;
        assert_eq!(shop.tickets(&fan).await.len(), 1, "{name}");
        assert_eq!(shop.books(&reference).await, [3_000, 0, 3_000, 0, 0], "{name}");
    }
    let fan = shop.fan("declined").await;
    let (reference, page) = shop.checked_out(&event, &fan, &body).await;
    shop.choose(&page, "pay&card=4000000000000002").await;
    shop.order_becomes(&reference, &fan, "pending").await;
    assert_eq!(shop.books(&reference).await, [0; 5]);
    for wrong in ["4111111111111111", "", "4242"] {
        assert_eq!(shop.choose(&page, &format!("pay&card={wrong}")).await, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_provider_refuses_waits_for_a_person_and_a_slow_one_for_its_message() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let operator = shop.served.with_roles("op@example.org", &[Role::Operator]).await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let list = async |state: &str| {
        let path = format!("/api/v1/admin/refunds?state={state}");
        shop.served.get(&path, Some(&operator.access)).await.expect(StatusCode::OK)["items"].clone()
    };

    let fan = shop.fan("closed").await;
    let reference = shop.bought_by("4000000000000051", &event, &fan, &body).await;
    shop.refund(&reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    until("refused", async || shop.refunds(&fan).await[0]["state"] == "failed").await;
    assert_eq!(shop.books(&reference).await, [3_000, 0, 0, 3_000, 0], "it is still the fan's");
    let failed = shop.served.get("/api/v1/admin/refunds", Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!(failed["items"][0]["failure"], "the card's account is closed");
    let retry = format!("/api/v1/admin/refunds/{}/retry", failed["items"][0]["id"].as_str().expect("id"));
    let answer = shop.served.post(&retry, Some(&shop.organizer.access), json!({"reason": "x"})).await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
    let anew = shop.served.post(&retry, Some(&operator.access), json!({"reason": "a new account"})).await;
    assert_eq!(anew.expect(StatusCode::OK)["state"], "begun");
    shop.order_becomes(&reference, &fan, "refunded").await;
    let late = shop.served.post(&retry, Some(&operator.access), json!({"reason": "again"})).await;
    assert_eq!(late.problem(), (409, "refund_state".into()));
    assert_eq!(shop.audited("refund.retry").await, 1);

    let fan = shop.fan("slow").await;
    let reference = shop.bought_by("4000000000000069", &event, &fan, &body).await;
    shop.refund(&reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    until("asked", async || list("asked").await.as_array().is_some_and(|items| items.len() == 1)).await;
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(list("asked").await, json!([]));
    assert_eq!(list("done").await.as_array().map(Vec::len), Some(2));
    let unknown = shop.served.get("/api/v1/admin/refunds?state=lost", Some(&operator.access)).await;
    assert_eq!(unknown.problem(), (400, "invalid_query".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_payment_for_one_order_goes_back_by_itself() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let (reference, first) =
        shop.checked_out(&event, &fan, &json!({"items": [{"ticket_type": "GA", "quantity": 2}]})).await;
    // Declined, and paid in another window whose message is slow: so both are paid.
    shop.choose(&first, "decline").await;
    let checkout = format!("/orders/{reference}/checkout");
    let state = async || shop.served.get(&format!("/api/v1{checkout}"), Some(&fan.access)).await.expect(StatusCode::OK);
    until("declined", async || state().await["state"] == "declined").await;
    let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let second = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
    shop.choose(&second, "pay").await;
    shop.order_becomes(&reference, &fan, "ticketed").await;
    // The provider has taken the first one's money after all.
    let session = first.rsplit('/').next().expect("a session");
    shop.meddle(&format!("UPDATE sandbox_sessions SET state = 'paid' WHERE id = '{session}'")).await;
    let message = json!({"id": "evt_late", "type": "payment.captured", "session": session, "reference": reference,
        "amount": {"minor": 6000, "currency": "EUR"}});
    shop.said(&message).await.expect(StatusCode::NO_CONTENT);
    until("the money is back", async || shop.books(&reference).await == [12_000, 0, 6_000, 0, 6_000]).await;
    let refunds = shop.refunds(&fan).await;
    assert_eq!((refunds.len(), &refunds[0]["reason"]), (1, &json!("already_paid")));
    shop.order_becomes(&reference, &fan, "ticketed").await;
    assert_eq!(shop.tickets(&fan).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_what_is_said_of_refunds_must_fit_them() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop
        .bought_by("4000000000000051", &event, &fan, &json!({"items": [{"ticket_type": "GA", "quantity": 1}]}))
        .await;
    let refund = shop.refund(&reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    until("refused", async || shop.refunds(&fan).await[0]["state"] == "failed").await;
    let id = refund["id"].as_str().expect("id");
    let session = shop.session_of(&reference).await;
    let message = |id: &str, key: &str, minor: i64| {
        json!({"id": id, "type": "refund.succeeded", "session": session, "reference": reference,
            "amount": {"minor": minor, "currency": "EUR"}, "refund": key})
    };
    for (message, expected) in [
        (message("evt_1", &format!("{id}.0"), 2_999), (400, "payment_mismatch")),
        (message("evt_2", &format!("{:032x}.0", 1), 3_000), (404, "not_found")),
        (message("evt_3", "nonsense", 3_000), (404, "not_found")),
    ] {
        let (status, code) = shop.said(&message).await.problem();
        assert_eq!((status, code.as_str()), expected, "{message}");
    }
    assert_eq!(shop.books(&reference).await, [3_000, 0, 0, 3_000, 0]);
    // Its word that money has moved stands, also after it has refused; and its older words change nothing then.
    for _ in 0..2 {
        shop.said(&message("evt_4", &format!("{id}.0"), 3_000)).await.expect(StatusCode::NO_CONTENT);
    }
    let mut late = message("evt_5", &format!("{id}.0"), 3_000);
    late["type"] = json!("refund.failed");
    shop.said(&late).await.expect(StatusCode::NO_CONTENT);
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(shop.books(&reference).await, [3_000, 0, 0, 0, 3_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_event_is_refunded_as_a_whole_and_tells_how_far_it_is() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let mut orders = Vec::new();
    for (name, card) in [("ann", GOOD), ("bob", GOOD), ("eve", "4000000000000051")] {
        let fan = shop.fan(name).await;
        let body = json!({"items": [{"ticket_type": "GA", "quantity": 2}]});
        orders.push((shop.bought_by(card, &event, &fan, &body).await, fan));
    }
    let path = format!("/api/v1/admin/events/{event}/refunds");
    let begin = async || shop.served.post(&path, Some(&shop.organizer.access), json!({"reason": "rain"})).await;
    assert_eq!(begin().await.problem(), (409, "invalid_transition".into()));
    shop.steer(&event, "cancel").await.expect(StatusCode::OK);
    begin().await.expect(StatusCode::ACCEPTED);
    begin().await.expect(StatusCode::ACCEPTED);
    let progress = async || shop.served.get(&path, Some(&shop.organizer.access)).await.expect(StatusCode::OK);
    until("all but one are back", async || {
        progress().await["orders"] == json!({"left": 0, "refunding": 1, "refunded": 2})
    })
    .await;
    until("done", async || progress().await["done_at"].is_string()).await;
    let count = |state: &str, count: u64, minor: i64| json!({"state": state, "count": count, "amount": {"minor": minor, "currency": "EUR"}});
    let expected = json!([count("done", 2, 12_000), count("failed", 1, 6_000)]);
    until("the provider has answered", async || progress().await["refunds"] == expected).await;
    let list = shop.served.get(&format!("{path}/list?limit=2"), Some(&shop.organizer.access)).await;
    let list = list.expect(StatusCode::OK);
    assert_eq!((list["items"].as_array().map(Vec::len), list["next_cursor"].is_string()), (Some(2), true));
    for (reference, fan) in &orders {
        assert!(shop.tickets(fan).await.iter().all(|ticket| ticket["state"] == "void"), "{reference}");
        assert_eq!(shop.refunds(fan).await[0]["reason"], "event_cancelled");
    }
    assert_eq!(shop.audited("event.refund").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconcile_says_so_when_the_books_and_the_providers_differ() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let fan = shop.fan("ann").await;
    let reference = shop.bought_by(GOOD, &event, &fan, &body).await;
    shop.refund(&reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    shop.order_becomes(&reference, &fan, "refunded").await;
    let other = shop.fan("bob").await;
    let kept = shop.bought_by(GOOD, &event, &other, &body).await;
    let open = shop.fan("eve").await;
    shop.checked_out(&event, &open, &body).await;
    let reconcile = async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(["reconcile", "--settle", "0", "--data-dir"]).arg(shop.served.data_dir());
        let output = in_time(command.output()).await.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(reconcile().await, (Some(0), "sandbox: 3 payments, 3 sessions, 0 differences\n".into()));

    let session = shop.session_of(&kept).await;
    for (by_hand, told) in [
        (
            format!("UPDATE sandbox_sessions SET amount_minor = 2999 WHERE id = '{session}'"),
            "captured 3000 in the ledger, 2999 at the provider",
        ),
        (
            format!(
                "INSERT INTO sandbox_refunds (id, session_id, amount_minor, currency, failure, due_at, created_at) \
                 VALUES ('by hand', '{session}', 1000, 'EUR', '', 0, 0)"
            ),
            "given back 0 in the ledger, 1000 at the provider",
        ),
        (format!("DELETE FROM sandbox_sessions WHERE id = '{session}'"), "the provider knows no session"),
        (
            "INSERT INTO sandbox_sessions (id, order_reference, amount_minor, currency, state, return_url, created_at, \
             updated_at) SELECT 'theirs', order_reference, 77, 'EUR', 'paid', '', 0, 0 FROM orders, payments LIMIT 1"
                .to_owned(),
            "session theirs: the provider has captured 77 and given back 0; no payment of ours",
        ),
        (
            format!("DELETE FROM ledger WHERE order_reference = '{kept}' AND entry = 'ticketed'"),
            "3000 have become neither tickets nor a refund",
        ),
    ] {
        shop.meddle(&by_hand).await;
        if told.ends_with("refund") {
            shop.meddle("UPDATE ledger SET at = 0").await;
        }
        let (status, said) = reconcile().await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(told), "{by_hand}: {said}");
    }
}

impl Shop {
    /// Past everything that guards the tables.
    pub(super) async fn meddle(&self, sql: &str) {
        use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
        let url = format!("sqlite://{}", self.served.data_dir().join("database.db").display());
        let mut connection = AnyConnection::connect(&url).await.expect("connect");
        connection.execute(AssertSqlSafe(sql.to_owned())).await.expect("meddle");
    }

    /// The provider's session of the order's newest payment.
    pub(super) async fn session_of(&self, reference: &str) -> String {
        let reference: OrderRef = reference.parse().expect("a reference");
        let database = &self.served.below.database;
        let payments = onsale::stores::database::payments::of_order(database, reference).await.expect("payments");
        payments.into_iter().next().expect("a payment").provider_session
    }

    /// A message of the provider, signed as it signs.
    async fn said(&self, message: &Value) -> Answer {
        use onsale::http::{payments::signature, tokens::unix_now};
        let body = message.to_string();
        let signed = signature::sign(&self.served.app.webhook_keys[0][..], unix_now(), body.as_bytes());
        let url = format!("{}/api/v1/payments/sandbox/webhook", self.served.public);
        let request = self.served.client.request(Method::POST, url).header("content-type", "application/json");
        Answer::of(request.header(signature::HEADER, signed).body(body).send().await.expect("an answer")).await
    }
}
