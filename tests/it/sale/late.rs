//! Money that takes its time: the hold that waits for it, and the seats that did not.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{harness::until, served::SignedIn};

const PROCESSING: &str = "4000000000000077";

impl Shop {
    /// With holds that lapse after a second, unless their payment is under way.
    async fn hurried(&self, hold_seconds: u32) -> String {
        let mut concert = Self::concert();
        concert["limits"] = json!({"hold_seconds": hold_seconds});
        let event = self.draft(concert).await;
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        event
    }

    /// A checkout whose hold has lapsed, and whose seats another fan has taken: reference, page of the payment, and that fan.
    async fn overtaken(&self, event: &str, fan: &SignedIn, checkout: Value) -> (String, String) {
        let admission = self.admitted(event, fan).await;
        let wanted = json!({"seats": ["A-1-1", "A-1-2"]});
        let hold = self.hold(event, fan, &admission, &self.key(), &wanted).await.expect(StatusCode::CREATED);
        let reference = hold["reference"].as_str().expect("reference").to_owned();
        let opened = self.act(&format!("/orders/{reference}/checkout"), fan, &self.key(), Some(checkout)).await;
        let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
        // The other's hold lasts.
        self.change(event, json!({"limits": {"hold_seconds": 600}})).await;
        let quick = self.fan(&format!("quick-{}", self.key())).await;
        let admission = self.admitted(event, &quick).await;
        let wanted = json!({"seats": ["A-1-2"]});
        until("another fan has the seat", async || {
            self.hold(event, &quick, &admission, &self.key(), &wanted).await.status == StatusCode::CREATED
        })
        .await;
        (reference, page)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i_16_who_agreed_gets_other_seats_of_the_type_when_the_money_comes_late() {
    let shop = Shop::open().await;
    let event = shop.hurried(1).await;
    let fan = shop.fan("ann").await;
    let checkout = json!({"provider": "sandbox", "accept_other_seats": true});
    let (reference, page) = shop.overtaken(&event, &fan, checkout).await;
    shop.choose(&page, "pay").await;
    let order = shop.order_becomes(&reference, &fan, "ticketed").await;
    let seats: Vec<_> = order["lines"][0]["seats"].as_array().expect("seats").clone();
    assert!(seats.len() == 2 && !seats.contains(&json!("A-1-2")), "{order}");
    let tickets = shop.tickets(&fan).await;
    let mut of_tickets: Vec<_> = tickets.iter().map(|ticket| ticket["seat"].clone()).collect();
    of_tickets.sort_by_key(ToString::to_string);
    assert_eq!(of_tickets, seats, "order and tickets say the same");
    assert_eq!(shop.books(&reference).await, [18_000, 0, 18_000, 0, 0], "for the same price");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i_16_who_did_not_agree_gets_the_money_back() {
    let shop = Shop::open().await;
    let event = shop.hurried(1).await;
    let fan = shop.fan("ann").await;
    let (reference, page) = shop.overtaken(&event, &fan, json!({"provider": "sandbox"})).await;
    shop.choose(&page, "pay").await;
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(shop.tickets(&fan).await, [] as [Value; 0]);
    assert_eq!(shop.books(&reference).await, [18_000, 0, 0, 0, 18_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_stays_while_its_payment_is_under_way_once() {
    let shop = Shop::open().await;
    let event = shop.hurried(5).await;
    let fan = shop.fan("ann").await;
    let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let (reference, page) = shop.checked_out(&event, &fan, &wanted).await;
    let hold = async || {
        let path = format!("/api/v1/holds/{reference}");
        shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK)
    };
    let before = hold().await;
    shop.choose(&page, &format!("pay&card={PROCESSING}")).await;
    until("the hold waits", async || hold().await["expires_at"] != before["expires_at"]).await;
    let kept = hold().await;
    assert_eq!(
        (&kept["state"], &kept["extended"]),
        (&json!("held"), &json!(false)),
        "the fan has the own extension still"
    );
    // The money is there after eight seconds; the hold had five.
    let order = shop.order_becomes(&reference, &fan, "ticketed").await;
    assert_eq!(order["expires_at"], kept["expires_at"], "once");
    assert_eq!(shop.stock(&event).await["ticket_types"][0]["sold"], 1);
}
