//! Webhooks to organizers: signed, at least once, and to nobody who lives within our own networks.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use onsale::{
    actors::worker::Worker,
    demo::fans::Headers,
    domain::account::Role,
    http::{payments::signature, tokens::unix_now},
    stores::{
        database::outbox,
        egress::{Egress, NoAnswer, Resolver, config::Config},
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{process::Command, sync::Notify};

use super::{
    receiver::{Authority, Receiver, Reply},
    shop::Shop,
};
use crate::{
    harness::until,
    node::Site,
    served::{Answer, SignedIn},
};

const ALL: [&str; 8] = [
    "order.created",
    "order.payment-success",
    "order.payment-cancelled",
    "ticket.issued",
    "refund.begun",
    "refund.asked",
    "refund.failed",
    "refund.done",
];

/// A shop with an event on sale, and a receiver that its organizer has named.
struct Scene {
    shop: Shop,
    event: String,
    authority: Authority,
    receiver: Receiver,
    config: Config,
    endpoint: String,
    secret: String,
}

impl Scene {
    async fn set(topics: &[&str]) -> Self {
        let authority = Authority::new();
        let receiver = Receiver::start(&authority).await;
        let config = receiver.allowed(&authority);
        let shop = Shop::open_calling(config.clone()).await;
        let event = shop.published().await;
        let body = json!({"url": receiver.url(), "topics": topics});
        let made = shop.served.post("/api/v1/webhooks", Some(&shop.organizer.access), body).await;
        let made = made.expect(StatusCode::CREATED);
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        let (endpoint, secret) = (text("id"), text("secret"));
        Self { shop, event, authority, receiver, config, endpoint, secret }
    }

    fn sender(&self) -> Worker {
        self.shop.served.webhooks(self.shop.served.below.egress.clone(), &self.config)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/api/v1/webhooks/{}{path}", self.endpoint);
        self.shop.served.call(method, &path, Some(&self.shop.organizer.access), body).await
    }

    async fn buys(&self, name: &str) -> (SignedIn, String) {
        let fan = self.shop.fan(name).await;
        let wanted = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
        let reference = self.shop.bought(&self.event, &fan, &wanted).await;
        (fan, reference)
    }

    async fn deliveries(&self) -> Vec<Value> {
        let list = self.call(Method::GET, "/deliveries", None).await.expect(StatusCode::OK);
        list["items"].as_array().expect("a list").clone()
    }

    /// The only one, once it is so, with its log.
    async fn becomes(&self, state: &str) -> Value {
        until(state, async || self.deliveries().await.first().is_some_and(|one| one["state"] == state)).await;
        self.only().await
    }

    async fn only(&self) -> Value {
        let [one] = &self.deliveries().await[..] else { unreachable!("not one delivery") };
        let path = format!("/deliveries/{}", one["id"].as_str().expect("id"));
        self.call(Method::GET, &path, None).await.expect(StatusCode::OK)
    }

    async fn redeliver(&self, delivery: &Value) {
        let path = format!("/deliveries/{}/redeliver", delivery["id"].as_str().expect("id"));
        self.call(Method::POST, &path, None).await.expect(StatusCode::ACCEPTED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organizer_is_told_of_a_sale_signed_and_once_and_nobody_else_is() {
    let scene = Scene::set(&ALL).await;
    let other = scene.shop.served.with_roles("other@example.org", &[Role::Organizer]).await;
    let body = json!({"url": format!("{}/other", scene.receiver.url()), "topics": ALL});
    scene.shop.served.post("/api/v1/webhooks", Some(&other.access), body).await.expect(StatusCode::CREATED);
    let _sender = scene.sender();
    let (fan, reference) = scene.buys("ann").await;
    let heard = scene.receiver.heard_so_many(3).await;
    until("all are delivered", async || scene.deliveries().await.iter().all(|one| one["state"] == "delivered")).await;
    let mut topics: Vec<_> = heard.iter().map(|one| one.header("onsale-topic")).collect();
    topics.sort();
    assert_eq!(topics, ["order.created", "order.payment-success", "ticket.issued"]);
    for one in &heard {
        let secrets = [scene.secret.as_bytes()];
        let good = signature::verify(&one.header("onsale-signature"), one.body.as_bytes(), &secrets, unix_now());
        assert_eq!(good, Ok(()));
        let body: Value = serde_json::from_str(&one.body).expect("JSON");
        match one.header("onsale-topic").as_str() {
            "order.created" => assert_eq!(body["fact"]["fan"], fan.id.to_string()),
            _ => assert_eq!(body["reference"], reference),
        }
        assert!(!one.body.contains('@') && !one.body.contains("Ann"), "S-52: {}", one.body);
    }
    // A refund, which the outbox tells of.
    scene.shop.refund(&reference, json!({"reason": "ill"})).await.expect(StatusCode::CREATED);
    until("the refund is told", async || {
        scene.receiver.heard().iter().any(|one| one.header("onsale-topic") == "refund.done")
    })
    .await;
    let ids: std::collections::BTreeSet<_> =
        scene.receiver.heard().iter().map(|one| one.header("onsale-message-id")).collect();
    assert_eq!(ids.len(), scene.receiver.heard().len(), "each once");
    // The other organizer has no part in it.
    let foreign = scene.shop.served.get(&format!("/api/v1/webhooks/{}", scene.endpoint), Some(&other.access)).await;
    assert_eq!(foreign.problem(), (403, "forbidden".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_is_told_again_and_what_it_says_is_shown_nowhere() {
    let scene = Scene::set(&["ticket.issued"]).await;
    scene.receiver.replies([Reply::Status(500), Reply::Status(404)]);
    let _sender = scene.sender();
    scene.buys("ann").await;
    let row = scene.becomes("delivered").await;
    let log: Vec<_> = row["log"].as_array().expect("a log").iter().map(|one| one["status"].clone()).collect();
    assert_eq!(log, [json!(500), json!(404), json!(200)]);
    assert!(!row.to_string().contains("a secret of the receiver's"), "{row}");
    let heard = scene.receiver.heard();
    assert!(heard.iter().all(|one| one.header("onsale-message-id") == row["message"]), "{heard:?}");
    assert!(heard.iter().all(|one| one.body == heard[0].body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_is_told_when_it_is_back() {
    let scene = Scene::set(&["ticket.issued"]).await;
    let port = scene.receiver.address.port();
    let Scene { shop, event, authority, receiver, config, endpoint, secret } = scene;
    drop(receiver);
    // Nobody listens there any more.
    until("it is down", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
    let receiver = Receiver::start(&authority).await;
    let scene = Scene { shop, event, authority, receiver, config, endpoint, secret };
    let _sender = scene.sender();
    scene.buys("ann").await;
    until("it was tried", async || scene.deliveries().await.first().is_some_and(|one| one["last_outcome"] != "")).await;
    let row = scene.only().await;
    assert_eq!((&row["state"], &row["log"][0]["error"]), (&json!("waiting"), &json!("nobody answers there")));
    let _back = Receiver::at(&scene.authority, &format!("127.0.0.1:{port}"), &["localhost"]).await;
    scene.becomes("delivered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_says_410_is_told_nothing_more_until_its_organizer_says_so() {
    let scene = Scene::set(&["ticket.issued"]).await;
    scene.receiver.replies([Reply::Status(410)]);
    let _sender = scene.sender();
    scene.buys("ann").await;
    until("it is gone", async || scene.call(Method::GET, "", None).await.expect(StatusCode::OK)["state"] == "gone")
        .await;
    let ping = scene.call(Method::POST, "/ping", None).await;
    assert_eq!(ping.problem(), (409, "endpoint_not_active".into()));
    scene.buys("bob").await;
    let database = &scene.shop.served.below.database;
    until("all is relayed", async || outbox::count_unsent(database).await.expect("counted") == 0).await;
    assert_eq!(scene.deliveries().await.len(), 1, "nothing is noted for it");
    scene.call(Method::PATCH, "", Some(json!({"enabled": true}))).await.expect(StatusCode::OK);
    scene.becomes("delivered").await;
    assert_eq!(scene.receiver.heard().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_dies_before_it_has_noted_the_delivery_sends_the_same_message_again() {
    let scene = Scene::set(&["ticket.issued"]).await;
    let let_go = Arc::new(Notify::new());
    scene.receiver.replies([Reply::Held(let_go.clone())]);
    let sender = scene.sender();
    scene.buys("ann").await;
    scene.receiver.heard_so_many(1).await;
    // The receiver has it and has not answered yet.
    sender.stop(Duration::ZERO).await;
    let_go.notify_one();
    let row = scene.only().await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("waiting"), &json!(1)));
    // Until a minute has passed, or somebody says so.
    scene.redeliver(&row).await;
    let _sender = scene.sender();
    scene.becomes("delivered").await;
    let heard = scene.receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].header("onsale-message-id"), heard[1].header("onsale-message-id"));
    assert_eq!(heard[0].body, heard[1].body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_is_heard_with_both_secrets_while_one_is_replaced_and_redelivered_by_hand() {
    let scene = Scene::set(&["ticket.issued"]).await;
    let _sender = scene.sender();
    let rotated = scene.call(Method::POST, "/rotate", Some(json!({}))).await.expect(StatusCode::OK);
    let next = rotated["secret"].as_str().expect("a secret").to_owned();
    assert!(next != scene.secret && rotated["previous_until"].is_string());
    scene.call(Method::POST, "/ping", None).await.expect(StatusCode::ACCEPTED);
    let row = scene.becomes("delivered").await;
    assert_eq!((&row["topic"], &row["body"]["endpoint"]), (&json!("ping"), &json!(scene.endpoint)));
    scene.redeliver(&row).await;
    let heard = scene.receiver.heard_so_many(2).await;
    let verified = |at: usize, secret: &str| {
        let (header, body) = (heard[at].header("onsale-signature"), heard[at].body.as_bytes());
        signature::verify(&header, body, &[secret.as_bytes()], unix_now()).is_ok()
    };
    assert!(verified(0, &scene.secret) && verified(0, &next) && verified(1, &next));
    assert_eq!(heard[0].header("onsale-message-id"), heard[1].header("onsale-message-id"));
    // From now on the old one signs no more.
    let last = scene.call(Method::POST, "/rotate", Some(json!({"previous_seconds": 0}))).await.expect(StatusCode::OK);
    scene.redeliver(&row).await;
    let heard = scene.receiver.heard_so_many(3).await;
    let verify = |secret: &str| {
        let header = heard[2].header("onsale-signature");
        signature::verify(&header, heard[2].body.as_bytes(), &[secret.as_bytes()], unix_now()).is_ok()
    };
    assert!(verify(last["secret"].as_str().expect("a secret")) && !verify(&next) && !verify(&scene.secret));
    scene.call(Method::DELETE, "", None).await;
    assert_eq!(scene.call(Method::GET, "/deliveries", None).await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn s_41_a_url_that_is_not_called_is_refused_when_it_is_given() {
    let shop = Shop::open().await;
    let make = async |url: &str, topics: Value| {
        let body = json!({"url": url, "topics": topics});
        shop.served.post("/api/v1/webhooks", Some(&shop.organizer.access), body).await
    };
    for url in [
        "http://hooks.example.com/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/",
        "https://10.0.0.1/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com./",
        "https://１２７.０.０.１/",
        "https://hooks.example.com\\@10.0.0.1/",
    ] {
        let refused = make(url, json!(["ticket.issued"])).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()), "{url}");
        assert_eq!(refused.json()["errors"][0]["field"], "url", "{url}");
    }
    for topics in [json!([]), json!(["ping"]), json!(["order.*"])] {
        assert_eq!(make("https://hooks.example.com/", topics).await.problem(), (422, "invalid_body".into()));
    }
    for _ in 0..10 {
        make("https://hooks.example.com/", json!(["ticket.issued"])).await.expect(StatusCode::CREATED);
    }
    let one_more = make("https://hooks.example.com/", json!(["ticket.issued"])).await;
    assert_eq!(one_more.problem(), (409, "too_many_endpoints".into()));
}

/// Says another thing each time; the last one for ever.
struct Fickle {
    says: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Fickle {
    fn new(says: &[&[&str]]) -> Arc<Self> {
        let addresses = |list: &&[&str]| list.iter().map(|one| one.parse().expect("an address")).collect();
        Arc::new(Self { says: says.iter().map(addresses).collect(), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for Fickle {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.says[asked.min(self.says.len() - 1)].clone())
    }
}

async fn post(egress: &Egress, url: &str) -> Result<u16, NoAnswer> {
    egress.post(url, http::HeaderMap::new(), "{}".into()).await.0
}

#[tokio::test]
async fn s_41_a_name_that_means_an_address_of_ours_is_refused_when_it_is_called() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority).await;
    let port = receiver.address.port();
    let strict = Config { allow_networks: Vec::new(), ..receiver.allowed(&authority) };
    let url = format!("https://hooks.example.com:{port}/");
    for says in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254"],
        &["fd00::1"],
        // One good address beside it does not help.
        &["93.184.215.14", "127.0.0.1"],
    ] {
        let egress = Egress::with_resolver(&strict, Fickle::new(&[says])).expect("a good configuration");
        assert_eq!(post(&egress, &url).await, Err(NoAnswer::Refused), "{says:?}");
    }
    let nowhere = Egress::with_resolver(&strict, Fickle::new(&[&[]])).expect("a good configuration");
    assert_eq!(post(&nowhere, &url).await, Err(NoAnswer::Unresolved));
    // As the machine's own resolver has it, whatever was taken in before the rules changed.
    let system = Egress::open(&strict).expect("a good configuration");
    assert!(matches!(post(&system, &receiver.url()).await, Err(NoAnswer::Target(_))));
    assert!(matches!(post(&system, &format!("https://127.0.0.1:{port}/")).await, Err(NoAnswer::Target(_))));
    assert_eq!(receiver.connections(), 0);
    // The same with the network listed.
    let listed = receiver.allowed(&authority);
    let egress = Egress::with_resolver(&listed, Fickle::new(&[&["127.0.0.1"]])).expect("a good configuration");
    assert_eq!(post(&egress, &url).await, Ok(200));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn s_41_a_name_that_means_another_address_the_second_time_gains_nothing() {
    let authority = Authority::new();
    let names = ["hooks.example.com"];
    let inner = Receiver::at(&authority, "127.0.0.1:0", &names).await;
    // Plays the public address: another one of this machine, by the same port.
    let outer = Receiver::at(&authority, &format!("127.0.0.2:{}", inner.address.port()), &names).await;
    let config = Config { allow_networks: vec!["127.0.0.2".into()], ..outer.allowed(&authority) };
    let fickle = Fickle::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let egress = Egress::with_resolver(&config, fickle.clone()).expect("a good configuration");
    let url = format!("https://hooks.example.com:{}/", inner.address.port());
    assert_eq!(post(&egress, &url).await, Ok(200));
    assert_eq!(fickle.asked.load(Ordering::SeqCst), 1, "what was checked is what was called");
    assert_eq!(post(&egress, &url).await, Err(NoAnswer::Refused));
    assert_eq!((outer.connections(), inner.connections()), (1, 0));
}

#[tokio::test]
async fn s_41_no_redirect_is_followed_and_no_head_read_to_its_end_nor_a_stranger_believed() {
    let authority = Authority::new();
    let (receiver, target) = (Receiver::start(&authority).await, Receiver::start(&authority).await);
    let config = receiver.allowed(&authority);
    let egress = Egress::open(&config).expect("a good configuration");
    receiver.replies([Reply::Redirect(target.url()), Reply::Endless]);
    assert_eq!(post(&egress, &receiver.url()).await, Ok(307));
    assert_eq!(target.connections(), 0);
    assert_eq!(post(&egress, &receiver.url()).await, Err(NoAnswer::Broken));
    // A certificate of an authority that nobody knows, and one for another name.
    let strange = Receiver::start(&Authority::new()).await;
    let config = Config { ports: vec![strange.address.port()], ..receiver.allowed(&authority) };
    let egress = Egress::open(&config).expect("a good configuration");
    assert_eq!(post(&egress, &strange.url()).await, Err(NoAnswer::Tls));
    let other = Receiver::at(&authority, "127.0.0.1:0", &["other.example.com"]).await;
    let egress = Egress::open(&other.allowed(&authority)).expect("a good configuration");
    assert_eq!(post(&egress, &other.url()).await, Err(NoAnswer::Tls));
    assert!(strange.heard().is_empty() && other.heard().is_empty());
}

#[tokio::test]
async fn s_41_a_receiver_that_does_not_answer_is_waited_for_five_seconds() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority).await;
    receiver.replies([Reply::Held(Arc::new(Notify::new()))]);
    let egress = Egress::open(&receiver.allowed(&authority)).expect("a good configuration");
    assert_eq!(post(&egress, &receiver.url()).await, Err(NoAnswer::Late));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_41_a_node_calls_an_endpoint_itself_whatever_proxy_its_environment_names() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority).await;
    // Whoever came to it would be one connection.
    let proxy = Receiver::start(&authority).await;
    let site = Site::embedded()
        .set("webhooks.ports", &receiver.address.port().to_string())
        .set("webhooks.allow_networks", "127.0.0.0/8,::1")
        .set("webhooks.ca_file", &authority.file().display().to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env(name, format!("http://{}", proxy.address));
    }
    let mut node = site.spawn_by(command);
    node.ready().await;
    let (client, access) = (site.client(), site.organizer().await);
    let headers = Headers { access: Some(&access), ..Headers::default() };
    let body = json!({"url": receiver.url(), "topics": ["ticket.issued"]});
    let made = client.send(Method::POST, "/webhooks", headers, Some(&body)).await.expect("an answer");
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let ping = format!("/webhooks/{}/ping", made.text("id").expect("an id"));
    let ping = client.send(Method::POST, &ping, headers, None).await.expect("an answer");
    assert_eq!(ping.status, StatusCode::ACCEPTED, "{ping:?}");
    let heard = receiver.heard_so_many(1).await;
    let secret = made.text("secret").expect("a secret");
    let header = heard[0].header("onsale-signature");
    assert!(signature::verify(&header, heard[0].body.as_bytes(), &[secret.as_bytes()], unix_now()).is_ok());
    assert_eq!(proxy.connections(), 0);
    node.signal("TERM").await;
    let (status, log) = node.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains(&secret) && !log.contains("whsec_"), "{log}");
}
