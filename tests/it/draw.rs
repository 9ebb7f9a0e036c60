//! A draw from outside, on each kind of queue store: fans enter, the node is killed at every step, and strangers check it.

use std::{path::Path, process::Output};

use onsale::{
    demo::fans::{Client, Headers, Reply},
    domain::time::Millis,
    http::{now, shapes::Timestamp},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{address, eventually, until},
    node::Site,
};

const BEACON: &str = "8f0c6d8e, drawn on television";

/// One for each adapter of the queue's store.
fn sites() -> Vec<Site> {
    let redis = address("ONSALE_TEST_REDIS").map(|url| Site::embedded().set("stores.redis", &url));
    [Site::embedded()].into_iter().chain(redis).collect()
}

fn concert(opens_in: Millis, beacon: Option<&str>) -> Value {
    json!({
        "title": "Concert", "category": "music", "venue": "Hall", "city": "Berlin", "time_zone": "Europe/Berlin",
        "starts_at": "2090-06-01T18:00:00Z", "ends_at": "2090-06-01T22:00:00Z",
        "on_sale_at": Timestamp(now() + opens_in), "currency": "EUR",
        "ticket_types": [{"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 100}],
        "queue": {"mode": "draw", "paused": true}, "draw_beacon": beacon,
    })
}

async fn call(client: &Client, method: Method, path: &str, access: &str, body: Option<Value>) -> Reply {
    let headers = Headers { access: Some(access), ..Headers::default() };
    client.send(method, path, headers, body.as_ref()).await.expect("an answer")
}

struct Scene {
    site: Site,
    client: Client,
    admin: Client,
    staff: String,
    fans: Vec<String>,
    event: String,
}

impl Scene {
    async fn standing(&self, fan: &str) -> Value {
        call(&self.client, Method::GET, &format!("/events/{}/queue", self.event), fan, None).await.body
    }

    async fn join(&self, fan: &str) -> Value {
        let reply =
            call(&self.client, Method::POST, &format!("/events/{}/queue", self.event), fan, Some(json!({}))).await;
        assert!(reply.status.is_success(), "{reply:?}");
        reply.body
    }

    async fn draw(&self) -> Value {
        call(&self.client, Method::GET, &format!("/events/{}/queue/draw", self.event), &self.staff, None).await.body
    }

    async fn stage(&self, stage: &str) -> Value {
        eventually(stage, async || Some(self.draw().await).filter(|draw| draw["stage"] == stage)).await
    }

    async fn tell_beacon(&self, value: &str) -> Reply {
        let (path, body) =
            (format!("/admin/events/{}/queue/draw/beacon", self.event), json!({"value": value, "reason": "r"}));
        call(&self.admin, Method::POST, &path, &self.staff, Some(body)).await
    }

    async fn export(&self) -> Reply {
        call(&self.admin, Method::GET, &format!("/admin/events/{}/queue/draw", self.event), &self.staff, None).await
    }

    /// `onsale queue`, as staff.
    async fn by_command(&self, verb: &str, arguments: &[&str]) -> Output {
        let url = format!("http://{}", self.site.config().http.admin_listen);
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(["queue", verb, "--admin-url", &url, "--token", &self.staff, &self.event]).args(arguments);
        command.output().await.expect("the program runs")
    }

    /// Of those who have a number; it comes with the drawn place.
    async fn positions(&self) -> Vec<u64> {
        let mut positions = Vec::new();
        for fan in &self.fans {
            positions.push(
                eventually("a number", async || {
                    let position = self.standing(fan).await["positionInQueue"].as_u64();
                    position.filter(|&position| position > 0)
                })
                .await,
            );
        }
        positions
    }

    fn write(&self, name: &str, value: &Value) -> String {
        let file = self.site.folder().join(name);
        std::fs::write(&file, value.to_string()).expect("written");
        file.display().to_string()
    }
}

async fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.arg("verify-draw").args(arguments).output().await.expect("the program runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_survives_a_kill_at_every_step_and_strangers_find_that_it_holds() {
    for site in sites() {
        let mut node = site.start().await;
        let mut accounts = Vec::new();
        for _ in 0..5 {
            accounts.push(site.account("fan").await);
        }
        let (late, staff) = (site.account("fan").await, site.account("admin").await);
        let event = site.event(concert(Millis::seconds(8), Some("the lottery of the day")), None).await;
        let admin = Client::new(&format!("http://{}", site.config().http.admin_listen)).expect("an address");
        let scene = Scene { client: site.client(), admin, staff, fans: accounts, event, site };

        for fan in &scene.fans {
            scene.join(fan).await;
        }
        let standing = scene.standing(&scene.fans[0]).await;
        assert_eq!((&standing["state"], &standing["positionInQueue"]), (&json!("entered"), &json!(0)), "{standing}");
        assert!(standing["opensAt"].is_string(), "{standing}");
        let committed = scene.draw().await;
        assert!(committed["commitment"].is_string() && committed["seed"].is_null(), "{committed}");
        assert_eq!(scene.export().await.code(), "draw_state");
        assert_eq!(scene.tell_beacon(BEACON).await.code(), "draw_state", "it could choose who comes first");

        node.kill().await;
        node = scene.site.start().await;
        let closed = scene.stage("closed").await;
        assert_eq!((&closed["commitment"], &closed["count"]), (&committed["commitment"], &json!(5)));
        scene.join(&late).await;
        until("behind all entries", async || scene.standing(&late).await["positionInQueue"] == 6).await;
        assert_eq!(scene.standing(&scene.fans[3]).await["state"], "entered");

        node.kill().await;
        node = scene.site.start().await;
        assert_eq!(scene.stage("closed").await["root"], closed["root"], "its entries stay");
        assert!(scene.by_command("beacon", &[BEACON]).await.status.success());
        assert!(scene.tell_beacon(BEACON).await.status.is_success(), "the same again");
        assert_eq!(scene.tell_beacon("another").await.code(), "draw_state");
        let revealed = scene.stage("revealed").await;
        assert_eq!((&revealed["root"], &revealed["beacon_value"]), (&closed["root"], &json!(BEACON)));
        let positions = scene.positions().await;
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5], "{positions:?}");
        assert_eq!(scene.standing(&late).await["positionInQueue"], 6);

        node.kill().await;
        node = scene.site.start().await;
        assert_eq!(scene.positions().await, positions, "the same draw");
        assert_eq!(scene.standing(&late).await["positionInQueue"], 6);

        check(&scene, &positions, &late).await;
        node.kill().await;
    }
}

