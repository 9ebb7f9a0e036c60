//! The real program as a process of its own: started, told, killed and started again on the same stores.

use std::{
    os::unix::fs::OpenOptionsExt as _,
    process::{ExitStatus, Stdio},
    sync::{self, Arc, PoisonError},
    time::Duration,
};

use onsale::{
    config::{self, Config},
    demo::fans::{Client, Headers, Reply},
    stores,
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout},
};

use crate::{
    harness::{PASSWORD, address, database_of_its_own, in_time, until},
    servers::free_port,
};

const READY: Duration = Duration::from_secs(60);

/// Where a node runs: its addresses, settings and stores, which outlive it.
pub struct Site {
    folder: TempDir,
    url: String,
    settings: Vec<(String, String)>,
    alone: Option<MutexGuard<'static, ()>>,
}

impl Site {
    pub fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (listen, admin) = (free_address(), free_address());
        let url = format!("http://{listen}");
        Self { folder, url, settings: Vec::new(), alone: None }
            .set("http.listen", &listen)
            .set("http.admin_listen", &admin)
            // No two nodes on one etcd may have the same.
            .set("node", &format!("test-{:08x}", rand::random::<u32>()))
            .set("http.insecure_demo", "true")
            .set("http.bcrypt_cost", "4")
            .set("http.bcrypt_queue", "10000")
            .set("http.login_per_minute", "1000000")
            .set("http.join_per_second", "1000000")
            .set("http.join_burst", "1000000")
            .set("actors.queue_publish_ms", "100")
            .set("log.filter", "warn")
            // Every entry is kept, so that every one can be looked at.
            .set("actors.snapshot_tail_bytes", "1000000000")
            .with_data_dir()
    }

    /// On the servers that other tests use too: with tables of its own, and whatever goes by an event's id. One site at a
    /// time, for all nodes on one broker are taken for one shop, and get each other's messages.
    pub async fn on_servers() -> Option<Self> {
        let servers = servers().await?;
        let mut site = Self::embedded()
            .set("stores.etcd", &servers.etcd.join(","))
            .set("stores.redis", &servers.redis)
            .set("stores.rabbitmq", &servers.rabbitmq)
            .set("stores.database", &servers.database);
        site.alone = Some(alone().await);
        Some(site)
    }

    /// Several nodes of one cluster on these servers; all have this one's secret. What each has of its own is set last.
    pub fn with_siblings(self, count: usize) -> Vec<Self> {
        let file = self.folder.path().join("shared.secret");
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut options = std::fs::OpenOptions::new();
        let mut made = options.write(true).create_new(true).mode(0o600).open(&file).expect("made");
        std::io::Write::write_all(&mut made, secret.as_bytes()).expect("written");
        let first = self.set("http.root_secret_file", &file.display().to_string());
        let sibling = |first: &Self| {
            let mut site = Self::embedded();
            let own = std::mem::take(&mut site.settings);
            site.settings = first.settings.iter().cloned().chain(own).collect();
            site
        };
        let siblings: Vec<_> = (0..count).map(|_| sibling(&first)).collect();
        std::iter::once(first).chain(siblings).collect()
    }

    fn with_data_dir(self) -> Self {
        let data_dir = self.folder.path().join("data").display().to_string();
        self.set("stores.data_dir", &data_dir)
    }

    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// On a host of its own, where every port is free.
    pub fn at(mut self, host: &str) -> Self {
        let [public, admin, link] = [8080, 9090, 7400].map(|port| format!("{host}:{port}"));
        self.url = format!("http://{public}");
        self.set("http.listen", &public).set("http.admin_listen", &admin).set("cluster.listen", &link)
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn config(&self) -> Config {
        config::load(None, [], &self.settings).expect("good settings")
    }

    /// To be called while no node runs: the database then believes that a minute has passed since requests were cut off,
    /// after which they may be resumed. One process on a file knows that at its start.
    pub async fn let_a_minute_pass(&self) {
        let url = self.config().stores.database;
        if url.is_empty() {
            return;
        }
        let mut connection = AnyConnection::connect(&url).await.expect("connect");
        let earlier = "UPDATE idempotency_keys SET created_at = created_at - 60000 WHERE status IS NULL";
        connection.execute(earlier).await.expect("changed");
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url).expect("an address")
    }

    pub async fn is_ready(&self) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let reply = client.get(format!("{}/health/ready", self.url)).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }

    /// What the admin listener says.
    pub async fn metrics(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let url = format!("http://{}/metrics", self.config().http.admin_listen);
        client.get(url).send().await.expect("an answer").text().await.expect("text")
    }

    fn arguments(&self) -> impl Iterator<Item = String> {
        self.settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")])
    }

    /// A subcommand with the nodes' configuration.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.arg(name).args(self.arguments());
        command
    }

    /// Does not wait until it is ready.
    pub fn spawn(&self) -> Node {
        self.spawn_by(Command::new(env!("CARGO_BIN_EXE_onsale")))
    }

    /// By a command that takes the program's arguments.
    pub fn spawn_by(&self, mut command: Command) -> Node {
        let mut child = command
            .arg("serve")
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let log = Arc::new(sync::Mutex::new(String::new()));
        let mut errors = child.stderr.take().expect("piped");
        let written = Arc::clone(&log);
        let reader = tokio::spawn(async move {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut some).await {
                let text = String::from_utf8_lossy(&some[..count]);
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Node { child, log, reader, url: self.url.clone() }
    }

    pub async fn start(&self) -> Node {
        let mut node = self.spawn();
        node.ready().await;
        node
    }

    pub async fn organizer(&self) -> String {
        self.account("organizer").await
    }

    /// Made from the command line, beside whatever runs; signs in through the API. Gives the access token.
    pub async fn account(&self, role: &str) -> String {
        let email = format!("{role}-{:016x}@example.com", rand::random::<u64>());
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["account", "create", &email, "--roles", role])
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(format!("{PASSWORD}\n").as_bytes()).await.expect("it reads the password");
        drop(input);
        assert!(in_time(child.wait()).await.expect("it ends").success());
        let login = json!({"email": email, "password": PASSWORD});
        let reply = self.client().send(Method::POST, "/auth/login", Headers::default(), Some(&login)).await;
        reply.expect("an answer").text("access_token").expect("signed in")
    }

    /// Made and published through the API. Gives its id.
    pub async fn event(&self, body: Value, seat_plan: Option<Value>) -> String {
        let (client, access) = (self.client(), self.organizer().await);
        let headers = Headers { access: Some(&access), ..Headers::default() };
        let call = async |method: Method, path: String, body: Value| -> Reply {
            let reply = client.send(method, &path, headers, Some(&body)).await.expect("an answer");
            assert!(reply.status.is_success(), "{path}: {reply:?}");
            reply
        };
        let event = call(Method::POST, "/events".into(), body).await;
        let id = event.text("id").expect("an id");
        if let Some(seat_plan) = seat_plan {
            call(Method::PUT, format!("/events/{id}/seat-plan?version={}", event.body["version"]), seat_plan).await;
        }
        call(Method::POST, format!("/events/{id}/publish"), json!({})).await;
        id
    }
}

