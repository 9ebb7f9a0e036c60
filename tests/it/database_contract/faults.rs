//! The way to the database fails, or the process that uses it dies.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::future::join;
use onsale::stores::{
    config::Config,
    database::{
        Database, accounts,
        orders::{self, Settled},
        outbox, tickets,
        webhooks::{self, Received},
    },
    error::StoreError,
};
use tokio::time::timeout;

use super::{
    Home,
    sample::{
        account, add_account, add_order, at, fan, open_payment, payment, payment_id, reference, tickets as new_tickets,
        two,
    },
};
use crate::{
    harness::{in_time, new_event},
    proxy::{Proxy, server_of},
    servers::Postgres,
};

/// As PostgreSQL's client sends it.
const COMMIT: &[u8] = b"COMMIT\0";

/// The same tables, directly and over a network that fails.
async fn over_proxy(home: &mut Home) -> (Database, Database, Proxy) {
    let direct = home.open().await;
    let proxy = Proxy::to(server_of(&home.config.database)).await;
    home.config.database = proxy.url(&home.config.database);
    let proxied = Database::connect(&home.config).await.expect("connect");
    (direct, proxied, proxy)
}

/// The reply to the next commit within `work` is lost, and then the connection.
async fn lose_commit<T>(proxy: &Proxy, work: impl Future<Output = T>) -> T {
    proxy.eat_replies_to(COMMIT);
    let (outcome, ()) = tokio::join!(work, async {
        proxy.eaten().await;
        proxy.heal();
    });
    outcome
}

/// What comes after a fault: the first tries may still find connections that are gone.
async fn soon<T, F: Future<Output = Result<T, StoreError>>>(mut work: impl FnMut() -> F) -> T {
    let until_done = async {
        loop {
            match work().await {
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => tokio::task::yield_now().await,
                outcome => return outcome.expect("nothing but outages"),
            }
        }
    };
    timeout(Duration::from_secs(20), until_done).await.expect("it recovers")
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_unknown_and_has_one_effect() {
    let Some(mut home) = Home::postgres().await else { return };
    let (direct, proxied, proxy) = over_proxy(&mut home).await;
    let outcome = lose_commit(&proxy, accounts::create_many(&proxied, &[account(1)])).await;
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    assert!(accounts::by_id(&direct, fan(1)).await.expect("read").is_some());
    assert!(!proxied.is_poisoned(), "only a file of our own can be");

    let order = reference(new_event(), 1);
    add_order(&direct, order, two()).await;
    open_payment(&direct, &payment(1, order)).await;
    let settle =
        || async { orders::settle(&proxied, order, payment_id(1), &two(), &new_tickets(order, &two()), at(9)).await };
    let outcome = lose_commit(&proxy, soon_begun(&proxied, settle)).await;
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    assert_eq!(soon(settle).await, Settled::Already);
    assert_eq!(tickets::of_order(&direct, order).await.expect("read").len(), 2);

    let receive = || webhooks::receive(&proxied, ("sandbox", "evt_1"), ("order.payment-success", "{}"), None, at(1));
    let outcome = lose_commit(&proxy, soon_begun(&proxied, receive)).await;
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    assert_eq!(soon(receive).await, Received::Already);
    // With the news of the tickets.
    assert_eq!(outbox::count_unsent(&direct).await.expect("count"), 2);
}

/// Does the work once the connections that a fault has broken are out of the way.
async fn soon_begun<T, F: Future<Output = T>>(database: &Database, work: impl FnOnce() -> F) -> T {
    soon(|| async { database.begin().await.map(drop) }).await;
    work().await
}

#[tokio::test]
async fn a_statement_without_an_answer_was_certainly_not_done() {
    let Some(mut home) = Home::postgres().await else { return };
    let (direct, proxied, proxy) = over_proxy(&mut home).await;
    let mut write = proxied.begin().await.expect("begin");
    accounts::create(&mut write, &account(1)).await.expect("create");
    proxy.fall_silent();
    let second = account(2);
    let both = join(accounts::create(&mut write, &second), accounts::by_id(&proxied, fan(1)));
    let (silent_write, silent_read) = in_time(both).await;
    assert!(matches!(silent_write, Err(StoreError::Unavailable(_))), "{silent_write:?}");
    assert!(matches!(silent_read, Err(StoreError::Unavailable(_))), "{silent_read:?}");
    drop(write);
    proxy.heal();
    let accounts = [account(1)];
    soon(|| accounts::create_many(&proxied, &accounts)).await;
    assert!(accounts::by_id(&direct, fan(1)).await.expect("read").is_some());
}

#[tokio::test]
async fn the_pool_gets_over_cut_connections_and_a_server_that_was_away() {
    let Some(mut home) = Home::postgres().await else { return };
    let (direct, proxied, proxy) = over_proxy(&mut home).await;
    add_account(&proxied, 1).await;
    proxy.cut();
    soon(|| proxied.ping()).await;
    proxy.refuse();
    let away = proxied.ping().await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let away = Database::connect(&home.config).await.map(|_| ());
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    proxy.heal();
    soon(|| accounts::by_id(&proxied, fan(1))).await.expect("there");
    direct.close().await;
}

#[tokio::test]
async fn a_standby_is_refused_by_name() {
    if Home::postgres().await.is_none() {
        return;
    }
    let server = Postgres::standby().await;
    let config = Config { database: server.url(), ..Config::default() };
    // It says that it is starting, for a moment.
    let refused = soon(|| async {
        match Database::connect(&config).await {
            Err(error @ StoreError::Unavailable(_)) => Err(error),
            outcome => Ok(outcome),
        }
    })
    .await;
    assert!(matches!(&refused, Err(StoreError::ReadOnly(why)) if why.to_string().contains("standby")), "{refused:?}");
}

const FOLDER: &str = "ONSALE_TEST_DATABASE_CHILD";

/// Not a test when run by itself: what the next one starts as a process, and kills.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let database = Database::connect(&Config { data_dir: folder.into(), ..Config::default() }).await.expect("connect");
    database.migrate().await.expect("migrate");
    let mut n = 0;
    while accounts::by_id(&database, fan(n + 1)).await.expect("read").is_some() {
        n += 1;
    }
    loop {
        n += 1;
        add_account(&database, n).await;
        println!("ack {n}");
    }
}

/// The highest `ack N` among the lines.
fn last_ack(lines: &str) -> u128 {
    lines.lines().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).max().unwrap_or(0)
}

#[tokio::test]
async fn a_killed_process_leaves_everything_it_has_committed() {
    let home = Home::embedded();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", "database_contract::faults::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, &home.config.data_dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut said = String::new();
        while last_ack(&said) < acknowledged + 50 {
            assert!(lines.read_line(&mut said).expect("text") > 0, "the child ended: {said}");
        }
        child.kill().expect("it runs");
        child.wait().expect("killed");
        lines.read_to_string(&mut said).expect("text");
        acknowledged = last_ack(&said);

        let database = home.open().await;
        for n in 1..=acknowledged {
            assert!(accounts::by_id(&database, fan(n)).await.expect("read").is_some(), "{n} of {acknowledged}");
        }
        // The one after may have been committed with its acknowledgement not printed any more; no other.
        assert!(accounts::by_id(&database, fan(acknowledged + 2)).await.expect("read").is_none());
        database.close().await;
    }
}
