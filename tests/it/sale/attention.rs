//! What needs a person is on one page, and leaves it when it is done.

use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::Shop;
use crate::harness::until;

const REFUND_FAILS: &str = "4000000000000051";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_provider_refuses_is_there_until_it_is_done() {
    let shop = Shop::open().await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let items = async || {
        let read = shop.served.get("/api/v1/admin/attention", Some(&operator.access)).await.expect(StatusCode::OK);
        read["items"].as_array().expect("a list").clone()
    };
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let (reference, page) = shop.checked_out(&event, &fan, &wanted).await;
    shop.choose(&page, &format!("pay&card={REFUND_FAILS}")).await;
    shop.order_becomes(&reference, &fan, "ticketed").await;
    assert_eq!(items().await, [] as [Value; 0]);
    let refund = shop.refund(&reference, json!({"reason": "a broken leg"})).await.expect(StatusCode::CREATED);
    until("a person must look", async || !items().await.is_empty()).await;
    let found = items().await;
    assert_eq!((&found[0]["kind"], &found[0]["count"]), (&json!("refund_failed"), &json!(1)), "{found:?}");
    let see = format!("/api/v1/admin{}", found[0]["see"].as_str().expect("a path"));
    let listed = shop.served.get(&see, Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!(listed["items"][0]["id"], refund["id"]);
    let retry = format!("/api/v1/admin/refunds/{}/retry", refund["id"].as_str().expect("id"));
    shop.served.post(&retry, Some(&operator.access), json!({"reason": "asked them"})).await.expect(StatusCode::OK);
    until("nothing is left to do", async || items().await.is_empty()).await;
    shop.order_becomes(&reference, &fan, "refunded").await;
}
