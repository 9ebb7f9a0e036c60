//! Messages to fans, in the app and by mail to a real SMTP server: of orders and refunds, codes and links of accounts, changed events,
//! and what organizers have to say.

use onsale::{actors::worker::Worker, domain::account::Role, http::config::Config};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::{
    mails::{Read, Smtpd},
    shop::Shop,
};
use crate::{
    harness::{PASSWORD, until},
    served::{Answer, Served, SignedIn, config},
};

struct Scene {
    shop: Shop,
    smtpd: Smtpd,
    _mailer: Worker,
}

impl Scene {
    async fn set() -> Self {
        Self::with(config()).await
    }

    async fn with(config: Config) -> Self {
        let (smtpd, shop) = (Smtpd::start(&[]).await, Shop::open_with(config).await);
        let mailer = shop.served.mailer(&smtpd.config(), smtpd.folder.path());
        Self { shop, smtpd, _mailer: mailer }
    }

    /// The next mail, to whom it went and what it says.
    async fn mail(&mut self) -> (String, Value) {
        let (_, to, mail) = self.smtpd.took().await;
        (to, Read::of(&mail).said)
    }

    /// The next mails, by whom they went to and their subjects.
    async fn mails(&mut self, count: usize) -> Vec<(String, String)> {
        let mut mails = Vec::new();
        for _ in 0..count {
            let (to, said) = self.mail().await;
            mails.push((to, said["subject"].as_str().expect("a subject").to_owned()));
        }
        mails.sort();
        mails
    }

    async fn me(&self, fan: &SignedIn, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.shop.served.call(method, &format!("/api/v1/me{path}"), Some(&fan.access), body).await
    }

    async fn messages(&self, fan: &SignedIn, query: &str) -> Vec<Value> {
        let list = self.me(fan, Method::GET, &format!("/messages{query}"), None).await.expect(StatusCode::OK);
        list["items"].as_array().expect("a list").clone()
    }

    async fn told(&self, fan: &SignedIn, kind: &str) -> Value {
        let found = async || self.messages(fan, "").await.into_iter().find(|message| message["kind"] == kind);
        until(kind, async || found().await.is_some()).await;
        found().await.expect("found just now")
    }

    async fn buys(&self, event: &str, fan: &SignedIn, quantity: u32) -> String {
        let wanted = json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
        self.shop.bought(event, fan, &wanted).await
    }

    async fn broadcast(&self, event: &str, key: &str, texts: Value) -> Answer {
        let url = format!("{}/api/v1/admin/events/{event}/broadcasts", self.shop.served.admin);
        let request = self.shop.served.client.post(url).bearer_auth(&self.shop.organizer.access);
        let body = json!({"texts": texts, "reason": "the doors"});
        Answer::of(request.header("idempotency-key", key).json(&body).send().await.expect("an answer")).await
    }

    async fn becomes_done(&self, event: &str, mailing: &str) -> Value {
        let path = format!("/api/v1/admin/events/{event}/broadcasts/{mailing}");
        let read = async || self.shop.served.get(&path, Some(&self.shop.organizer.access)).await.expect(StatusCode::OK);
        until("all are told", async || read().await["done_at"].is_string()).await;
        read().await
    }
}

