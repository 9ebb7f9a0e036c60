//! Messages that nobody could take in: an operator reads them, sends them again, drops them.

use onsale::{
    actors::orders::PaymentFact,
    domain::account::Role,
    http::now,
    stores::{
        database::{dead_letters, payments},
        order_bus::{Message, Topic},
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

struct Desk {
    shop: Shop,
    operator: SignedIn,
}

impl Desk {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/api/v1/admin/dead-letters{path}");
        self.shop.served.call(method, &path, Some(&self.operator.access), body).await
    }

    async fn letters(&self, state: &str) -> Vec<Value> {
        let list = self.ask(Method::GET, &format!("?state={state}"), None).await.expect(StatusCode::OK);
        list["items"].as_array().expect("items").clone()
    }

    async fn settle(&self, letter: &Value, verb: &str) -> Answer {
        let path = format!("/{}/{verb}", letter["id"].as_str().expect("id"));
        self.ask(Method::POST, &path, Some(json!({"reason": "looked at"}))).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_taken_in_is_read_sent_again_and_dropped() {
    let shop = Shop::open().await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let desk = Desk { shop, operator };
    let (routing_key, id) = ("order.payment-success".to_owned(), "an id".to_owned());
    let message = Message { routing_key, id, body: b"{\"half\": ".to_vec() };
    desk.shop.served.app.bus.publish(Topic::Payments, &[message]).await.expect("published");
    until("it waits for a person", async || desk.letters("waiting").await.len() == 1).await;
    let letter = desk.letters("waiting").await.remove(0);
    assert_eq!((&letter["routing_key"], &letter["message_id"]), (&json!("order.payment-success"), &json!("an id")));
    assert_eq!((&letter["deaths"], &letter["settled_at"]), (&json!(1), &Value::Null));
    let path = format!("/{}", letter["id"].as_str().expect("id"));
    let whole = desk.ask(Method::GET, &path, None).await.expect(StatusCode::OK);
    assert_eq!(whole["body"], "{\"half\": ");

    // Sent again it dies again, and waits again.
    desk.settle(&letter, "redrive").await;
    until("it has died twice", async || {
        let letters = desk.letters("waiting").await;
        letters.len() == 1 && letters[0]["deaths"] == 2
    })
    .await;
    let dropped = desk.settle(&letter, "drop").await.expect(StatusCode::OK);
    assert_eq!(dropped["state"], "dropped");
    assert!(dropped["settled_at"].is_string());
    for verb in ["redrive", "drop"] {
        assert_eq!(desk.settle(&letter, verb).await.problem(), (409, "dead_letter_state".to_owned()));
    }
    assert_eq!((desk.letters("waiting").await.len(), desk.letters("dropped").await.len()), (0, 1));
    for unknown in ["/x", "/00000000000000000000000000000000"] {
        assert_eq!(desk.ask(Method::GET, unknown, None).await.problem(), (404, "not_found".to_owned()));
    }

    let admin = desk.shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = desk.shop.served.call(Method::GET, "/api/v1/admin/audit", Some(&admin.access), None).await;
    let audit = audit.expect(StatusCode::OK);
    let acts: Vec<_> = audit["items"].as_array().expect("rows").iter().map(|row| &row["action"]).collect();
    for act in ["dead_letter.redrive", "dead_letter.drop"] {
        assert!(acts.contains(&&json!(act)), "{acts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_already_does_no_harm_when_it_is_sent_again() {
    let shop = Shop::open().await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.bought(&event, &fan, &json!({"items": [{"ticket_type": "GA", "quantity": 2}]})).await;
    let database = shop.served.app.database.clone();
    let payment = payments::of_order(&database, reference.parse().expect("reference")).await.expect("read").remove(0);
    let fact = PaymentFact {
        payment: payment.id,
        reference: payment.reference,
        amount_minor: payment.amount.minor,
        currency: payment.amount.currency,
        captured: true,
    };
    let (routing_key, id) = ("order.payment-success".to_owned(), "as it was".to_owned());
    let message = Message { routing_key, id, body: serde_json::to_vec(&fact).expect("JSON") };
    dead_letters::add(&database, &message, now()).await.expect("kept");
    let desk = Desk { shop, operator };
    let letter = desk.letters("waiting").await.remove(0);
    let redriven = desk.settle(&letter, "redrive").await.expect(StatusCode::OK);
    assert_eq!(redriven["state"], "redriven");
    until("it is taken in", async || desk.shop.served.app.bus.depth(Topic::Payments).await.expect("depth") == 0).await;
    let order = desk.shop.order_becomes(&reference, &fan, "ticketed").await;
    assert_eq!(order["total"], json!({"minor": payment.amount.minor, "currency": payment.amount.currency}));
    let tickets = desk.shop.served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!(tickets["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(desk.letters("waiting").await.len(), 0);
}
