//! Steering a queue that runs: each verb does what it says and is in the audit; what is wrong is refused, and changes nothing.

use std::collections::BTreeSet;

use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

struct Scene {
    shop: Shop,
    event: String,
    admin: SignedIn,
    fans: Vec<SignedIn>,
}

impl Scene {
    /// Some wait, in order, and nobody is let in.
    async fn set() -> Self {
        let shop = Shop::open().await;
        let event = shop.published().await;
        let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
        let mut scene = Self { shop, event, admin, fans: Vec::new() };
        scene.done("pause", json!({})).await;
        for name in ["ann", "bob", "cat", "dan", "eve"] {
            let fan = scene.shop.fan(name).await;
            let path = format!("/api/v1/events/{}/queue", scene.event);
            scene.shop.served.post(&path, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
            scene.fans.push(fan);
        }
        scene.becomes("five wait", |report| report["waiting"] == 5).await;
        scene
    }

    async fn call(&self, verb: &str, token: Option<&str>, body: Value) -> Answer {
        self.shop.control_as(token, &self.event, verb, body).await
    }

    async fn done(&self, verb: &str, body: Value) -> Value {
        self.shop.control(&self.event, verb, body).await
    }

    async fn report(&self) -> Value {
        self.shop.queue(&self.event).await
    }

    async fn becomes(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut report = Value::Null;
        until(what, async || {
            report = self.report().await;
            is_so(&report)
        })
        .await;
        report
    }

    async fn acts(&self) -> Vec<String> {
        let audit = self.shop.served.get("/api/v1/admin/audit?limit=200", Some(&self.admin.access)).await;
        let acts = audit.expect(StatusCode::OK);
        let acts = acts["items"].as_array().expect("items").iter();
        acts.filter(|act| act["object"] == self.event)
            .map(|act| act["action"].as_str().expect("text").to_owned())
            .collect()
    }

    fn id(&self, fan: usize) -> String {
        self.fans[fan].id.to_string()
    }

    async fn state(&self, fan: usize) -> String {
        let path = format!("/api/v1/events/{}/queue", self.event);
        let state = self.shop.served.get(&path, Some(&self.fans[fan].access)).await.expect(StatusCode::OK);
        state["state"].as_str().expect("text").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_control_verb_does_what_it_says_to_a_running_queue_and_is_audited() {
    let scene = Scene::set().await;
    assert_eq!(scene.done("rate", json!({"per_minute": 1_200})).await["rate_per_minute"], 1_200);
    assert_eq!(scene.done("slots", json!({"slots": 3})).await["slots"], 3);
    let modes = json!({"mode": "fifo", "engage_above": 0, "release_below": 0});
    assert_eq!(scene.done("mode", modes).await["mode"], "fifo");

    // Also while it is paused.
    scene.done("admit", json!({"count": 1})).await;
    scene.becomes("one is in", |report| report["admissions"] == 1 && report["waiting"] == 4).await;
    assert!(["called", "admitted"].contains(&scene.state(0).await.as_str()));
    assert_eq!(scene.done("revoke", json!({"fans": [scene.id(0)]})).await["revoked"], 1);
    scene.becomes("nobody is in", |report| report["admissions"] == 0).await;
    assert_eq!(scene.state(0).await, "none");

    assert_eq!(scene.done("remove", json!({"fans": [scene.id(2)]})).await["removed"], 1);
    assert_eq!(scene.done("remove", json!({"count": 1})).await["removed"], 1);
    scene.becomes("two wait", |report| report["waiting"] == 2).await;
    assert_eq!((scene.state(1).await, scene.state(2).await), ("none".into(), "none".into()));

    assert_eq!(scene.done("synthetic", json!({"count": 20})).await["added"], 20);
    scene.becomes("made-up ones wait", |report| report["waiting"] == 22).await;
    assert_eq!(scene.done("resume", json!({})).await["paused"], false);
    let full = scene.becomes("as many shop as may", |report| report["slots_taken"] == 3).await;
    assert_eq!(full["paused"], false);
    assert_eq!(scene.done("pause", json!({})).await["paused"], true);
    assert_eq!(scene.done("clear", json!({})).await["removed"], 19);
    scene.becomes("nobody waits", |report| report["waiting"] == 0).await;

    let acts: BTreeSet<String> = scene.acts().await.into_iter().collect();
    for verb in ["pause", "resume", "rate", "slots", "mode", "admit", "revoke", "remove", "synthetic", "clear"] {
        assert!(acts.contains(&format!("queue.{verb}")), "{verb} in {acts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_control_message_is_refused_with_nothing_changed() {
    let scene = Scene::set().await;
    let settled = |mut report: Value| {
        // The fans have asked, so they count as here until they are seen to have gone.
        report["present"] = Value::Null;
        report
    };
    let (before, acts) = (settled(scene.report().await), scene.acts().await);
    let long = "x".repeat(501);
    let many = vec![scene.id(0); 1_001];
    let verbs = ["admit", "remove", "revoke", "clear", "pause", "resume", "rate", "slots", "mode", "synthetic"];
    let mut bad: Vec<(&str, Value)> = Vec::new();
    for verb in verbs {
        bad.extend([
            (verb, json!({})),
            (verb, json!([])),
            (verb, json!({"reason": 1})),
            (verb, json!({"reason": "r", "more": 1})),
        ]);
    }
    for verb in ["clear", "pause", "resume"] {
        bad.extend([
            (verb, json!({"reason": ""})),
            (verb, json!({"reason": long})),
            (verb, json!({"reason": "a\u{7}"})),
        ]);
    }
    bad.extend([
        ("admit", json!({"count": 0, "reason": "r"})),
        ("admit", json!({"count": -1, "reason": "r"})),
        ("admit", json!({"count": 1.5, "reason": "r"})),
        ("admit", json!({"count": 1, "reason": " "})),
        ("remove", json!({"fans": [], "reason": "r"})),
        ("remove", json!({"fans": many, "reason": "r"})),
        ("remove", json!({"fans": ["nobody"], "reason": "r"})),
        ("remove", json!({"fans": [scene.id(0)], "count": 1, "reason": "r"})),
        ("remove", json!({"count": 0, "reason": "r"})),
        ("revoke", json!({"fans": [], "reason": "r"})),
        ("rate", json!({"per_minute": 0, "reason": "r"})),
        ("rate", json!({"per_minute": 1_000_001, "reason": "r"})),
        ("slots", json!({"slots": 0, "reason": "r"})),
        ("slots", json!({"slots": "many", "reason": "r"})),
        ("mode", json!({"mode": "lifo", "reason": "r"})),
        ("mode", json!({"engage_above": 1_000_001, "reason": "r"})),
        ("synthetic", json!({"count": 10_001, "reason": "r"})),
    ]);
    for (verb, body) in bad {
        let answer = scene.call(verb, Some(&scene.shop.organizer.access), body.clone()).await;
        assert_eq!(answer.problem(), (422, "invalid_body".into()), "{verb} {body}");
    }
    let fan = Some(scene.fans[0].access.as_str());
    for verb in verbs {
        let good = match verb {
            "admit" | "remove" | "synthetic" => json!({"count": 1, "reason": "r"}),
            "revoke" => json!({"fans": [scene.id(0)], "reason": "r"}),
            "rate" => json!({"per_minute": 1, "reason": "r"}),
            "slots" => json!({"slots": 1, "reason": "r"}),
            "mode" => json!({"mode": "reject", "reason": "r"}),
            _ => json!({"reason": "r"}),
        };
        assert_eq!(scene.call(verb, fan, good.clone()).await.problem(), (403, "forbidden".into()), "{verb}");
        assert_eq!(scene.call(verb, None, good).await.problem(), (401, "unauthenticated".into()), "{verb}");
    }
    assert_eq!(settled(scene.report().await), before);
    assert_eq!(scene.acts().await, acts);

    // What comes at the wrong time is an act that was tried, and is in the audit; it changes nothing either.
    let staff = Some(scene.shop.organizer.access.as_str());
    let beacon = scene.call("draw/beacon", staff, json!({"value": "8f0c", "reason": "r"})).await;
    assert_eq!(beacon.problem(), (409, "draw_state".into()));
    assert_eq!(settled(scene.report().await), before);
}
