//! A whole server of a test's own: embedded stores in a temporary folder, free ports, one client.

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use onsale::{
    actors::{
        self,
        codes::Codes,
        directory::{Directory, LocalDirectory, Part},
        letters::Letters,
        mailer,
        notes::Notes,
        operations::Alone,
        papers::Papers,
        webhooks,
        worker::Worker,
    },
    documents::{self, fonts::Fonts},
    domain::{
        account::Role,
        id::{EventId, FanId},
    },
    http::{
        app::{App, Below},
        config::Config,
        now, sandbox,
        server::{Bound, Server, serve},
    },
    stores::{
        self,
        database::accounts,
        egress::{self, Egress},
        keys::{KeyStore, ring::KeyRing},
        post::Post,
        provider::{self, Providers},
        secret::RootSecret,
        wallets::Wallets,
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::MutexGuard;
use tokio_util::sync::CancellationToken;

use crate::{harness::PASSWORD, node};

pub struct Served {
    pub app: Arc<App>,
    /// `http://127.0.0.1:PORT`, without a slash.
    pub public: String,
    pub admin: String,
    pub client: reqwest::Client,
    pub below: Below,
    pub shutdown: CancellationToken,
    server: Option<Server>,
    secret_text: String,
    home: Arc<Home>,
}

/// What several nodes of one test share.
struct Home {
    directory: Arc<LocalDirectory>,
    stores: stores::Stores,
    folder: tempfile::TempDir,
    _alone: Option<MutexGuard<'static, ()>>,
}

/// Cheap password hashes, free ports, and the limits of a demonstration.
pub fn config() -> Config {
    Config {
        listen: "127.0.0.1:0".into(),
        admin_listen: "127.0.0.1:0".into(),
        bcrypt_cost: 4,
        insecure_demo: true,
        shutdown_grace: 5,
        keys_overlap: 0,
        ..Config::default()
    }
}

/// As a node's boot does it.
async fn open_keys(secret: &str, store: &Arc<dyn KeyStore>) -> Arc<KeyRing> {
    KeyRing::open(RootSecret::parse(secret).expect("random"), Arc::clone(store)).await.expect("keys")
}

/// The limits of a real sale, and hashes as cheap as one may have there.
pub fn strict() -> Config {
    Config { bcrypt_cost: 10, insecure_demo: false, ..config() }
}

/// So long a queue waits for tickets after a loss.
pub const REBUILD_MS: u64 = 4_000;

/// Queues are looked at often, so that a test need not wait long.
pub fn actors_config() -> actors::config::Config {
    actors::config::Config { queue_publish_ms: 100, queue_rebuild_ms: REBUILD_MS, ..Default::default() }
}

impl Served {
    pub async fn start(config: Config) -> Self {
        Self::start_paying(config, provider::config::Config::default()).await
    }

    /// With these payment providers.
    pub async fn start_paying(config: Config, payments: provider::config::Config) -> Self {
        Self::start_with(config, payments, egress::config::Config::default()).await
    }

    pub async fn start_with(
        config: Config,
        payments: provider::config::Config,
        webhooks: egress::config::Config,
    ) -> Self {
        Self::start_on(stores::config::Config::default(), None, config, payments, webhooks).await
    }

    /// On the servers that other tests use too, one shop at a time.
    pub async fn start_on_servers(config: Config) -> Option<Self> {
        let (servers, alone) = (node::servers().await?, node::alone().await);
        let (payments, webhooks) = (provider::config::Config::default(), egress::config::Config::default());
        Some(Self::start_on(servers, Some(alone), config, payments, webhooks).await)
    }

    async fn start_on(
        stores_config: stores::config::Config,
        alone: Option<MutexGuard<'static, ()>>,
        config: Config,
        payments: provider::config::Config,
        webhooks: egress::config::Config,
    ) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stores_config = stores::config::Config { data_dir: folder.path().join("data"), ..stores_config };
        // No two nodes on one etcd may have the same.
        let node = if alone.is_some() { format!("test-{:08x}", rand::random::<u32>()) } else { "n1".into() };
        let mut stores = stores::open(&stores_config, &node).await.expect("stores");
        stores.providers = Providers::open(&payments, &stores.database).expect("a good configuration");
        stores.database.migrate().await.expect("migrated");
        let secret_text = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let keys = open_keys(&secret_text, &stores.keys).await;
        let directory = match alone {
            None => LocalDirectory::start(&stores, Arc::clone(&keys), actors_config()).await.expect("actors"),
            // Of the events that are active on the servers only its own are this shop's.
            Some(_) => {
                let member = LocalDirectory::start_member(&stores, Arc::clone(&keys), actors_config()).await;
                let member = member.expect("actors");
                let asked: Arc<dyn Directory> = member.clone();
                member.begin(Arc::downgrade(&asked));
                member
            }
        };
        let operations = Alone::start(node, "public".into(), "admin".into(), directory.clone());
        let papers = Papers::new(stores.database.clone(), Fonts::built_in(), &documents::config::Config::default());
        let codes = Codes::new(keys.secret());
        let notes = Notes::new(stores.database.clone(), papers.clone(), codes, "https://shop.example".into());
        let letters = Letters::new(stores.database.clone(), papers.clone(), notes, "Tickets <tickets@shop.example>");
        let below = Below {
            database: stores.database.clone(),
            queue: stores.queue.clone(),
            used_tickets: stores.used_tickets.clone(),
            waits: stores.waits.clone(),
            bus: stores.bus.clone(),
            ownership: stores.ownership.clone(),
            providers: stores.providers.clone(),
            directory: directory.clone(),
            operations: Arc::new(operations),
            halt: directory.halt().clone(),
            papers,
            letters: letters.expect("an address"),
            wallets: Wallets::default(),
            egress: Arc::new(Egress::open(&webhooks).expect("a good configuration")),
        };
        let home = Arc::new(Home { directory, stores, folder, _alone: alone });
        Self::on(config, below, keys, secret_text, home).await
    }

    /// Another node on the same stores, which makes passes for telephones.
    pub async fn beside_with_wallets(&self, config: Config, wallets: Wallets) -> Self {
        let keys = open_keys(&self.secret_text, &self.home.stores.keys).await;
        let below = Below { wallets, ..self.below.clone() };
        Self::on(config, below, keys, self.secret_text.clone(), self.home.clone()).await
    }

    /// Another node on the same stores.
    pub async fn beside(&self, config: Config) -> Self {
        let keys = open_keys(&self.secret_text, &self.home.stores.keys).await;
        Self::on(config, self.below.clone(), keys, self.secret_text.clone(), self.home.clone()).await
    }

    /// The same, with its keys in a store of the test's, at which it looks so often.
    pub async fn beside_with_keys(&self, config: Config, store: Arc<dyn KeyStore>, every: Duration) -> Self {
        let secret = RootSecret::parse(&self.secret_text).expect("random");
        let keys = KeyRing::open_with(secret, store, every).await.expect("keys");
        Self::on(config, self.below.clone(), keys, self.secret_text.clone(), self.home.clone()).await
    }

    async fn on(mut config: Config, below: Below, keys: Arc<KeyRing>, secret_text: String, home: Arc<Home>) -> Self {
        let tls = config.tls_self_signed || config.tls_cert.is_some();
        let bound = Bound::bind(&mut config).await.expect("listens");
        let app = App::new(config, below.clone(), keys).expect("a good configuration");
        let shutdown = CancellationToken::new();
        let server = serve(app.clone(), bound, Router::new(), shutdown.clone()).await.expect("serves");
        sandbox::start(&app, server.public);
        let scheme = if tls { "https" } else { "http" };
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .timeout(Duration::from_secs(30))
            .build()
            .expect("client");
        Self {
            public: format!("{scheme}://{}", server.public),
            admin: format!("{scheme}://{}", server.admin),
            app,
            client,
            below,
            shutdown,
            server: Some(server),
            secret_text,
            home,
        }
    }

    /// Sends mails, which nobody does otherwise; files lie in the folder.
    pub fn mailer(&self, config: &stores::post::config::Config, folder: &Path) -> Worker {
        let post = stores::post::open(config, folder).expect("a good configuration");
        self.mailer_by(post, config)
    }

    pub fn mailer_by(&self, post: Arc<dyn Post>, config: &stores::post::config::Config) -> Worker {
        let Below { database, letters, .. } = self.below.clone();
        mailer::start(&self.home.directory, database, letters, post, config)
    }

    /// Delivers webhooks, which nobody does otherwise.
    pub fn webhooks(&self, egress: Arc<Egress>, config: &egress::config::Config) -> Worker {
        webhooks::start(self.below.database.clone(), egress, self.app.keys.clone(), config)
    }

    /// Goes down and waits for the end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            server.finished().await;
        }
        self.home.directory.shutdown(Duration::from_secs(10)).await;
    }

    /// One of the event's actors; another one takes its place.
    pub async fn kill(&self, event: EventId, part: Part) -> bool {
        self.home.directory.kill(event, part).await
    }

    /// Of the embedded stores.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.home.folder.path().join("data")
    }

    pub fn authority(&self) -> &str {
        self.public.split_once("://").expect("a URL").1
    }

    pub async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let base = if path.starts_with("/api/v1/admin") || path == "/metrics" { &self.admin } else { &self.public };
        let mut request = self.client.request(method, format!("{base}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.call(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        self.call(Method::POST, path, token, Some(body)).await
    }

    pub async fn register(&self, email: &str) -> SignedIn {
        self.register_as(email, "Ann", "en").await
    }

    pub async fn register_as(&self, email: &str, name: &str, language: &str) -> SignedIn {
        let body = json!({"email": email, "password": PASSWORD, "name": name, "language": language});
        SignedIn::of(&self.post("/api/v1/auth/register", None, body).await.expect(StatusCode::CREATED))
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/api/v1/auth/login", None, json!({"email": email, "password": password})).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh", None, json!({"refresh_token": token})).await
    }

    /// Registered, and given roles as the command line would.
    pub async fn with_roles(&self, email: &str, roles: &[Role]) -> SignedIn {
        let id = self.register(email).await.id;
        let mut write = self.below.database.begin().await.expect("begins");
        accounts::set_roles(&mut write, id, roles, now()).await.expect("set");
        write.commit().await.expect("committed");
        SignedIn::of(&self.login(email, PASSWORD).await.expect(StatusCode::OK))
    }
}

pub struct SignedIn {
    pub id: FanId,
    pub access: String,
    pub refresh: String,
}

impl SignedIn {
    fn of(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            id: text(&body["account"]["id"]).parse().expect("id"),
            access: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The problem's code, after checking that it is a whole problem.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(body["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(body["request_id"], self.header("x-request-id"), "{self:?}");
        for member in ["type", "title", "detail", "code"] {
            assert!(body[member].is_string(), "{member} of {self:?}");
        }
        (self.status.as_u16(), body["code"].as_str().expect("code").to_owned())
    }
}
