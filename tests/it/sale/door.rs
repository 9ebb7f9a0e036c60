//! The door: tickets scanned in and out, by several devices, with the network and without.

use futures_util::future::join_all;
use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::shop::{Scene, Shop};
use crate::served::{Answer, SignedIn};

/// A sale with tickets, and somebody at its door.
struct Door {
    scene: Scene,
    staff: SignedIn,
    codes: Vec<String>,
}

impl Door {
    async fn open(quantity: u32) -> Self {
        let scene = Scene::set().await;
        let staff = scene.shop.served.with_roles("staff@example.org", &[Role::Staff]).await;
        let wanted = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        scene.shop.bought(&scene.event, &scene.fan, &wanted).await;
        let tickets = scene.shop.served.get("/api/v1/tickets", Some(&scene.fan.access)).await.expect(StatusCode::OK);
        let tickets = tickets["items"].as_array().expect("a list");
        let codes = tickets.iter().map(|ticket| ticket["code"].as_str().expect("a code").to_owned()).collect();
        Self { scene, staff, codes }
    }

    fn path(&self, what: &str) -> String {
        format!("/api/v1/events/{}/{what}", self.scene.event)
    }

    async fn send(&self, device: &str, scans: Vec<Value>) -> Answer {
        let body = json!({"device": device, "scans": scans});
        self.scene.shop.served.post(&self.path("scans"), Some(&self.staff.access), body).await
    }

    async fn scan(&self, device: &str, scan: Value) -> Value {
        self.send(device, vec![scan]).await.expect(StatusCode::OK)["scans"][0].clone()
    }

    async fn read(&self, what: &str) -> Value {
        self.scene.shop.served.get(&self.path(what), Some(&self.staff.access)).await.expect(StatusCode::OK)
    }
}

fn scan(code: &str, direction: &str) -> Value {
    json!({"id": Uuid::new_v4().simple().to_string(), "code": code, "direction": direction})
}