/// By the program, and by another one.
async fn check(scene: &Scene, positions: &[u64], late: &str) {
    let printed = scene.by_command("draw", &[]).await;
    let draw: Value = serde_json::from_slice(&printed.stdout).expect("the file");
    assert_eq!(draw, scene.export().await.body);
    let file = scene.write("draw.json", &draw);
    let verified = verify(&[&file]).await;
    assert!(verified.status.success(), "{verified:?}");
    let mut forged = draw.clone();
    forged["ranks"].as_array_mut().expect("ranks").swap(0, 1);
    let refused = verify(&[&scene.write("forged.json", &forged)]).await;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("rank"), "{refused:?}");

    let path = format!("/events/{}/queue/draw/proof", scene.event);
    let mut ids = Vec::new();
    for (fan, position) in scene.fans.iter().zip(positions) {
        let proof = call(&scene.client, Method::GET, &path, fan, None).await.body;
        assert_eq!(proof["rank"], *position, "{proof}");
        let proof_file = scene.write("proof.json", &proof);
        let verified = verify(&[&proof_file, "--draw", &file]).await;
        assert!(verified.status.success(), "{verified:?}");
        ids.push(proof["fan"].as_str().expect("an id").to_owned());
    }
    assert!(ids.iter().all(|id| !draw.to_string().contains(id)), "the draw names nobody");
    assert_eq!(call(&scene.client, Method::GET, &path, late, None).await.code(), "not_found");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/verify_draw.py");
    let by_others = Command::new("python3").arg(script).arg(&file).args(&ids).output().await;
    match by_others {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let said: Vec<u64> =
                String::from_utf8_lossy(&output.stdout).lines().map(|line| line.parse().expect("a number")).collect();
            assert_eq!(said, positions);
        }
        Err(error) => println!("not checked by another program: python3: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_beacon_the_draw_is_made_when_the_sale_opens() {
    let site = Site::embedded();
    let _node = site.start().await;
    let (fan, staff) = (site.account("fan").await, site.account("admin").await);
    let event = site.event(concert(Millis::seconds(3), None), None).await;
    let admin = Client::new(&format!("http://{}", site.config().http.admin_listen)).expect("an address");
    let scene = Scene { client: site.client(), admin, staff, fans: vec![fan], event, site };
    scene.join(&scene.fans[0]).await;
    assert_eq!(scene.stage("revealed").await["count"], 1);
    assert_eq!(scene.positions().await, [1]);
    assert_eq!(scene.tell_beacon("too late").await.code(), "draw_state");
}
