//! Signing in, staying signed in, and no longer being signed in.

use futures_util::future::join_all;
use onsale::{
    domain::{
        account::Role,
        claims::{Access, Kind},
        id::FanId,
    },
    http::config::Config,
    stores::database::audit,
};
use reqwest::{Method, StatusCode, header::USER_AGENT};
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, until},
    served::{Served, config},
};

fn unauthorized(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

#[tokio::test]
async fn an_account_registers_logs_in_and_reads_itself() {
    let served = Served::start(config()).await;
    let ann = served.register("Ann@Example.org").await;
    let mut me = served.get("/api/v1/auth/me", Some(&ann.access)).await.expect(StatusCode::OK);
    assert_eq!(me["verified"].take(), false);
    let ann_is = json!({"id": ann.id, "email": "ann@example.org", "name": "Ann", "language": "en", "roles": ["fan"], "verified": null});
    assert_eq!(me, ann_is);
    let mut again = served.login(" ANN@example.org", PASSWORD).await.expect(StatusCode::OK);
    again["account"]["verified"] = Value::Null;
    assert_eq!(again["account"], me);
    assert_eq!(again["expires_in"], 900);
    assert_eq!(served.get("/api/v1/auth/me", None).await.problem(), unauthorized("unauthenticated"));
    assert_eq!(served.get("/api/v1/auth/me", Some("x.y.z")).await.problem(), unauthorized("invalid_token"));
    let body = json!({"email": "ann@example.org", "password": PASSWORD, "name": "Eve", "language": "en"});
    let taken = served.post("/api/v1/auth/register", None, body).await;
    assert_eq!(taken.problem(), (409, "email_taken".into()));
}

#[tokio::test]
async fn s_04_a_refresh_token_is_good_once_and_using_it_again_ends_the_session() {
    let served = Served::start(Config { refresh_grace: 0, ..config() }).await;
    let ann = served.register("ann@example.org").await;
    let second = served.refresh(&ann.refresh).await.expect(StatusCode::OK);
    let second_token = second["refresh_token"].as_str().expect("token");
    assert_ne!(second_token, ann.refresh);
    assert_eq!(served.refresh(&ann.refresh).await.problem(), unauthorized("refresh_reused"));
    assert_eq!(served.refresh(second_token).await.problem(), unauthorized("token_expired"), "the whole family is gone");
    let acts = audit::list(&served.below.database, None, 10).await.expect("audit").items;
    assert!(acts.iter().any(|act| act.action == "session.reuse_detected" && act.account == Some(ann.id)));
}

#[tokio::test]
async fn s_04_ten_refreshes_at_once_have_one_successor() {
    let served = Served::start(config()).await;
    let ann = served.register("ann@example.org").await;
    let answers = join_all((0..10).map(|_| served.refresh(&ann.refresh))).await;
    let first = answers[0].expect(StatusCode::OK)["refresh_token"].clone();
    for answer in &answers {
        assert_eq!(answer.expect(StatusCode::OK)["refresh_token"], first);
    }
    served.refresh(first.as_str().expect("token")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn s_04_without_grace_one_of_ten_refreshes_at_once_is_answered() {
    let served = Served::start(Config { refresh_grace: 0, ..config() }).await;
    let ann = served.register("ann@example.org").await;
    let answers = join_all((0..10).map(|_| served.refresh(&ann.refresh))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn s_04_the_grace_is_for_the_same_client_only() {
    let served = Served::start(config()).await;
    let ann = served.register("ann@example.org").await;
    served.refresh(&ann.refresh).await.expect(StatusCode::OK);
    let thief = served
        .client
        .post(format!("{}/api/v1/auth/refresh", served.public))
        .header(USER_AGENT, "another")
        .json(&json!({"refresh_token": ann.refresh}));
    let answer = crate::served::Answer::of(thief.send().await.expect("answer")).await;
    assert_eq!(answer.problem(), unauthorized("refresh_reused"));
}

#[tokio::test]
async fn s_04_refresh_tokens_that_are_not_ours_are_refused() {
    let served = Served::start(config()).await;
    let long = "a".repeat(5_000);
    for token in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "' OR 1=1 --", &long] {
        assert_eq!(served.refresh(token).await.problem(), unauthorized("invalid_token"), "{token}");
    }
}

#[tokio::test]
async fn s_04_logout_ends_refresh_and_access_on_every_node() {
    let served = Served::start(Config { ended_sessions_max_age: 1, ..config() }).await;
    let other = served.beside(Config { ended_sessions_max_age: 1, ..config() }).await;
    let ann = served.register("ann@example.org").await;
    other.get("/api/v1/auth/me", Some(&ann.access)).await.expect(StatusCode::OK);
    let answer = served.post("/api/v1/auth/logout", None, json!({"refresh_token": ann.refresh})).await;
    answer.expect(StatusCode::NO_CONTENT);
    assert_eq!(served.refresh(&ann.refresh).await.problem(), unauthorized("token_expired"));
    assert_eq!(served.post("/api/v1/auth/socket-ticket", Some(&ann.access), json!({})).await.problem().0, 401);
    until("the other node knows", async || {
        other.post("/api/v1/auth/socket-ticket", Some(&ann.access), json!({})).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[tokio::test]
async fn s_04_the_database_is_asked_about_a_token_only_while_the_list_of_ended_sessions_is_old() {
    let ask = async |served: &Served| {
        // Of an account that the database does not know: whoever asks it refuses.
        let access = Access::of(1, vec![Role::Fan]);
        let token = served.app.tokens.sign(Kind::Access, FanId::from_u128(1), 60, access);
        served.post("/api/v1/auth/socket-ticket", Some(&token), json!({})).await.status
    };
    let asking = Served::start(Config { ended_sessions_max_age: 0, ..config() }).await;
    assert_eq!(ask(&asking).await, StatusCode::UNAUTHORIZED);
    let served = Served::start(config()).await;
    until("the list is read", async || ask(&served).await == StatusCode::OK).await;
}

#[tokio::test]
async fn s_04_another_session_survives_a_logout_by_refreshing() {
    let served = Served::start(config()).await;
    let ann = served.register("ann@example.org").await;
    let phone = served.login("ann@example.org", PASSWORD).await.expect(StatusCode::OK);
    let answer = served.post("/api/v1/auth/logout", None, json!({"refresh_token": ann.refresh})).await;
    answer.expect(StatusCode::NO_CONTENT);
    let fresh = served.refresh(phone["refresh_token"].as_str().expect("token")).await.expect(StatusCode::OK);
    served.get("/api/v1/auth/me", fresh["access_token"].as_str()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn s_04_a_changed_password_ends_every_session() {
    let served = Served::start(config()).await;
    let ann = served.register("ann@example.org").await;
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let put = async |body| served.call(Method::PUT, "/api/v1/auth/password", Some(&ann.access), Some(body)).await;
    assert_eq!(put(change("wrong password", "another password")).await.problem(), unauthorized("wrong_credentials"));
    assert_eq!(put(change(PASSWORD, "short")).await.problem(), (422, "weak_password".into()));
    put(change(PASSWORD, "another password")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(served.get("/api/v1/auth/me", Some(&ann.access)).await.problem(), unauthorized("token_expired"));
    assert_eq!(served.refresh(&ann.refresh).await.problem(), unauthorized("token_expired"));
    assert_eq!(served.login("ann@example.org", PASSWORD).await.problem(), unauthorized("wrong_credentials"));
    served.login("ann@example.org", "another password").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn s_12_an_unknown_address_and_a_wrong_password_look_the_same() {
    let served = Served::start(config()).await;
    served.register("ann@example.org").await;
    let wrong = served.login("ann@example.org", "wrong password").await;
    let unknown = served.login("bob@example.org", "wrong password").await;
    let (mut a, mut b) = (wrong.json(), unknown.json());
    for body in [&mut a, &mut b] {
        body["request_id"].take();
    }
    assert_eq!((wrong.status, a), (unknown.status, b));
    assert_eq!(wrong.problem(), unauthorized("wrong_credentials"));
}

#[tokio::test]
async fn s_12_there_is_no_account_before_somebody_makes_one() {
    let served = Served::start(config()).await;
    for (email, password) in [("admin@example.org", "admin"), ("admin@localhost", "changeme"), ("admin", "admin")] {
        assert_eq!(served.login(email, password).await.problem(), unauthorized("wrong_credentials"));
    }
}

#[tokio::test]
async fn s_08_a_socket_ticket_is_for_allowed_origins_only() {
    let allowed = "https://fans.example";
    let served = Served::start(Config { allowed_origins: vec![allowed.into()], ..config() }).await;
    let ann = served.register("ann@example.org").await;
    let ask = async |origin: Option<&str>| {
        let mut request =
            served.client.post(format!("{}/api/v1/auth/socket-ticket", served.public)).bearer_auth(&ann.access);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        crate::served::Answer::of(request.send().await.expect("answer")).await
    };
    // Its own is allowed unasked, with the port that it was given.
    for origin in [None, Some(allowed), Some(served.public.as_str())] {
        let body = ask(origin).await.expect(StatusCode::OK);
        assert_eq!(body["expires_in"], 30);
        let claims = served.app.tokens.verify_socket(body["ticket"].as_str().expect("ticket")).await.expect("ours");
        assert_eq!((claims.sub, claims.about.org.as_deref()), (ann.id, origin));
    }
    for origin in ["null", "https://evil.example", "http://fans.example"] {
        assert_eq!(ask(Some(origin)).await.problem(), (403, "origin_not_allowed".into()), "{origin}");
    }
}

#[tokio::test]
async fn a_role_is_in_force_at_once_here_and_soon_on_other_nodes() {
    let quick = || Config { ended_sessions_max_age: 1, ..config() };
    let served = Served::start(quick()).await;
    let other = served.beside(quick()).await;
    let admin = served.with_roles("root@example.org", &[Role::Fan, Role::Admin]).await;
    let ann = served.register("ann@example.org").await;
    other.get("/api/v1/auth/me", Some(&ann.access)).await.expect(StatusCode::OK);
    let path = format!("/api/v1/admin/accounts/{}/roles", ann.id);
    let body = json!({"roles": ["fan", "organizer"], "reason": "joins the team"});
    let changed = served.call(Method::PUT, &path, Some(&admin.access), Some(body)).await.expect(StatusCode::OK);
    assert_eq!(changed["roles"], json!(["fan", "organizer"]));
    assert_eq!(served.get("/api/v1/auth/me", Some(&ann.access)).await.problem(), unauthorized("token_expired"));
    until("the other node knows", async || {
        other.post("/api/v1/auth/socket-ticket", Some(&ann.access), json!({})).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    let fresh = other.refresh(&ann.refresh).await.expect(StatusCode::OK);
    let me = other.get("/api/v1/auth/me", fresh["access_token"].as_str()).await.expect(StatusCode::OK);
    assert_eq!(me["roles"], json!(["fan", "organizer"]));
}
