//! A real process that dies at each step of the saga, just before and just after it, and is started again on the same stores:
//! every order ends as tickets or with its money back, once. Then all that was ever published is published again.
//!
//! The steps are `stores::crash_point`'s. A node is told by its environment where to die; when it has, the next one is told the
//! next place, while the fans go on with whatever they were at.

mod books;
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
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tokio::process::Command;

use self::walk::{Kind, Shop};
use crate::{
    harness::until,
    listener::Listener,
    node::{Node, Site},
};

const SIDES: [Side; 2] = [Side::Before, Side::After];
/// By `std::process::abort`.
const ABORTED: i32 = 6;
/// In one walk, or few: a message that is delivered more than ten times becomes a dead letter.
const MOST_DEATHS: usize = 8;
/// A life with no place to die in it is longer than any walk.
const LIFE: Duration = Duration::from_secs(600);

/// On such walks.
const HEARD: [&str; 8] = [
    "order.created",
    "order.released",
    "order.confirmed",
    "order.confirm-refused",
    "order.payment-success",
    "ticket.issued",
    "refund.begun",
    "refund.done",
];

type Cell = (Step, Side);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y5_a_node_on_embedded_stores_that_dies_at_each_step_leaves_no_order_half_done() {
    die_everywhere(Site::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y5_a_node_on_real_servers_that_dies_at_each_step_leaves_no_order_half_done() {
    let Some(site) = Site::on_servers().await else { return };
    die_everywhere(site).await;
}

/// Where nodes have yet to die, and where they did.
struct Deaths {
    ahead: VecDeque<Cell>,
    died: BTreeMap<Cell, u32>,
}

impl Deaths {
    fn next(&self) -> Option<Cell> {
        self.ahead.front().copied()
    }

    fn has_died(&mut self) {
        self.died.extend(self.ahead.pop_front().map(|cell| (cell, 1)));
    }
}

async fn die_everywhere(site: Site) {
    let node = site.start().await;
    let listener = Listener::bind(&site.config().stores.rabbitmq).await;
    let mut shop = Shop::open(&site).await;
    let endpoint = books::listen(&site, shop.event).await;
    shop.buy_with_cards().await;
    node.kill().await;
    let dead_letters = books::dead_letters(&site).await;
    let mut died = BTreeMap::new();
    for kind in [Kind::Refunded, Kind::Cancelled] {
        let ahead = Step::ALL.into_iter().filter(|(step, _)| kind.has(*step));
        let ahead: Vec<Cell> = ahead.flat_map(|(step, _)| SIDES.map(|side| (step, side))).collect();
        for some in ahead.chunks(MOST_DEATHS) {
            let deaths = RefCell::new(Deaths { ahead: some.iter().copied().collect(), died: BTreeMap::new() });
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
    let node = site.start().await;
    shop.come_to_rest().await;
    end(node).await;
    books::publish_again(&site, &shop).await;
    let node = site.start().await;
    shop.come_to_rest().await;
    books::check(&site, &shop).await;
    end(node).await;
    books::check_told(&site, &shop, endpoint).await;
    assert_eq!(books::dead_letters(&site).await, dead_letters);
    if let Some(listener) = listener {
        let heard = listener.heard().await;
        let missing: Vec<_> = HEARD.iter().filter(|key| !heard.contains_key(**key)).collect();
        assert!(missing.is_empty(), "{heard:?}");
    }
    for (step, name) in Step::ALL {
        for side in SIDES {
            let times = died.get(&(step, side)).copied().unwrap_or_default();
            // Checkout finds the row there: the facts are faster. The simulation has the other order.
            assert!(times == 1 || step == Step::OrderEnsured, "{side:?} {name}: {times}");
        }
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
        time_passes(site).await;
    }
}

/// With no node running: what a node had taken up, and a request that was cut off, is not waited for as long as it would be.
async fn time_passes(site: &Site) {
    sqlx::any::install_default_drivers();
    let config = site.config().stores;
    let url = match config.database.as_str() {
        "" => format!("sqlite://{}", config.data_dir.join("database.db").display()),
        url => url.to_owned(),
    };
    let mut connection = AnyConnection::connect(&url).await.expect("connect");
    for earlier in [
        "UPDATE idempotency_keys SET created_at = created_at - 60000 WHERE status IS NULL",
        "UPDATE refunds SET next_at = next_at - 60000",
    ] {
        connection.execute(AssertSqlSafe(earlier.to_owned())).await.expect("changed");
    }
    connection.close().await.expect("closed");
}

async fn end(node: Node) {
    node.signal("TERM").await;
    let (status, log) = node.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
}

/// How often a node died at each place.
fn print(died: &BTreeMap<Cell, u32>) {
    println!("{:30}{:>15}{:>15}", "step", "died before", "died after");
    for (step, name) in Step::ALL {
        let [before, after] = SIDES.map(|side| died.get(&(step, side)).copied().unwrap_or_default());
        println!("{name:30}{before:>15}{after:>15}");
    }
}
