//! Passes: what other sites know of an admission, and that they are good for nothing here.

use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use super::shop::Shop;
use crate::{
    harness::{in_time, until},
    served::{Served, SignedIn},
};

async fn pass(served: &Served, event: &str, fan: &SignedIn) -> (String, Value) {
    let path = format!("/api/v1/events/{event}/queue/pass");
    let body = served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
    (body["pass"].as_str().expect("a pass").to_owned(), body)
}

async fn keys(served: &Served) -> Vec<Value> {
    let keys = served.get("/.well-known/jwks.json", None).await;
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    keys.expect(StatusCode::OK)["keys"].as_array().expect("keys").clone()
}

/// What PyJWT makes of it: claims, or that it is refused.
async fn by_another_library(folder: &Path, keys: &[Value], pass: &str) -> String {
    let file = folder.join("jwks.json");
    std::fs::write(&file, json!({"keys": keys}).to_string()).expect("written");
    let script = format!("{}/tests/clients/pass.py", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("/usr/bin/python3").arg(script).arg(&file).args(["onsale", pass]).output();
    let output = in_time(output).await.expect("scripts/packages test installs it");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_is_good_for_other_sites_until_the_admission_ends_and_for_nothing_here() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let (fan, other) = (shop.fan("ann").await, shop.fan("bob").await);
    let path = format!("/api/v1/events/{event}/queue/pass");
    for asker in [&fan, &other] {
        let refused = served.get(&path, Some(&asker.access)).await;
        assert_eq!(refused.problem(), (403, "not_admitted".into()));
    }
    let admission = shop.admitted(&event, &fan).await;
    let (first, body) = pass(served, &event, &fan).await;
    let state = served.get(&format!("/api/v1/events/{event}/queue"), Some(&fan.access)).await.expect(StatusCode::OK);
    let end = |text: &Value| text.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time").as_second();
    assert_eq!(end(&body["expires_at"]), end(&state["admissionExpiresAt"]));

    let folder = tempfile::tempdir().expect("a folder");
    let published = keys(served).await;
    assert_eq!(
        (&published[0]["kty"], &published[0]["crv"], &published[0]["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("sig"))
    );
    let said: Value =
        serde_json::from_str(&by_another_library(folder.path(), &published, &first).await).expect("claims");
    let expected = json!({"iss": "onsale", "aud": "onsale:pass", "sub": fan.id, "event": event, "jti": said["jti"],
        "iat": said["iat"], "exp": end(&body["expires_at"])});
    assert_eq!(said, expected);
    assert_eq!(part(&pass(served, &event, &fan).await.0, 1)["jti"], said["jti"], "one admission, one name");
    // Altered, signed by nobody, or of another kind.
    let (signed, signature) = first.rsplit_once('.').expect("three parts");
    let (header, _) = signed.split_once('.').expect("three parts");
    let mut longer = said.clone();
    longer["exp"] = json!(4_000_000_000u64);
    let longer = URL_SAFE_NO_PAD.encode(longer.to_string());
    for wrong in [format!("{header}.{longer}.{signature}"), format!("{signed}.{}", "A".repeat(86))] {
        assert!(by_another_library(folder.path(), &published, &wrong).await.starts_with("refused"), "{wrong}");
    }

    // It buys nothing here, and an admission token is no pass.
    let hold = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let refused = shop.hold(&event, &fan, &first, &shop.key(), &hold).await;
    assert_eq!(refused.problem(), (403, "admission_invalid".into()));
    assert_eq!(served.get("/api/v1/auth/me", Some(&first)).await.problem(), (401, "invalid_token".into()));
    let introspect = async |event: &str, pass: &str| {
        let path = format!("/api/v1/events/{event}/queue/pass/introspect");
        served.post(&path, None, json!({"pass": pass})).await.expect(StatusCode::OK)
    };
    let active = introspect(&event, &first).await;
    assert_eq!(active, json!({"active": true, "sub": fan.id, "jti": said["jti"], "exp": said["exp"]}));
    let elsewhere = shop.published().await;
    for (event, wrong) in [(&event, admission.as_str()), (&event, "x"), (&elsewhere, first.as_str())] {
        assert_eq!(introspect(event, wrong).await, json!({"active": false}));
    }
    // Who asks whether there is an admission hears when it is gone; a site that does not believes the pass until it expires.
    served.call(reqwest::Method::DELETE, &format!("/api/v1/events/{event}/queue"), Some(&fan.access), None).await;
    until("the admission is over", async || introspect(&event, &first).await == json!({"active": false})).await;
    assert_eq!(served.get(&path, Some(&fan.access)).await.problem(), (403, "not_admitted".into()));
    assert!(by_another_library(folder.path(), &published, &first).await.starts_with('{'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_passes_change_with_the_generation_and_are_published_before_they_sign() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let operator = served.with_roles("operator@example.org", &[Role::Fan, Role::Operator]).await;
    let fan = shop.fan("ann").await;
    shop.admitted(&event, &fan).await;
    let old = keys(served).await;
    served
        .post("/api/v1/admin/keys/rotate", Some(&operator.access), json!({"reason": "drill"}))
        .await
        .expect(StatusCode::OK);
    until("a new key is published", async || keys(served).await.len() == 2).await;
    let published = keys(served).await;
    assert_eq!(published[1], old[0]);
    let (pass, _) = pass(served, &event, &fan).await;
    assert_eq!(part(&pass, 0)["kid"], old[0]["kid"], "others may not have fetched the new one yet");
    let folder = tempfile::tempdir().expect("a folder");
    assert!(by_another_library(folder.path(), &published, &pass).await.starts_with('{'));
    let ticket_keys = served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
    let others: Vec<_> = ticket_keys["keys"].as_array().expect("keys").iter().map(|key| key["x"].clone()).collect();
    assert!(published.iter().all(|key| !others.contains(&key["x"])), "keys of their own");
}
