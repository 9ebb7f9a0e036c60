//! S-21: what acts of weight ask of whoever does them.

use onsale::{
    domain::{
        account::Role,
        claims::{Access, Kind},
    },
    http::{now, tokens::unix_now},
    stores::database::{accounts, audit},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::PASSWORD,
    sale::shop::Shop,
    served::{Served, SignedIn, config},
};

/// An access token of this account, for which the password was given so long ago.
fn token(served: &Served, account: &SignedIn, sv: u32, role: Role, seconds_ago: Option<u64>) -> String {
    let auth_time = seconds_ago.map(|ago| unix_now() - ago);
    let access = Access { auth_time, ..Access::of(sv, vec![Role::Fan, role]) };
    served.app.tokens.sign(Kind::Access, account.id, 900, access)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_21_the_role_is_the_database_s_at_each_call_whatever_the_token_says() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("admin@example.org", &[Role::Admin]).await;
    let fan = served.register("ann@example.org").await;
    served.get("/api/v1/admin/accounts", Some(&admin.access)).await.expect(StatusCode::OK);
    let public = format!("{}/api/v1/admin/accounts", served.public);
    let elsewhere = served.client.get(public).bearer_auth(&admin.access).send().await.expect("an answer");
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND, "the public listener has no admin paths");
    // A role that only the token has.
    let forged = token(&served, &fan, 1, Role::Admin, Some(0));
    let refused = served.get("/api/v1/admin/accounts", Some(&forged)).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    // Taken away behind this node's back, as another node does: refused by the next call, not within a minute.
    let mut write = served.below.database.begin().await.expect("begins");
    accounts::set_roles(&mut write, admin.id, &[Role::Fan], now()).await.expect("set");
    write.commit().await.expect("committed");
    let refused = served.get("/api/v1/admin/accounts", Some(&admin.access)).await;
    assert_eq!(refused.problem(), (401, "token_expired".into()));
    let again = served.login("admin@example.org", PASSWORD).await.expect(StatusCode::OK);
    let refused = served.get("/api/v1/admin/accounts", again["access_token"].as_str()).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_21_prices_roles_and_exports_need_the_password_within_ten_minutes() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let admin = served.with_roles("admin@example.org", &[Role::Fan, Role::Admin]).await;
    let fan = shop.fan("ann").await;
    let roles = format!("/api/v1/admin/accounts/{}/roles", fan.id);
    let export = format!("/api/v1/admin/events/{event}/queue/draw");
    let path = format!("/api/v1/events/{event}");
    let read = served.get(&path, Some(&shop.organizer.access)).await.expect(StatusCode::OK);
    let mut types = read["ticket_types"].clone();
    for ticket_type in types.as_array_mut().expect("ticket types") {
        // As a client writes them.
        let kept = ["code", "name", "price", "stock", "seated", "quotas"];
        ticket_type
            .as_object_mut()
            .expect("one")
            .retain(|name, value| kept.contains(&name.as_str()) && !value.is_null());
    }
    types[0]["price"]["minor"] = json!(1);
    let (version, organizer) = (&read["version"], &shop.organizer);
    let cheap = json!({"version": version, "ticket_types": types});
    let to_staff = json!({"roles": ["fan", "staff"], "reason": "door"});
    for ago in [None, Some(601)] {
        let (old, owner) =
            (token(served, &admin, 2, Role::Admin, ago), token(served, organizer, 2, Role::Organizer, ago));
        for (method, path, who, body) in [
            (Method::PUT, &roles, &old, Some(to_staff.clone())),
            (Method::PATCH, &path, &owner, Some(cheap.clone())),
            (Method::GET, &export, &old, None),
        ] {
            let refused = served.call(method, path, Some(who), body).await;
            assert_eq!(refused.problem(), (403, "step_up_needed".into()), "{path}");
            assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("/auth/step-up")));
        }
    }
    // Whoever has only the token has not the password.
    let old = token(served, &admin, 2, Role::Admin, Some(601));
    let step_up = async |token: &str, password: &str| {
        served.post("/api/v1/auth/step-up", Some(token), json!({"password": password})).await
    };
    assert_eq!(step_up(&old, "guessed it").await.problem(), (401, "wrong_credentials".into()));
    let fresh = step_up(&old, PASSWORD).await.expect(StatusCode::OK);
    let fresh = fresh["access_token"].as_str().expect("a token");
    served.call(Method::PUT, &roles, Some(fresh), Some(to_staff.clone())).await.expect(StatusCode::OK);
    let refused = served.get(&export, Some(fresh)).await;
    assert_eq!(refused.problem(), (409, "draw_state".into()), "allowed, and there is none");
    // What has no weight goes on without.
    let owner = token(served, organizer, 2, Role::Organizer, None);
    let titled = json!({"version": version, "title": "Another title"});
    served.call(Method::PATCH, &path, Some(&owner), Some(titled)).await.expect(StatusCode::OK);
    // Signing in is the password too; refreshing is not.
    let cheap = json!({"version": version.as_u64().expect("a number") + 1, "ticket_types": cheap["ticket_types"]});
    let refreshed = served.refresh(&organizer.refresh).await.expect(StatusCode::OK);
    let refused = served.call(Method::PATCH, &path, refreshed["access_token"].as_str(), Some(cheap.clone())).await;
    assert_eq!(refused.problem(), (403, "step_up_needed".into()));
    let again = served.login("organizer@example.org", PASSWORD).await.expect(StatusCode::OK);
    served.call(Method::PATCH, &path, again["access_token"].as_str(), Some(cheap)).await.expect(StatusCode::OK);

    let acts = audit::list(&served.below.database, None, 50).await.expect("audit").items;
    let done = |action: &str, account| acts.iter().any(|act| act.action == action && act.account == Some(account));
    assert!(done("account.step_up", admin.id) && done("account.roles", admin.id) && done("event.change", organizer.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_21_each_act_of_those_with_a_role_leaves_a_row() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let admin = served.with_roles("admin@example.org", &[Role::Fan, Role::Admin]).await;
    let fan = shop.fan("ann").await;
    let (queue, account) =
        (format!("/api/v1/admin/events/{event}/queue"), format!("/api/v1/admin/accounts/{}", fan.id));
    let acts: [(Method, String, Value, &str); 13] = [
        (Method::POST, format!("{queue}/pause"), json!({"reason": "r"}), "queue.pause"),
        (Method::POST, format!("{queue}/resume"), json!({"reason": "r"}), "queue.resume"),
        (Method::PUT, format!("{queue}/rate"), json!({"per_minute": 600, "reason": "r"}), "queue.rate"),
        (Method::PUT, format!("{queue}/slots"), json!({"slots": 10, "reason": "r"}), "queue.slots"),
        (Method::PUT, format!("{queue}/mode"), json!({"mode": "fifo", "reason": "r"}), "queue.mode"),
        (Method::PUT, format!("{queue}/notice"), json!({"texts": {"en": "Soon."}, "reason": "r"}), "queue.notice"),
        (Method::POST, format!("{queue}/admit"), json!({"count": 1, "reason": "r"}), "queue.admit"),
        (Method::POST, format!("{queue}/remove"), json!({"count": 1, "reason": "r"}), "queue.remove"),
        (Method::POST, format!("{queue}/clear"), json!({"reason": "r"}), "queue.clear"),
        (
            Method::PUT,
            format!("/api/v1/admin/events/{event}/stock"),
            json!({"ticket_type": "GA", "stock": 49, "reason": "r"}),
            "stock.set",
        ),
        (Method::PUT, format!("{account}/roles"), json!({"roles": ["fan"], "reason": "r"}), "account.roles"),
        (Method::PUT, format!("{account}/status"), json!({"status": "disabled", "reason": "r"}), "account.disable"),
        (Method::POST, "/api/v1/admin/keys/rotate".into(), json!({"reason": "r"}), "keys.rotate"),
    ];
    for (method, path, body, _) in &acts {
        served.call(method.clone(), path, Some(&admin.access), Some(body.clone())).await.expect(StatusCode::OK);
    }
    for path in [account.clone(), "/api/v1/admin/accounts?q=ann".into()] {
        served.get(&path, Some(&admin.access)).await.expect(StatusCode::OK);
    }
    let rows = audit::list(&served.below.database, None, 100).await.expect("audit").items;
    let by_admin: Vec<_> =
        rows.iter().filter(|row| row.account == Some(admin.id)).map(|row| row.action.as_str()).collect();
    for action in acts.iter().map(|act| act.3).chain(["account.read", "account.list"]) {
        assert_eq!(by_admin.iter().filter(|row| **row == action).count(), 1, "{action}");
    }
    // An organizer's reach ends at the own events.
    let other = served.with_roles("other@example.org", &[Role::Fan, Role::Organizer]).await;
    for (method, path, body, _) in &acts[..10] {
        let refused = served.call(method.clone(), path, Some(&other.access), Some(body.clone())).await;
        assert_eq!(refused.problem(), (403, "forbidden".into()), "{path}");
    }
}
