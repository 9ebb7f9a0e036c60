//! Seats that are released in waves: nobody gets one before its time, and everybody sees when that is.

use futures_util::future::join_all;
use onsale::{
    domain::time::Millis,
    http::{now, shapes::Timestamp},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{shop::Shop, streams::Events};
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

const FAR: &str = "2034-01-01T00:00:00.000Z";

/// Of the seats A-1-1 to A-2-8, four and then the rest come much later.
struct Scene {
    shop: Shop,
    event: String,
    fan: SignedIn,
    admission: String,
}

fn waves() -> Value {
    json!([{"at": "2033-01-01T00:00:00.000Z", "seats": ["A-1-1", "A-1-2", "A-1-3", "A-1-4"]}, {"at": FAR, "zone": "A"}])
}

/// The seats of this state.
fn names(seats: &Value, state: &str) -> Vec<String> {
    let all = seats["seats"].as_array().expect("seats").iter().filter(|seat| seat["state"] == state);
    all.map(|seat| seat["id"].as_str().expect("an id").to_owned()).collect()
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::open().await;
        let mut body = Shop::concert();
        body["limits"] = json!({"per_order": 20, "per_fan": 20});
        // Before the plan is there.
        body["ticket_types"][1]["releases"] = waves();
        let event = shop.draft(body).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        let fan = shop.fan("ann").await;
        let admission = shop.admitted(&event, &fan).await;
        Self { shop, event, fan, admission }
    }

    async fn hold(&self, wanted: Value) -> Answer {
        self.shop.hold(&self.event, &self.fan, &self.admission, &self.shop.key(), &wanted).await
    }

    async fn read(&self, what: &str) -> Value {
        let path = format!("/api/v1/events/{}{what}", self.event);
        self.shop.served.get(&path, None).await.expect(StatusCode::OK)
    }

    async fn release(&self, releases: Value) -> Answer {
        let mut event = self.read("").await;
        event["ticket_types"][1]["releases"] = releases;
        let change = json!({"version": event["version"], "ticket_types": event["ticket_types"]});
        let path = format!("/api/v1/events/{}", self.event);
        self.shop.served.call(Method::PATCH, &path, Some(&self.shop.organizer.access), Some(change)).await
    }

    /// free, held, sold, blocked
    async fn counts(&self) -> [Value; 4] {
        let stock = self.shop.stock(&self.event).await;
        ["free", "held", "sold", "blocked"].map(|what| stock["ticket_types"][1][what].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_can_be_had_from_their_time_on_and_not_before_and_everybody_sees_when() {
    let scene = Scene::set().await;
    assert_eq!(scene.read("").await["ticket_types"][1]["releases"], waves());
    for seats in [json!(["A-1-1"]), json!(["A-2-8"])] {
        assert_eq!(scene.hold(json!({"seats": seats})).await.problem(), (409, "seat_taken".into()));
    }
    let best = json!({"best_available": {"ticket_type": "VIP", "quantity": 1}});
    assert_eq!(scene.hold(best).await.problem(), (409, "sold_out".into()));
    let left = scene.read("/availability").await["ticket_types"][1].clone();
    let next = json!({"at": "2033-01-01T00:00:00.000Z", "quantity": 4});
    assert_eq!((&left["free"], &left["capacity"], &left["next_release"]), (&json!(0), &json!(16), &next));
    assert_eq!(scene.counts().await, [json!(0), json!(0), json!(0), json!(16)]);
    let seats = scene.read("/seats").await;
    assert_eq!(names(&seats, "blocked").len(), 16);
    let of = |at: usize| seats["seats"][at]["released_at"].clone();
    assert_eq!((of(0), of(4)), (json!("2033-01-01T00:00:00.000Z"), json!(FAR)));
    let url = format!("{}/api/v1/events/{}/stock/stream", scene.shop.served.public, scene.event);
    let mut viewer = Events::asked(scene.shop.served.client.get(url)).await;
    let first = viewer.next().await.expect("all of it").data;
    assert_eq!(first["sections"], json!([{"section": "A", "seats": 16, "bits": "AAA"}]));

    // The first four come in a moment, and nobody touches the event until then.
    let soon = Timestamp(now() + Millis::seconds(2));
    let four = json!(["A-1-1", "A-1-2", "A-1-3", "A-1-4"]);
    let releases = json!([{"at": soon, "seats": four}, {"at": FAR, "zone": "A"}]);
    scene.release(releases).await.expect(StatusCode::OK);
    until("they are there", async || names(&scene.read("/seats").await, "free").len() == 4).await;
    let seats = scene.read("/seats").await;
    assert_eq!(names(&seats, "free"), ["A-1-1", "A-1-2", "A-1-3", "A-1-4"]);
    assert!(seats["seats"][0].get("released_at").is_none(), "{}", seats["seats"][0]);
    let left = scene.read("/availability").await["ticket_types"][1].clone();
    assert_eq!((&left["free"], &left["next_release"]), (&json!(4), &json!({"at": FAR, "quantity": 12})));
    loop {
        let told = viewer.next().await.expect("news").data;
        let is_there = told["bits"] == json!([[0, "Dw"]]) || told["sections"][0]["bits"] == "DwA";
        if is_there {
            break;
        }
    }
    // All want all of them at once, and four are held.
    let one = json!({"best_available": {"ticket_type": "VIP", "quantity": 1}});
    let answers = join_all((0..8).map(|_| scene.hold(one.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count(), 4, "{answers:?}");
    assert_eq!(scene.counts().await, [json!(0), json!(4), json!(0), json!(12)]);

    // What is held cannot be withheld again.
    assert_eq!(scene.release(waves()).await.problem(), (409, "below_taken".into()));
    assert_eq!(scene.release(json!([{"at": FAR, "seats": ["A-2-1"]}])).await.status, StatusCode::OK);
    assert_eq!(scene.counts().await, [json!(11), json!(4), json!(0), json!(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_says_nothing_clear_is_refused_and_nothing_changes() {
    let scene = Scene::set().await;
    let before = scene.read("").await;
    let many: Vec<String> = (0..2_001).map(|n| format!("A-{n}")).collect();
    for (releases, field) in [
        (json!([{"at": FAR}]), "ticket_types[1].releases[0]"),
        (json!([{"at": FAR, "quantity": 3}]), "ticket_types[1].releases[0]"),
        (json!([{"at": FAR, "zone": "A", "seats": ["A-1-1"]}]), "ticket_types[1].releases[0]"),
        (json!([{"at": FAR, "seats": []}]), "ticket_types[1].releases[0].seats"),
        (json!([{"at": FAR, "seats": many}]), "ticket_types[1].releases[0].seats"),
        (
            json!([{"at": FAR, "zone": "A"}, {"at": "2033-01-01T00:00:00Z", "seats": ["A-1-1"]}]),
            "ticket_types[1].releases",
        ),
        (json!(vec![json!({"at": FAR, "zone": "A"}); 21]), "ticket_types[1].releases"),
    ] {
        let answer = scene.release(releases).await;
        assert_eq!(answer.problem(), (422, "invalid_body".into()));
        assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
    }
    for releases in [
        json!([{"at": FAR, "zone": "B"}]),
        json!([{"at": FAR, "seats": ["A-9-9"]}]),
        json!([{"at": FAR, "seats": ["A-1-1", "A-1-1"]}]),
        json!([{"at": FAR, "zone": "A"}, {"at": FAR, "zone": "A"}]),
    ] {
        assert_eq!(scene.release(releases).await.problem(), (422, "invalid_event".into()));
    }
    // A plan must keep what releases name.
    let version = before["version"].as_u64().expect("a version").try_into().expect("small");
    let plan = "id,zone,row,number,ticket_type\nA-1-1,A,1,1,VIP\n".to_owned();
    let planned = scene.shop.plan(&scene.event, version, "text/csv", plan).await;
    assert_eq!(planned.problem(), (422, "invalid_event".into()));
    // So must what is published.
    let mut body = Shop::concert();
    body["ticket_types"][1]["releases"] = json!([{"at": FAR, "zone": "B"}]);
    let draft = scene.shop.draft(body).await;
    assert_eq!(scene.shop.steer(&draft, "publish").await.problem(), (422, "invalid_event".into()));
    assert_eq!(scene.read("").await, before);
}
