//! Classes of a queue and moves by hand, from outside.

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use super::shop::{Shop, heard};
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

struct Scene {
    shop: Shop,
    event: String,
}

impl Scene {
    /// Nobody is let in but by an admin.
    async fn set(classes: Value) -> Self {
        let shop = Shop::open().await;
        let mut body = Shop::concert();
        body["queue"] =
            json!({"mode": "fifo", "paused": true, "slots": 100, "rate_per_minute": 60_000, "classes": classes});
        let event = shop.draft(body).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        Self { shop, event }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/events/{}/queue{rest}", self.event)
    }

    async fn join(&self, fan: &SignedIn) -> Value {
        self.shop.served.post(&self.path(""), Some(&fan.access), json!({})).await.expect(StatusCode::OK)
    }

    async fn state(&self, fan: &SignedIn) -> Value {
        self.shop.served.get(&self.path(""), Some(&fan.access)).await.expect(StatusCode::OK)
    }

    /// As the organizer.
    async fn control(&self, method: Method, verb: &str, body: Value) -> Answer {
        let path = format!("/api/v1/admin{}", self.path(&format!("/{verb}")).trim_start_matches("/api/v1"));
        self.shop.served.call(method, &path, Some(&self.shop.organizer.access), Some(body)).await
    }

    async fn members(&self, class: &str, fans: &[&SignedIn]) -> Answer {
        let fans: Vec<_> = fans.iter().map(|fan| fan.id.to_string()).collect();
        self.control(Method::PUT, "classes/members", json!({"class": class, "fans": fans, "reason": "a list"})).await
    }

    async fn public(&self) -> Value {
        self.shop.served.get(&self.path("/classes"), None).await.expect(StatusCode::OK)
    }

    async fn admit(&self, count: u32) {
        self.control(Method::POST, "admit", json!({"count": count, "reason": "a test"})).await.expect(StatusCode::OK);
    }

    async fn is_in(&self, fan: &SignedIn) -> bool {
        let state = self.state(fan).await["state"].clone();
        state == "called" || state == "admitted"
    }

    async fn actions(&self) -> Vec<(String, String)> {
        let admin = self.shop.served.with_roles("auditor@example.org", &[Role::Admin]).await;
        let audit = self.shop.served.get("/api/v1/admin/audit?limit=200", Some(&admin.access)).await;
        let acts: Vec<Value> = serde_json::from_value(audit.expect(StatusCode::OK)["items"].take()).expect("a list");
        let of_event = acts.into_iter().filter(|act| act["object"] == self.event);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of_event.map(|act| (text(&act["action"]), text(&act["reason"]))).collect()
    }
}

