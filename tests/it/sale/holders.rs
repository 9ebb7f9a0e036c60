//! Tickets in other hands: renamed, handed on, made anew, moved to other seats; and codes that change.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use onsale::{
    domain::account::Role,
    stores::database::{dead_letters, outbox},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    mails::{Read, Smtpd},
    papers::codes_on,
    shop::Shop,
};
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

/// A fan with two tickets, somebody at the door, and another fan.
struct Scene {
    shop: Shop,
    event: String,
    reference: String,
    ann: SignedIn,
    bob: SignedIn,
    staff: SignedIn,
    tickets: Vec<Value>,
}

impl Scene {
    async fn set(concert: Value, wanted: Value) -> Self {
        let shop = Shop::open().await;
        let event = shop.draft(concert).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
        let staff = shop.served.with_roles("staff@example.org", &[Role::Staff]).await;
        let reference = shop.bought(&event, &ann, &wanted).await;
        let tickets = shop.tickets(&ann).await;
        Self { shop, event, reference, ann, bob, staff, tickets }
    }

    async fn standing() -> Self {
        Self::set(Shop::concert(), json!({"items": [{"ticket_type": "GA", "quantity": 2}]})).await
    }

    fn id(&self, n: usize) -> &str {
        id(&self.tickets[n])
    }

    async fn scan_by(&self, code: &Value, more: Value) -> Value {
        let mut scan = json!({"id": Uuid::new_v4().simple().to_string(), "code": code, "direction": "in"});
        for (key, value) in more.as_object().expect("an object") {
            scan[key] = value.clone();
        }
        let path = format!("/api/v1/events/{}/scans", self.event);
        let body = json!({"device": "north", "scans": [scan]});
        let answer = self.shop.served.post(&path, Some(&self.staff.access), body).await.expect(StatusCode::OK);
        answer["scans"][0].clone()
    }

    async fn scan(&self, code: &Value) -> Value {
        self.scan_by(code, json!({})).await["outcome"].clone()
    }

    async fn rename(&self, ticket: &str, fan: &SignedIn, key: &str, name: &str) -> Answer {
        let url = format!("{}/api/v1/tickets/{ticket}/holder", self.shop.served.public);
        let request = self.shop.served.client.put(url).bearer_auth(&fan.access).header("idempotency-key", key);
        Answer::of(request.json(&json!({"name": name})).send().await.expect("an answer")).await
    }

    async fn hand_on(&self, ticket: &str) -> Answer {
        self.shop.served.post(&format!("/api/v1/tickets/{ticket}/transfers"), Some(&self.ann.access), json!({})).await
    }

    async fn accept(&self, fan: &SignedIn, code: &Value) -> Answer {
        self.shop.served.post("/api/v1/transfers/accept", Some(&fan.access), json!({"code": code})).await
    }

