//! Operating a cluster over the admin API of any of its nodes.

use std::collections::BTreeSet;

use onsale::domain::id::EventId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::harness::{new_event, until};

struct Operator<'a> {
    fleet: &'a Fleet,
    access: String,
}

impl Operator<'_> {
    async fn call(&self, at: char, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let admin = self.fleet.site(at).config().http.admin_listen;
        let url = format!("http://{admin}/api/v1/admin/cluster{path}");
        let mut request = client.request(method, url).bearer_auth(&self.access);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// What is wanted, noted by the node that is asked.
    async fn act(&self, at: char, path: &str, to: Option<&str>) -> (u16, Value) {
        let reason = json!({"reason": "maintenance"});
        let body = if let Some(to) = to { json!({"reason": "a quieter place", "to": to}) } else { reason };
        let (status, answer) = self.call(at, Method::POST, path, Some(body)).await;
        (status.as_u16(), answer["code"].clone())
    }

    /// The node as another one tells.
    async fn sees(&self, at: char, node: &str) -> Value {
        let (status, answer) = self.call(at, Method::GET, "", None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let nodes = answer["nodes"].as_array().expect("a list");
        nodes.iter().find(|found| found["node"] == node).unwrap_or(&Value::Null).clone()
    }
}

fn events(node: &Value) -> BTreeSet<EventId> {
    let events = node["events"].as_array().into_iter().flatten();
    events.map(|event| event["event"].as_str().expect("an id").parse().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_and_moves_the_events_of_all_nodes_from_any_of_them() {
    let Some(fleet) = Fleet::open(&['a', 'z']).await else { return };
    let all = fleet.events('z', 6).await;
    fleet.at_home(&all, &['a', 'z']).await;
    let (a, z) = (fleet.name('a'), fleet.name('z'));
    let operator = Operator { fleet: &fleet, access: fleet.site('a').account("operator").await };
    for at in ['a', 'z'] {
        // An owner is known before its event runs.
        until("each event is seen where it runs", async || {
            let seen = (events(&operator.sees(at, &a).await), events(&operator.sees(at, &z).await));
            seen == (fleet.owned_by(&all, 'a').await, fleet.owned_by(&all, 'z').await)
        })
        .await;
        let (first, last) = (operator.sees(at, &a).await, operator.sees(at, &z).await);
        for (node, other) in [(&first, &z), (&last, &a)] {
            let told = ["state", "drained", "answers", "links"].map(|field| &node[field]);
            assert_eq!(json!(told), json!(["up", false, true, [other]]), "{node}");
            assert!(node["lease_ms_left"].as_u64().is_some_and(|left| (1..=4_000).contains(&left)), "{node}");
        }
    }

    let event = *all.first().expect("six");
    for (path, to, expected) in [
        ("/nodes/nobody/drain".to_owned(), None, (404, "unknown_node")),
        ("/nodes/nobody/undrain".to_owned(), None, (404, "unknown_node")),
        (format!("/events/{event}/move"), Some("nobody"), (404, "unknown_node")),
        (format!("/events/{}/move", new_event()), Some(z.as_str()), (404, "not_found")),
    ] {
        assert_eq!(operator.act('a', &path, to).await, (expected.0, json!(expected.1)), "{path}");
    }

    assert_eq!(operator.act('a', &format!("/nodes/{z}/drain"), None).await.0, 202);
    until("it has given everything away, and says so", async || {
        let node = operator.sees('a', &z).await;
        (&node["state"], &node["drained"]) == (&json!("draining"), &json!(true)) && events(&node).is_empty()
    })
    .await;
    until("all run at the other one", async || events(&operator.sees('z', &a).await) == all).await;
    let refused = operator.act('a', &format!("/events/{event}/move"), Some(&z)).await;
    assert_eq!(refused, (409, json!("node_not_up")));

    assert_eq!(operator.act('z', &format!("/nodes/{z}/undrain"), None).await.0, 202);
    until("it is up", async || operator.sees('a', &z).await["state"] == "up").await;
    fleet.at_home(&all, &['a', 'z']).await;
    let away = if fleet.homes(&all, &['a', 'z'])[&event] == a { &z } else { &a };
    assert_eq!(operator.act('a', &format!("/events/{event}/move"), Some(away)).await.0, 202);
    until("the event is there", async || events(&operator.sees('a', away).await).contains(&event)).await;
    assert_eq!(operator.act('a', &format!("/events/{event}/move"), None).await.0, 202);
    fleet.at_home(&all, &['a', 'z']).await;
}
