//! Steering a queue that runs: each verb does what it says and is in the audit; what is wrong is refused, and changes nothing.

use std::{collections::BTreeMap, process::Output};

use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use super::shop::Shop;
use crate::{
    harness::until,
    served::{Answer, SignedIn, strict},
};

const VERBS: [&str; 11] =
    ["admit", "remove", "revoke", "clear", "pause", "resume", "rate", "slots", "mode", "notice", "synthetic"];

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

    /// The event's rows of the audit.
    async fn acts(&self) -> Vec<Value> {
        let audit = self.shop.served.get("/api/v1/admin/audit?limit=200", Some(&self.admin.access)).await;
        let acts = audit.expect(StatusCode::OK)["items"].take();
        let mut acts: Vec<Value> = serde_json::from_value(acts).expect("a list");
        acts.retain(|act| act["object"] == self.event);
        acts
    }

    /// `onsale queue`, as the organizer.
    async fn by_command(&self, verb: &str, arguments: &[&str]) -> Output {
        let (url, token) = (&self.shop.served.admin, &self.shop.organizer.access);
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(["queue", verb, "--admin-url", url, "--token", token, &self.event]).args(arguments);
        command.output().await.expect("the program runs")
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
    let texts = json!({"en": "The hall opens late.", "hr": "Dvorana se otvara kasnije."});
    assert_eq!(scene.done("notice", json!({"texts": texts})).await["notice"]["texts"], texts);

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

    let acts = scene.acts().await;
    for verb in VERBS {
        let act = acts.iter().find(|act| act["action"] == format!("queue.{verb}")).expect(verb);
        let by = (&act["account"], &act["role"]);
        assert_eq!(by, (&json!(scene.shop.organizer.id.to_string()), &json!("organizer")), "{act}");
        assert!(act["reason"].as_str().is_some_and(|reason| reason.ends_with("a test")), "{act}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_steers_a_running_queue_and_tells_refusals() {
    let scene = Scene::set().await;
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let mode = ["passthrough", "--engage-above", "9", "--release-below", "2", "--reason", "a rehearsal"];
    assert!(scene.by_command("mode", &mode).await.status.success());
    let lowered = scene.by_command("mode", &["--engage-above", "7"]).await;
    assert!(lowered.status.success() && said(&lowered).contains("passthrough; "), "{lowered:?}");
    let report = scene.report().await;
    let is = (&report["mode"], &report["engage_above"], &report["release_below"]);
    assert_eq!(is, (&json!("passthrough"), &json!(7), &json!(2)));
    let added = scene.by_command("synthetic", &["3"]).await;
    assert!(added.status.success() && said(&added).contains("3 fans"), "{added:?}");
    scene.becomes("made-up ones wait", |report| report["waiting"] == 8).await;
    let acts = scene.acts().await;
    assert!(acts.iter().any(|act| act["action"] == "queue.synthetic"), "{acts:?}");
    let audited = "passthrough, engage above 9, release below 2: a rehearsal";
    assert!(acts.iter().any(|act| act["reason"] == audited), "{acts:?}");

    let noticed =
        scene.by_command("notice", &["--text", "en=Late.", "--text", "pt-BR=Tarde.", "--reason", "rain"]).await;
    assert!(noticed.status.success() && said(&noticed).contains("notice      pt-BR: Tarde.\n"), "{noticed:?}");
    assert_eq!(scene.report().await["notice"]["texts"], json!({"en": "Late.", "pt-BR": "Tarde."}));
    let acts = scene.acts().await;
    assert!(acts.iter().any(|act| act["reason"] == "en, pt-BR: rain"), "{acts:?}");
    let cleared = scene.by_command("notice", &["--clear"]).await;
    assert!(cleared.status.success() && !said(&cleared).contains("notice"), "{cleared:?}");
    assert_eq!(scene.report().await["notice"], Value::Null);

    for (verb, arguments, why) in [
        ("mode", &["lifo"][..], "lifo"),
        ("notice", &[], "required"),
        ("notice", &["--clear", "--text", "en=Late."], "cannot be used"),
        ("notice", &["--text", "Late."], "LANGUAGE=TEXT"),
        ("notice", &["--text", "en=Late.", "--text", "en=Later."], "twice"),
        ("notice", &["--text", "e!=Late."], "invalid_body"),
        ("mode", &[], "required"),
        ("mode", &["--engage-above", "1000001"], "invalid_body"),
        ("synthetic", &["0"], "invalid_body"),
        ("draw", &[], "draw_state"),
        ("beacon", &["8f0c"], "draw_state"),
    ] {
        let refused = scene.by_command(verb, arguments).await;
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(why), "{verb}: {refused:?}");
    }
    assert_eq!(scene.report().await["waiting"], 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tickets_are_really_sold_nobody_is_made_up() {
    let shop = Shop::open_with(strict()).await;
    let event = shop.published().await;
    let body = json!({"count": 1, "reason": "r"});
    let refused = shop.control_as(Some(&shop.organizer.access), &event, "synthetic", body).await;
    assert_eq!(refused.problem(), (409, "not_for_trials".into()));
    assert_eq!(shop.queue(&event).await["waiting"], 0);
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
    let staff = Some(scene.shop.organizer.access.as_str());
    let good = |verb: &str| match verb {
        "admit" | "remove" | "synthetic" => json!({"count": 1, "reason": "r"}),
        "revoke" => json!({"fans": [scene.id(0)], "reason": "r"}),
        "rate" => json!({"per_minute": 1, "reason": "r"}),
        "slots" => json!({"slots": 1, "reason": "r"}),
        "mode" => json!({"mode": "reject", "reason": "r"}),
        "notice" => json!({"texts": {"en": "Late."}, "reason": "r"}),
        _ => json!({"reason": "r"}),
    };
    let long = "x".repeat(501);
    let many = vec![scene.id(0); 1_001];
    let languages: BTreeMap<String, &str> = ('a'..='u').map(|letter| (format!("x{letter}"), "Late.")).collect();
    let mut bad: Vec<(&str, Value)> = Vec::new();
    for verb in VERBS {
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
        ("notice", json!({"texts": {"en": ""}, "reason": "r"})),
        ("notice", json!({"texts": {"en": " "}, "reason": "r"})),
        ("notice", json!({"texts": {"en": "a\nb"}, "reason": "r"})),
        ("notice", json!({"texts": {"en": long}, "reason": "r"})),
        ("notice", json!({"texts": {"en": null}, "reason": "r"})),
        ("notice", json!({"texts": ["Late."], "reason": "r"})),
        ("notice", json!({"texts": {"": "Late."}, "reason": "r"})),
        ("notice", json!({"texts": {"hrvatski1": "Late."}, "reason": "r"})),
        ("notice", json!({"texts": {"en": "Late.", "EN": "Late."}, "reason": "r"})),
        ("notice", json!({"texts": languages, "reason": "r"})),
        ("notice", json!({"texts": {"en": "Late."}, "reason": long})),
        ("synthetic", json!({"count": 10_001, "reason": "r"})),
    ]);
    for (verb, body) in bad {
        let answer = scene.call(verb, staff, body.clone()).await;
        assert_eq!(answer.problem(), (422, "invalid_body".into()), "{verb} {body}");
    }
    for verb in VERBS {
        let path = format!("{}/api/v1/admin/events/{}/queue/{verb}", scene.shop.served.admin, scene.event);
        for (body, code) in
            [("{\"reason\": ", "malformed_json"), ("\u{1}", "malformed_json"), ("\"r\"", "invalid_body")]
        {
            let method = Shop::method_of(verb);
            let request = scene.shop.served.client.request(method, &path).bearer_auth(&scene.shop.organizer.access);
            let request = request.header("content-type", "application/json").body(body);
            assert_eq!(Answer::of(request.send().await.expect("an answer")).await.problem().1, code, "{verb} {body}");
        }
        let elsewhere = format!("{:032x}", 1);
        let answer = scene.shop.control_as(staff, &elsewhere, verb, good(verb)).await;
        assert_eq!(answer.problem(), (404, "not_found".into()), "{verb}");
    }
    let fan = Some(scene.fans[0].access.as_str());
    for verb in VERBS {
        assert_eq!(scene.call(verb, fan, good(verb)).await.problem(), (403, "forbidden".into()), "{verb}");
        assert_eq!(scene.call(verb, None, good(verb)).await.problem(), (401, "unauthenticated".into()), "{verb}");
    }
    assert_eq!(settled(scene.report().await), before);
    assert_eq!(scene.acts().await, acts);

    // What comes at the wrong time is an act that was tried, and is in the audit, which says so; it changes nothing either.
    let beacon = scene.call("draw/beacon", staff, json!({"value": "8f0c", "reason": "r"})).await;
    assert_eq!(beacon.problem(), (409, "draw_state".into()));
    let rows = scene.acts().await;
    for action in ["queue.beacon", "queue.beacon_refused"] {
        assert_eq!(rows.iter().filter(|act| act["action"] == action).count(), 1, "{action}");
    }
    assert_eq!(settled(scene.report().await), before);
}
