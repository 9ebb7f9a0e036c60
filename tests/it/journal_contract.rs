//! What every journal promises while nothing breaks.

use std::ops::RangeInclusive;

use onsale::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        journal::{AppendError, CHUNK_BYTES, Epoch, MAX_SEGMENT_BYTES, Piece},
    },
};

use crate::harness::{JournalHome, Opened, append, in_time, new_event, store_snapshot};

/// Bytes that differ for every segment.
fn bytes(seq: u64) -> Vec<u8> {
    format!("segment {seq}").into_bytes()
}

/// With an event of its own, and the epoch in which it is owned.
async fn owned(home: &JournalHome) -> (Opened, EventId, Epoch) {
    let (opened, event) = (home.open().await, new_event());
    let epoch = opened.ownership.claim(event).await.expect("claim");
    (opened, event, epoch)
}

async fn append_run(opened: &Opened, event: EventId, epoch: Epoch, seqs: RangeInclusive<u64>) {
    for seq in seqs {
        opened.journal.append(append(event, epoch, seq, bytes(seq))).await.expect("append");
    }
}

#[tokio::test]
async fn what_was_appended_is_recovered_in_order() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        let nothing = opened.journal.recover(event).await.expect("recover");
        assert!(nothing.snapshot.is_none() && nothing.segments.is_empty());
        assert_eq!(nothing.published, 0);

        append_run(&opened, event, epoch, 1..=20).await;
        let opened = home.open().await;
        opened.ownership.claim(event).await.expect("claim");
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.segments, (1..=20).map(|seq| (seq, bytes(seq))).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_gap_is_refused_and_so_are_other_bytes_but_the_same_again_is_no_change() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        for seq in [0, 2, u64::MAX] {
            let gap = opened.journal.append(append(event, epoch, seq, bytes(seq))).await;
            assert!(matches!(gap, Err(AppendError::Gap(at)) if at == seq), "{seq}: {gap:?}");
        }
        append_run(&opened, event, epoch, 1..=3).await;
        let gap = opened.journal.append(append(event, epoch, 5, bytes(5))).await;
        assert!(matches!(gap, Err(AppendError::Gap(5))), "{gap:?}");
        for seq in 1..=3 {
            let other = opened.journal.append(append(event, epoch, seq, "other")).await;
            assert!(matches!(other, Err(AppendError::Overwritten(at)) if at == seq), "{other:?}");
            opened.journal.append(append(event, epoch, seq, bytes(seq))).await.expect("the same again");
        }
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.segments, (1..=3).map(|seq| (seq, bytes(seq))).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn nothing_is_written_by_an_old_epoch() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        let event = new_event();
        let old = opened.ownership.claim(event).await.expect("claim");
        append_run(&opened, event, old, 1..=2).await;
        let new = opened.ownership.claim(event).await.expect("claim");
        assert!(new > old);

        let foreign = Epoch(new.0 + 1);
        for epoch in [old, Epoch(0), foreign] {
            let journal = &opened.journal;
            let refused = [
                journal.append(append(event, epoch, 3, bytes(3))).await,
                store_snapshot(&**journal, event, epoch, 2, b"snapshot").await,
                journal.mark_published(event, epoch, 7).await,
            ];
            for (n, refused) in refused.into_iter().enumerate() {
                assert!(matches!(refused, Err(AppendError::Fenced)), "{n} by {epoch:?}: {refused:?}");
            }
        }
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!((recovered.segments.len(), recovered.published), (2, 0));
        assert!(recovered.snapshot.is_none());
        append_run(&opened, event, new, 3..=3).await;
    }
}

