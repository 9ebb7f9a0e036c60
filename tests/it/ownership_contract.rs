//! What every ownership promises while nothing breaks.

use crate::harness::{JournalHome, new_event};

#[tokio::test]
async fn every_claim_has_a_higher_epoch_also_after_release_and_restart() {
    for home in JournalHome::all() {
        let event = new_event();
        let mut last = None;
        for round in 0..6 {
            let opened = home.open().await;
            let epoch = opened.ownership.claim(event).await.expect("claim");
            assert!(Some(epoch) > last, "{epoch:?} after {last:?}");
            let owner = opened.ownership.owner(event).await.expect("read").expect("owned");
            assert_eq!((owner.node.as_str(), owner.epoch), ("node-1", epoch));
            assert!(opened.ownership.is_sure(epoch));
            if round % 2 == 0 {
                opened.ownership.release(event, epoch).await.expect("release");
                assert_eq!(opened.ownership.owner(event).await.expect("read"), None);
            }
            last = Some(epoch);
        }
    }
}

#[tokio::test]
async fn giving_up_with_an_old_epoch_changes_nothing() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        let event = new_event();
        let old = opened.ownership.claim(event).await.expect("claim");
        let new = opened.ownership.claim(event).await.expect("claim");
        opened.ownership.release(event, old).await.expect("no harm");
        let owner = opened.ownership.owner(event).await.expect("read").expect("still owned");
        assert_eq!(owner.epoch, new);
    }
}

#[tokio::test]
async fn an_event_that_nobody_claimed_has_no_owner() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        assert_eq!(opened.ownership.owner(new_event()).await.expect("read"), None);
    }
}

#[tokio::test]
async fn all_owners_are_listed_with_their_epochs_and_nothing_that_was_given_up() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        let [kept, taken_again, given_up] = [new_event(), new_event(), new_event()];
        let epoch = opened.ownership.claim(kept).await.expect("claim");
        opened.ownership.claim(taken_again).await.expect("claim");
        let later = opened.ownership.claim(taken_again).await.expect("claim");
        let ended = opened.ownership.claim(given_up).await.expect("claim");
        opened.ownership.release(given_up, ended).await.expect("release");
        let owners = opened.ownership.owners().await.expect("listed");
        for (event, epoch) in [(kept, epoch), (taken_again, later)] {
            let owner = owners.get(&event).expect("owned");
            assert_eq!((owner.node.as_str(), owner.epoch), ("node-1", epoch));
        }
        assert!(!owners.contains_key(&given_up));
    }
}
