//! The stage: a data directory, accounts, a node's configuration, the event.

use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Options, drill,
    fans::{Account, Client, Headers},
};
use crate::{
    cli::child::free_address,
    config::{self, Config},
    domain::{
        account::Role,
        id::{EventId, FanId},
        time::Millis,
    },
    failure::Failure,
    http::{
        self,
        password::{Password, Passwords},
        shapes::Timestamp,
    },
    stores::{
        data_dir::DataDir,
        database::{Database, accounts},
        secret::RootSecret,
    },
};

pub const HOLD_SECONDS: u32 = 12;
pub const GRACE_SECONDS: u32 = 20;
/// The smallest that there is.
pub const BCRYPT_COST: u32 = 4;
/// The same for everybody: nothing here is secret.
const PASSWORD: &str = "demonstration-only";

pub struct Setting {
    /// Removed with it.
    directory: TempDir,
    /// At least one; the first one's stores are read.
    sites: Vec<Site>,
    config: Config,
    /// After the name, so that a database which served before can serve again.
    suffix: String,
}

/// Of one node.
struct Site {
    flags: Vec<(String, String)>,
    url: String,
    admin_url: String,
}

/// One account for each role that has powers, and one for somebody who tries it by hand.
const PEOPLE: [(&str, Role); 5] = [
    ("organizer", Role::Organizer),
    ("admin", Role::Admin),
    ("operator", Role::Operator),
    ("staff", Role::Staff),
    ("you", Role::Fan),
];