#[tokio::test]
async fn who_gave_an_event_up_writes_no_more() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=1).await;
        opened.ownership.release(event, epoch).await.expect("release");
        let refused = opened.journal.append(append(event, epoch, 2, bytes(2))).await;
        assert!(matches!(refused, Err(AppendError::Fenced)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_what_it_covers() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=10).await;

        // Several chunks, the last one not full.
        let large: Vec<u8> = (0..3_500_000_u32).map(|n| (n % 251) as u8).collect();
        store_snapshot(&*opened.journal, event, epoch, 8, &large).await.expect("snapshot");
        append_run(&opened, event, epoch, 11..=12).await;
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert!(recovered.snapshot == Some((8, large)));
        assert_eq!(recovered.segments, (9..=12).map(|seq| (seq, bytes(seq))).collect::<Vec<_>>());

        store_snapshot(&*opened.journal, event, epoch, 12, b"").await.expect("an empty one, of all there is");
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.snapshot, Some((12, Vec::new())));
        assert!(recovered.segments.is_empty());
        append_run(&opened, event, epoch, 13..=13).await;

        for seq in [4, 14] {
            let refused = store_snapshot(&*opened.journal, event, epoch, seq, b"of what is not there").await;
            assert!(matches!(refused, Err(AppendError::Gap(at)) if at == seq), "{seq}: {refused:?}");
        }
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.segments, [(13, bytes(13))]);
    }
}

#[tokio::test]
async fn a_snapshot_that_was_not_finished_changes_nothing() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=3).await;
        let mut given_up = opened.journal.begin_snapshot(event, epoch, 3).await.expect("begin");
        given_up.chunk(b"half of ".to_vec()).await.expect("chunk");
        drop(given_up);
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert!(recovered.snapshot.is_none());
        assert_eq!(recovered.segments.len(), 3);

        store_snapshot(&*opened.journal, event, epoch, 3, b"snapshot").await.expect("snapshot");
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.snapshot, Some((3, b"snapshot".to_vec())));
    }
}

#[tokio::test]
async fn a_snapshot_that_is_not_stored_as_it_was_given_does_not_count() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=3).await;
        let mut damaged = opened.journal.begin_snapshot(event, epoch, 3).await.expect("begin");
        damaged.chunk(b"snapshot".to_vec()).await.expect("chunk");
        home.damage_chunks(event).await;
        let refused = damaged.finish().await;
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))), "{refused:?}");
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert!(recovered.snapshot.is_none());
        assert_eq!(recovered.segments.len(), 3, "nothing was trimmed");
    }
}

#[tokio::test]
async fn a_journal_is_read_no_further_than_somebody_takes_it() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=3).await;
        let snapshot = vec![7; 3 * CHUNK_BYTES + 1];
        store_snapshot(&*opened.journal, event, epoch, 2, &snapshot).await.expect("snapshot");

        let (sender, mut pieces) = tokio::sync::mpsc::channel(1);
        let journal = opened.journal.clone();
        let reading = tokio::spawn(async move { journal.read(event, sender).await });
        let begin = pieces.recv().await;
        assert!(matches!(begin, Some(Piece::Begin { published: 0, covered: Some(2) })), "{begin:?}");
        for n in 0..3 {
            let chunk = pieces.recv().await;
            assert!(matches!(&chunk, Some(Piece::Chunk(bytes)) if bytes.len() == CHUNK_BYTES), "chunk {n}");
        }
        assert!(!reading.is_finished(), "the rest waits to be taken");
        drop(pieces);
        in_time(reading).await.expect("ran").expect("nobody wants more");
    }
}

#[tokio::test]
async fn a_segment_that_was_trimmed_is_not_written_again() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=5).await;
        store_snapshot(&*opened.journal, event, epoch, 5, b"snapshot").await.expect("snapshot");
        for seq in 1..=4 {
            let refused = opened.journal.append(append(event, epoch, seq, bytes(seq))).await;
            assert!(matches!(refused, Err(AppendError::Gap(_))), "{seq}: {refused:?}");
        }
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert!(recovered.segments.is_empty());
    }
}

#[tokio::test]
async fn the_published_mark_only_grows() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        append_run(&opened, event, epoch, 1..=1).await;
        for (number, expected) in [(0, 0), (9, 9), (10, 10), (9, 10), (0, 10), (100, 100)] {
            opened.journal.mark_published(event, epoch, number).await.expect("mark");
            let recovered = opened.journal.recover(event).await.expect("recover");
            assert_eq!(recovered.published, expected);
        }
    }
}

