//! Tables are made, transactions count as a whole or not at all.

use futures_util::future::join_all;
use onsale::{
    domain::time::EventTime,
    stores::{
        config::Config,
        database::{Database, accounts, outbox},
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{account, add_account, at, fan},
};

#[tokio::test]
async fn tables_are_made_once_by_however_many_nodes_and_keep_what_they_have() {
    for home in Home::all().await {
        let nodes = join_all((0..4).map(|_| Database::connect(&home.config))).await;
        let nodes: Vec<_> = nodes.into_iter().map(|node| node.expect("connect")).collect();
        for outcome in join_all(nodes.iter().map(Database::migrate)).await {
            outcome.expect("migrate");
        }
        add_account(&nodes[0], 1).await;
        nodes[1].migrate().await.expect("migrate again");
        assert_eq!(accounts::by_id(&nodes[2], fan(1)).await.expect("read"), Some(account(1)));
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_and_what_was_not_is_not() {
    for home in Home::all().await {
        let database = home.open().await;
        add_account(&database, 1).await;
        let mut write = database.begin().await.expect("begin");
        accounts::create(&mut write, &account(2)).await.expect("create");
        drop(write);
        // A writer is free again, also where there is one only.
        add_account(&database, 3).await;
        database.close().await;

        let database = home.open().await;
        for (n, is_there) in [(1, true), (2, false), (3, true)] {
            assert_eq!(accounts::by_id(&database, fan(n)).await.expect("read").is_some(), is_there, "account {n}");
        }
    }
}

#[tokio::test]
async fn a_transaction_of_which_a_statement_failed_cannot_be_committed() {
    for home in Home::all().await {
        let database = home.open().await;
        add_account(&database, 1).await;
        let mut write = database.begin().await.expect("begin");
        accounts::create(&mut write, &account(2)).await.expect("create");
        let taken = accounts::create(&mut write, &account(1)).await;
        assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
        let next = accounts::create(&mut write, &account(3)).await;
        assert!(matches!(next, Err(StoreError::Conflict(_))), "{next:?}");
        let commit = write.commit().await;
        assert!(matches!(commit, Err(StoreError::Conflict(_))), "{commit:?}");
        assert_eq!(accounts::by_id(&database, fan(2)).await.expect("read"), None);
    }
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer_and_do_not_see_what_it_has_not_committed() {
    for home in Home::all().await {
        let database = home.open().await;
        let mut write = database.begin().await.expect("begin");
        accounts::create(&mut write, &account(1)).await.expect("create");
        assert_eq!(accounts::by_id(&database, fan(1)).await.expect("read"), None);
        write.commit().await.expect("commit");
        assert_eq!(accounts::by_id(&database, fan(1)).await.expect("read"), Some(account(1)));
    }
}

#[tokio::test]
async fn many_writers_at_once_all_get_through() {
    for home in Home::all().await {
        let database = home.open().await;
        let tasks = (0..200).map(|n| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut write = database.begin().await?;
                outbox::push(&mut write, "order.test", "{}", at(n)).await?;
                write.commit().await
            })
        });
        for task in join_all(tasks).await {
            task.expect("task").expect("commit");
        }
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), 200);
        let size = database.pool_size();
        assert!(size.connections >= 1 && size.idle <= size.connections, "{size:?}");
    }
}

#[tokio::test]
async fn only_what_says_postgres_is_taken_for_an_address() {
    for address in ["mysql://root@127.0.0.1/x", "sqlite::memory:", "nonsense", "http://127.0.0.1"] {
        let config = Config { database: address.into(), ..Config::default() };
        let refused = Database::connect(&config).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{address}: {refused:?}");
    }
}

#[tokio::test]
async fn text_that_one_database_cannot_keep_is_refused_and_not_called_an_outage() {
    for home in Home::all().await {
        let database = home.open().await;
        let mut odd = account(1);
        odd.name = "zero\0byte".into();
        odd.created_at = EventTime(u64::MAX);
        let outcome = accounts::create_many(&database, &[odd]).await;
        assert!(matches!(outcome, Ok(()) | Err(StoreError::Invalid(_))), "{outcome:?}");
        database.ping().await.expect("still well");
    }
}