/// A running process; killed when dropped.
pub struct Node {
    child: Child,
    log: Arc<sync::Mutex<String>>,
    reader: tokio::task::JoinHandle<()>,
    url: String,
}

impl Node {
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// As far as it can be: one that is drained says so.
    pub async fn ready(&mut self) {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let deadline = Instant::now() + READY;
        loop {
            let reply = client.get(format!("{}/health/ready", self.url)).send().await;
            if let Ok(reply) = reply
                && let Ok(report) = reply.json::<serde_json::Value>().await
                && ["ready", "draining"].iter().any(|status| report["status"] == *status)
            {
                return;
            }
            let ended = self.child.try_wait().expect("ours");
            assert!(ended.is_none() && Instant::now() < deadline, "not ready ({ended:?}): {}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Such as TERM.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().await;
        assert!(sent.expect("kill is installed").success(), "{name}");
    }

    /// Returns when none of it runs any more; SIGCONT thaws it.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
        let tasks = format!("/proc/{}/task", self.id());
        until("all its threads stand still", async || {
            let tasks = std::fs::read_dir(&tasks).expect("a process");
            tasks.flatten().all(|task| {
                // The state follows the name, which stands in parentheses.
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, after)| after.starts_with('T'))
            })
        })
        .await;
    }

    /// SIGKILL: nothing of the process runs any more.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Ends by itself; gives its status and all it has written.
    pub async fn ended(mut self, within: Duration) -> (ExitStatus, String) {
        let status = timeout(within, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| unreachable!("still running after {within:?}: {}", self.log()));
        in_time(&mut self.reader).await.expect("the log is read");
        (status.expect("ours"), self.log())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the node's log:\n{}", self.log());
        }
    }
}

/// Real ones, with tables of their own.
pub async fn servers() -> Option<stores::config::Config> {
    let servers = ["ONSALE_TEST_ETCD", "ONSALE_TEST_REDIS", "ONSALE_TEST_RABBITMQ"];
    let [etcd, redis, rabbitmq] = servers.map(address);
    Some(stores::config::Config {
        etcd: etcd?.split(',').map(str::to_owned).collect(),
        redis: redis?,
        rabbitmq: rabbitmq?,
        database: database_of_its_own().await?,
        ..Default::default()
    })
}

/// The one shop on these servers, for as long as this is held.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

pub fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}