#[tokio::test]
async fn an_event_is_listed_as_active_while_it_is_marked() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        let (event, silent) = (new_event(), new_event());
        let epoch = opened.ownership.claim(event).await.expect("claim");
        opened.ownership.claim(silent).await.expect("claim");
        for (seq, active, expected) in
            [(1, None, false), (2, Some(true), true), (3, None, true), (4, Some(true), true), (5, Some(false), false)]
        {
            let append = onsale::stores::journal::Append { active, ..append(event, epoch, seq, bytes(seq)) };
            opened.journal.append(append).await.expect("append");
            let listed = opened.journal.active().await.expect("list");
            assert_eq!(listed.contains(&event), expected, "after segment {seq}");
        }
        let events = opened.journal.events().await.expect("list");
        assert!(events.contains(&event) && !events.contains(&silent));
    }
}

#[tokio::test]
async fn a_segment_that_is_too_long_is_refused_for_good() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        let refused = opened.journal.append(append(event, epoch, 1, vec![0; MAX_SEGMENT_BYTES + 1])).await;
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))), "{refused:?}");
        opened.journal.append(append(event, epoch, 1, vec![0; MAX_SEGMENT_BYTES])).await.expect("the longest");
    }
}

#[tokio::test]
async fn a_long_journal_of_short_and_long_segments_comes_back_whole() {
    for home in JournalHome::all() {
        let (opened, event, epoch) = owned(&home).await;
        // Long ones after many short ones: pages cannot all hold the same number.
        let length = |seq: u64| if seq > 600 { MAX_SEGMENT_BYTES } else { 100 };
        for seq in 1..=608 {
            let segment = vec![(seq % 251) as u8; length(seq)];
            opened.journal.append(append(event, epoch, seq, segment)).await.expect("append");
        }
        let recovered = opened.journal.recover(event).await.expect("recover");
        assert_eq!(recovered.segments.len(), 608);
        for (seq, segment) in recovered.segments {
            assert!(segment == vec![(seq % 251) as u8; length(seq)], "segment {seq}");
        }
    }
}

#[tokio::test]
async fn events_do_not_disturb_each_other() {
    for home in JournalHome::all() {
        let opened = home.open().await;
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (journal, ownership, event) = (opened.journal.clone(), opened.ownership.clone(), new_event());
                tokio::spawn(async move {
                    let epoch = ownership.claim(event).await.expect("claim");
                    for seq in 1..=25 {
                        journal.append(append(event, epoch, seq, event.to_string())).await.expect("append");
                    }
                    event
                })
            })
            .collect();
        for task in tasks {
            let event = task.await.expect("ran");
            let recovered = opened.journal.recover(event).await.expect("recover");
            assert_eq!(recovered.segments.len(), 25);
            assert!(recovered.segments.iter().all(|(_, bytes)| *bytes == event.to_string().into_bytes()));
        }
    }
}

#[tokio::test]
async fn a_missing_segment_or_chunk_is_corruption_and_never_passed_over() {
    let home = JournalHome::embedded();
    let (opened, event, epoch) = owned(&home).await;
    let pool = home.open_file().await;
    append_run(&opened, event, epoch, 1..=5).await;
    store_snapshot(&*opened.journal, event, epoch, 2, b"snapshot").await.expect("snapshot");

    for (damage, repair) in [
        ("UPDATE segment SET seq = 40 WHERE seq = 4", "UPDATE segment SET seq = 4 WHERE seq = 40"),
        ("UPDATE segment SET seq = 20 WHERE seq = 2", "UPDATE segment SET seq = 2 WHERE seq = 20"),
        ("UPDATE chunk SET n = 0, bytes = 'snapshoT'", "UPDATE chunk SET bytes = 'snapshot'"),
        ("UPDATE chunk SET generation = '_' || generation", "UPDATE chunk SET generation = substr(generation, 2)"),
        ("UPDATE snapshot SET manifest = '_' || manifest", "UPDATE snapshot SET manifest = substr(manifest, 2)"),
    ] {
        sqlx::query(damage).execute(&pool).await.expect(damage);
        let refused = opened.journal.recover(event).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{damage}: {refused:?}");
        sqlx::query(repair).execute(&pool).await.expect(repair);
    }
    opened.journal.recover(event).await.expect("whole again");
}
