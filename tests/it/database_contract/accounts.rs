//! Accounts and their lists.

use std::collections::HashSet;

use futures_util::future::join_all;
use onsale::{
    domain::{account::Role, time::EventTime},
    stores::{
        database::{
            accounts::{self, Ended, Status},
            more_time,
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{account, add_account, at, fan},
};

#[tokio::test]
async fn an_account_comes_back_as_it_went_in() {
    for home in Home::all().await {
        let database = home.open().await;
        let mut stored = account(1);
        stored.name = "Zoë O'Neil; DROP TABLE accounts; --".into();
        stored.roles = Role::ALL.into();
        accounts::create_many(&database, &[stored.clone()]).await.expect("create");
        assert_eq!(accounts::by_id(&database, stored.id).await.expect("read"), Some(stored.clone()));
        assert_eq!(accounts::by_email(&database, &stored.email).await.expect("read"), Some(stored));
        assert_eq!(accounts::by_email(&database, "' OR 1=1 --").await.expect("read"), None);
        assert_eq!(accounts::by_id(&database, fan(2)).await.expect("read"), None);
    }
}

#[tokio::test]
async fn of_many_that_want_one_address_one_gets_it() {
    for home in Home::all().await {
        let database = home.open().await;
        let tasks = (1..=20).map(|n| {
            let database = database.clone();
            let mut wanted = account(n);
            wanted.email = "same@example.org".into();
            tokio::spawn(async move { accounts::create_many(&database, &[wanted]).await })
        });
        let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(()) | Err(StoreError::Conflict(_))), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn many_accounts_are_made_together_or_not_at_all() {
    for home in Home::all().await {
        let database = home.open().await;
        let thousand: Vec<_> = (1..=1_000).map(account).collect();
        let mut last_is_taken = thousand.clone();
        last_is_taken.push(account(500));
        let refused = accounts::create_many(&database, &last_is_taken).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(accounts::by_id(&database, fan(1)).await.expect("read"), None);
        accounts::create_many(&database, &thousand).await.expect("create");
        assert!(accounts::by_id(&database, fan(1_000)).await.expect("read").is_some());
    }
}

#[tokio::test]
async fn whatever_changes_what_an_account_may_do_ends_its_access() {
    for home in Home::all().await {
        let database = home.open().await;
        add_account(&database, 1).await;
        let mut write = database.begin().await.expect("begin");
        let ended = [
            accounts::set_password(&mut write, fan(1), "$new$", at(7)).await.expect("set"),
            accounts::set_roles(&mut write, fan(1), &[Role::Fan, Role::Staff], at(8)).await.expect("set"),
            accounts::set_status(&mut write, fan(1), Status::Disabled, at(9)).await.expect("set"),
            accounts::end_access(&mut write, fan(1), at(10)).await.expect("end"),
        ];
        let (active, disabled) = (Status::Active, Status::Disabled);
        let expected = [(2, active, 7), (3, active, 8), (4, disabled, 9), (5, disabled, 10)];
        assert_eq!(ended, expected.map(|(version, status, n)| Ended { account: fan(1), version, status, at: at(n) }));
        assert!(!accounts::replace_hash(&mut write, fan(1), "$other$", "$x$", at(11)).await.expect("replace"));
        assert!(accounts::replace_hash(&mut write, fan(1), "$new$", "$again$", at(12)).await.expect("replace"));
        write.commit().await.expect("commit");

        let changed = accounts::by_id(&database, fan(1)).await.expect("read").expect("there");
        assert_eq!(changed.session_version, 5, "a new hash of the same password ends nothing");
        assert_eq!(changed.password_hash, "$again$");
        assert_eq!(changed.roles, [Role::Fan, Role::Staff]);
        assert_eq!(changed.status, Status::Disabled);
        assert_eq!((changed.created_at, changed.updated_at), (at(1), at(12)));

        let mut write = database.begin().await.expect("begin");
        let nobody = accounts::set_roles(&mut write, fan(2), &[Role::Admin], at(9)).await;
        assert!(matches!(nobody, Err(StoreError::Conflict(_))), "{nobody:?}");
    }
}

#[tokio::test]
async fn whose_sessions_ended_is_read_page_by_page_once_each() {
    for home in Home::all().await {
        let database = home.open().await;
        let all: Vec<_> = (1..=8).map(account).collect();
        accounts::create_many(&database, &all).await.expect("create");
        let mut write = database.begin().await.expect("begin");
        // Number 4 ends twice, number 8 never; three of them at once.
        for (n, when) in [(4, 5), (1, 10), (2, 20), (3, 30), (4, 30), (5, 30), (6, 40), (7, 50)] {
            accounts::end_access(&mut write, fan(n), at(when)).await.expect("end");
        }
        write.commit().await.expect("commit");

        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = accounts::ended_since(&database, at(20), after, 2).await.expect("read");
            let Some(last) = page.last() else { break };
            after = Some((last.at, last.account));
            found.extend(page.iter().map(|ended| (ended.account, ended.version, ended.at)));
        }
        let expected = [(2, 2, 20), (3, 2, 30), (4, 3, 30), (5, 2, 30), (6, 2, 40), (7, 2, 50)];
        assert_eq!(found, expected.map(|(n, version, when)| (fan(n), version, at(when))));
        assert_eq!(accounts::ended_since(&database, at(0), None, 100).await.expect("read").len(), 7);
    }
}

#[tokio::test]
async fn every_raise_of_a_session_version_counts() {
    for home in Home::all().await {
        let database = home.open().await;
        add_account(&database, 1).await;
        let tasks = (0..20).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut write = database.begin().await?;
                accounts::end_access(&mut write, fan(1), at(1)).await?;
                write.commit().await
            })
        });
        for task in join_all(tasks).await {
            task.expect("task").expect("end");
        }
        assert_eq!(accounts::by_id(&database, fan(1)).await.expect("read").expect("there").session_version, 21);
    }
}