impl Setting {
    pub async fn prepare(options: &Options) -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("onsale-demo-")?;
        let mut flags = vec![
            ("http.insecure_demo", "true".into()),
            ("http.bcrypt_cost", BCRYPT_COST.to_string()),
            // One machine plays all fans, so the limits by address would only measure themselves.
            ("http.bcrypt_queue", "100000".into()),
            ("http.login_per_minute", "1000000".into()),
            ("http.join_per_second", "1000000".into()),
            ("http.join_burst", "1000000".into()),
            // The audit wants to see every entry.
            ("actors.snapshot_tail_bytes", "1000000000".into()),
            ("log.filter", "warn".into()),
        ];
        let servers = [
            ("stores.etcd", &options.etcd),
            ("stores.redis", &options.redis),
            ("stores.rabbitmq", &options.rabbitmq),
            ("stores.database", &options.database),
        ];
        flags.extend(servers.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value))));
        let flags: Vec<(String, String)> = flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let sites = (1..=options.nodes).map(|n| Site::new(directory.path(), n, &flags));
        let sites: Vec<Site> = sites.collect::<Result<_, _>>()?;
        let first = sites.first().ok_or("a node is needed")?;
        let config = config::load(None, [], &first.flags)?;
        let mut setting = Self { directory, sites, config, suffix: String::new() };
        setting.make_accounts(options.fans).await?;
        Ok(setting)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
    /// Of the public APIs, comma-separated.
    pub fn urls(&self) -> String {
        self.sites.iter().map(|site| site.url.as_str()).collect::<Vec<_>>().join(",")
    }
    pub fn url(&self, node: usize) -> &str {
        self.sites.get(node).map_or("", |site| &site.url)
    }
    pub fn nodes(&self) -> usize {
        self.sites.len()
    }
    pub fn accounts_file(&self) -> PathBuf {
        self.directory().join("accounts.jsonl")
    }

    pub fn serve_arguments(&self, node: usize) -> Vec<String> {
        let flags = self.sites.get(node).into_iter().flat_map(|site| &site.flags);
        let sets = flags.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        std::iter::once("serve".to_owned()).chain(sets).collect()
    }

    fn address(&self, name: &str) -> String {
        format!("{name}{}@example.org", self.suffix)
    }

    async fn make_accounts(&mut self, fans: u32) -> Result<(), Failure> {
        let data_dir = DataDir::open(&self.config.stores.data_dir)?;
        let database = Database::connect(&self.config.stores).await?;
        database.migrate().await?;
        let secret = RootSecret::open(None, data_dir.path())?;
        // One hash serves all: they share the password, as nobody else's accounts could.
        let passwords = Passwords::new(&secret, &self.config.http);
        let hash = passwords.hash(Password::new(PASSWORD.into())).await?;
        let account = |email: String, roles: Vec<Role>| accounts::Account {
            id: FanId::from_uuid(Uuid::now_v7()),
            name: email.split('@').next().unwrap_or_default().to_owned(),
            email,
            language: "en".into(),
            password_hash: hash.clone(),
            roles,
            status: accounts::Status::Active,
            session_version: 1,
            created_at: http::now(),
            updated_at: http::now(),
        };
        // Addresses differ from run to run, so that a shared database can serve again.
        let run = Uuid::new_v4().simple().to_string();
        let fans: Vec<_> = (0..fans).map(|n| account(format!("fan-{n}-{run}@example.org"), vec![Role::Fan])).collect();
        let file = self.accounts_file();
        let mut lines =
            BufWriter::new(fs::File::create(&file).map_err(|error| format!("{}: {error}", file.display()))?);
        for fan in &fans {
            let line = Account { id: fan.id, email: fan.email.clone(), password: PASSWORD.into() };
            let line = serde_json::to_string(&line).expect("plain fields");
            writeln!(lines, "{line}").map_err(|error| format!("{}: {error}", file.display()))?;
        }
        lines.flush()?;
        accounts::create_many(&database, &fans).await?;
        let taken = accounts::by_email(&database, &self.address("organizer")).await?;
        if taken.is_some() {
            self.suffix = format!("-{run}");
        }
        let mut people = Vec::new();
        for (name, role) in PEOPLE {
            let mut roles = vec![Role::Fan, role];
            roles.dedup();
            people.push(account(self.address(name), roles));
        }
        accounts::create_many(&database, &people).await?;
        database.close().await;
        Ok(())
    }

    /// As the organizer, through the public API: makes the event and publishes it.
    pub async fn open_event(&self, options: &Options) -> Result<EventId, Failure> {
        let client = Client::new(&self.urls())?;
        let login = json!({"email": self.address("organizer"), "password": PASSWORD});
        let login = client.send(Method::POST, "/auth/login", Default::default(), Some(&login)).await?;
        let access = login.text("access_token")?;
        let headers = Headers { access: Some(&access), ..Default::default() };
        let call = |method: Method, path: String, body: Value| {
            let client = &client;
            async move {
                let reply = client.send(method.clone(), &path, headers, Some(&body)).await?;
                if reply.status.is_success() {
                    Ok(reply)
                } else {
                    Err(format!("{method} {path}: {} {}", reply.status, reply.body))
                }
            }
        };
        let event = call(Method::POST, "/events".into(), event_body(options)).await?;
        let id = event.text("id")?;
        let version = event.body["version"].as_u64().ok_or("an event has a version")?;
        call(Method::PUT, format!("/events/{id}/seat-plan?version={version}"), seat_plan(options.stock)).await?;
        call(Method::POST, format!("/events/{id}/publish"), json!({})).await?;
        Ok(id.parse().map_err(|error| format!("event: {error}"))?)
    }

    /// What somebody can paste into a shell, from the first line to the last.
    pub fn lines_to_try(&self, event: EventId, stock: u32) -> String {
        let (url, suffix) = (self.url(0), &self.suffix);
        let admin_url = self.sites.first().map_or("", |site| &site.admin_url);
        let socket_url = url.replacen("http", "ws", 1);
        let more = division(stock).0 + 50;
        let names: Vec<_> = PEOPLE.iter().map(|(name, _)| *name).collect();
        format!(
            r#"In a shell beside it:

  API={url}/api/v1 ADMIN={admin_url}/api/v1/admin
  EVENT={event}
  JSON='Content-Type: application/json'
  value() {{ grep -o "\"$1\":\"[^\"]*" | cut -d '"' -f 4; }}
  sign_in() {{ TOKEN=$(curl -s $API/auth/login -H "$JSON" -d '{{
    "email":"'$1'{suffix}@example.org",
    "password":"{PASSWORD}"}}' | value access_token); }}
  ask() {{ curl -s -H "Authorization: Bearer $TOKEN" -H "$JSON" \
    -H "Idempotency-Key: $(date +%N)" "$@"; echo; }}

As the organizer, put 50 more on sale:

  sign_in organizer
  ask -X PUT $ADMIN/events/$EVENT/stock -d '{{
    "ticket_type":"STANDING","stock":{more},"reason":"why not"}}'

As a fan, take a place in the queue, your turn, and two tickets, and pay for them.
(A hold lasts {HOLD_SECONDS} s here; a browser would show $PAGE.)

  sign_in you
  ask -X POST $API/events/$EVENT/queue
  sleep 2
  ADMISSION=$(ask -X POST $API/events/$EVENT/queue/claim | value acceptedTokenId)
  ORDER=$(ask $API/events/$EVENT/holds -H "Onsale-Admission: $ADMISSION" -d '{{
    "items":[{{"ticket_type":"STANDING","quantity":2}}]}}' | value reference)
  PAGE=$(ask $API/orders/$ORDER/checkout -d '{{
    "provider":"sandbox"}}' | value payment_url)
  curl -s -o /dev/null -d outcome=pay $PAGE
  sleep 2
  ask $API/tickets

