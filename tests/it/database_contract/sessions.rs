//! Refresh tokens: one successor each, and a family that ends as one.

use futures_util::future::join_all;
use onsale::{
    domain::{
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::database::{
        Database,
        sessions::{self, NewFamily, Presented, Rotation},
    },
};

use super::{
    Home,
    sample::{add_account, at, fan},
};

const DAY: u64 = 24 * 3_600_000;

fn family(name: &str, account: FanId) -> NewFamily {
    NewFamily {
        family: name.into(),
        account,
        hash: format!("{name}-0"),
        fingerprint: "phone".into(),
        expires_at: at(7 * DAY),
        family_expires_at: at(30 * DAY),
    }
}

async fn start(database: &Database, family: &NewFamily) {
    let mut write = database.begin().await.expect("begin");
    sessions::start(&mut write, family, at(0)).await.expect("start");
    write.commit().await.expect("commit");
}

/// Presents token `n` of the family for token `n + 1`.
async fn present(database: &Database, family: &str, n: u32, fingerprint: &str, now: EventTime) -> Rotation {
    let presented = Presented {
        hash: &format!("{family}-{n}"),
        successor_hash: &format!("{family}-{}", n + 1),
        fingerprint,
        idle_ttl: Millis(7 * DAY),
        grace: Millis::seconds(10),
    };
    sessions::rotate(database, &presented, now).await.expect("rotate")
}

#[tokio::test]
async fn of_ten_that_present_one_token_at_once_one_makes_the_successor() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        start(&database, &family("a", account)).await;
        let tasks = (0..10).map(|_| {
            let database = database.clone();
            tokio::spawn(async move { present(&database, "a", 0, "phone", at(100)).await })
        });
        let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect();
        let (family, expires_at) = ("a".to_owned(), at(100 + 7 * DAY));
        let rotated = Rotation::Rotated { account, family: family.clone(), expires_at };
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == rotated).count(), 1);
        let same = Rotation::SameSuccessor { account, family: family.clone(), expires_at };
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == same).count(), 9);
        let rotated = Rotation::Rotated { account, family, expires_at: at(200 + 7 * DAY) };
        assert_eq!(present(&database, "a", 1, "phone", at(200)).await, rotated, "the successor works");
    }
}

#[tokio::test]
async fn a_token_used_again_by_another_client_or_later_ends_the_family() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        for (name, fingerprint, again) in [("thief", "laptop", at(101)), ("late", "phone", at(100 + 10_001))] {
            start(&database, &family(name, account)).await;
            present(&database, name, 0, "phone", at(100)).await;
            let reused = Rotation::Reused { account, family: name.into() };
            assert_eq!(present(&database, name, 0, fingerprint, again).await, reused);
            assert_eq!(present(&database, name, 1, "phone", again).await, Rotation::Revoked);
            assert_eq!(present(&database, name, 0, "phone", again).await, Rotation::Revoked);
        }
        // The thief was first: the owner, who comes within the grace, must not be given the thief's token.
        start(&database, &family("stolen", account)).await;
        present(&database, "stolen", 0, "laptop", at(100)).await;
        let reused = Rotation::Reused { account, family: "stolen".into() };
        assert_eq!(present(&database, "stolen", 0, "phone", at(101)).await, reused);
        assert_eq!(present(&database, "stolen", 1, "laptop", at(102)).await, Rotation::Revoked);
    }
}

#[tokio::test]
async fn a_token_ends_unused_and_with_its_family() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        start(&database, &family("a", account)).await;
        assert_eq!(present(&database, "a", 0, "phone", at(7 * DAY)).await, Rotation::Expired);
        assert_eq!(present(&database, "b", 0, "phone", at(1)).await, Rotation::Unknown);

        start(&database, &family("b", account)).await;
        for (n, day) in [6, 12, 18, 24].into_iter().enumerate() {
            let rotated = present(&database, "b", n as u32, "phone", at(day * DAY)).await;
            let expires_at = at((day + 7).min(30) * DAY);
            assert_eq!(rotated, Rotation::Rotated { account, family: "b".into(), expires_at }, "day {day}");
        }
        assert_eq!(present(&database, "b", 4, "phone", at(30 * DAY)).await, Rotation::Expired);
    }
}

#[tokio::test]
async fn revoking_ends_one_family_or_all_but_one() {
    for home in Home::all().await {
        let database = home.open().await;
        let (one, other) = (add_account(&database, 1).await, add_account(&database, 2).await);
        for (name, account) in [("a", one), ("b", one), ("c", one), ("d", other)] {
            start(&database, &family(name, account)).await;
        }
        let mut write = database.begin().await.expect("begin");
        assert_eq!(sessions::revoke(&mut write, "a-0", at(5)).await.expect("revoke"), Some(fan(1)));
        assert_eq!(sessions::revoke(&mut write, "a-0", at(6)).await.expect("again"), Some(fan(1)));
        assert_eq!(sessions::revoke(&mut write, "nobody", at(5)).await.expect("revoke"), None);
        write.commit().await.expect("commit");
        assert_eq!(present(&database, "a", 0, "phone", at(7)).await, Rotation::Revoked);
        assert!(matches!(present(&database, "b", 0, "phone", at(7)).await, Rotation::Rotated { .. }));

        let mut write = database.begin().await.expect("begin");
        sessions::revoke_all(&mut write, one, Some("c"), at(8)).await.expect("revoke");
        write.commit().await.expect("commit");
        assert_eq!(present(&database, "b", 1, "phone", at(9)).await, Rotation::Revoked);
        assert!(matches!(present(&database, "c", 0, "phone", at(9)).await, Rotation::Rotated { .. }));
        assert!(matches!(present(&database, "d", 0, "phone", at(9)).await, Rotation::Rotated { .. }));

        let mut write = database.begin().await.expect("begin");
        sessions::revoke_all(&mut write, one, None, at(10)).await.expect("revoke");
        write.commit().await.expect("commit");
        assert_eq!(present(&database, "c", 1, "phone", at(11)).await, Rotation::Revoked);
    }
}

#[tokio::test]
async fn a_renewal_under_way_does_not_escape_a_revocation() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        for round in 0..20 {
            let name = format!("family{round}");
            start(&database, &family(&name, account)).await;
            let renewing = {
                let (database, name) = (database.clone(), name.clone());
                tokio::spawn(async move {
                    let mut last = 0;
                    while matches!(present(&database, &name, last, "phone", at(100)).await, Rotation::Rotated { .. }) {
                        last += 1;
                    }
                    last
                })
            };
            let mut write = database.begin().await.expect("begin");
            sessions::revoke(&mut write, &format!("{name}-0"), at(100)).await.expect("revoke");
            write.commit().await.expect("commit");
            let last = renewing.await.expect("renewing ends, because it was revoked");
            assert_eq!(present(&database, &name, last, "phone", at(100)).await, Rotation::Revoked);
        }
    }
}

#[tokio::test]
async fn old_tokens_are_forgotten_and_live_ones_are_not() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        start(&database, &family("a", account)).await;
        present(&database, "a", 0, "phone", at(6 * DAY)).await;
        assert_eq!(sessions::purge(&database, at(7 * DAY)).await.expect("purge"), 0);
        assert_eq!(sessions::purge(&database, at(7 * DAY + 1)).await.expect("purge"), 1);
        assert!(matches!(present(&database, "a", 1, "phone", at(8 * DAY)).await, Rotation::Rotated { .. }));
    }
}
