//! Operating a node alone over the admin API, and what must not be reachable from outside. How nodes among others are operated
//! is shown beside the cluster.

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{in_time, until},
    sale::shop::Shop,
    served::{Answer, Served, config},
};

const CLUSTER: &str = "/api/v1/admin/cluster";

#[tokio::test]
async fn an_operator_sees_what_a_node_runs_and_how_fast_it_commits() {
    let shop = Shop::open().await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let status = async || shop.served.get(CLUSTER, Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!(status().await["nodes"][0]["events"], json!([]), "nothing runs yet");

    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let one = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    shop.hold(&event, &fan, &admission, &shop.key(), &one).await.expect(StatusCode::CREATED);

    let told = status().await;
    let node = &told["nodes"][0];
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(1), "{told}");
    let known = ["node", "state", "drained", "answers", "links", "link", "version", "lease_ms_left"].map(|f| &node[f]);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(json!(known), json!(["n1", "up", false, true, [], "", version, null]), "{told}");
    let running = &node["events"][0];
    assert_eq!((&running["event"], &running["active"], &running["holds"]), (&json!(event), &json!(true), &json!(1)));
    assert!(running["epoch"].as_u64().is_some_and(|epoch| epoch > 0), "{told}");

    let rate = format!("/api/v1/admin/events/{event}/queue/rate");
    let mut per_minute = 100;
    until("its commits are seen", async || {
        per_minute += 1;
        let body = json!({"per_minute": per_minute, "reason": "something to commit"});
        shop.served.call(Method::PUT, &rate, Some(&operator.access), Some(body)).await.expect(StatusCode::OK);
        status().await["nodes"][0]["events"][0]["commits_per_second"].as_f64().is_some_and(|rate| rate > 0.0)
    })
    .await;
}

#[tokio::test]
async fn a_node_alone_cannot_be_drained_and_the_attempt_is_in_the_audit() {
    let served = Served::start(config()).await;
    let operator = served.with_roles("operator@example.org", &[Role::Operator]).await;
    let admin = served.with_roles("admin@example.org", &[Role::Admin]).await;
    let event = format!("{:032x}", 7);
    let act = async |path: String, body: Value| -> Answer {
        served.post(&format!("{CLUSTER}/{path}"), Some(&operator.access), body).await
    };
    let why = json!({"reason": "maintenance"});
    let to = json!({"to": "n2", "reason": "a quieter place"});
    let back = json!({"to": null, "reason": "as it was"});
    for (path, body, expected) in [
        ("nodes/n1/drain".to_owned(), why.clone(), (409, "no_cluster")),
        ("nodes/n1/undrain".to_owned(), why.clone(), (409, "no_cluster")),
        (format!("events/{event}/move"), to, (409, "no_cluster")),
        (format!("events/{event}/move"), back, (409, "no_cluster")),
        // What is refused before anybody is asked is not in the audit.
        ("nodes/N1/drain".to_owned(), why.clone(), (404, "unknown_node")),
        (format!("nodes/{}/drain", "n".repeat(33)), why.clone(), (404, "unknown_node")),
        ("nodes/n1/drain".to_owned(), json!({"reason": " "}), (422, "invalid_body")),
        ("nodes/n1/drain".to_owned(), json!({"reason": "x", "force": true}), (422, "invalid_body")),
        (format!("events/{event}/move"), json!({"to": "no such name", "reason": "x"}), (404, "unknown_node")),
        (format!("events/{event}/move"), json!({"to": 3, "reason": "x"}), (422, "invalid_body")),
        ("events/x/move".to_owned(), why.clone(), (404, "not_found")),
    ] {
        let (status, code) = act(path.clone(), body.clone()).await.problem();
        assert_eq!((status, code.as_str()), expected, "{path} {body}");
    }
    let rows = served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let of_cluster = rows["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row["action"].as_str().is_some_and(|action| action.starts_with("cluster.")));
    let told: Vec<_> =
        of_cluster.map(|row| json!([row["action"], row["object"], row["role"], row["reason"]])).collect();
    let expected = json!([
        ["cluster.move", event, "operator", "to any node: as it was"],
        ["cluster.move", event, "operator", "to n2: a quieter place"],
        ["cluster.undrain", "n1", "operator", "maintenance"],
        ["cluster.drain", "n1", "operator", "maintenance"],
    ]);
    assert_eq!(json!(told), expected);
}

#[tokio::test]
async fn s_56_admin_and_metrics_are_not_on_the_public_listener() {
    let served = Served::start(config()).await;
    let admin = served.with_roles("admin@example.org", &[Role::Admin]).await;
    let ask = async |base: &str, method: &str, path: &str| -> Answer {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let request = served.client.request(method, format!("{base}{path}")).bearer_auth(&admin.access);
        Answer::of(request.json(&json!({"reason": "s-56"})).send().await.expect("an answer")).await
    };
    let document = serde_json::to_value(onsale::http::openapi::document()).expect("document");
    let mut paths = vec![("get".to_owned(), "/metrics".to_owned())];
    for (path, item) in document["paths"].as_object().expect("paths") {
        let filled = path.replace("{event}", &format!("{:032x}", 7)).replace("{node}", "n1").replace("{account}", "x");
        if path.starts_with("/api/v1/admin") {
            paths.extend(item.as_object().expect("operations").keys().map(|method| (method.clone(), filled.clone())));
        }
    }
    assert!(paths.len() > 15, "{paths:?}");
    for (method, path) in &paths {
        let outside = ask(&served.public, method, path).await;
        assert_eq!(outside.problem(), (404, "not_found".into()), "{method} {path}");
        // It is there: this account is let in, or at least the method is.
        let inside = ask(&served.admin, method, path).await;
        assert!(!matches!(inside.status.as_u16(), 401 | 403 | 405), "{method} {path}: {inside:?}");
    }
    assert!(ask(&served.admin, "get", "/metrics").await.text.contains("onsale_"), "the admin listener has them");
}

/// Runs the program; its exit status, standard output and standard error.
async fn onsale(served: &Served, token: &str, arguments: &[&str]) -> (bool, String, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(arguments)
        .args(["--admin-url", &served.admin])
        .env("ONSALE_TOKEN", token)
        .output();
    let output = in_time(command).await.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_line_shows_a_node_and_says_why_it_cannot_be_drained() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let operator = served.with_roles("operator@example.org", &[Role::Operator]).await;
    let run = async |arguments: &[&str]| onsale(served, &operator.access, arguments).await;

    let (good, table, _) = run(&["cluster", "status"]).await;
    assert!(good && table.starts_with("node  state") && table.contains("\nn1 ") && table.contains(&event), "{table}");
    let (good, json, _) = run(&["cluster", "status", "--json"]).await;
    let told: Value = serde_json::from_str(&json).expect("JSON");
    assert!(good && told["nodes"][0]["events"][0]["event"] == json!(event), "{json}");

    for arguments in
        [&["cluster", "drain", "n1"][..], &["cluster", "undrain", "n1"], &["cluster", "move", &event, "n2"]]
    {
        let (good, said, error) = run(arguments).await;
        assert!(!good && said.is_empty() && error.contains("(no_cluster)"), "{arguments:?}: {said}{error}");
    }
    let (good, _, error) = onsale(served, "nobody's", &["cluster", "status"]).await;
    assert!(!good && error.contains("(invalid_token)"), "{error}");
    let (good, stock, _) = run(&["stock", &event]).await;
    assert!(good && stock.contains("GA"), "{stock}");
}
