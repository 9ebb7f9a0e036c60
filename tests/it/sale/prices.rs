//! What a fan sees first is what is paid: fees and taxes from the first view to the last refund.

use onsale::stores::database::checks;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::harness::until;

fn eur(minor: i64) -> Value {
    json!({"minor": minor, "currency": "EUR"})
}

/// 1.50 and 2.5 % on each ticket, 0.99 on the order, 7 % on all of it.
fn charged() -> Value {
    let mut event = Shop::concert();
    event["fees"] = json!([
        {"name": "Service", "amount": eur(150), "basis_points": 250},
        {"name": "Handling", "per": "order", "amount": eur(99)}]);
    event["taxes"] = json!([{"name": "VAT", "basis_points": 700}]);
    event
}

impl Shop {
    /// Of this body.
    pub(super) async fn published_as(&self, body: Value) -> String {
        let event = self.draft(body).await;
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        event
    }

    async fn change(&self, event: &str, mut body: Value) -> Value {
        let path = format!("/api/v1/events/{event}");
        let now = self.served.get(&path, None).await.expect(StatusCode::OK);
        body["version"] = now["version"].clone();
        let changed = self.served.call(Method::PATCH, &path, Some(&self.organizer.access), Some(body)).await;
        changed.expect(StatusCode::OK)
    }

    async fn books_fit(&self, event: &str) {
        let (database, event) = (&self.served.below.database, event.parse().expect("id"));
        for wrong in [checks::unbalanced(database, event).await, checks::miscounted(database, event).await] {
            assert_eq!(wrong.expect("check"), []);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_price_seen_is_the_price_paid_and_goes_back_to_the_last_cent() {
    let shop = Shop::open().await;
    let event = shop.published_as(charged()).await;
    // 90.00 + (1.50 + 2.25) + 7 % of 93.75
    let all_in = json!({"price": eur(9_000), "fees": eur(375), "taxes": eur(656), "included_taxes": eur(0), "total_price": eur(10_031)});
    let path = format!("/api/v1/events/{event}");
    let told = shop.served.get(&path, None).await.expect(StatusCode::OK);
    let mut expected = all_in.clone();
    expected["ticket_type"] = json!("VIP");
    assert_eq!(told["prices"][1], expected);
    assert_eq!((&told["fees"][1]["per"], &told["fees"][1]["amount"]), (&json!("order"), &eur(99)));
    let left = shop.served.get(&format!("{path}/availability"), None).await.expect(StatusCode::OK);
    assert_eq!(left["ticket_types"][1]["total_price"], eur(10_031));
    assert_eq!(shop.stock(&event).await["ticket_types"][1]["total_price"], eur(10_031));

    let fan = shop.fan("ann").await;
    let (reference, page) = shop.checked_out(&event, &fan, &json!({"seats": ["A-1-1", "A-1-2"]})).await;
    // Another price since then is another buyer's.
    shop.change(&event, json!({"fees": [{"name": "Service", "amount": eur(5_000)}]})).await;
    let total = 2 * 10_031 + 99 + 7;
    let hold = shop.served.get(&format!("/api/v1/holds/{reference}"), Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!((&hold["total"], &hold["lines"][0]["unit_price"]), (&eur(total), &eur(10_031)));
    assert_eq!(hold["lines"][0]["parts"], all_in);
    assert_eq!((&hold["order_fees"]["fees"], &hold["order_fees"]["total_price"]), (&eur(99), &eur(106)));
    assert_eq!(shop.choose(&page, "pay").await, StatusCode::OK);
    let order = shop.order_becomes(&reference, &fan, "ticketed").await;
    assert_eq!((&order["total"], &order["order_fees"]), (&eur(total), &hold["order_fees"]));
    assert_eq!(shop.books(&reference).await, [total, 0, total, 0, 0]);
    let tickets = shop.tickets(&fan).await;
    assert!(tickets.iter().all(|ticket| ticket["price"] == eur(10_031)), "{tickets:?}");
    shop.books_fit(&event).await;

    // One ticket of two: what was asked once stays. With the last one it goes, too.
    let refund = shop.refund(&reference, json!({"tickets": [tickets[0]["id"]], "reason": "a broken leg"})).await;
    assert_eq!(refund.expect(StatusCode::CREATED)["amount"], eur(10_031));
    until("the money is back", async || shop.refunds(&fan).await[0]["state"] == "done").await;
    assert_eq!(shop.books(&reference).await, [total, 0, total - 10_031, 0, 10_031]);
    shop.books_fit(&event).await;
    let refund = shop.refund(&reference, json!({"reason": "the other leg"})).await;
    assert_eq!(refund.expect(StatusCode::CREATED)["amount"], eur(10_031 + 106));
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(shop.books(&reference).await, [total, 0, 0, 0, total]);
    shop.books_fit(&event).await;
}
