//! What the port of payment providers promises, shown on each of them.

use std::sync::Arc;

use onsale::{
    domain::{
        id::{EventId, OrderId, OrderRef, PaymentId, RefundId},
        money::Money,
        refund::RefundKey,
        time::Millis,
    },
    http::now,
    stores::{
        database::{
            Database,
            sandbox::{self, Card, Decision},
        },
        error::StoreError,
        provider::{Agreement, PaymentProvider, Providers, RefundAnswer, RefundRequest, SessionRequest, Standing},
    },
};

use crate::psp;

fn request(amount: Money) -> SessionRequest {
    SessionRequest {
        key: PaymentId::from_u128(rand::random()),
        reference: OrderRef { event: EventId::from_u128(rand::random()), order: OrderId::from_u128(rand::random()) },
        amount,
        description: "Concert: 2 × Standing".into(),
        shop_url: "https://shop.example".into(),
        return_url: "https://shop.example/back?a=1&b=2".into(),
        at: now(),
        expires_at: now() + Millis::minutes(10),
    }
}

/// `pay` does what a fan does, in the provider's own way.
async fn keeps_its_promises(
    provider: Arc<dyn PaymentProvider>,
    currency: &str,
    pay: impl AsyncFn(&SessionRequest, &str),
) {
    let amount = |minor| Money { minor, currency: currency.parse().expect("a currency") };
    let name = provider.name();

    // The same session for the same key, another one for another.
    let first = request(amount(5_000));
    let opened = provider.open(&first).await.expect("opened");
    assert_eq!(provider.open(&first).await.expect("opened"), opened, "{name}");
    assert!(!opened.session.is_empty() && opened.url.starts_with("http"), "{name}: {opened:?}");
    let second = request(amount(7_000));
    let other = provider.open(&second).await.expect("opened");
    assert_ne!(other.session, opened.session, "{name}");
    assert_eq!(provider.look(&opened.session).await.expect("looked"), Standing::Open, "{name}");

    // Nobody can pay what was closed; closing again is no harm.
    for _ in 0..2 {
        assert_eq!(provider.close(&other.session).await.expect("closed"), Standing::Ended, "{name}");
    }

    // What was paid stays paid, and is told with its amount.
    pay(&first, &opened.session).await;
    let paid = Standing::Paid(amount(5_000));
    assert_eq!(provider.look(&opened.session).await.expect("looked"), paid, "{name}");
    assert_eq!(provider.close(&opened.session).await.expect("asked"), paid, "{name}");

    // Money goes back once for each key, in parts, and the payment stays one that was paid.
    let key = |n| RefundKey { id: RefundId::from_u128(rand::random()), round: n };
    let (some, rest) = (key(0), key(3));
    for (key, minor) in [(some, 2_000), (some, 2_000), (rest, 3_000), (some, 2_000), (rest, 3_000)] {
        let request = RefundRequest { key, session: opened.session.clone(), amount: amount(minor) };
        assert_eq!(provider.refund(&request).await.expect("asked"), RefundAnswer::Done, "{name}");
    }
    assert_eq!(provider.look(&opened.session).await.expect("looked"), paid, "{name}");
    // By pages of any size.
    for limit in [1, 2, 100] {
        let records = psp::records(provider.as_ref(), limit).await;
        let of = |session: &str| records.iter().find(|record| record.session == session);
        let paid = of(&opened.session).map(|record| (record.captured_minor, record.refunded_minor));
        assert_eq!(paid, Some((5_000, 5_000)), "{name}");
        let unpaid = of(&other.session).map_or((0, 0), |record| (record.captured_minor, record.refunded_minor));
        assert_eq!(unpaid, (0, 0), "{name}");
    }

    // What was never paid does not go back.
    let request = RefundRequest { key: key(0), session: other.session, amount: amount(1) };
    let answer = provider.refund(&request).await;
    assert!(matches!(answer, Ok(RefundAnswer::Refused(_)) | Err(StoreError::Invalid(_))), "{name}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = onsale::stores::config::Config { data_dir: folder.path().to_owned(), ..Default::default() };
    let database = Database::connect(&config).await.expect("opens");
    database.migrate().await.expect("tables");
    let provider = Providers::sandbox(&database).by_name("sandbox").expect("there");
    let pay = async |_: &SessionRequest, session: &str| {
        let decision = Decision { to: sandbox::State::Paid, card: Card::Good, says: &[] };
        sandbox::decide(&database, session, decision, now()).await.expect("paid");
    };
    keeps_its_promises(provider, "EUR", pay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_keeps_its_promises() {
    let (folder, stub) = (tempfile::tempdir().expect("temporary folder"), psp::stripe::Stub::start().await);
    let (database, config) = (nowhere(folder.path()).await, psp::config(folder.path(), Some(&stub), None));
    let provider = Providers::open(&config, &database).expect("good").by_name("stripe").expect("there");
    keeps_its_promises(provider, "EUR", async |_: &SessionRequest, session: &str| stub.pay(session).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn toss_keeps_its_promises() {
    let (folder, stub) = (tempfile::tempdir().expect("temporary folder"), psp::toss::Stub::start().await);
    let (database, config) = (nowhere(folder.path()).await, psp::config(folder.path(), None, Some(&stub)));
    let provider = Providers::open(&config, &database).expect("good").by_name("toss").expect("there");
    let confirmed = provider.clone();
    let pay = async move |request: &SessionRequest, session: &str| {
        let token = stub.agree(session, request.amount.minor);
        let (key, session, amount) = (request.key, session.to_owned(), request.amount);
        let agreement = Agreement { key, session, token, amount };
        for _ in 0..2 {
            let standing = confirmed.confirm(&agreement).await.expect("confirmed");
            assert_eq!(standing, Standing::Paid(amount), "any number of times");
        }
    };
    keeps_its_promises(provider, "KRW", pay).await;
}

/// A database that these providers do not need.
async fn nowhere(folder: &std::path::Path) -> Database {
    let config = onsale::stores::config::Config { data_dir: folder.to_owned(), ..Default::default() };
    Database::connect(&config).await.expect("opens")
}
