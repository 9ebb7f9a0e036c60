//! A sale over three nodes on hosts of their own, of which one is cut off: from the others, from etcd, or in one direction only.
//!
//! Fans ask at all nodes all the while. When the network has healed everybody gets an answer, and the stores are read.

use std::{sync::Arc, time::Duration};

use onsale::{
    domain::id::EventId,
    stores::{
        etcd::Etcd,
        ownership::{Owner, Ownership},
        wishes::WishStore,
    },
};
use rand::{Rng as _, rngs::StdRng};
use tokio::time::{Instant, sleep_until, timeout};

use super::bundles::onsale;
use crate::{
    harness::{open_etcd, until},
    ledger::Ledger,
    netns::{Lost, Net, Other},
    node::{Node, Site},
    proxy::{Proxy, server_of},
    rush::{self, Rush},
};

const NODES: usize = 3;
/// The node that is cut off.
const VICTIM: usize = 1;
/// Longer than a lease.
const AWAY: Duration = Duration::from_secs(8);
/// So that a lease may run out now and then.
const FLAPS: Duration = Duration::from_secs(12);
const LONGEST_FLAP: Duration = Duration::from_secs(1);

struct Scene {
    rush: Rush,
    random: StdRng,
    nodes: Vec<Node>,
    ground: Ground,
}

/// Where all of it happens.
struct Ground {
    sites: Vec<Site>,
    event: EventId,
    ownership: Arc<dyn Ownership>,
    /// Where etcd is for the nodes.
    etcd: Other,
    _relays: Vec<Proxy>,
    net: Net,
}

impl Scene {
    /// The event runs on the victim.
    async fn open() -> Option<Self> {
        let first = Site::on_servers().await?;
        let net = Net::new(NODES)?;
        let etcd = first.config().stores.etcd;
        let (first, relays) = relayed(first, &net).await;
        let authority = first.folder().join("authority").display().to_string();
        onsale(&["cluster", "init", "--dir", &authority]).await;
        let (mut sites, mut nodes) = (Vec::new(), Vec::new());
        for (host, site) in first.with_siblings(NODES - 1).into_iter().enumerate() {
            let bundle = onsale(&["cluster", "invite", &site.config().node, "--dir", &authority]).await;
            let site = site.at(&net.address(host)).set("cluster.bundle", &bundle);
            let mut node = site.spawn_by(net.command(host, env!("CARGO_BIN_EXE_onsale")));
            node.ready().await;
            sites.push(site);
            nodes.push(node);
        }
        let mut random = rush::random();
        let rush = Rush::open_over(&sites, &mut random).await;
        let ownership = open_etcd(&etcd, "reader").await.ownership;
        let (event, port) = (rush.event(), Other::Port(relays[0].port()));
        let ground = Ground { sites, event, ownership, etcd: port, _relays: relays, net };
        ground.linked().await;
        let wishes = WishStore::new(Arc::new(Etcd::new(&etcd).await.expect("addresses")));
        wishes.pin(event, &ground.victim()).await.expect("noted");
        until("it runs there", async || ground.owner().await.is_some_and(|owner| owner.node == ground.victim())).await;
        let mut scene = Self { rush, random, nodes, ground };
        scene.rush.goes_on().await;
        Some(scene)
    }

    /// After the network has healed: everybody is back, and every fan gets its answers.
    async fn recovers(&mut self, what: &str, healed: Instant) {
        self.ground.recovered().await;
        let back = healed.elapsed().as_millis();
        self.rush.check().await;
        let answered = healed.elapsed().as_millis();
        eprintln!("{what}: back {back} ms after it healed, all answered after {answered} ms (bound: 15000)");
        self.rush.goes_on().await;
    }

    async fn end(self) {
        self.rush.end(&self.ground.sites[0], self.nodes).await;
    }
}

/// Servers as nodes reach them: etcd's relay is the first.
async fn relayed(mut site: Site, net: &Net) -> (Site, Vec<Proxy>) {
    let (stores, mut relays) = (site.config().stores, Vec::new());
    for (key, url) in [
        ("stores.etcd", &stores.etcd[0]),
        ("stores.redis", &stores.redis),
        ("stores.rabbitmq", &stores.rabbitmq),
        ("stores.database", &stores.database),
    ] {
        let relay = Proxy::at(&net.gateway(), server_of(url)).await;
        site = site.set(key, &relay.url(url));
        relays.push(relay);
    }
    (site, relays)
}

impl Ground {
    fn victim(&self) -> String {
        self.sites[VICTIM].config().node
    }

    fn peers() -> Vec<Other> {
        (0..NODES).filter(|host| *host != VICTIM).map(Other::Host).collect()
    }

    async fn owner(&self) -> Option<Owner> {
        self.ownership.owner(self.event).await.expect("read")
    }

    async fn links(&self, site: usize, count: usize) -> bool {
        self.sites[site].metrics().await.contains(&format!("\nonsale_cluster_links {count}\n"))
    }

    async fn linked(&self) {
        for site in 0..NODES {
            until("all are linked", async || self.links(site, NODES - 1).await).await;
        }
    }

    async fn recovered(&self) {
        for site in &self.sites {
            until("it serves", async || site.is_ready().await).await;
        }
        self.linked().await;
        until("the event is where it belongs", async || {
            self.owner().await.is_some_and(|owner| owner.node == self.victim())
        })
        .await;
    }