#[tokio::test]
async fn a_list_finds_what_is_written_and_wildcards_are_letters() {
    for home in Home::all().await {
        let database = home.open().await;
        let named = [(1, "Ada Lovelace"), (2, "100% Ada"), (3, "snake_case"), (4, "snakeXcase"), (5, "wow!")];
        let accounts = named.map(|(n, name)| {
            let mut account = account(n);
            account.name = name.into();
            account
        });
        accounts::create_many(&database, &accounts).await.expect("create");
        for (q, expected) in [
            ("", vec![5, 4, 3, 2, 1]),
            ("ada", vec![2, 1]),
            ("ADA", vec![2, 1]),
            ("%", vec![2]),
            ("e_c", vec![3]),
            ("!", vec![5]),
            ("fan3@", vec![3]),
            ("' OR '1'='1", vec![]),
        ] {
            let page = accounts::list(&database, q, None, 10).await.expect("list");
            let found: Vec<_> = page.items.iter().map(|account| account.id).collect();
            assert_eq!(found, expected.into_iter().map(fan).collect::<Vec<_>>(), "{q:?}");
        }
    }
}

#[tokio::test]
async fn pages_give_each_account_once_also_while_others_register() {
    for home in Home::all().await {
        let database = home.open().await;
        // Many of the same moment, so that only the id tells them apart.
        let old = (1..=50).map(|n| {
            let mut account = account(n);
            account.created_at = at(n as u64 / 10);
            account
        });
        accounts::create_many(&database, &old.collect::<Vec<_>>()).await.expect("create");
        let mut seen = Vec::new();
        let mut cursor = None;
        for newcomer in 100.. {
            let page = accounts::list(&database, "", cursor.as_ref(), 7).await.expect("list");
            assert!(page.items.len() <= 7);
            seen.extend(page.items.iter().map(|account| account.id));
            add_account(&database, newcomer).await;
            cursor = match page.next {
                // As a client keeps it.
                Some(next) => Some(next.to_string().parse().expect("its own cursor")),
                None => break,
            };
        }
        assert_eq!(seen.len(), 50);
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 50);
    }
}

#[tokio::test]
async fn who_needs_more_time_is_known_to_each_process_that_reads_it() {
    for home in Home::all().await {
        let (database, other) = (home.open().await, home.open().await);
        accounts::create_many(&database, &[account(1), account(2)]).await.expect("create");
        assert_eq!(more_time::get(&database, fan(1)).await.expect("read"), Some(false));
        more_time::set(&database, fan(1), true, at(10)).await.expect("set");
        assert_eq!(more_time::get(&other, fan(1)).await.expect("read"), Some(true));
        assert!(database.needs_more_time(fan(1)) && !other.needs_more_time(fan(1)), "not read yet");
        more_time::read(&other, at(11)).await.expect("read");
        assert!(!other.needs_more_time(fan(1)), "from before");
        more_time::read(&other, EventTime(0)).await.expect("read");
        assert!(other.needs_more_time(fan(1)) && !other.needs_more_time(fan(2)));
        more_time::set(&database, fan(1), false, at(20)).await.expect("set");
        more_time::read(&other, at(10)).await.expect("read");
        assert!(!other.needs_more_time(fan(1)) && !database.needs_more_time(fan(1)));
        let nobody = more_time::set(&database, fan(3), true, at(30)).await;
        assert!(matches!(nobody, Err(StoreError::Conflict(_))), "{nobody:?}");
        assert_eq!(more_time::get(&database, fan(3)).await.expect("read"), None);
    }
}
