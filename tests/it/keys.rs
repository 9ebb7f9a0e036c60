//! Keys are changed while everything goes on: nobody is turned away for it, at any node.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use onsale::{
    domain::{account::Role, ticket::TicketCode},
    http::config::Config,
    stores::{
        database::audit,
        etcd::{Etcd, lease::LeaseKeeper},
        keys::{KeyStore, etcd::EtcdKeys},
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    etcd_members::Members,
    harness::{PASSWORD, database_of_its_own, in_time, one_etcd, until},
    node::Site,
    sale::shop::{Shop, heard, say},
    served::{Served, SignedIn, config},
};

const KEYS: &str = "/api/v1/admin/keys";
const ROTATE: &str = "/api/v1/admin/keys/rotate";

/// Of the keys that signed it.
fn generation(token: &str) -> u32 {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    let kid = header["kid"].as_str().expect("a key id");
    kid.split('.').next().and_then(|number| number.parse().ok()).expect("a generation")
}

/// One more than the one before, or a few: numbers whose ticket keys would share a name are passed over.
async fn newest(served: &Served, operator: &SignedIn) -> u32 {
    let report = served.get(KEYS, Some(&operator.access)).await.expect(StatusCode::OK);
    let last = report["generations"].as_array().and_then(|all| all.last()).expect("generations");
    last["generation"].as_u64().and_then(|number| u32::try_from(number).ok()).expect("a number")
}