fn with(mut scan: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        scan[key] = value.clone();
    }
    scan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i_30_a_ticket_gets_one_person_in_until_they_went_out_and_a_second_scan_is_told_who_and_when() {
    let door = Door::open(2).await;
    let code = door.codes[0].clone();
    let first = scan(&code, "in");
    let answer = door.scan("north", first.clone()).await;
    assert_eq!((&answer["outcome"], &answer["turn"], &answer["before"]), (&json!("accepted"), &json!(1), &Value::Null));
    assert_eq!(door.scan("north", first).await, answer, "the same again is the same");

    let again = door.scan("south", scan(&code, "in")).await;
    assert_eq!((&again["outcome"], &again["turn"]), (&json!("already_inside"), &Value::Null));
    assert_eq!(again["before"]["device"], "north");
    assert_eq!(again["before"]["account"], door.staff.id.to_string());
    assert_eq!(again["before"]["received_at"], answer["received_at"]);
    assert_eq!(door.read("door").await, json!({"live": 2, "void": 0, "entered": 1, "inside": 1}));

    assert_eq!(door.scan("south", scan(&code, "out")).await["turn"], 2);
    assert_eq!(door.scan("south", scan(&code, "out")).await["outcome"], "not_inside");
    assert_eq!(door.read("door").await["inside"], 0);
    assert_eq!(door.scan("north", scan(&code, "in")).await["turn"], 3);
    let tickets = door.read("door/tickets").await;
    let inside = tickets["items"].as_array().expect("a list").iter().filter(|ticket| ticket["inside"] == true).count();
    assert_eq!((tickets["items"].as_array().map(Vec::len), inside), (Some(2), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i_30_of_many_doors_that_scan_one_ticket_at_once_one_lets_it_in() {
    let door = Door::open(1).await;
    let door = &door;
    let at = |device: usize| {
        let scan = scan(&door.codes[0], "in");
        async move { door.scan(&format!("door {device}"), scan).await["outcome"].clone() }
    };
    let outcomes = join_all((0..12).map(at)).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "accepted").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "already_inside").count(), 11, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_doors_without_network_let_pass_comes_later_and_conflicts_are_listed() {
    let door = Door::open(2).await;
    let at = |minute: u32| json!({"offline": true, "at": format!("2035-06-01T17:{minute:02}:00Z")});
    let of_north = [with(scan(&door.codes[0], "in"), at(1)), with(scan(&door.codes[1], "in"), at(2))];
    let of_south = [with(scan(&door.codes[0], "in"), at(3))];
    let sent = door.send("north", of_north.to_vec()).await.expect(StatusCode::OK);
    assert_eq!([&sent["scans"][0]["outcome"], &sent["scans"][1]["outcome"]], ["accepted", "accepted"]);
    for _ in 0..2 {
        let sent = door.send("south", of_south.to_vec()).await.expect(StatusCode::OK);
        assert_eq!(sent["scans"][0]["outcome"], "already_inside");
        assert_eq!(sent["scans"][0]["before"]["at"], "2035-06-01T17:01:00.000Z");
    }
    let conflicts = door.read("scans?conflicts=true").await;
    assert_eq!(conflicts["items"].as_array().map(Vec::len), Some(1), "{conflicts}");
    assert_eq!(conflicts["items"][0]["device"], "south");
    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let page = door.read(&format!("scans?limit=2{next}")).await;
        listed.extend(page["items"].as_array().expect("a list").clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(listed.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_settles_where_somebody_is_with_a_reason_and_is_in_the_audit() {
    let door = Door::open(1).await;
    let forced = |reason| with(scan(&door.codes[0], "in"), json!({"force": true, "reason": reason}));
    door.scan("north", scan(&door.codes[0], "in")).await;
    assert_eq!(door.send("north", vec![forced("")]).await.problem(), (422, "invalid_body".into()));
    let answer = door.scan("north", forced("went out by another door")).await;
    assert_eq!((&answer["outcome"], &answer["turn"], &answer["forced"]), (&json!("accepted"), &json!(2), &json!(true)));
    let admin = door.scene.shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = door.scene.shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let acts: Vec<&Value> =
        audit["items"].as_array().expect("a list").iter().filter(|act| act["action"] == "door.force").collect();
    assert_eq!(acts.len(), 1, "{audit}");
    assert_eq!((&acts[0]["reason"], &acts[0]["role"]), (&json!("went out by another door"), &json!("staff")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_ticket_of_the_event_lets_nobody_in_and_wrong_scans_change_nothing() {
    let door = Door::open(1).await;
    let code = &door.codes[0];
    let mut forged = code.clone();
    forged.replace_range(40..41, if &code[40..41] == "A" { "B" } else { "A" });
    for wrong in ["x", &forged, &code[1..]] {
        assert_eq!(door.scan("north", scan(wrong, "in")).await["outcome"], "unknown", "{wrong}");
    }
    let other = door.scene.shop.published().await;
    let body = json!({"device": "north", "scans": [scan(code, "in")]});
    let path = format!("/api/v1/events/{other}/scans");
    let answer = door.scene.shop.served.post(&path, Some(&door.staff.access), body.clone()).await;
    assert_eq!(answer.expect(StatusCode::OK)["scans"][0]["outcome"], "other_event");

    let many: Vec<Value> = (0..201).map(|_| scan(code, "in")).collect();
    for (scans, expected) in [
        (vec![], "invalid_body"),
        (many, "invalid_body"),
        (vec![with(scan(code, "in"), json!({"id": "1"}))], "invalid_body"),
        (vec![scan(code, "up")], "invalid_body"),
        (vec![with(scan(code, "in"), json!({"state": "live"}))], "invalid_body"),
        (vec![scan(&"x".repeat(600), "in")], "invalid_body"),
    ] {
        assert_eq!(door.send("north", scans).await.problem(), (422, expected.into()));
    }
    assert_eq!(door.send("", vec![scan(code, "in")]).await.problem(), (422, "invalid_body".into()));
    for who in [&door.scene.fan, &other_organizer(&door.scene.shop).await] {
        let answer = door.scene.shop.served.post(&door.path("scans"), Some(&who.access), body.clone()).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()));
    }
    assert_eq!(door.read("door").await, json!({"live": 1, "void": 0, "entered": 0, "inside": 0}));
}

async fn other_organizer(shop: &Shop) -> SignedIn {
    shop.served.with_roles("other@example.org", &[Role::Organizer]).await
}
