//! Whether the waiting room keeps its promises (I-21 to I-27), by what fans wrote down and what the journal says.
//!
//! Sales in which nothing happens, Redis loses everything, the event's node is killed, nodes are drained, fans come and go.

mod bad;
mod checker;
mod fans;
mod history;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use onsale::{
    demo::fans::Client,
    domain::id::{EventId, FanId},
    stores::{etcd::Etcd, wishes::WishStore},
};
use rand::rngs::StdRng;
use serde_json::{Value, json};

use self::{
    checker::{SEEN_AFTER, calls, check, longest_stop, shares},
    fans::Waiters,
    history::{Fact, FactKind, Fan, Seen, Time, What, class, facts},
};
use crate::{
    harness::{address, open_etcd, until},
    ledger::Ledger,
    node::{Node, Site},
    rush, servers,
};

const FANS: usize = 60;
const SLOTS: u32 = 4;
const ENDED: Duration = Duration::from_secs(30);

/// Fans at these sites, each with one of them first.
async fn gather(sites: &[Site], flap: bool, random: &mut StdRng) -> Waiters {
    let event: EventId = sites[0].event(event_body(), None).await.parse().expect("an id");
    let urls: Vec<&str> = sites.iter().map(Site::url).collect();
    let clients = Client::each_first(&urls.join(",")).expect("addresses");
    Waiters::register(&clients, event, FANS, flap, random).await
}

fn event_body() -> Value {
    let mut body = rush::event_body();
    body["ticket_types"].as_array_mut().expect("a list").truncate(1);
    body["queue"] = json!({"mode": "fifo", "slots": SLOTS, "rate_per_minute": 60_000, "session_seconds": 600,
        "claim_seconds": 60, "grace_seconds": 120});
    body
}

/// A third of the fans come before it happens, a third while it does, a third after it.
async fn sale(waiters: &mut Waiters, what: impl Future<Output = ()>) {
    waiters.come(FANS / 3).await;
    waiters.diary.admitted(FANS / 10).await;
    tokio::join!(what, waiters.come(FANS / 3));
    waiters.come(FANS).await;
    waiters.end().await;
}

/// The longest time with a free slot and somebody waiting.
async fn end(waiters: Waiters, site: &Site, nodes: impl IntoIterator<Item = Node>) -> Time {
    // One class, of which somebody always waits, has to get all.
    let (seen, facts) = end_with(waiters, site, nodes, &[(0, 1.0)].into()).await;
    longest_stop(&seen, &facts)
}

async fn end_with(
    waiters: Waiters,
    site: &Site,
    nodes: impl IntoIterator<Item = Node>,
    weights: &BTreeMap<u8, f64>,
) -> (Vec<Seen>, Vec<Fact>) {
    for node in nodes {
        node.signal("TERM").await;
        let (status, log) = node.ended(ENDED).await;
        assert!(status.success(), "{status}: {log}");
    }
    let ledger = Ledger::read(&site.config().stores, waiters.event()).await;
    assert!(!ledger.has_snapshot, "every entry is looked at");
    let (seen, facts) = (waiters.diary.all(), facts(&ledger.segments));
    let mut wrong = check(&seen, &facts);
    let let_in = match weights.len() {
        1 => facts
            .iter()
            .filter(|fact| matches!(fact.what, FactKind::Admitted { .. }))
            .map(|_| (0, BTreeSet::from([0])))
            .collect(),
        _ => calls(&seen, &facts),
    };
    wrong.extend(shares(&let_in, weights));
    println!("{} facts, {} seen, {} let in", facts.len(), seen.len(), let_in.len());
    let stop = longest_stop(&seen, &facts);
    println!("longest with a free slot and somebody waiting: {stop} ms");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(let_in.len() > FANS / 2, "most are let in");
    (seen, facts)
}

