//! One card buys no more tickets to an event than its organizer allows, whoever pays with it.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::shop::Shop;
use crate::{harness::until, served::SignedIn};

const GOOD: &str = "4242424242424242";
/// Another card, whose payments are told four times.
const REPEATS: &str = "4000000000000036";

impl Shop {
    /// An event to which one card buys two tickets.
    async fn limited(&self) -> String {
        let mut concert = Self::concert();
        concert["limits"] = json!({"per_instrument": 2});
        let event = self.draft(concert).await;
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        event
    }

    /// Checks out and pays: the order.
    async fn pays(&self, event: &str, fan: &SignedIn, quantity: u32, card: &str) -> String {
        let wanted = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        let (reference, page) = self.checked_out(event, fan, &wanted).await;
        self.choose(&page, &format!("pay&card={card}")).await;
        reference
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_beyond_goes_back_and_its_stock_with_it_and_a_refund_gives_room() {
    pay_beyond(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_servers_what_is_paid_beyond_goes_back_and_its_stock_with_it_and_a_refund_gives_room() {
    let Some(shop) = Shop::open_on_servers().await else { return };
    pay_beyond(shop).await;
}

async fn pay_beyond(shop: Shop) {
    let event = shop.limited().await;
    let told = shop.served.get(&format!("/api/v1/events/{event}"), None).await.expect(StatusCode::OK);
    assert_eq!(told["limits"]["per_instrument"], 2);
    let (ann, bob, cid) = (shop.fan("ann").await, shop.fan("bob").await, shop.fan("cid").await);
    let first = shop.pays(&event, &ann, 2, GOOD).await;
    shop.order_becomes(&first, &ann, "ticketed").await;
    let beyond = shop.pays(&event, &bob, 1, GOOD).await;
    shop.order_becomes(&beyond, &bob, "refunded").await;
    assert_eq!(shop.refunds(&bob).await[0]["reason"], "instrument_limit");
    assert_eq!(shop.books(&beyond).await, [3_000, 0, 0, 0, 3_000]);
    let stock = shop.stock(&event).await["ticket_types"][0].clone();
    assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(2)), "its hold has ended");
    // With another card, told again and again.
    let other = shop.pays(&event, &cid, 2, REPEATS).await;
    shop.order_becomes(&other, &cid, "ticketed").await;

    let ticket = shop.tickets(&ann).await[0]["id"].clone();
    shop.refund(&first, json!({"tickets": [ticket], "reason": "a broken leg"})).await.expect(StatusCode::CREATED);
    until("the money is back", async || shop.refunds(&ann).await[0]["state"] == "done").await;
    let again = shop.pays(&event, &bob, 1, GOOD).await;
    shop.order_becomes(&again, &bob, "ticketed").await;
    let full = shop.pays(&event, &cid, 1, GOOD).await;
    shop.order_becomes(&full, &cid, "refunded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_pay_with_one_card_at_once_as_many_get_tickets_as_may() {
    pay_at_once(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_servers_of_many_who_pay_with_one_card_at_once_as_many_get_tickets_as_may() {
    let Some(shop) = Shop::open_on_servers().await else { return };
    pay_at_once(shop).await;
}

async fn pay_at_once(shop: Shop) {
    let event = shop.limited().await;
    let orders = join_all((0..8).map(|n| {
        let (shop, event) = (&shop, event.as_str());
        async move {
            let fan = shop.fan(&format!("fan-{n}")).await;
            let reference = shop.pays(event, &fan, 1, GOOD).await;
            (fan, reference)
        }
    }))
    .await;
    let state = async |fan: &SignedIn, reference: &str| {
        let order = shop.served.get(&format!("/api/v1/orders/{reference}"), Some(&fan.access)).await;
        order.expect(StatusCode::OK)["state"].as_str().expect("a state").to_owned()
    };
    let mut ticketed = 0;
    for (fan, reference) in &orders {
        until("it is over", async || matches!(state(fan, reference).await.as_str(), "ticketed" | "refunded")).await;
        ticketed += u32::from(state(fan, reference).await == "ticketed");
    }
    assert_eq!(ticketed, 2);
    assert_eq!(shop.stock(&event).await["ticket_types"][0]["sold"], 2);
}
