//! Rates: some pay less for the same stock, and what they have stays at that, whatever becomes of it.

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{papers::text_of, shop::Shop};
use crate::{harness::until, served::Answer};

fn eur(minor: i64) -> Value {
    json!({"minor": minor, "currency": "EUR"})
}

/// 10 % on each ticket. Children pay half for the balcony; standing has no rates.
fn family() -> Value {
    let mut event = Shop::concert();
    event["fees"] = json!([{"name": "Service", "basis_points": 1_000}]);
    event["ticket_types"][1]["rates"] = json!([
        {"code": "child", "name": "Child up to 14", "price": eur(4_500)},
        {"code": "helper", "name": "Helper", "price": eur(0)}]);
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_pays_by_rate_and_each_ticket_keeps_its_own() {
    let shop = Shop::open().await;
    let event = shop.published_as(family()).await;
    let path = format!("/api/v1/events/{event}");
    let told = shop.served.get(&path, None).await.expect(StatusCode::OK);
    let left = shop.served.get(&format!("{path}/availability"), None).await.expect(StatusCode::OK);
    for rates in [&told["prices"][1]["rates"], &left["ticket_types"][1]["rates"]] {
        let expected = json!({"code": "child", "name": "Child up to 14", "price": eur(4_500), "fees": eur(450),
            "taxes": eur(0), "included_taxes": eur(0), "total_price": eur(4_950)});
        assert_eq!((&rates[0], &rates[1]["total_price"]), (&expected, &eur(0)), "all in, from the first view");
    }

    let fan = shop.fan("ann").await;
    let wanted = json!({"seats": ["A-1-1", "A-1-2", "A-1-3"], "seat_rates": {"A-1-2": "child", "A-1-3": "child"}});
    let reference = shop.bought(&event, &fan, &wanted).await;
    let order = shop.order_becomes(&reference, &fan, "ticketed").await;
    let lines: Vec<_> = order["lines"].as_array().expect("lines").iter().collect();
    assert_eq!((&lines[0]["rate"], &lines[0]["unit_price"]), (&Value::Null, &eur(9_900)));
    assert_eq!((&lines[1]["rate"], &lines[1]["unit_price"]), (&json!("child"), &eur(4_950)));
    assert_eq!((lines.len(), &order["total"]), (2, &eur(9_900 + 2 * 4_950)));
    assert_eq!(
        seen(&shop.tickets(&fan).await),
        [("A-1-1", "", 9_900), ("A-1-2", "child", 4_950), ("A-1-3", "child", 4_950)]
    );

    let url = format!("{}/api/v1/orders/{reference}/tickets.pdf", shop.served.public);
    let pdf = shop.served.client.get(url).bearer_auth(&fan.access).send().await.expect("an answer");
    let text = text_of("pdftotext", &["-layout", "-", "-"], &pdf.bytes().await.expect("a body"));
    assert!(text.contains("Balcony, Child up to 14"), "{text}");
    let staff = shop.served.with_roles("staff@example.org", &[Role::Staff]).await;
    let list = shop.served.get(&format!("{path}/door/tickets"), Some(&staff.access)).await.expect(StatusCode::OK);
    let rates = list["items"].as_array().expect("tickets").iter().filter(|ticket| ticket["rate"] == "child");
    assert_eq!(rates.count(), 2, "the door may ask for proof: {list}");

    // A child's ticket moves, another goes back: each is what it was.
    let tickets = shop.tickets(&fan).await;
    let of = |seat: &str| tickets.iter().find(|ticket| ticket["seat"] == seat).expect("a seat");
    moved(&shop, of("A-1-2"), "A-2-5").await.expect(StatusCode::OK);
    until("A-1-2 is free", async || shop.stock(&event).await["ticket_types"][1]["sold"] == 3).await;
    let now = shop.tickets(&fan).await;
    assert!(seen(&now).contains(&("A-2-5", "child", 4_950)), "{now:?}");
    let body = json!({"tickets": [of("A-1-3")["id"]], "restock": true, "reason": "the measles"});
    let refund = shop.refund(&reference, body).await.expect(StatusCode::CREATED);
    assert_eq!(refund["amount"], eur(4_950));
    until("its place is free", async || shop.stock(&event).await["ticket_types"][1]["sold"] == 2).await;
    let order = shop.served.get(&format!("/api/v1/orders/{reference}"), Some(&fan.access)).await;
    let order = order.expect(StatusCode::OK);
    shop.books_fit(&event).await;
    let hold = shop.served.get(&format!("/api/v1/holds/{reference}"), Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!(hold["lines"][1]["seats"], json!(["A-2-5"]), "{hold} {order}");
}

async fn moved(shop: &Shop, ticket: &Value, seat: &str) -> Answer {
    let url = format!("{}/api/v1/admin/tickets/{}/seat", shop.served.admin, ticket["id"].as_str().expect("id"));
    let request = shop.served.client.post(url).bearer_auth(&shop.organizer.access);
    let request = request.header("idempotency-key", shop.key()).json(&json!({"seat": seat, "reason": "a pillar"}));
    Answer::of(request.send().await.expect("an answer")).await
}

/// Seat, rate and price of each live ticket, by seat.
fn seen(tickets: &[Value]) -> Vec<(&str, &str, i64)> {
    let live = tickets.iter().filter(|ticket| ticket["state"] == "live");
    let mut seen: Vec<_> = live
        .map(|ticket| {
            let rate = ticket["rate"].as_str().unwrap_or_default();
            (ticket["seat"].as_str().expect("a seat"), rate, ticket["price"]["minor"].as_i64().expect("a price"))
        })
        .collect();
    seen.sort_unstable();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_that_are_not_there_are_refused_and_nothing_is_held() {
    let shop = Shop::open().await;
    let event = shop.published_as(family()).await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    for (wanted, status, code) in [
        (json!({"seats": ["A-1-1"], "seat_rates": {"A-1-1": "senior"}}), 422, "unknown_rate"),
        (json!({"items": [{"ticket_type": "GA", "quantity": 1, "rate": "child"}]}), 422, "unknown_rate"),
        (json!({"seats": ["A-1-1"], "seat_rates": {"A-1-2": "child"}}), 422, "invalid_body"),
        (
            json!({"items": [{"ticket_type": "GA", "quantity": 1}], "seat_rates": {"A-1-2": "child"}}),
            422,
            "invalid_body",
        ),
        (json!({"best_available": {"ticket_type": "VIP", "quantity": 1, "rates": {"child": 2}}}), 422, "invalid_body"),
        (json!({"best_available": {"ticket_type": "VIP", "quantity": 1, "rates": {"child": -1}}}), 422, "invalid_body"),
    ] {
        let refused = shop.hold(&event, &fan, &admission, &shop.key(), &wanted).await;
        assert_eq!(refused.problem(), (status, code.into()), "{wanted}");
    }
    assert_eq!(shop.stock(&event).await["ticket_types"][1]["held"], 0);
    let wanted = json!({"best_available": {"ticket_type": "VIP", "quantity": 3, "rates": {"child": 2, "helper": 1}}});
    let hold = shop.hold(&event, &fan, &admission, &shop.key(), &wanted).await.expect(StatusCode::CREATED);
    assert_eq!(hold["total"], eur(2 * 4_950));

    // Of what is published, a rate is a price.
    let path = format!("/api/v1/events/{event}");
    let now = shop.served.get(&path, None).await.expect(StatusCode::OK);
    let mut types = now["ticket_types"].clone();
    types[0]["rates"] = json!([{"code": "friend", "name": "A friend", "price": eur(0)}]);
    let body = json!({"version": now["version"], "ticket_types": types});
    let refreshed = shop.served.refresh(&shop.organizer.refresh).await.expect(StatusCode::OK);
    let refused = shop.served.call(Method::PATCH, &path, refreshed["access_token"].as_str(), Some(body)).await;
    assert_eq!(refused.problem(), (403, "step_up_needed".into()));

    let mut wrong = family();
    wrong["ticket_types"][1]["rates"][1]["code"] = json!("child");
    wrong["ticket_types"][1]["rates"][0]["price"]["currency"] = json!("USD");
    let refused = shop.served.call(Method::POST, "/api/v1/events", Some(&shop.organizer.access), Some(wrong)).await;
    let body: Value = serde_json::from_str(&refused.text).expect("JSON");
    let fields: Vec<_> = body["errors"].as_array().expect("errors").iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["ticket_types[1].rates[0].price.currency", "ticket_types[1].rates[1].code"]);
}
