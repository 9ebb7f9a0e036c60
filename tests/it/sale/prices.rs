//! What a fan sees first is what is paid: fees and taxes from the first view to the last refund.

use futures_util::future::join_all;
use onsale::{
    domain::time::Millis,
    http::{now, shapes::Timestamp},
    stores::database::checks,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{
    harness::until,
    served::{Answer, strict},
};

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

    pub(super) async fn change(&self, event: &str, mut body: Value) -> Value {
        let path = format!("/api/v1/events/{event}");
        let now = self.served.get(&path, None).await.expect(StatusCode::OK);
        body["version"] = now["version"].clone();
        let changed = self.served.call(Method::PATCH, &path, Some(&self.organizer.access), Some(body)).await;
        changed.expect(StatusCode::OK)
    }

    pub(super) async fn books_fit(&self, event: &str) {
        let (database, event) = (&self.served.below.database, event.parse().expect("id"));
        for wrong in [checks::unbalanced(database, event).await, checks::miscounted(database, event).await] {
            assert_eq!(wrong.expect("check"), []);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_price_seen_is_the_price_paid_and_goes_back_to_the_last_cent() {
    pay_what_was_seen(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_servers_the_first_price_seen_is_the_price_paid_and_goes_back_to_the_last_cent() {
    let Some(shop) = Shop::open_on_servers().await else { return };
    pay_what_was_seen(shop).await;
}

async fn pay_what_was_seen(shop: Shop) {
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

impl Shop {
    async fn codes(&self, event: &str, body: Value) -> Answer {
        let path = format!("/api/v1/admin/events/{event}/codes");
        self.served.call(Method::POST, &path, Some(&self.organizer.access), Some(body)).await
    }

    async fn uses(&self, event: &str) -> Vec<Value> {
        let path = format!("/api/v1/admin/events/{event}/codes");
        let told = self.served.get(&path, Some(&self.organizer.access)).await.expect(StatusCode::OK);
        told["codes"].as_array().expect("codes").iter().map(|code| code["uses"].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_used_as_often_as_it_may_be_however_many_come_at_once() {
    use_a_code_up(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_servers_a_code_is_used_as_often_as_it_may_be_however_many_come_at_once() {
    let Some(shop) = Shop::open_on_servers().await else { return };
    use_a_code_up(shop).await;
}

async fn use_a_code_up(shop: Shop) {
    let event = shop.published_as(charged()).await;
    let terms = json!({"discount": {"basis_points": 5_000}, "ticket_types": ["GA"], "max_uses": 7});
    let body = json!({"codes": ["early-bird"], "terms": terms, "reason": "a newsletter"});
    shop.codes(&event, body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(shop.codes(&event, body).await.problem(), (409, "code_exists".into()));

    let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 1}], "code": "Early-Bird"});
    let mut fans = Vec::new();
    for n in 0..20 {
        let fan = shop.fan(&format!("fan{n}")).await;
        let admission = shop.admitted(&event, &fan).await;
        fans.push((fan, admission));
    }
    let holds = join_all(
        fans.iter().map(async |(fan, admission)| (fan, shop.hold(&event, fan, admission, &shop.key(), &wanted).await)),
    );
    let (held, refused): (Vec<_>, Vec<_>) = holds.await.into_iter().partition(|(_, answer)| answer.status == 201);
    assert_eq!((held.len(), shop.uses(&event).await), (7, vec![json!(7)]));
    for (_, answer) in refused {
        assert_eq!(answer.problem(), (409, "code_used_up".into()));
    }
    // 15.00 + (1.50 + 0.38) + 7 %, and what is asked once: the discount comes first.
    for (n, (fan, answer)) in held.into_iter().enumerate() {
        let hold = answer.expect(StatusCode::CREATED);
        assert_eq!((&hold["lines"][0]["parts"]["discount"], &hold["total"]), (&eur(1_500), &eur(1_806 + 106)));
        let reference = hold["reference"].as_str().expect("reference");
        if n == 0 {
            let checkout = format!("/orders/{reference}/checkout");
            let opened = shop.act(&checkout, fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
            let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
            assert_eq!(shop.choose(&page, "pay").await, StatusCode::OK);
            shop.order_becomes(reference, fan, "ticketed").await;
            assert_eq!(shop.books(reference).await, [1_912, 0, 1_912, 0, 0]);
            let back = json!({"restock": true, "reason": "a broken leg"});
            assert_eq!(shop.refund(reference, back).await.expect(StatusCode::CREATED)["amount"], eur(1_912));
            until("the use is back", async || shop.uses(&event).await == [json!(6)]).await;
        } else {
            let path = format!("/api/v1/holds/{reference}");
            let released = shop.served.call(Method::DELETE, &path, Some(&fan.access), None).await;
            assert_eq!(released.status, StatusCode::NO_CONTENT);
        }
    }
    assert_eq!(shop.uses(&event).await, [json!(0)]);
    shop.books_fit(&event).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presale_is_for_those_with_a_code_and_codes_cannot_be_tried_out() {
    let shop = Shop::open_with(strict()).await;
    let mut body = Shop::concert();
    body["ticket_types"][0]["opens_at"] = json!("2034-01-01T00:00:00Z");
    body["ticket_types"][1]["needs_code"] = json!(true);
    let event = shop.published_as(body).await;
    let made =
        shop.codes(&event, json!({"count": 3, "terms": {"opens": true, "max_uses": 4}, "reason": "members"})).await;
    let made = made.expect(StatusCode::CREATED)["codes"].as_array().expect("codes").clone();
    let unlike: std::collections::HashSet<_> = made.iter().map(|code| code.as_str().expect("text")).collect();
    assert!(unlike.len() == 3 && unlike.iter().all(|code| code.len() == 13), "{unlike:?}");
    let left = shop.served.get(&format!("/api/v1/events/{event}/availability"), None).await.expect(StatusCode::OK);
    assert_eq!(left["ticket_types"][0]["opens_at"], "2034-01-01T00:00:00.000Z");
    assert_eq!(left["ticket_types"][1]["needs_code"], true);

    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let hold = async |body: Value| shop.hold(&event, &fan, &admission, &shop.key(), &body).await;
    let (standing, seat) = (json!([{"ticket_type": "GA", "quantity": 1}]), json!(["A-1-1"]));
    for body in [json!({"items": standing}), json!({"seats": seat})] {
        assert_eq!(hold(body).await.problem(), (403, "code_required".into()));
    }
    hold(json!({"items": standing, "code": made[0]})).await.expect(StatusCode::CREATED);
    hold(json!({"seats": seat, "code": made[1].as_str().expect("text").to_lowercase()}))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(shop.uses(&event).await, [json!(1), json!(1), json!(0)]);
    let withdraw = json!({"codes": [made[2]], "reason": "leaked"});
    let path = format!("/api/v1/admin/events/{event}/codes/withdraw");
    let withdrawn = shop.served.call(Method::POST, &path, Some(&shop.organizer.access), Some(withdraw)).await;
    assert_eq!(withdrawn.expect(StatusCode::OK)["withdrawn"], 1);
    let guess = json!({"items": standing, "code": made[2]});
    assert_eq!(hold(guess.clone()).await.problem(), (422, "unknown_code".into()));
    let answers = join_all((0..20).map(async |_| hold(guess.clone()).await.problem())).await;
    assert!(answers.contains(&(429, "rate_limited".into())), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_stock_is_there_from_its_time_on_and_not_before() {
    release_a_part(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_servers_a_part_of_the_stock_is_there_from_its_time_on_and_not_before() {
    let Some(shop) = Shop::open_on_servers().await else { return };
    release_a_part(shop).await;
}

async fn release_a_part(shop: Shop) {
    let mut body = Shop::concert();
    body["limits"] = json!({"per_order": 20, "per_fan": 20});
    body["quotas"] = json!([]);
    body["ticket_types"][0]["quotas"] = json!([]);
    body["ticket_types"][0]["releases"] = json!([
        {"at": "2033-01-01T00:00:00Z", "quantity": 20}, {"at": "2034-01-01T00:00:00Z", "quantity": 25}]);
    let event = shop.published_as(body).await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let hold = async |quantity: u32| {
        let body = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        shop.hold(&event, &fan, &admission, &shop.key(), &body).await
    };
    let path = format!("/api/v1/events/{event}/availability");
    let standing = async || shop.served.get(&path, None).await.expect(StatusCode::OK)["ticket_types"][0].clone();
    assert_eq!(hold(20).await.problem(), (409, "sold_out".into()));
    let mut types = shop.served.get(&format!("/api/v1/events/{event}"), None).await.expect(StatusCode::OK);
    types["ticket_types"][0]["releases"][0]["at"] = json!(Timestamp(now() + Millis::seconds(1)));
    shop.change(&event, json!({"ticket_types": types["ticket_types"]})).await;
    until("the first part is there", async || standing().await["free"] == 25).await;
    assert_eq!(standing().await["next_release"], json!({"at": "2034-01-01T00:00:00.000Z", "quantity": 25}));
    hold(20).await.expect(StatusCode::CREATED);
    let stock = shop.stock(&event).await["ticket_types"][0].clone();
    assert_eq!((&stock["free"], &stock["held"], &stock["blocked"]), (&json!(5), &json!(20), &json!(25)));
    // Not below what is taken: 5 are free, so no more than 30 can wait.
    let mut types = shop.served.get(&format!("/api/v1/events/{event}"), None).await.expect(StatusCode::OK);
    types["ticket_types"][0]["releases"] = json!([{"at": "2034-01-01T00:00:00Z", "quantity": 31}]);
    let change = json!({"version": types["version"], "ticket_types": types["ticket_types"]});
    let path = format!("/api/v1/events/{event}");
    let changed = shop.served.call(Method::PATCH, &path, Some(&shop.organizer.access), Some(change)).await;
    assert_eq!(changed.problem(), (409, "below_taken".into()));
}
