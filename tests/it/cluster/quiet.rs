//! Events at which nobody asks for anything any more, and whose node is killed right after the last request.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use futures_util::future::join_all;
use onsale::{
    demo::fans::{Client, Headers, Reply},
    domain::{
        id::{EventId, OrderRef},
        inventory::request::HoldState,
        order::OrderState,
        time::EventTime,
    },
    http::now,
    stores::{
        config::Config,
        database::{Database, checks},
        etcd::Etcd,
        wishes::WishStore,
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{PASSWORD, address, eventually, open_etcd, until},
    ledger::Ledger,
    node::{Node, Site},
    proxy::{Proxy, server_of},
    rush::event_body,
};

const NODES: usize = 3;
const FANS: usize = 6;
/// So short that the last ones lapse while nobody runs the event: the lease of a node that was killed lives on for longer.
const HOLD_SECONDS: u64 = 2;

/// Several nodes, and the one way from them to the broker.
struct Cluster {
    sites: Vec<Site>,
    nodes: Vec<Node>,
    broker: Proxy,
    stores: Config,
}

impl Cluster {
    async fn open() -> Option<Self> {
        let (first, rabbit) = (Site::on_servers().await?, address("ONSALE_TEST_RABBITMQ")?);
        let broker = Proxy::to(server_of(&rabbit)).await;
        let sites = first.set("stores.rabbitmq", &broker.url(&rabbit)).with_siblings(NODES - 1);
        let mut nodes = Vec::new();
        for site in &sites {
            nodes.push(site.start().await);
        }
        let stores = sites[0].config().stores;
        Some(Self { sites, nodes, broker, stores })
    }

    /// The node that is to die. Everything is asked of it alone: another one that was asked would look after the event for a
    /// while, for those who might ask it again.
    fn victim(&self) -> &Site {
        &self.sites[NODES - 1]
    }

    async fn admitted(&self, event: EventId) -> Vec<Admitted> {
        let client = || self.victim().client();
        join_all((0..FANS).map(|_| Admitted::register(client(), event))).await
    }
}

/// A fan who does what it is told to.
struct Admitted {
    client: Client,
    event: EventId,
    access: String,
    admission: String,
}

impl Admitted {
    async fn register(client: Client, event: EventId) -> Self {
        let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
        let reply = client.send(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
        let access = reply.expect("an answer").text("access_token").expect("registered");
        let mut fan = Self { client, event, access, admission: String::new() };
        let queue = format!("/events/{event}/queue");
        fan.ask(Method::POST, &queue, None).await;
        fan.admission = eventually("it is admitted", async || {
            let state = fan.ask(Method::GET, &queue, None).await;
            if state.body["state"] == "called" {
                fan.ask(Method::POST, &format!("{queue}/claim"), None).await;
            }
            state.text("acceptedTokenId").ok().filter(|token| !token.is_empty())
        })
        .await;
        fan
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let (key, admission) = (Uuid::new_v4().to_string(), Some(self.admission.as_str()));
        let admission = admission.filter(|token| !token.is_empty());
        let headers = Headers { access: Some(&self.access), admission, key: Some(&key) };
        let reply = self.client.send(method, path, headers, body.as_ref()).await.expect("an answer");
        assert!(reply.status.is_success(), "{path}: {reply:?}");
        reply
    }

    async fn hold(&self) -> OrderRef {
        let one = json!({"items": [{"ticket_type": "STANDING", "quantity": 1}]});
        let hold = self.ask(Method::POST, &format!("/events/{}/holds", self.event), Some(one)).await;
        hold.text("reference").expect("a reference").parse().expect("a reference")
    }

    async fn hold_and_leave(&self) -> OrderRef {
        let order = self.hold().await;
        self.ask(Method::DELETE, &format!("/holds/{order}"), None).await;
        self.ask(Method::DELETE, &format!("/events/{}/queue", self.event), None).await;
        order
    }
}

/// Whose holds are short, and which the victim runs.
async fn quiet_event(cluster: &Cluster) -> EventId {
    let mut body = event_body();
    body["limits"]["hold_seconds"] = json!(HOLD_SECONDS);
    body["limits"]["extension_seconds"] = json!(HOLD_SECONDS);
    body["queue"]["slots"] = json!(FANS);
    body["ticket_types"].as_array_mut().expect("a list").truncate(1);
    let event = cluster.victim().event(body, None).await.parse().expect("an id");
    let ownership = open_etcd(&cluster.stores.etcd, "reader").await.ownership;
    let wishes = WishStore::new(Arc::new(Etcd::new(&cluster.stores.etcd).await.expect("addresses")));
    let node = cluster.victim().config().node;
    wishes.pin(event, &node).await.expect("noted");
    until("it runs there", async || {
        ownership.owner(event).await.expect("read").is_some_and(|owner| owner.node == node)
    })
    .await;
    event
}

/// What fans were given there, and all that is known of it without asking a node.
struct Quiet {
    event: EventId,
    orders: BTreeSet<OrderRef>,
    stores: Config,
}

impl Quiet {
    async fn ledger(&self) -> Ledger {
        Ledger::read(&self.stores, self.event).await
    }

    /// Of the orders in the journal: when the last one's time is up, and whether all have lapsed.
    async fn deadline(&self) -> (EventTime, bool) {
        let ledger = self.ledger().await;
        let holds = self.orders.iter().map(|order| ledger.inventory.order(order.order).expect("known"));
        holds.fold((EventTime(0), true), |(last, all), hold| {
            (last.max(hold.expires_at), all && hold.state == HoldState::Expired)
        })
    }

    async fn rows(&self) -> Vec<(OrderState, u64)> {
        let database = Database::connect(&self.stores).await.expect("connect");
        let rows = checks::orders_by_state(&database, self.event).await.expect("rows");
        database.close().await;
        rows
    }

    /// Waits until everything that happened is with the broker, and in the database.
    async fn told(&self) {
        until("all is told", async || {
            let ledger = self.ledger().await;
            ledger.published == ledger.last_fact()
        })
        .await;
        let all = [(OrderState::Cancelled, self.orders.len() as u64)];
        until("the database has it", async || self.rows().await == all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_event_whose_node_was_killed_lets_its_holds_lapse_and_tells_all_without_being_asked() {
    let Some(mut cluster) = Cluster::open().await else { return };
    // At one, fans hold until their time is up; at the other all is given back, and nothing is left to do but to tell so.
    let (held, released) = (quiet_event(&cluster).await, quiet_event(&cluster).await);
    let (holding, releasing) = (cluster.admitted(held).await, cluster.admitted(released).await);
    cluster.broker.refuse();
    let orders = join_all(releasing.iter().map(Admitted::hold_and_leave)).await.into_iter().collect();
    let released = Quiet { event: released, orders, stores: cluster.stores.clone() };
    let orders = join_all(holding.iter().map(Admitted::hold)).await.into_iter().collect();
    let held = Quiet { event: held, orders, stores: cluster.stores.clone() };
    let (node, killed) = (cluster.nodes.pop().expect("three"), Instant::now());
    node.kill().await;

    let before = [held.ledger().await, released.ledger().await];
    for ledger in &before {
        assert!(ledger.published < ledger.last_fact(), "something is left to be told");
    }
    assert!(!held.deadline().await.1, "something is left to lapse");
    cluster.broker.heal();
    let mut deadline = EventTime(0);
    until("its time is up", async || {
        let (last, all) = held.deadline().await;
        deadline = last;
        all
    })
    .await;
    eprintln!("free again {} ms after the last hold's deadline (I-9: 8000)", now().since(deadline).0);
    held.told().await;
    released.told().await;
    eprintln!("all is told {} ms after the kill", killed.elapsed().as_millis());
    for (quiet, before) in [held, released].iter().zip(before) {
        let after = quiet.ledger().await;
        let epoch = |ledger: &Ledger| ledger.segments.last().expect("some").epoch;
        assert!(epoch(&after) > epoch(&before), "another node ran it");
        let standing = &after.inventory.view(now()).ticket_types[0];
        assert_eq!((standing.free, standing.held), (standing.capacity, 0));
    }
}