fn digits(said: &Value) -> String {
    let text = said["text"].as_str().expect("a text");
    let word = text.split_whitespace().find(|word| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()));
    word.expect("a code").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_is_told_of_order_and_refund_in_the_app_and_by_mail_as_wanted() {
    let mut scene = Scene::set().await;
    let event = scene.shop.published().await;
    let fan = scene.shop.served.register_as("ann@example.org", "Ann", "hr").await;
    let other = scene.shop.fan("bob").await;
    let settings =
        json!({"refund_begun": {"mail": false, "in_app": true}, "order_received": {"mail": true, "in_app": true}});
    let set = scene.me(&fan, Method::PUT, "/message-settings", Some(settings)).await.expect(StatusCode::OK);
    assert_eq!((&set["refund_begun"]["mail"], &set["tickets"]["fixed"]), (&json!(false), &json!(["mail"])));
    for wrong in [
        json!({"tickets": {"mail": false, "in_app": true}}),
        json!({"reset": {"mail": true, "in_app": true}}),
        json!({"weather": {"mail": true, "in_app": true}}),
    ] {
        let refused = scene.me(&fan, Method::PUT, "/message-settings", Some(wrong)).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()));
    }
    let reference = scene.buys(&event, &fan, 1).await;
    let tickets = scene.told(&fan, "tickets").await;
    assert_eq!((&tickets["subject"], &tickets["event"]), (&json!("Vaše ulaznice: Concert"), &json!(event)));
    let text = tickets["text"].as_str().expect("a text");
    assert!(text.contains(&reference) && text.contains("Hall, Berlin") && text.contains("lipnja 2035"), "{text}");
    let received = scene.told(&fan, "order_received").await;
    assert!(received["text"].as_str().expect("a text").contains("30.00 EUR"), "{received}");
    let ann = |subject: &str| ("ann@example.org".to_owned(), subject.to_owned());
    assert_eq!(scene.mails(2).await, [ann("Uplata je primljena: Concert"), ann("Vaše ulaznice: Concert")]);

    scene.shop.refund(&reference, json!({"reason": "ill"})).await.expect(StatusCode::CREATED);
    scene.told(&fan, "refund_done").await;
    scene.told(&fan, "refund_begun").await;
    // The one that is switched off is not among them.
    assert_eq!(scene.mails(1).await, [ann("Povrat je proveden: Concert")]);
    let counted = scene.me(&fan, Method::GET, "/messages/count", None).await.expect(StatusCode::OK);
    assert_eq!(counted, json!({"messages": 4, "unread": 4}));

    // One by one, then all.
    let id = |message: &Value| message["id"].as_str().expect("id").to_owned();
    let path = format!("/messages/{}", id(&tickets));
    let read = scene.me(&fan, Method::GET, &path, None).await.expect(StatusCode::OK);
    assert!(read["read_at"].is_string());
    assert_eq!(scene.messages(&fan, "?unread=true").await.len(), 3);
    let some = json!({"messages": [id(&received), "00000000000040008000000000000000"]});
    let changed = scene.me(&fan, Method::POST, "/messages/read", Some(some)).await.expect(StatusCode::OK);
    assert_eq!(changed, json!({"changed": 1}), "what is not there is passed over");
    scene.me(&fan, Method::DELETE, &path, None).await;
    assert_eq!(scene.me(&fan, Method::GET, &path, None).await.problem(), (404, "not_found".into()));
    assert_eq!(scene.messages(&fan, "").await.len(), 3);
    // Pages, newest first.
    let first = scene.me(&fan, Method::GET, "/messages?limit=2", None).await.expect(StatusCode::OK);
    let next = format!("/messages?limit=2&cursor={}", first["next_cursor"].as_str().expect("there is more"));
    let second = scene.me(&fan, Method::GET, &next, None).await.expect(StatusCode::OK);
    assert_eq!(second["items"].as_array().map(Vec::len), Some(1));
    // Another fan has no part in it.
    let foreign = json!({"messages": [id(&received)]});
    let none = scene.me(&other, Method::POST, "/messages/delete", Some(foreign)).await.expect(StatusCode::OK);
    assert_eq!((none, scene.messages(&other, "").await.len()), (json!({"changed": 0}), 0));
    let all = scene.me(&fan, Method::POST, "/messages/delete", Some(json!({"all": true}))).await;
    assert_eq!(all.expect(StatusCode::OK), json!({"changed": 3}));
    for wrong in [json!({}), json!({"messages": [], "all": false}), json!({"messages": [id(&received)], "all": true})] {
        assert_eq!(scene.me(&fan, Method::POST, "/messages/read", Some(wrong)).await.problem().0, 422);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_refused_is_told() {
    let mut scene = Scene::set().await;
    let event = scene.shop.published().await;
    let fan = scene.shop.served.register_as("ann@example.org", "김민수", "ko").await;
    let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 2}]});
    let (_, page) = scene.shop.checked_out(&event, &fan, &wanted).await;
    scene.shop.choose(&page, "decline").await;
    let (to, said) = scene.mail().await;
    assert_eq!((to.as_str(), &said["subject"]), ("ann@example.org", &json!("결제가 이루어지지 않았습니다: Concert")));
    for body in ["text", "html"] {
        let body = said[body].as_str().expect("a body");
        assert!(body.contains("60.00 EUR") && body.contains("김민수"), "{body}");
    }
    scene.told(&fan, "payment_refused").await;
}