The queue as the operator sees it, and as a fan does on a WebSocket (by websocat):

  sign_in operator
  ask $ADMIN/events/$EVENT/queue
  websocat -H "Authorization: Bearer $TOKEN" \
    {socket_url}/api/v1/events/$EVENT/queue/socket

Accounts: {}.
Password: {PASSWORD}
API:      {url}/api/v1/docs
Metrics:  {admin_url}/metrics
Data and the node's log: {}"#,
            names.join(", "),
            self.directory().display()
        )
    }

    /// The data and the node's log are not removed.
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

impl Site {
    /// All have the first one's root secret.
    fn new(directory: &Path, n: u16, shared: &[(String, String)]) -> Result<Self, Failure> {
        let data_dir = |n: u16| directory.join(if n == 1 { "data".to_owned() } else { format!("data-{n}") });
        let listen = free_address(if n == 1 { 8080 } else { 0 })?;
        let admin_listen = free_address(if n == 1 { 9090 } else { 0 })?;
        let (url, admin_url) = (format!("http://{listen}"), format!("http://{admin_listen}"));
        let mut flags = shared.to_vec();
        let mut set = |key: &str, value: String| flags.push((key.to_owned(), value));
        set("stores.data_dir", data_dir(n).display().to_string());
        set("http.listen", listen);
        set("http.admin_listen", admin_listen);
        set("node", format!("n{n}"));
        if n > 1 {
            set("http.root_secret_file", data_dir(1).join("root.secret").display().to_string());
        }
        Ok(Self { flags, url, admin_url })
    }
}

/// How the stock is divided: (standing, stalls, balcony); the first by quantity, the others by seat.
fn division(stock: u32) -> (u32, u32, u32) {
    let seats = stock * 2 / 5;
    let balcony = (seats / 2).max(1);
    let stalls = seats.saturating_sub(balcony).max(1);
    (stock - stalls - balcony, stalls, balcony)
}

fn event_body(options: &Options) -> Value {
    let now = http::now();
    let day = Millis::minutes(24 * 60);
    let (standing, ..) = division(options.stock);
    let hold_seconds = if options.drill.is_some() { drill::hold_seconds(options.fans) } else { HOLD_SECONDS };
    let price = |minor: u32| json!({"minor": minor, "currency": "EUR"});
    json!({
        "title": "Demonstration",
        "description": "A thousand simulated fans at once.",
        "category": "concert", "venue": "The Hall", "city": "Zagreb", "time_zone": "Europe/Zagreb",
        "starts_at": Timestamp(now + day + day), "ends_at": Timestamp(now + day + day + day),
        "on_sale_at": Timestamp(now), "currency": "EUR",
        "limits": {"per_order": 4, "per_fan": 4, "hold_seconds": hold_seconds, "extension_seconds": hold_seconds},
        "ticket_types": [
            {"code": "STANDING", "name": "Standing", "price": price(3500), "stock": standing},
            {"code": "STALLS", "name": "Stalls", "price": price(6000), "seated": true},
            {"code": "BALCONY", "name": "Balcony", "price": price(4800), "seated": true},
        ],
        "queue": {
            "slots": (options.fans / 5).max(20), "rate_per_minute": (options.fans * 6).clamp(600, 60_000),
            "session_seconds": 120, "claim_seconds": 10, "grace_seconds": GRACE_SECONDS,
        },
    })
}

fn seat_plan(stock: u32) -> Value {
    const ROW: u32 = 20;
    let (_, stalls, balcony) = division(stock);
    let block = |zone: &'static str, seats: u32| {
        (0..seats).map(move |n| {
            let (row, number) = (n / ROW + 1, n % ROW + 1);
            json!({"id": format!("{zone}-{row}-{number}"), "zone": zone, "row": row.to_string(), "number": number, "ticket_type": zone})
        })
    };
    json!({"seats": block("STALLS", stalls).chain(block("BALCONY", balcony)).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_is_divided_without_rest() {
        for stock in [3, 4, 7, 300, 1000, 99_999] {
            let (standing, stalls, balcony) = division(stock);
            assert_eq!(standing + stalls + balcony, stock);
            assert!(standing > 0 && stalls > 0 && balcony > 0, "{stock}");
        }
    }
}