    async fn steer(&self, ticket: &str, what: &str, key: &str, body: Value) -> Answer {
        let url = format!("{}/api/v1/admin/tickets/{ticket}/{what}", self.shop.served.admin);
        let request = self.shop.served.client.post(url).bearer_auth(&self.shop.organizer.access);
        let request = request.header("idempotency-key", key).json(&body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    async fn move_to(&self, ticket: &str, seat: &str) -> Answer {
        self.steer(ticket, "seat", &self.shop.key(), json!({"seat": seat, "reason": "a pillar"})).await
    }

    async fn pdf(&self, fan: &SignedIn, path: &str) -> reqwest::Response {
        let url = format!("{}/api/v1{path}", self.shop.served.public);
        self.shop.served.client.get(url).bearer_auth(&fan.access).send().await.expect("an answer")
    }

    /// How many of the seated type are free, held, sold.
    async fn seats(&self) -> [Value; 3] {
        let stock = self.shop.stock(&self.event).await;
        ["free", "held", "sold"].map(|what| stock["ticket_types"][1][what].clone())
    }
}

fn id(ticket: &Value) -> &str {
    ticket["id"].as_str().expect("an id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_is_on_a_new_ticket_and_the_old_code_lets_nobody_in() {
    let scene = Scene::standing().await;
    let key = scene.shop.key();
    let new = scene.rename(scene.id(0), &scene.ann, &key, "Ivana Horvat").await.expect(StatusCode::OK);
    assert_eq!(scene.rename(scene.id(0), &scene.ann, &key, "Ivana Horvat").await.expect(StatusCode::OK), new, "again");
    assert_eq!((&new["holder"], &new["position"]), (&json!("Ivana Horvat"), &json!(3)));
    let old = scene.shop.served.get(&format!("/api/v1/tickets/{}", scene.id(0)), Some(&scene.ann.access)).await;
    let old = old.expect(StatusCode::OK);
    assert_eq!((&old["state"], &old["replaced_by"]), (&json!("void"), &new["id"]));
    assert_eq!(scene.scan(&old["code"]).await, "void");
    assert_eq!(scene.scan(&new["code"]).await, "accepted");
    // Whoever came in with it has used it.
    let used = scene.rename(id(&new), &scene.ann, &scene.shop.key(), "Somebody else").await;
    assert_eq!(used.problem(), (409, "ticket_used".into()));
    let void = scene.rename(scene.id(0), &scene.ann, &scene.shop.key(), "Somebody else").await;
    assert_eq!(void.problem(), (409, "ticket_void".into()));
    for wrong in ["", "  ", "a\u{202E}\u{7}b", &"x".repeat(101)] {
        let wrong = scene.rename(scene.id(1), &scene.ann, &scene.shop.key(), wrong).await;
        assert_eq!(wrong.problem(), (422, "invalid_body".into()));
    }
    let foreign = scene.rename(scene.id(1), &scene.bob, &scene.shop.key(), "Bob").await;
    assert_eq!(foreign.problem(), (404, "not_found".into()));
    let door = format!("/api/v1/events/{}/door/tickets", scene.event);
    let listed = scene.shop.served.get(&door, Some(&scene.staff.access)).await.expect(StatusCode::OK);
    let named = listed["items"].as_array().expect("a list").iter().filter(|ticket| ticket["holder"] == "Ivana Horvat");
    assert_eq!(named.count(), 1, "{listed}");
    assert_eq!(scene.shop.books(&scene.reference).await, [6_000, 0, 6_000, 0, 0]);
    // It is told as news, which nobody has to answer.
    let database = &scene.shop.served.below.database;
    until("all is told", async || outbox::unsent(database, 10).await.expect("read").is_empty()).await;
    assert_eq!(dead_letters::count_waiting(database).await.expect("read"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_is_handed_on_is_the_others_alone_and_once() {
    let scene = Scene::standing().await;
    let begun = scene.hand_on(scene.id(0)).await.expect(StatusCode::CREATED);
    let code = &begun["code"];
    let offer = scene.shop.served.post("/api/v1/transfers/look", Some(&scene.bob.access), json!({"code": code})).await;
    let offer = offer.expect(StatusCode::OK);
    assert_eq!((&offer["title"], &offer["ticket_type"]), (&json!("Concert"), &json!("GA")));
    // Many bring the code at once; one of them gets the ticket, and gets it again.
    let others = join_all((0..6).map(|n| {
        let shop = &scene.shop;
        async move { shop.fan(&format!("fan-{n}")).await }
    }))
    .await;
    let answers = join_all(others.iter().map(|fan| scene.accept(fan, code))).await;
    let won: Vec<usize> = (0..6).filter(|&n| answers[n].status == StatusCode::CREATED).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    let new = answers[won[0]].json();
    for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != won[0]) {
        assert_eq!(answer.problem(), (409, "transfer_ended".into()), "{n}");
    }
    assert_eq!(scene.accept(&others[won[0]], code).await.expect(StatusCode::CREATED), new, "again");
    assert_eq!(scene.scan(&scene.tickets[0]["code"]).await, "void");
    assert_eq!(scene.scan(&new["code"]).await, "accepted");

    // Its giver sees that it is gone, and nothing of the new one.
    let of_order = format!("/orders/{}/tickets.pdf", scene.reference);
    let pdf = scene.pdf(&scene.ann, &of_order).await.bytes().await.expect("a PDF").to_vec();
    assert_eq!(codes_on(&pdf, 1), [scene.tickets[1]["code"].as_str().expect("a code")]);
    let text = super::papers::text_of("pdfinfo", &["-"], &pdf);
    assert!(text.contains("Pages:           1"), "{text}");
    let foreign = scene.shop.served.get(&format!("/api/v1/tickets/{}", id(&new)), Some(&scene.ann.access)).await;
    assert_eq!(foreign.problem(), (404, "not_found".into()));
    let given = scene.shop.served.get("/api/v1/me/transfers", Some(&scene.ann.access)).await.expect(StatusCode::OK);
    assert_eq!(given["items"][0]["state"], "accepted");
    // The money of the order is still its buyer's.
    let refund = json!({"tickets": [new["id"]], "reason": "a broken leg"});
    scene.shop.refund(&scene.reference, refund).await.expect(StatusCode::CREATED);
    until("the money is back", async || scene.shop.refunds(&scene.ann).await[0]["state"] == "done").await;
    assert_eq!(scene.shop.books(&scene.reference).await, [6_000, 0, 3_000, 0, 3_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_ends_when_it_is_withdrawn_made_anew_or_its_ticket_is_void() {
    let scene = Scene::standing().await;
    let first = scene.hand_on(scene.id(0)).await.expect(StatusCode::CREATED);
    let second = scene.hand_on(scene.id(0)).await.expect(StatusCode::CREATED);
    assert_eq!(scene.accept(&scene.bob, &first["code"]).await.problem(), (409, "transfer_ended".into()), "made anew");
    let path = format!("/api/v1/me/transfers/{}", second["transfer"].as_str().expect("an id"));
    let withdraw = async |fan: &SignedIn| scene.shop.served.call(Method::DELETE, &path, Some(&fan.access), None).await;
    assert_eq!(withdraw(&scene.bob).await.problem(), (404, "not_found".into()));
    for _ in 0..2 {
        assert_eq!(withdraw(&scene.ann).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(scene.accept(&scene.bob, &second["code"]).await.problem(), (409, "transfer_ended".into()));
    assert_eq!(scene.scan(&scene.tickets[0]["code"]).await, "accepted", "it is still the giver's");

    let third = scene.hand_on(scene.id(1)).await.expect(StatusCode::CREATED);
    let refund = json!({"tickets": [scene.id(1)], "reason": "a broken leg"});
    scene.shop.refund(&scene.reference, refund).await.expect(StatusCode::CREATED);
    assert_eq!(scene.accept(&scene.bob, &third["code"]).await.problem(), (409, "ticket_void".into()));
    assert_eq!(scene.hand_on(scene.id(1)).await.problem(), (409, "ticket_void".into()));
    for nothing in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(scene.accept(&scene.bob, &json!(nothing)).await.problem(), (404, "not_found".into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_scan_and_a_transfer_at_once_one_counts() {
    for _ in 0..4 {
        let scene = Scene::standing().await;
        let code = scene.hand_on(scene.id(0)).await.expect(StatusCode::CREATED)["code"].clone();
        let (scanned, accepted) = tokio::join!(scene.scan(&scene.tickets[0]["code"]), scene.accept(&scene.bob, &code));
        match accepted.status {
            StatusCode::CREATED => assert_eq!(scanned, "void"),
            _ => assert_eq!((scanned, accepted.problem()), (json!("accepted"), (409, "ticket_used".into()))),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tickets_stay_with_who_bought_them_nobody_hands_on_or_renames() {
    let mut concert = Shop::concert();
    concert["ticket_rules"] = json!({"transferable": false});
    let scene = Scene::set(concert, json!({"items": [{"ticket_type": "GA", "quantity": 1}]})).await;
    let told = scene.shop.served.get(&format!("/api/v1/events/{}", scene.event), None).await.expect(StatusCode::OK);
    assert_eq!(told["ticket_rules"], json!({"transferable": false, "rotating_codes": false}));
    assert_eq!(scene.hand_on(scene.id(0)).await.problem(), (409, "not_transferable".into()));
    let renamed = scene.rename(scene.id(0), &scene.ann, &scene.shop.key(), "Bob").await;
    assert_eq!(renamed.problem(), (409, "not_transferable".into()));
    // The organizer makes it anew all the same.
    let (key, body) = (scene.shop.key(), json!({"reason": "seen by others"}));
    let new = scene.steer(scene.id(0), "reissue", &key, body.clone()).await.expect(StatusCode::OK);
    assert_eq!(scene.steer(scene.id(0), "reissue", &key, body).await.expect(StatusCode::OK), new, "again");
    assert!(new.get("code").is_none(), "nobody's but the holder's");
    let tickets = scene.shop.tickets(&scene.ann).await;
    let live = tickets.iter().find(|ticket| ticket["state"] == "live").expect("the new one");
    assert_eq!(live["id"], new["id"]);
    assert_eq!(
        (scene.scan(&scene.tickets[0]["code"]).await, scene.scan(&live["code"]).await),
        (json!("void"), json!("accepted"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_moves_to_another_seat_and_the_one_that_it_left_is_sold_to_others() {
    let scene = Scene::set(Shop::concert(), json!({"seats": ["A-1-1", "A-1-2"]})).await;
    let of = |seat: &str| id(scene.tickets.iter().find(|ticket| ticket["seat"] == seat).expect("a seat")).to_owned();
    let (first, key, body) = (of("A-1-1"), scene.shop.key(), json!({"seat": "A-2-5", "reason": "a pillar"}));
    let new = scene.steer(&first, "seat", &key, body.clone()).await.expect(StatusCode::OK);
    assert_eq!(scene.steer(&first, "seat", &key, body).await.expect(StatusCode::OK), new, "again");
    assert_eq!((&new["seat"], &new["state"]), (&json!("A-2-5"), &json!("live")));
    until("the old seat is free", async || scene.seats().await == [json!(14), json!(0), json!(2)]).await;
    let order = scene.shop.order_becomes(&scene.reference, &scene.ann, "ticketed").await;
    assert_eq!(order["lines"][0]["seats"], json!(["A-2-5", "A-1-2"]));
    scene.shop.bought(&scene.event, &scene.bob, &json!({"seats": ["A-1-1"]})).await;

    // What must not be, and leaves everything as it is.
    let second = of("A-1-2");
    for (taken, by) in [("A-1-1", "another order"), ("A-2-5", "another ticket of its order")] {
        assert_eq!(scene.move_to(&second, taken).await.problem(), (409, "seat_taken".into()), "{by}");
    }
    assert_eq!(scene.move_to(&second, "Z-9-9").await.problem(), (422, "unknown_seat".into()));
    assert_eq!(scene.move_to(&first, "A-2-6").await.problem(), (409, "ticket_void".into()));
    let code = scene.tickets.iter().find(|ticket| ticket["seat"] == "A-1-2").expect("a seat")["code"].clone();
    assert_eq!(scene.scan(&code).await, "accepted");
    assert_eq!(scene.move_to(&second, "A-2-6").await.problem(), (409, "ticket_used".into()));
    until("no seat is lost", async || scene.seats().await == [json!(13), json!(0), json!(3)]).await;
    assert_eq!(scene.shop.books(&scene.reference).await, [18_000, 0, 18_000, 0, 0]);
    // The moved one goes back like any other, and its seat with it.
    let refund = json!({"tickets": [new["id"]], "restock": true, "reason": "a broken leg"});
    scene.shop.refund(&scene.reference, refund).await.expect(StatusCode::CREATED);
    until("its seat is free", async || scene.seats().await == [json!(14), json!(0), json!(2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_a_code_that_changes_is_worth_nothing() {
    let mut concert = Shop::concert();
    concert["ticket_rules"] = json!({"rotating_codes": true});
    let scene = Scene::set(concert, json!({"items": [{"ticket_type": "GA", "quantity": 1}]})).await;
    let path = format!("/api/v1/tickets/{}/rotation", scene.id(0));
    let rotation = scene.shop.served.get(&path, Some(&scene.ann.access)).await.expect(StatusCode::OK);
    let path = format!("/api/v1/events/{}/door/rotation", scene.event);
    let of_door = scene.shop.served.get(&path, Some(&scene.staff.access)).await.expect(StatusCode::OK);
    let bytes = |value: &Value| URL_SAFE_NO_PAD.decode(value.as_str().expect("text")).expect("base64url");
    let sign =
        |secret: &[u8], what: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), what).as_ref().to_vec();
    // A door without the network finds the ticket's secret by itself.
    let secret = bytes(&rotation["secret"]);
    let ticket = u128::from_str_radix(scene.id(0), 16).expect("hexadecimal").to_be_bytes();
    assert_eq!(sign(&bytes(&of_door["secrets"][0]), &ticket), secret);
    // As a telephone shows it, at a step from now.
    let code = rotation["code"].as_str().expect("a code");
    let now = jiff::Timestamp::now().as_second();
    let shown = |secret: &[u8], steps: i64| {
        let step = u32::try_from(now / 15 + steps).expect("a step").to_be_bytes();
        let tag = &sign(secret, &step)[..8];
        json!(format!("{code}.{}", URL_SAFE_NO_PAD.encode([&[1], &step[..], tag].concat())))
    };
    assert_eq!(scene.scan(&json!(code)).await, "stale", "printed");
    assert_eq!(scene.scan(&shown(&secret, -40)).await, "stale", "a picture of ten minutes ago");
    assert_eq!(scene.scan(&shown(&[7; 32], 0)).await, "stale", "made up");
    let at = json!({"offline": true, "at": jiff::Timestamp::from_second(now - 600).expect("a moment").to_string()});
    assert_eq!(scene.scan_by(&shown(&secret, 0), at).await["outcome"], "stale", "of another time");
    let picture = scene.pdf(&scene.ann, &format!("/tickets/{}/qr.svg", scene.id(0))).await.text().await.expect("SVG");
    let png = super::papers::foreign("rsvg-convert", &["-w", "600"], picture.as_bytes());
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("qr.png");
    std::fs::write(&file, png).expect("written");
    let read = super::papers::text_of("zbarimg", &["--raw", "--quiet", file.to_str().expect("UTF-8")], b"");
    assert_eq!(scene.scan(&json!(read.trim())).await, "accepted", "as the shop shows it");
    assert_eq!(scene.scan(&shown(&secret, 0)).await, "already_inside");
    let pdf = scene.pdf(&scene.ann, &format!("/tickets/{}/pdf", scene.id(0))).await.bytes().await.expect("a PDF");
    let printed = super::papers::text_of("pdftotext", &["-", "-"], &pdf);
    assert!(printed.contains("This page does not let anybody in") && !printed.contains("AQ"), "{printed}");
    // Elsewhere codes stay.
    let other = Scene::standing().await;
    let path = format!("/api/v1/tickets/{}/rotation", other.id(0));
    let fixed = other.shop.served.get(&path, Some(&other.ann.access)).await;
    assert_eq!(fixed.problem(), (409, "code_fixed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_ticket_comes_by_mail_and_who_gave_one_away_is_told() {
    let mut smtpd = Smtpd::start(&[]).await;
    let scene = Scene::standing().await;
    let _mailer = scene.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let (_, _, mail) = smtpd.took().await;
    assert_eq!(Read::of(&mail).said["subject"], "Your tickets: Concert");
    let codes = async |fan: &SignedIn| {
        let live = scene.shop.tickets(fan).await.into_iter().filter(|ticket| ticket["state"] == "live");
        live.map(|ticket| (id(&ticket).to_owned(), ticket["code"].clone())).collect::<HashMap<_, _>>()
    };
    // Made anew, and under another name.
    let body = json!({"reason": "seen by others"});
    let anew = scene.steer(scene.id(0), "reissue", &scene.shop.key(), body).await.expect(StatusCode::OK);
    let (_, to, mail) = smtpd.took().await;
    let read = Read::of(&mail);
    assert_eq!((to.as_str(), &read.said["subject"]), ("ann@example.org", &json!("Your new ticket: Concert")));
    assert_eq!(read.said["attachments"], json!({"ticket.pdf": "application/pdf"}));
    assert!(read.said["text"].as_str().expect("a text").contains("lets nobody in any more"), "{}", read.said);
    assert_eq!(json!(codes_on(&read.attached("ticket.pdf"), 1)), json!([codes(&scene.ann).await[id(&anew)]]));
    let renamed = scene.rename(id(&anew), &scene.ann, &scene.shop.key(), "Ivana Horvat").await.expect(StatusCode::OK);
    let (_, _, mail) = smtpd.took().await;
    let on_paper = codes_on(&Read::of(&mail).attached("ticket.pdf"), 1);
    assert_eq!(json!(on_paper), json!([codes(&scene.ann).await[id(&renamed)]]));

    // Handed on.
    let code = scene.hand_on(id(&renamed)).await.expect(StatusCode::CREATED)["code"].clone();
    let taken = scene.accept(&scene.bob, &code).await.expect(StatusCode::CREATED);
    let mut mails = HashMap::new();
    for _ in 0..2 {
        let (_, to, mail) = smtpd.took().await;
        mails.insert(to, Read::of(&mail));
    }
    let (anns, bobs) = (&mails["ann@example.org"].said, &mails["bob@example.org"]);
    assert_eq!((&anns["subject"], &anns["attachments"]), (&json!("Handed on: Concert"), &json!({})));
    assert_eq!(bobs.said["subject"], "Your new ticket: Concert");
    assert_eq!(json!(codes_on(&bobs.attached("ticket.pdf"), 1)), json!([codes(&scene.bob).await[id(&taken)]]));
    let told = async |fan: &SignedIn| {
        let list = scene.shop.served.get("/api/v1/me/messages", Some(&fan.access)).await.expect(StatusCode::OK);
        let kinds = list["items"].as_array().expect("messages").iter().map(|one| one["kind"].clone());
        kinds.filter(|kind| kind.as_str().is_some_and(|kind| kind.starts_with("ticket_"))).collect::<Vec<_>>()
    };
    assert_eq!(told(&scene.ann).await, ["ticket_given", "ticket_replaced", "ticket_replaced"]);
    assert_eq!(told(&scene.bob).await, ["ticket_replaced"]);
}
