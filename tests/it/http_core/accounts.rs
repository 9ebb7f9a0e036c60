//! What admins do to accounts, and that nobody else does it.

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    harness::PASSWORD,
    served::{Served, config},
};

#[tokio::test]
async fn s_22_nobody_registers_with_fields_of_their_own_choice() {
    let served = Served::start(config()).await;
    let more = [
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("status", json!("active")),
        ("id", json!("0")),
        ("user_id", json!(1)),
        ("session_version", json!(0)),
    ];
    for (field, value) in more {
        let mut body = json!({"email": "eve@example.org", "password": PASSWORD, "name": "Eve", "language": "en"});
        body[field] = value;
        let answer = served.post("/api/v1/auth/register", None, body).await;
        assert_eq!(answer.problem(), (422, "invalid_body".into()), "{field}");
    }
    assert_eq!(served.login("eve@example.org", PASSWORD).await.problem().0, 401, "nothing was made");
}

#[tokio::test]
async fn an_admin_finds_accounts_and_every_change_leaves_a_row() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("root@example.org", &[Role::Fan, Role::Admin]).await;
    let ann = served.register("ann@example.org").await;
    let found = served.get("/api/v1/admin/accounts?q=ann%40&limit=1", Some(&admin.access)).await.expect(StatusCode::OK);
    assert_eq!(found["items"][0]["email"], "ann@example.org");
    assert!(found["items"][0].get("password_hash").is_none());
    let path = format!("/api/v1/admin/accounts/{}", ann.id);
    let put = async |what: &str, body| {
        served.call(Method::PUT, &format!("{path}/{what}"), Some(&admin.access), Some(body)).await
    };
    put("status", json!({"status": "disabled", "reason": "fraud"})).await.expect(StatusCode::OK);
    assert_eq!(served.get("/api/v1/auth/me", Some(&ann.access)).await.problem(), (403, "account_disabled".into()));
    assert_eq!(served.refresh(&ann.refresh).await.problem().0, 401);
    assert_eq!(served.login("ann@example.org", PASSWORD).await.problem(), (403, "account_disabled".into()));
    put("status", json!({"status": "active", "reason": "mistake"})).await.expect(StatusCode::OK);
    served.login("ann@example.org", PASSWORD).await.expect(StatusCode::OK);
    put("roles", json!({"roles": ["staff"], "reason": "door"})).await.expect(StatusCode::OK);

    let audit = served.get("/api/v1/admin/audit?limit=3", Some(&admin.access)).await.expect(StatusCode::OK);
    let rows = audit["items"].as_array().expect("rows");
    let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().expect("action")).collect();
    assert_eq!(actions, ["account.roles", "account.enable", "account.disable"]);
    for row in rows {
        assert_eq!((&row["account"], &row["object"]), (&json!(admin.id), &json!(ann.id)));
        assert_eq!((&row["role"], &row["address"]), (&json!("admin"), &json!("127.0.0.1")));
        assert!(!row["request_id"].as_str().expect("id").is_empty());
    }
}

#[tokio::test]
async fn an_admin_cannot_lock_the_last_admin_out() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("root@example.org", &[Role::Fan, Role::Admin]).await;
    let path = format!("/api/v1/admin/accounts/{}", admin.id);
    for (what, body) in [
        ("roles", json!({"roles": ["fan"], "reason": "oops"})),
        ("status", json!({"status": "disabled", "reason": "oops"})),
    ] {
        let answer = served.call(Method::PUT, &format!("{path}/{what}"), Some(&admin.access), Some(body)).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()), "{what}");
    }
}

#[tokio::test]
async fn changes_that_name_nothing_or_nobody_are_refused() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("root@example.org", &[Role::Admin]).await;
    let ann = served.register("ann@example.org").await;
    let nobody = format!("{:032x}", 1);
    let roles = |roles: serde_json::Value| json!({"roles": roles, "reason": "r"});
    let table = [
        (ann.id.to_string(), roles(json!(["emperor"])), (422, "invalid_body")),
        (ann.id.to_string(), roles(json!("admin")), (422, "invalid_body")),
        (ann.id.to_string(), json!({"roles": ["fan"], "reason": " "}), (422, "invalid_body")),
        (ann.id.to_string(), json!({"roles": ["fan"]}), (422, "invalid_body")),
        (nobody, roles(json!(["fan"])), (404, "not_found")),
        ("x".to_owned(), roles(json!(["fan"])), (404, "not_found")),
        ("..%2f".to_owned(), roles(json!(["fan"])), (404, "not_found")),
    ];
    for (id, body, (status, code)) in table {
        let path = format!("/api/v1/admin/accounts/{id}/roles");
        let answer = served.call(Method::PUT, &path, Some(&admin.access), Some(body.clone())).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{id} {body}");
    }
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "color=red", "q=%00", "q=a%0ab"] {
        for list in ["/api/v1/admin/accounts", "/api/v1/events"] {
            let answer = served.get(&format!("{list}?{query}"), Some(&admin.access)).await;
            assert_eq!(answer.problem(), (400, "invalid_query".into()), "{list} {query}");
        }
    }
}

#[tokio::test]
async fn s_25_a_search_text_is_only_a_text() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("root@example.org", &[Role::Admin]).await;
    for q in ["%25", "_", "'%20OR%20'1'='1", "%22;--", "!%25"] {
        let answer = served.get(&format!("/api/v1/admin/accounts?q={q}"), Some(&admin.access)).await;
        assert_eq!(answer.expect(StatusCode::OK)["items"], json!([]), "{q}");
    }
}
