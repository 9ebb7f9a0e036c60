//! A real process that dies at each step of the saga, just before and just after it, and is started again on the same stores:
//! every order ends as tickets or with its money back, once. Then all that was ever published is published again.
//!
//! The steps are `stores::crash_point`'s. A node is told by its environment where to die; when it has, the next one is told the
//! next place, while the fans go on with whatever they were at.

mod after_sale;
mod books;
mod kind;
mod late;
mod told;
mod walk;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    os::unix::process::ExitStatusExt as _,
    time::Duration,
};

use onsale::stores::{
    crash_point::{self, Side, Step},
    data_dir::DataDir,
};
use tokio::process::Command;

use self::{kind::Kind, walk::Shop};
use crate::{
    harness::until,
    listener::Listener,
    node::{Node, Site},
    sale::receiver::{Authority, Receiver},
};

const SIDES: [Side; 2] = [Side::Before, Side::After];
/// By `std::process::abort`.
const ABORTED: i32 = 6;
/// In one walk, or few: a message that is delivered more than ten times becomes a dead letter.
const MOST_DEATHS: usize = 8;
/// A life with no place to die in it is longer than any walk.
const LIFE: Duration = Duration::from_secs(600);

/// On such walks.
const HEARD: [&str; 10] = [
    "order.created",
    "order.released",
    "order.offered",
    "order.confirmed",
    "order.confirm-refused",
    "order.payment-success",
    "ticket.issued",
    "ticket.replaced",
    "refund.begun",
    "refund.done",
];

type Cell = (Step, Side);
/// How often a node died at each place of each walk.
type Died = BTreeMap<(Kind, Cell), u32>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y5_a_node_on_embedded_stores_that_dies_at_each_step_leaves_no_order_half_done() {
    die_everywhere(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y5_a_node_on_real_servers_that_dies_at_each_step_leaves_no_order_half_done() {
    let Some(site) = Site::on_servers().await else { return };
    die_everywhere(site).await;
}

/// Where nodes have yet to die on one kind of walk, and where they did.
struct Deaths {
    kind: Kind,
    ahead: VecDeque<Cell>,
    died: Died,
}

impl Deaths {
    fn next(&self) -> Option<Cell> {
        self.ahead.front().copied()
    }

    fn has_died(&mut self) {
        self.died.extend(self.ahead.pop_front().map(|cell| ((self.kind, cell), 1)));
    }
}

async fn die_everywhere(site: Site) {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority).await;
    let site = site
        .set("webhooks.ports", &receiver.address.port().to_string())
        .set("webhooks.allow_networks", "127.0.0.0/8,::1")
        .set("webhooks.ca_file", &authority.file().display().to_string());
    let node = site.start().await;
    let listener = Listener::bind(&site.config().stores.rabbitmq).await;
    let mut shop = Shop::open(&site).await;
    let endpoint = told::listen(&site, shop.standing.event, receiver.url()).await;
    shop.buy_with_cards().await;
    node.kill().await;
    let dead_letters = books::dead_letters(&site).await;
    let mut died = Died::new();
    for (kind, _) in Kind::ALL {
        let ahead: Vec<Cell> = kind.steps().iter().flat_map(|step| SIDES.map(|side| (*step, side))).collect();
        for some in ahead.chunks(MOST_DEATHS) {
            let ahead = some.iter().copied().collect();
            let deaths = RefCell::new(Deaths { kind, ahead, died: BTreeMap::new() });
            tokio::select! {
                () = walk_until_all_have_died(&mut shop, kind, &deaths) => {}
                () = live_and_die(&site, &deaths) => {}
            }
            died.extend(deaths.into_inner().died);
            // The last one was killed, and may not be quite dead yet.
            let data_dir = site.config().stores.data_dir;
            until("its data directory is free", async || DataDir::open(&data_dir).is_ok()).await;
        }
    }
    print(&died);
    books::time_passes(&site).await;
    let node = site.start().await;
    shop.come_to_rest().await;
    shop.try_codes().await;
    end(node).await;
    books::publish_again(&site, &shop).await;
    let node = site.start().await;
    shop.come_to_rest().await;
    books::check(&site, &shop).await;
    end(node).await;
    told::check(&site, &shop, endpoint, &receiver).await;
    assert_eq!(books::dead_letters(&site).await, dead_letters);
    if let Some(listener) = listener {
        let heard = listener.heard().await;
        let missing: Vec<_> = HEARD.iter().filter(|key| !heard.contains_key(**key)).collect();
        assert!(missing.is_empty(), "{heard:?}");
    }
    for (kind, name) in Kind::ALL {
        for cell in kind.steps().iter().flat_map(|step| SIDES.map(|side| (*step, side))) {
            let times = died.get(&(kind, cell)).copied().unwrap_or_default();
            assert_eq!(times, 1, "{name}: {cell:?}");
        }
    }
    for (step, name) in Step::ALL {
        // Checkout finds the row there: the facts are faster. The simulation has the other order.
        let has_it = |(kind, _): &(Kind, _)| kind.steps().contains(&step);
        assert!(Kind::ALL.iter().any(has_it) || step == Step::OrderEnsured, "no walk has {name}");
    }
}

async fn walk_until_all_have_died(shop: &mut Shop, kind: Kind, deaths: &RefCell<Deaths>) {
    loop {
        let next = deaths.borrow().next();
        let Some(next) = next else { return };
        shop.walk(kind).await;
        // What moves by itself, such as the published cursor, may come to it when the walk is over.
        until(&format!("somebody has come to {next:?}"), async || deaths.borrow().next() != Some(next)).await;
    }
}

/// One node after the other.
async fn live_and_die(site: &Site, deaths: &RefCell<Deaths>) {
    loop {
        let next = deaths.borrow().next();
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        if let Some((step, side)) = next {
            command.env(crash_point::VARIABLE, crash_point::value(step, side));
        }
        let (status, log) = site.spawn_by(command).ended(LIFE).await;
        assert!(next.is_some() && status.signal() == Some(ABORTED), "{next:?}: {status}: {log}");
        deaths.borrow_mut().has_died();
        books::time_passes(site).await;
    }
}

async fn end(node: Node) {
    node.signal("TERM").await;
    let (status, log) = node.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
}

fn print(died: &Died) {
    println!("{:26}{:30}{:>15}{:>15}", "walk", "step", "died before", "died after");
    for (kind, walk) in Kind::ALL {
        for step in kind.steps() {
            let times = |side| died.get(&(kind, (*step, side))).copied().unwrap_or_default();
            let [before, after] = SIDES.map(times);
            println!("{walk:26}{:30}{before:>15}{after:>15}", step.name());
        }
    }
    println!("{} deaths", died.values().sum::<u32>());
}