fn classes(weights: [u8; 3]) -> Value {
    json!({"default_weight": weights[0], "list": [
        {"code": "VIP", "name": "Friends of the hall", "weight": weights[1]},
        {"code": "presale", "name": "Presale", "weight": weights[2]}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_class_gets_its_share_and_nobody_starves() {
    let scene = Scene::set(classes([1, 2, 1])).await;
    let mut fans = Vec::new();
    for n in 0..12 {
        fans.push(scene.shop.fan(&format!("fan{n}")).await);
    }
    let (everybody, special) = fans.split_at(4);
    let (vip, presale) = special.split_at(4);
    for (class, of_class) in [("VIP", vip), ("presale", presale)] {
        let of_class: Vec<&SignedIn> = of_class.iter().collect();
        let said = scene.members(class, &of_class).await.expect(StatusCode::OK);
        assert_eq!(said["classified"], 4);
    }
    for (place, fan) in fans.iter().enumerate() {
        let state = scene.join(fan).await;
        assert_eq!(state["priorityClass"], ["default", "VIP", "presale"][place / 4]);
        assert!(state["positionInQueue"].as_u64() > Some((place % 4) as u64), "at first perhaps too many: {state}");
    }
    until("all are seen", async || {
        let waiting: Vec<u64> = scene.public().await["classes"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|c| c["waiting"].as_u64())
            .collect();
        waiting == [0, 4, 4, 4]
    })
    .await;
    let public = scene.public().await;
    assert_eq!((&public["precedence"], &public["manual_moves"]), (&json!("weighted"), &json!(0)));
    let weights: Vec<&Value> =
        public["classes"].as_array().expect("a list").iter().map(|class| &class["weight"]).collect();
    assert_eq!(weights, [&Value::Null, &json!(2), &json!(1), &json!(1)]);

    for (place, fan) in fans.iter().enumerate() {
        let state = scene.state(fan).await;
        let numbers = (&state["positionInQueue"], &state["totalPeopleInQueue"]);
        assert_eq!(numbers, (&json!(place % 4 + 1), &json!(12)), "{place}");
    }

    scene.admit(4).await;
    let expected = [1, 2, 1];
    for (of_class, expected) in [everybody, vip, presale].into_iter().zip(expected) {
        for (n, fan) in of_class.iter().enumerate() {
            if n < expected {
                until("in, first come first served", async || scene.is_in(fan).await).await;
            } else {
                assert!(!scene.is_in(fan).await, "{n}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_moves_a_fan_and_everybody_can_see_how_often_that_was_done() {
    let scene = Scene::set(classes([1, 1, 1])).await;
    let (ann, bob, cat) = (scene.shop.fan("ann").await, scene.shop.fan("bob").await, scene.shop.fan("cat").await);
    scene.members("VIP", &[&cat]).await.expect(StatusCode::OK);
    for fan in [&ann, &bob, &cat] {
        scene.join(fan).await;
    }
    let mut socket = scene.shop.socket(&scene.event, &bob).await;
    assert_eq!(heard(&mut socket).await["priorityClass"], "default");
    let to_vip = json!({"fan": bob.id.to_string(), "class": "VIP", "reason": "was sent away at the door"});
    let moved = scene.control(Method::POST, "move", to_vip.clone()).await.expect(StatusCode::OK);
    assert_eq!(moved["moved_to"], "VIP");
    let state = scene.state(&bob).await;
    assert_eq!((&state["priorityClass"], &state["positionInQueue"]), (&json!("VIP"), &json!(2)), "behind who is there");
    assert_eq!(scene.state(&cat).await["positionInQueue"], 1);
    until("the socket is told", async || heard(&mut socket).await["priorityClass"] == "VIP").await;
    until("it is counted", async || scene.public().await["manual_moves"] == 1).await;
    until("and each fan is told so", async || scene.state(&ann).await["manualMoves"] == 1).await;

    // There already: nothing is done, and nothing counted.
    scene.control(Method::POST, "move", to_vip).await.expect(StatusCode::OK);

    // By the command line, to the front.
    let (url, token, fan) = (&scene.shop.served.admin, &scene.shop.organizer.access, ann.id.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.args(["queue", "move", "--admin-url", url, "--token", token, &scene.event]);
    command.args(["--fan", &fan, "--front", "--reason", "cannot stand"]);
    let output = command.output().await.expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("waits in front"), "{output:?}");
    assert_eq!(scene.state(&ann).await["priorityClass"], "front");
    until("both are counted", async || scene.public().await["manual_moves"] == 2).await;
    scene.admit(1).await;
    until("ann is in", async || scene.is_in(&ann).await).await;
    assert!(!scene.is_in(&cat).await && !scene.is_in(&bob).await);

    let actions = scene.actions().await;
    let moves: Vec<&String> = actions.iter().filter(|act| act.0 == "queue.move").map(|act| &act.1).collect();
    assert!(moves.contains(&&format!("{} to VIP: was sent away at the door", bob.id)), "{moves:?}");
    assert!(moves.contains(&&format!("{} to front: cannot stand", ann.id)), "{moves:?}");
    assert!(actions.iter().any(|act| act.0 == "queue.classify"), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_refused_and_change_nothing() {
    let scene = Scene::set(classes([1, 1, 1])).await;
    let (ann, stranger) = (scene.shop.fan("ann").await, scene.shop.fan("stranger").await);
    // No client chooses a class.
    for body in [json!({"class": "VIP"}), json!({"priorityClass": "VIP"})] {
        let refused = scene.shop.served.post(&scene.path(""), Some(&ann.access), body).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()));
    }
    scene.join(&ann).await;
    let fan = ann.id.to_string();
    for (what, body, refusal) in [
        ("an unknown class", json!({"fan": fan, "class": "GOLD", "reason": "x"}), (422, "invalid_body")),
        ("neither", json!({"fan": fan, "reason": "x"}), (422, "invalid_body")),
        ("both", json!({"fan": fan, "class": "VIP", "front": true, "reason": "x"}), (422, "invalid_body")),
        ("no reason", json!({"fan": fan, "class": "VIP"}), (422, "invalid_body")),
        ("an empty reason", json!({"fan": fan, "class": "VIP", "reason": " "}), (422, "invalid_body")),
        ("no fan", json!({"class": "VIP", "reason": "x"}), (422, "invalid_body")),
        ("no id", json!({"fan": "ann", "class": "VIP", "reason": "x"}), (422, "invalid_body")),
        ("one more field", json!({"fan": fan, "class": "VIP", "reason": "x", "place": 1}), (422, "invalid_body")),
        (
            "who does not wait",
            json!({"fan": stranger.id.to_string(), "class": "VIP", "reason": "x"}),
            (409, "not_in_queue"),
        ),
    ] {
        let refused = scene.control(Method::POST, "move", body).await;
        assert_eq!(refused.problem(), (refusal.0, refusal.1.to_owned()), "{what}");
    }
    let good = json!({"fan": fan, "class": "VIP", "reason": "x"});
    for token in [None, Some(ann.access.as_str())] {
        let refused = scene.shop.control_as(token, &scene.event, "move", good.clone()).await;
        assert!([401, 403].contains(&refused.status.as_u16()), "{refused:?}");
    }
    let none: Vec<String> = Vec::new();
    for (what, body) in [
        ("an unknown class", json!({"class": "GOLD", "fans": [fan], "reason": "x"})),
        ("front is no class", json!({"class": "front", "fans": [fan], "reason": "x"})),
        ("nobody", json!({"class": "VIP", "fans": none, "reason": "x"})),
        ("no reason", json!({"class": "VIP", "fans": [fan]})),
    ] {
        let refused = scene.control(Method::PUT, "classes/members", body).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()), "{what}");
    }
    // What fans wait by stays.
    for list in [json!([]), json!([{"code": "presale", "name": "Presale"}, {"code": "VIP", "name": "Friends"}])] {
        let version = scene.shop.served.get(&format!("/api/v1/events/{}", scene.event), None).await;
        let version = version.expect(StatusCode::OK)["version"].clone();
        let change = json!({"version": version, "queue": {"classes": {"list": list}}});
        let path = format!("/api/v1/events/{}", scene.event);
        let refused =
            scene.shop.served.call(Method::PATCH, &path, Some(&scene.shop.organizer.access), Some(change)).await;
        assert_eq!(refused.problem(), (422, "invalid_event".into()));
    }
    let state = scene.state(&ann).await;
    assert_eq!((&state["priorityClass"], &state["manualMoves"]), (&json!("default"), &json!(0)));
    assert_eq!(scene.public().await["manual_moves"], 0);
    let actions = scene.actions().await;
    assert!(actions.iter().all(|act| act.0 != "queue.move" && act.0 != "queue.classify"), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_classes_that_is_wrong_makes_no_event() {
    let shop = Shop::open().await;
    let class = |code: &str, weight: u32| json!({"code": code, "name": "A class", "weight": weight});
    let many: Vec<Value> = (0..9).map(|n| class(&format!("C{n}"), 1)).collect();
    for classes in [
        json!({"list": many}),
        json!({"list": [class("VIP", 1), class("VIP", 2)]}),
        json!({"list": [class("front", 1)]}),
        json!({"list": [class("VIP", 0)]}),
        json!({"list": [class("VIP", 101)]}),
        json!({"list": [class("V I P", 1)]}),
        json!({"list": [{"code": "VIP", "name": "", "weight": 1}]}),
        json!({"list": [{"code": "VIP", "name": "VIP", "score": 1}]}),
        json!({"precedence": "random"}),
        json!({"default_weight": 0}),
    ] {
        let mut body = Shop::concert();
        body["queue"]["classes"] = classes.clone();
        let refused = shop.served.post("/api/v1/events", Some(&shop.organizer.access), body).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()), "{classes}");
    }
}