async fn forgotten(served: &Served, email: &str) {
    let answer = served.post("/api/v1/auth/reset", None, json!({"email": email})).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""), "the same for everybody");
}

async fn confirm(served: &Served, email: &str, code: &str) -> Answer {
    let body = json!({"email": email, "code": code, "new_password": "another long password"});
    served.post("/api/v1/auth/reset/confirm", None, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_replaced_by_the_code_in_the_mail_once_and_all_sessions_end() {
    let mut scene = Scene::set().await;
    let fan = scene.shop.fan("ann").await;
    forgotten(&scene.shop.served, "ANN@example.org").await;
    let (to, said) = scene.mail().await;
    assert_eq!((to.as_str(), &said["subject"]), ("ann@example.org", &json!("Your code")));
    let code = digits(&said);
    let served = &scene.shop.served;
    let weak = json!({"email": "ann@example.org", "code": code, "new_password": "short"});
    let weak = served.post("/api/v1/auth/reset/confirm", None, weak).await;
    assert_eq!(weak.problem(), (422, "weak_password".into()));
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    assert_eq!(confirm(served, "ann@example.org", wrong).await.problem(), (400, "invalid_code".into()));
    assert_eq!(confirm(served, "ann@example.org", &code).await.status, StatusCode::NO_CONTENT);
    assert_eq!(confirm(served, "ann@example.org", &code).await.problem(), (400, "invalid_code".into()), "once");
    let old = served.get("/api/v1/auth/me", Some(&fan.access)).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(served.refresh(&fan.refresh).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(served.login("ann@example.org", PASSWORD).await.problem(), (401, "wrong_credentials".into()));
    let signed_in = served.login("ann@example.org", "another long password").await.expect(StatusCode::OK);
    let token = signed_in["access_token"].as_str().expect("a token");
    let me = served.get("/api/v1/auth/me", Some(token)).await.expect(StatusCode::OK);
    assert_eq!(me["verified"], true, "who has read the mail has the mailbox");
    // It is in no list, and an admin does not see it.
    let list = served.get("/api/v1/me/messages", Some(token)).await.expect(StatusCode::OK);
    assert_eq!(list["items"], json!([]));
    let admin = served.with_roles("admin@example.org", &[Role::Admin]).await;
    let mails = served.get("/api/v1/admin/mails", Some(&admin.access)).await.expect(StatusCode::OK);
    let path = format!("/api/v1/admin/mails/{}/message", mails["items"][0]["id"].as_str().expect("id"));
    assert_eq!(served.get(&path, Some(&admin.access)).await.problem(), (409, "mail_not_written".into()));
    let audit = served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let audit = audit["items"].as_array().expect("rows").iter().any(|row| row["action"] == "account.reset");
    assert!(audit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_for_five_tries_and_three_go_out_in_an_hour_and_nobody_learns_whose_address_is_known() {
    let mut scene = Scene::set().await;
    scene.shop.fan("ann").await;
    for email in ["nobody@example.org", "ann@example.org"] {
        forgotten(&scene.shop.served, email).await;
    }
    let code = digits(&scene.mail().await.1);
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    let mut refusals = Vec::new();
    for _ in 0..5 {
        refusals.push(confirm(&scene.shop.served, "ann@example.org", wrong).await);
    }
    refusals.push(confirm(&scene.shop.served, "ann@example.org", &code).await);
    refusals.push(confirm(&scene.shop.served, "nobody@example.org", &code).await);
    for refusal in refusals {
        assert_eq!(refusal.problem(), (400, "invalid_code".into()));
        assert_eq!(refusal.json()["detail"], "The code is wrong, too old, was used, or was tried too often.");
    }
    // A new one ends the old one; after three there is silence.
    forgotten(&scene.shop.served, "ann@example.org").await;
    let second = digits(&scene.mail().await.1);
    forgotten(&scene.shop.served, "ann@example.org").await;
    let third = digits(&scene.mail().await.1);
    assert_eq!(confirm(&scene.shop.served, "ann@example.org", &second).await.problem().0, 400);
    forgotten(&scene.shop.served, "ann@example.org").await;
    assert_eq!(confirm(&scene.shop.served, "ann@example.org", &third).await.status, StatusCode::NO_CONTENT);
    // What was asked for last would have come before this.
    scene.shop.fan("bob").await;
    forgotten(&scene.shop.served, "bob@example.org").await;
    assert_eq!(scene.mail().await.0, "bob@example.org");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_confirmed_by_the_button_behind_the_link_and_where_it_is_needed_nobody_buys_without() {
    let mut scene = Scene::with(Config { verify_mail: true, ..config() }).await;
    // The organizer has registered, too.
    assert_eq!(scene.mail().await.0, "organizer@example.org");
    let event = scene.shop.published().await;
    let fan = scene.shop.fan("ann").await;
    let (to, said) = scene.mail().await;
    assert_eq!(to, "ann@example.org");
    let text = said["text"].as_str().expect("a text");
    let link = text.lines().find(|line| line.starts_with("https://shop.example/verify/")).expect("a link").trim();
    let html = said["html"].as_str().expect("html");
    assert!(html.contains(&format!("<a href=\"{link}\">")), "{html}");
    let page = link.replace("https://shop.example", &scene.shop.served.public);

    let served = &scene.shop.served;
    let me = async || served.get("/api/v1/auth/me", Some(&fan.access)).await.expect(StatusCode::OK);
    let admission = scene.shop.admitted(&event, &fan).await;
    let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let hold = scene.shop.hold(&event, &fan, &admission, &scene.shop.key(), &wanted).await.expect(StatusCode::CREATED);
    let checkout = format!("/orders/{}/checkout", hold["reference"].as_str().expect("reference"));
    let pay = async || scene.shop.act(&checkout, &fan, &scene.shop.key(), Some(json!({"provider": "sandbox"}))).await;
    assert_eq!(pay().await.problem(), (403, "email_not_verified".into()));
    // What follows links by itself proves nothing.
    let shown = Answer::of(served.client.get(&page).send().await.expect("an answer")).await;
    assert!(shown.status == StatusCode::OK && shown.header("referrer-policy") == "no-referrer", "{shown:?}");
    assert_eq!(me().await["verified"], false);
    let pressed = served.client.post(&page).send().await.expect("an answer").status();
    assert_eq!((pressed, &me().await["verified"]), (StatusCode::OK, &json!(true)));
    assert_eq!(served.client.post(&page).send().await.expect("an answer").status(), StatusCode::BAD_REQUEST, "once");
    let forged = format!("{}/verify/{}", served.public, "A".repeat(43));
    assert_eq!(served.client.post(forged).send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);
    assert_eq!(pay().await.status, StatusCode::ACCEPTED);
    let again = served.post("/api/v1/auth/verify", Some(&fan.access), json!({})).await;
    assert_eq!(again.problem(), (409, "already_verified".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_tickets_is_told_that_the_event_moves_and_that_it_is_cancelled() {
    let mut scene = Scene::set().await;
    let event = scene.shop.published().await;
    let (ann, bob) = (scene.shop.fan("ann").await, scene.shop.fan("bob").await);
    scene.buys(&event, &ann, 2).await;
    scene.mails(1).await;
    let served = &scene.shop.served;
    let read = served.get(&format!("/api/v1/events/{event}"), None).await.expect(StatusCode::OK);
    let change = async |version: u64, change: Value| {
        let mut body = change;
        body["version"] = json!(version);
        let path = format!("/api/v1/events/{event}");
        let changed = served.call(Method::PATCH, &path, Some(&scene.shop.organizer.access), Some(body)).await;
        changed.expect(StatusCode::OK)["version"].as_u64().expect("a version")
    };
    // Of a better description nobody is told.
    let version = change(read["version"].as_u64().expect("a version"), json!({"description": "Better"})).await;
    change(version, json!({"venue": "Arena", "doors_at": "2035-06-01T16:00:00Z"})).await;
    let (to, said) = scene.mail().await;
    assert_eq!((to.as_str(), &said["subject"]), ("ann@example.org", &json!("Changed: Concert")));
    // The tickets' mail of just now, and its copy of the event, had the old one.
    assert!(said["text"].as_str().expect("a text").contains("Arena, Berlin"), "{said}");
    let told = scene.told(&ann, "event_changed").await;
    scene.shop.steer(&event, "cancel").await.expect(StatusCode::OK);
    assert_eq!(scene.mails(1).await[0].1, "Cancelled: Concert");
    scene.told(&ann, "event_cancelled").await;
    assert!(scene.messages(&bob, "").await.is_empty());
    assert!(told["text"].as_str().expect("a text").contains("Your tickets stay good."), "{told}");
    let organizer = Some(scene.shop.organizer.access.as_str());
    let list = scene.shop.served.get(&format!("/api/v1/admin/events/{event}/broadcasts"), organizer).await;
    let kinds: Vec<_> = list.expect(StatusCode::OK)["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["kind"].clone())
        .collect();
    assert_eq!(kinds, ["event_cancelled", "event_changed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organizer_tells_each_who_has_tickets_once_in_their_language() {
    let mut scene = Scene::set().await;
    let event = scene.shop.published().await;
    for (name, language) in [("ann", "en"), ("bob", "hr"), ("cid", "fr")] {
        let fan = scene.shop.served.register_as(&format!("{name}@example.org"), name, language).await;
        scene.buys(&event, &fan, 2).await;
        scene.mails(1).await;
        if name == "cid" {
            scene.buys(&event, &fan, 1).await;
            scene.mails(1).await;
        }
    }
    scene.shop.fan("dan").await;
    let texts = json!({
        "en": {"subject": "Doors", "text": "They open <late>.\n\nBring {name} & water."},
        "hr": {"subject": "Vrata", "text": "Otvaraju se kasnije."},
    });
    let key = scene.shop.key();
    let made = scene.broadcast(&event, &key, texts.clone()).await.expect(StatusCode::ACCEPTED);
    let again = scene.broadcast(&event, &key, texts.clone()).await.expect(StatusCode::ACCEPTED);
    assert_eq!(made["id"], again["id"]);
    let to = |name: &str, subject: &str| (format!("{name}@example.org"), format!("Concert: {subject}"));
    assert_eq!(scene.mails(3).await, [to("ann", "Doors"), to("bob", "Vrata"), to("cid", "Doors")]);
    let done = scene.becomes_done(&event, made["id"].as_str().expect("id")).await;
    assert_eq!((&done["told"], &done["kind"]), (&json!(3), &json!("broadcast")));
    let ann = scene.shop.served.login("ann@example.org", PASSWORD).await.expect(StatusCode::OK);
    let list = scene.shop.served.get("/api/v1/me/messages?limit=1", ann["access_token"].as_str()).await;
    let list = list.expect(StatusCode::OK);
    assert_eq!(list["items"][0]["text"], "They open <late>.\n\nBring {name} & water.", "what is filled in is text");

    for _ in 0..2 {
        scene.broadcast(&event, &scene.shop.key(), texts.clone()).await.expect(StatusCode::ACCEPTED);
    }
    let fourth = scene.broadcast(&event, &scene.shop.key(), texts).await;
    assert_eq!(fourth.problem(), (429, "too_many_broadcasts".into()));
    let (long, line) = ("x".repeat(4_001), "a\nb");
    for wrong in [
        json!({}),
        json!({"in English": {"subject": "a", "text": "b"}}),
        json!({"en": {"subject": line, "text": "b"}}),
        json!({"en": {"subject": "a", "text": long}}),
    ] {
        assert_eq!(scene.broadcast(&event, &scene.shop.key(), wrong).await.problem(), (422, "invalid_body".into()));
    }
    let admin = scene.shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = scene.shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let rows = audit["items"].as_array().expect("rows").iter().filter(|row| row["action"] == "event.broadcast");
    assert_eq!(rows.map(|row| row["reason"].clone()).collect::<Vec<_>>(), vec![json!("en, hr: the doors"); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_50_texts_are_an_organizers_or_the_shops_and_add_nothing_to_a_mail_but_words() {
    let mut scene = Scene::set().await;
    let event = scene.shop.published().await;
    let operator = scene.shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let served = &scene.shop.served;
    let organizer = scene.shop.organizer.access.clone();
    let put = async |path: &str, token: &str, subject: &str, text: &str| {
        let body = json!({"subject": subject, "text": text});
        served.call(Method::PUT, path, Some(token), Some(body)).await
    };
    for (kind, subject, text) in [
        ("refund_done", "{event}", "{code}"),
        ("refund_done", "{event", "x"),
        ("refund_done", "a\r\nBcc: all@example.org", "x"),
        ("refund_done", "", "x"),
        ("broadcast", "{subject}", "without its text"),
    ] {
        let path = format!("/api/v1/templates/{kind}/en");
        assert_eq!(
            put(&path, &organizer, subject, text).await.problem(),
            (422, "invalid_body".into()),
            "{subject} {text}"
        );
    }
    for path in ["/api/v1/templates/weather/en", "/api/v1/templates/refund_done/xx", "/api/v1/templates/reset/en"] {
        assert_eq!(put(path, &organizer, "a", "b").await.problem(), (404, "not_found".into()), "{path}");
    }
    let reset = put("/api/v1/admin/templates/reset/en", &operator.access, "a", "without a code").await;
    assert_eq!(reset.problem(), (422, "invalid_body".into()));
    let shops = "/api/v1/admin/templates/refund_done/en";
    put(shops, &operator.access, "The shop: {event}", "{amount}").await.expect(StatusCode::OK);
    let own = "/api/v1/templates/refund_done/en";
    put(own, &organizer, "<b>{event}</b>", "<img src=x>\n\n{name} gets {amount}").await.expect(StatusCode::OK);

    let name = "x\u{2028}Bcc: eve@example.org <i>";
    let fan = scene.shop.served.register_as("ann@example.org", name, "en").await;
    let quiet = json!({"refund_begun": {"mail": false, "in_app": false}});
    scene.me(&fan, Method::PUT, "/message-settings", Some(quiet)).await.expect(StatusCode::OK);
    let reference = scene.buys(&event, &fan, 1).await;
    scene.mails(1).await;
    scene.shop.refund(&reference, json!({"reason": "ill"})).await.expect(StatusCode::CREATED);
    let (to, said) = scene.mail().await;
    assert_eq!((to.as_str(), &said["subject"]), ("ann@example.org", &json!("<b>Concert</b>")));
    assert!(!said["names"].as_array().expect("names").contains(&json!("bcc")), "{said}");
    let html = said["html"].as_str().expect("html");
    assert!(!html.contains("<img") && !html.contains("<i>") && html.contains("30.00 EUR"), "{html}");
    // Without the organizer's it is the shop's, and then our own.
    let subject = async || scene.told(&fan, "refund_done").await["subject"].clone();
    let take = async |path: &str, token: &str| scene.shop.served.call(Method::DELETE, path, Some(token), None).await;
    assert_eq!(take(own, &organizer).await.status, StatusCode::NO_CONTENT);
    assert_eq!(subject().await, "The shop: Concert");
    assert_eq!(take(shops, &operator.access).await.status, StatusCode::NO_CONTENT);
    assert_eq!(subject().await, "Refund done: Concert");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_too_old_is_not_mailed_any_more() {
    let shop = Shop::open().await;
    shop.fan("ann").await;
    forgotten(&shop.served, "ann@example.org").await;
    let smtpd = Smtpd::start(&[]).await;
    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let mails = async || shop.served.get("/api/v1/admin/mails", Some(&admin.access)).await.expect(StatusCode::OK);
    until("it waits", async || mails().await["items"][0]["state"] == "waiting").await;
    let database = format!("sqlite://{}", shop.served.data_dir().join("database.db").display());
    let mut connection = AnyConnection::connect(&database).await.expect("connect");
    connection.execute("UPDATE messages SET created_at = created_at - 660000").await.expect("eleven minutes older");
    let _mailer = shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    until("it was given up", async || mails().await["items"][0]["state"] == "failed").await;
    assert_eq!(mails().await["items"][0]["last_outcome"], "what it brings is good no more");
}