    /// Until another node than the victim sells, and then heals.
    async fn lapse(&self, what: &str, cut_off_from: &[Other], lost: Lost) -> Instant {
        let before = self.owner().await.expect("it runs").epoch;
        let cut = Instant::now();
        self.net.cut(VICTIM, cut_off_from, lost);
        let paused = async {
            until("it says that it cannot serve", async || !self.sites[VICTIM].is_ready().await).await;
            cut.elapsed()
        };
        let lapsed = async {
            until("its lease has run out", async || self.owner().await.is_none_or(|owner| owner.epoch > before)).await;
            cut.elapsed()
        };
        let (paused, lapsed) = tokio::join!(paused, lapsed);
        eprintln!("{what}: paused after {} ms, lapsed after {} ms", paused.as_millis(), lapsed.as_millis());
        assert!(paused < lapsed, "it knew before others could");
        until("another node sells", async || {
            let ledger = Ledger::read(&self.sites[0].config().stores, self.event).await;
            ledger.segments.iter().rev().take_while(|segment| segment.epoch > before.0).count() > 1
        })
        .await;
        eprintln!("{what}: sold on after {} ms", cut.elapsed().as_millis());
        self.net.heal(VICTIM);
        Instant::now()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_the_others_keeps_its_event_and_all_is_answered_when_they_are_back() {
    let Some(mut scene) = Scene::open().await else { return };
    let Scene { rush, ground, .. } = &mut scene;
    let before = ground.owner().await;
    let apart = async {
        let cut = Instant::now();
        ground.net.cut(VICTIM, &Ground::peers(), Lost::Both);
        for (site, left) in [(0, 1), (VICTIM, 0), (2, 1)] {
            until("the links are down", async || ground.links(site, left).await).await;
        }
        eprintln!("cut off from the others: noticed after {} ms", cut.elapsed().as_millis());
        sleep_until(cut + AWAY).await;
        assert_eq!(ground.owner().await, before, "who has etcd keeps what it has");
        assert!(ground.sites[VICTIM].is_ready().await, "it serves its own fans");
        ground.net.heal(VICTIM);
        Instant::now()
    };
    let healed = rush.shop_during(apart).await;
    scene.recovers("cut off from the others", healed).await;
    scene.end().await;
}

/// Of a victim whose word does not reach etcd.
async fn lapses_and_comes_back(what: &str, from_peers_too: bool, lost: Lost) {
    let Some(mut scene) = Scene::open().await else { return };
    let Scene { rush, ground, .. } = &mut scene;
    let peers = Ground::peers().into_iter().filter(|_| from_peers_too);
    let others: Vec<_> = peers.chain([ground.etcd]).collect();
    let healed = rush.shop_during(ground.lapse(what, &others, lost)).await;
    scene.recovers(what, healed).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_etcd_pauses_before_its_lease_lapses_and_comes_back_by_itself() {
    lapses_and_comes_back("cut off from etcd", false, Lost::Both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nobody_hears_pauses_before_its_lease_lapses_and_comes_back_by_itself() {
    lapses_and_comes_back("heard by nobody", true, Lost::FromIt).await;
}

/// What it asks etcd arrives all the while, and is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_nobody_pauses_and_comes_back_by_itself() {
    let Some(mut scene) = Scene::open().await else { return };
    let Scene { rush, ground, .. } = &mut scene;
    let what = "hearing nobody";
    let all: Vec<_> = Ground::peers().into_iter().chain([ground.etcd]).collect();
    let deaf = async {
        let cut = Instant::now();
        ground.net.cut(VICTIM, &all, Lost::ToIt);
        until("it says that it cannot serve", async || !ground.sites[VICTIM].is_ready().await).await;
        eprintln!("{what}: paused after {} ms", cut.elapsed().as_millis());
        sleep_until(cut + AWAY).await;
        ground.net.heal(VICTIM);
        Instant::now()
    };
    let healed = rush.shop_during(deaf).await;
    scene.recovers(what, healed).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_fails_here_and_there_for_moments_loses_nothing() {
    let Some(mut scene) = Scene::open().await else { return };
    let Scene { rush, ground, random, .. } = &mut scene;
    let progress = rush.progress();
    let flapping = async {
        let until = Instant::now() + FLAPS;
        while Instant::now() < until {
            // Whoever was cut off before may stay so.
            let host = random.random_range(0..NODES);
            let others = (0..NODES).filter(|other| *other != host).map(Other::Host).chain([ground.etcd]);
            let others: Vec<_> = others.filter(|_| random.random_bool(0.6)).collect();
            let lost = [Lost::ToIt, Lost::FromIt, Lost::Both][random.random_range(0..3)];
            ground.net.heal(host);
            ground.net.cut(host, &others, lost);
            // Shorter if the sale goes on all the same.
            let _ = timeout(LONGEST_FLAP, progress.more(random.random_range(5..50))).await;
            ground.net.heal(random.random_range(0..NODES));
        }
        (0..NODES).for_each(|host| ground.net.heal(host));
        Instant::now()
    };
    let healed = rush.shop_during(flapping).await;
    scene.recovers("flapping", healed).await;
    scene.end().await;
}