/// Three lines, one of four admissions each for two of them, two for the third; somebody is put first in the middle of it.
async fn sale_with_classes(site: Site) {
    let node = site.start().await;
    let mut body = event_body();
    body["queue"]["classes"] = json!({"default_weight": 1, "list": [
        {"code": "A", "name": "A", "weight": 2}, {"code": "B", "name": "B", "weight": 1}]});
    let event: EventId = site.event(body, None).await.parse().expect("an id");
    let client = Client::each_first(site.url()).expect("an address");
    let mut waiters = Waiters::register(&client, event, FANS, false, &mut rush::random()).await;
    let token = site.account("operator").await;
    let http = reqwest::Client::builder().no_proxy().build().expect("client");
    let base = format!("http://{}/api/v1/admin/events/{event}/queue", site.config().http.admin_listen);
    let act = async |method: reqwest::Method, verb: &str, mut body: Value| {
        body["reason"] = json!("a test");
        let request = http.request(method, format!("{base}/{verb}")).bearer_auth(&token).json(&body);
        request.send().await.expect("an answer").status()
    };
    let text = |id: &Fan| FanId::from_u128(*id).to_string();
    let ids: Vec<String> = waiters.ids().iter().map(text).collect();
    let preferred = waiters.patient().iter().map(text).find(|id| ids[20..FANS * 2 / 3].contains(id)).expect("most are");
    for (class, rest) in [("A", 1), ("B", 2)] {
        let fans: Vec<&String> = ids.iter().skip(rest).step_by(3).collect();
        let status = act(reqwest::Method::PUT, "classes/members", json!({"class": class, "fans": fans})).await;
        assert!(status.is_success(), "{status}");
    }
    // Most wait before the first one goes in: then shares are more than who happens to be there.
    assert!(act(reqwest::Method::POST, "pause", json!({})).await.is_success());
    waiters.come(FANS * 2 / 3).await;
    assert!(act(reqwest::Method::POST, "move", json!({"fan": preferred, "front": true})).await.is_success());
    // A time, not a state: whoever came a moment ago counts for nobody's share.
    tokio::time::sleep(Duration::from_millis(SEEN_AFTER)).await;
    assert!(act(reqwest::Method::POST, "resume", json!({})).await.is_success());
    waiters.diary.admitted(FANS / 10).await;
    waiters.come(FANS).await;
    waiters.end().await;
    let (seen, facts) = end_with(waiters, &site, [node], &[(0, 0.25), (1, 0.5), (2, 0.25)].into()).await;
    let by_hand = facts.iter().filter(|fact| matches!(fact.what, FactKind::Moved { .. })).count();
    assert_eq!(by_hand, 1, "every move is in the journal");
    let together = calls(&seen, &facts).iter().filter(|(_, waiting)| waiting.len() == 3).count();
    println!("{together} of these while all three waited");
    assert!(together > FANS / 6, "classes wait together: {together}");
    let first = facts.iter().find_map(|fact| match fact.what {
        FactKind::Admitted { place, .. } => Some(class(place)),
        _ => None,
    });
    assert_eq!(first, Some(9), "who was put first is let in first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_classes_get_their_shares_and_who_is_moved_is_in_the_journal() {
    sale_with_classes(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_they_do_with_their_lines_in_redis() {
    let Some(redis) = address("ONSALE_TEST_REDIS") else { return };
    sale_with_classes(Site::embedded().set("stores.redis", &redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_sale_keeps_what_the_waiting_room_promises() {
    let site = Site::embedded();
    let node = site.start().await;
    let mut waiters = gather(std::slice::from_ref(&site), false, &mut rush::random()).await;
    sale(&mut waiters, async {}).await;
    end(waiters, &site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_who_come_and_go_keep_their_places_and_their_turns() {
    let site = Site::embedded();
    let node = site.start().await;
    let mut waiters = gather(std::slice::from_ref(&site), true, &mut rush::random()).await;
    sale(&mut waiters, async {}).await;
    end(waiters, &site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_loses_everything_amid_a_sale_costs_nobody_a_place() {
    if address("ONSALE_TEST_REDIS").is_none() {
        return;
    }
    let mut redis = servers::Redis::start().await;
    let site = Site::embedded().set("stores.redis", &redis.url());
    let node = site.start().await;
    let mut waiters = gather(std::slice::from_ref(&site), false, &mut rush::random()).await;
    sale(&mut waiters, redis.lose_all()).await;
    end(waiters, &site, [node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_amid_its_sale_costs_nobody_a_place() {
    let Some(site) = Site::on_servers().await else { return };
    let sites = site.with_siblings(2);
    let mut nodes = start(&sites).await;
    let mut waiters = gather(&sites, false, &mut rush::random()).await;
    let event = waiters.event();
    let ownership = open_etcd(&sites[0].config().stores.etcd, "reader").await.ownership;
    let owner = async || ownership.owner(event).await.expect("read").map(|owner| owner.node);
    let killed = async {
        let name = owner().await.expect("somebody runs it");
        let at = sites.iter().position(|site| site.config().node == name).expect("one of them");
        nodes.remove(at).kill().await;
        until("another node runs the event", async || owner().await.is_some_and(|node| node != name)).await;
    };
    sale(&mut waiters, killed).await;
    end(waiters, &sites[0], nodes).await;
}

/// I-21 for those who show their tickets in time, which all of them do; I-26 within the 15 s that they have, and 5 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_loses_everything_together_with_the_events_node_costs_nobody_with_a_ticket_a_place() {
    let Some(site) = Site::on_servers().await else { return };
    let mut redis = servers::Redis::start().await;
    let sites = site.set("stores.redis", &redis.url()).with_siblings(2);
    let mut nodes = start(&sites).await;
    let mut waiters = gather(&sites, false, &mut rush::random()).await;
    let (event, diary) = (waiters.event(), waiters.diary.clone());
    let ownership = open_etcd(&sites[0].config().stores.etcd, "reader").await.ownership;
    let owner = async || ownership.owner(event).await.expect("read").map(|owner| owner.node);
    let lost = async {
        let name = owner().await.expect("somebody runs it");
        let at = sites.iter().position(|site| site.config().node == name).expect("one of them");
        nodes.remove(at).kill().await;
        redis.lose_all().await;
        until("another node runs the event", async || owner().await.is_some_and(|node| node != name)).await;
        let let_in = diary.count_admitted();
        diary.admitted(let_in + 1).await;
    };
    sale(&mut waiters, lost).await;
    let rebuilt = waiters.diary.all().iter().filter(|seen| matches!(seen.what, What::Rebuilding { .. })).count();
    println!("told {rebuilt} times that the queue is rebuilt");
    assert!(rebuilt > 0, "it is announced");
    let stop = end(waiters, &sites[0], nodes).await;
    // The lease has to end before another node may be the owner.
    assert!(stop < 6_000 + 15_000 + 5_000, "{stop} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_drained_one_after_the_other_cost_nobody_a_place() {
    let Some(site) = Site::on_servers().await else { return };
    let sites = site.with_siblings(2);
    let nodes = start(&sites).await;
    let mut waiters = gather(&sites, false, &mut rush::random()).await;
    let event = waiters.event();
    let endpoints = sites[0].config().stores.etcd;
    let ownership = open_etcd(&endpoints, "reader").await.ownership;
    let wishes = WishStore::new(Arc::new(Etcd::new(&endpoints).await.expect("addresses")));
    let owner = async || ownership.owner(event).await.expect("read").map(|owner| owner.node);
    let drained = async {
        for _ in 0..2 {
            let name = owner().await.expect("somebody runs it");
            wishes.drain(&name).await.expect("noted");
            until("another node runs the event", async || owner().await.is_some_and(|node| node != name)).await;
            wishes.undrain(&name).await.expect("noted");
        }
    };
    sale(&mut waiters, drained).await;
    end(waiters, &sites[0], nodes).await;
}

async fn start(sites: &[Site]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for site in sites {
        nodes.push(site.start().await);
    }
    nodes
}