async fn settled(served: &Served, operator: &SignedIn) {
    until("the new generation signs", async || {
        served.get(KEYS, Some(&operator.access)).await.expect(StatusCode::OK)["settled"] == true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_03_amid_a_sale_keys_are_rotated_and_nobody_notices() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let operator = served.with_roles("operator@example.org", &[Role::Fan, Role::Operator]).await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let mut socket = shop.socket(&event, &fan).await;
    let before = served.get(KEYS, Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!((&before["generations"][0]["state"], &before["settled"]), (&json!("signing"), &json!(true)));

    served.post(ROTATE, Some(&operator.access), json!({"reason": "quarterly"})).await.expect(StatusCode::OK);
    settled(served, &operator).await;

    let carol = shop.fan("carol").await;
    let newest = newest(served, &operator).await;
    assert!(newest > 1);
    assert_eq!((generation(&fan.access), generation(&admission), generation(&carol.access)), (1, 1, newest));
    // What the old generation signed is as good as before.
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let hold = shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    say(&mut socket, r#"{"type": "ping"}"#).await;
    while heard(&mut socket).await["type"] != "pong" {}
    let fresh = shop.admitted(&event, &carol).await;
    assert_eq!(generation(&fresh), newest);
    shop.hold(&event, &carol, &fresh, &shop.key(), &body).await.expect(StatusCode::CREATED);

    // A ticket is good by a key that doors could have fetched long ago.
    let reference = hold["reference"].as_str().expect("reference");
    let checkout = format!("/orders/{reference}/checkout");
    let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
    shop.choose(&page, "pay").await;
    shop.order_becomes(reference, &fan, "ticketed").await;
    let tickets = served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
    let code = TicketCode::from_text(tickets["items"][0]["code"].as_str().expect("a code")).expect("a code");
    let published = served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
    let published = published["keys"].as_array().expect("keys");
    assert_eq!(published.len(), 2);
    assert_eq!(published[1]["kid"], code.code.key_id.to_string(), "still the first one");

    let acts = audit::list(&served.below.database, None, 10).await.expect("audit").items;
    assert!(acts.iter().any(|act| act.action == "keys.rotate" && act.reason == "quarterly"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_03_until_a_new_generation_signs_the_old_one_does_and_there_is_no_third() {
    let served = Served::start(Config { keys_overlap: 3_600, ..config() }).await;
    let operator = served.with_roles("operator@example.org", &[Role::Fan, Role::Operator]).await;
    let begun = served.post(ROTATE, Some(&operator.access), json!({"reason": "drill"})).await.expect(StatusCode::OK);
    let states = [&begun["generations"][0]["state"], &begun["generations"][1]["state"]];
    assert_eq!((states, &begun["settled"]), ([&json!("signing"), &json!("waiting")], &json!(false)));
    assert_eq!(begun["nodes"], json!([{"node": "n1", "believes": begun["generations"][1]["generation"], "signs": 1}]));
    let again = served.post(ROTATE, Some(&operator.access), json!({"reason": "drill"})).await;
    assert_eq!(again.problem(), (409, "rotation_running".into()));
    let blank = served.post(ROTATE, Some(&operator.access), json!({"reason": " "})).await;
    assert_eq!(blank.problem(), (422, "invalid_body".into()));
    assert_eq!(generation(&served.register("ann@example.org").await.access), 1);
    let published = served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
    assert_eq!(published["keys"].as_array().map(Vec::len), Some(2), "doors can fetch it before it is used");
}

/// A fan who goes from node to node, with tokens of either.
async fn wander(nodes: [&Served; 2], email: &str, turns: &AtomicU32, over: &AtomicBool) {
    let mut at = 0;
    let mut next = || {
        at = 1 - at;
        nodes[at]
    };
    while !over.load(Ordering::Relaxed) {
        let signed_in = next().login(email, PASSWORD).await.expect(StatusCode::OK);
        let access = signed_in["access_token"].as_str().expect("a token");
        next().get("/api/v1/auth/me", Some(access)).await.expect(StatusCode::OK);
        next().get("/api/v1/auth/me", Some(access)).await.expect(StatusCode::OK);
        turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each fan's token was signed at one node and taken at the other from now on as well.
async fn some_turns(turns: &AtomicU32) {
    let until_then = turns.load(Ordering::Relaxed) + 20;
    until("fans wander on", async || turns.load(Ordering::Relaxed) >= until_then).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_take_each_others_tokens_before_during_and_after_however_late_one_of_them_learns_of_it() {
    let Some(endpoint) = one_etcd() else { return };
    let key = format!("onsale/test/keys-{:032x}", rand::random::<u128>());
    let store = async |node: &str| {
        let connect = async || Etcd::new(std::slice::from_ref(&endpoint)).await.expect("an address");
        let lease = LeaseKeeper::start(connect().await);
        let store: Arc<dyn KeyStore> = Arc::new(EtcdKeys::new(Arc::new(connect().await), lease, node, &key));
        store
    };
    let home = Served::start(config()).await;
    let (quick, never) = (Duration::from_millis(50), Duration::from_secs(100_000));
    let first = home.beside_with_keys(config(), store("n1").await, quick).await;
    let lagging = home.beside_with_keys(config(), store("n2").await, never).await;
    let operator = home.with_roles("operator@example.org", &[Role::Fan, Role::Operator]).await;
    let emails = ["a", "b", "c", "d"].map(|name| format!("{name}@example.org"));
    for email in &emails {
        home.register(email).await;
    }
    let (turns, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let fans = join_all(emails.iter().map(|email| wander([&first, &lagging], email, &turns, &over)));
    let rotating = async {
        some_turns(&turns).await;
        let access = Some(operator.access.as_str());
        first.post(ROTATE, access, json!({"reason": "drill"})).await.expect(StatusCode::OK);
        let newest = newest(&first, &operator).await;
        until("the first node signs with it", async || first.app.keys.in_force().signs.0 == newest).await;
        some_turns(&turns).await;
        // By a token that it did not know.
        assert_eq!(lagging.app.keys.in_force().signs.0, newest);
        let report = first.get(KEYS, access).await.expect(StatusCode::OK);
        let of = |node: &str| report["nodes"].as_array().and_then(|all| all.iter().find(|row| row["node"] == node));
        assert_eq!(of("n1"), Some(&json!({"node": "n1", "believes": newest, "signs": newest})));
        // It does not say so by itself, but when it is asked.
        settled(&lagging, &operator).await;
        some_turns(&turns).await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(fans, rotating);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_rotates_the_keys_of_every_node_and_waits_for_that() {
    let Some(database) = database_of_its_own().await else { return };
    let members = Members::start(1, &[]).await;
    let site = || {
        Site::embedded()
            .set("stores.etcd", &members.urls()[0])
            .set("stores.database", &database)
            .set("http.keys_overlap", "1")
    };
    let (a, z) = (site(), site());
    let first = a.start().await;
    let secret = std::path::Path::new(&a.config().stores.data_dir).join("root.secret");
    let z = z.set("http.root_secret_file", &secret.display().to_string());
    let _last = z.start().await;
    let (operator, fan) = (a.account("operator").await, z.account("organizer").await);
    assert_eq!((generation(&operator), generation(&fan)), (1, 1));

    let onsale = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(arguments).args(["--admin-url", &format!("http://{}", z.config().http.admin_listen)]);
        command.env("ONSALE_TOKEN", &operator);
        async move { in_time(command.output()).await.expect("it runs") }
    };
    let rotated = onsale(&["keys", "rotate", "--reason", "drill"]).await;
    let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
    assert!(rotated.status.success(), "{said} {}", String::from_utf8_lossy(&rotated.stderr));
    assert!(said.contains("believed by 2 of 2 nodes, signs at 2"), "{said}");
    let status = onsale(&["keys", "status"]).await;
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && said.contains("signing") && said.contains("believed"), "{said}");

    for site in [&a, &z] {
        let fresh = site.account("organizer").await;
        assert!(generation(&fresh) > 1);
        for other in [&a, &z] {
            for token in [&fan, &fresh] {
                let url = format!("http://{}/api/v1/auth/me", other.config().http.listen);
                let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
            }
        }
    }
    // What is stored outlives the process.
    first.kill().await;
    let _first = a.start().await;
    assert!(generation(&a.account("organizer").await) > 1);
}
