//! What the embedded journal promises when the process, the file or the disk fails under it.
//!
//! Processes that are to be killed, or limited, are this test binary again, told by a variable to be one of [`child`].

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use onsale::{
    domain::{
        id::EventId,
        inventory::entry::{Segment, Unreadable},
        time::EventTime,
    },
    stores::{
        data_dir::{DataDir, DataDirError},
        journal::{AppendError, InventoryJournal, Recovered, embedded::EmbeddedJournal},
        ownership::{Ownership as _, embedded::EmbeddedOwnership},
        sqlite,
    },
};

use crate::harness::{append, new_event};

const ROLE: &str = "ONSALE_TEST_CHILD";
const FOLDER: &str = "ONSALE_TEST_CHILD_FOLDER";
const EVENT: &str = "ONSALE_TEST_CHILD_EVENT";
/// Long enough that a journal soon fills more than one page, short enough that many fit below the limit.
const LENGTH: usize = 10_000;

fn bytes(seq: u64) -> Vec<u8> {
    let mut bytes = format!("segment {seq}:").into_bytes();
    bytes.resize(LENGTH, (seq % 251) as u8);
    bytes
}

fn file(folder: &Path) -> PathBuf {
    folder.join("journal.db")
}

/// Runs [`child`] in a process of its own. `before` is a shell's line, run first.
fn spawn(role: &str, before: &str, folder: &Path, event: EventId) -> Child {
    let this = std::env::current_exe().expect("a test binary has a path");
    Command::new("sh")
        .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
        .arg(this)
        .args(["--exact", "journal_crash::child", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .env(EVENT, event.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh starts")
}

/// Not a test when run by itself: what the other tests start as a process.
#[tokio::test]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("set"));
    if role == "lock" {
        let _locked = DataDir::open(&folder).expect("locked");
        println!("locked");
        return std::future::pending().await;
    }
    let event = std::env::var(EVENT).expect("set").parse().expect("an event");
    let journal = std::sync::Arc::new(EmbeddedJournal::open(&file(&folder)).await.expect("open"));
    let ownership = EmbeddedOwnership::new(journal.clone(), "child");
    let epoch = ownership.claim(event).await.expect("claim");
    let first = journal.recover(event).await.expect("recover").segments.len() as u64 + 1;
    for seq in first.. {
        if let Err(error) = journal.append(append(event, epoch, seq, bytes(seq))).await {
            println!("failed {seq}: {error}");
            assert!(matches!(error, AppendError::ReadOnly(_)));
            // No second try may pass by what the first has left behind.
            let again = journal.append(append(event, epoch, seq, bytes(seq))).await;
            assert!(matches!(again, Err(AppendError::ReadOnly(_))), "{again:?}");
            ownership.claim(event).await.expect_err("poisoned");
            journal.recover(event).await.expect_err("poisoned");
            assert!(!ownership.is_sure(epoch));
            journal.poisoned().await;
            println!("poisoned");
            return;
        }
        println!("ack {seq}");
    }
}

/// The highest `ack N` among the lines.
fn last_ack(lines: &str) -> u64 {
    lines.lines().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).max().unwrap_or(0)
}

async fn recover(folder: &Path, event: EventId) -> Recovered {
    let journal = EmbeddedJournal::open(&file(folder)).await.expect("open");
    journal.claim(event, "parent").await.expect("claim");
    journal.recover(event).await.expect("recover")
}

/// Nothing but a beginning of what was appended; returns its length.
fn check_prefix(recovered: &Recovered) -> u64 {
    for (expected, (seq, found)) in (1..).zip(&recovered.segments) {
        assert_eq!(*seq, expected);
        assert!(*found == bytes(*seq), "segment {seq}");
    }
    recovered.segments.len() as u64
}

#[tokio::test]
async fn a_killed_process_leaves_exactly_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let event = new_event();
    let mut acknowledged = 0;
    for round in 1..=3 {
        let mut child = spawn("append", "", folder.path(), event);
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut said = String::new();
        while last_ack(&said) < acknowledged + 100 {
            assert!(lines.read_line(&mut said).expect("text") > 0, "the child ended: {said}");
        }
        child.kill().expect("it runs");
        child.wait().expect("killed");
        lines.read_to_string(&mut said).expect("text");
        acknowledged = last_ack(&said);

        let found = check_prefix(&recover(folder.path(), event).await);
        // The last one may have been committed with its acknowledgement not printed any more.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} found, {acknowledged} acknowledged");
        acknowledged = found;
        println!("round {round}: {found} segments");
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_more_stops_the_journal_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let event = new_event();
    // In blocks of 512 or 1024 bytes. The signal would end the process; without it the write fails.
    let child = spawn("append", "trap '' XFSZ; ulimit -f 1500", folder.path(), event);
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("poisoned"), "{said}");
    let acknowledged = last_ack(&said);
    assert!(acknowledged > 10, "{said}");

    let found = check_prefix(&recover(folder.path(), event).await);
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} found, {acknowledged} acknowledged");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_directory_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut child = spawn("lock", "", folder.path(), new_event());
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("locked") {
        assert!(lines.read_line(&mut said).expect("text") > 0, "the child ended: {said}");
    }
    let refused = DataDir::open(folder.path()).expect_err("in use");
    assert!(matches!(refused, DataDirError::InUse(_)), "{refused}");
    child.kill().expect("it runs");
    child.wait().expect("killed");
    DataDir::open(folder.path()).expect("the lock went with the process");
}

/// A journal of some segments whose log has not been moved into the file, as a crash leaves it.
async fn crashed(folder: &Path, event: EventId, count: u64) -> (Vec<u8>, Vec<u8>) {
    let journal = EmbeddedJournal::open(&file(folder)).await.expect("open");
    let epoch = journal.claim(event, "node").await.expect("claim");
    for seq in 1..=count {
        journal.append(append(event, epoch, seq, bytes(seq))).await.expect("append");
    }
    let read = |name: &str| std::fs::read(folder.join(name)).expect("there");
    (read("journal.db"), read("journal.db-wal"))
}

/// What comes back from a file with this log.
async fn recover_from(event: EventId, database: &[u8], log: &[u8]) -> Recovered {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("journal.db"), database).expect("write");
    std::fs::write(folder.path().join("journal.db-wal"), log).expect("write");
    let journal = EmbeddedJournal::open(&file(folder.path())).await.expect("open");
    journal.recover(event).await.expect("recover")
}

#[tokio::test]
async fn a_torn_log_gives_back_a_beginning_and_what_follows_its_end_is_ignored() {
    const SEGMENTS: u64 = 20;
    let folder = tempfile::tempdir().expect("temporary folder");
    let event = new_event();
    let (database, log) = crashed(folder.path(), event, SEGMENTS).await;

    // A half-written next commit: everything acknowledged lies before it.
    for tail in [&[0; 24][..], &[7; 5000], &log[32..5000]] {
        let log = [&log, tail].concat();
        assert_eq!(check_prefix(&recover_from(event, &database, &log).await), SEGMENTS);
    }
    let mut before = 0;
    for length in (0..log.len()).step_by(4999).chain([log.len() - 1, log.len()]) {
        let found = check_prefix(&recover_from(event, &database, &log[..length]).await);
        assert!(found >= before, "{found} from {length} bytes, {before} from fewer");
        before = found;
    }
    assert_eq!(before, SEGMENTS);
    for at in (40..log.len()).step_by(9973) {
        let mut garbled = log.clone();
        garbled[at] ^= 0x10;
        let found = check_prefix(&recover_from(event, &database, &garbled).await);
        assert!(found < SEGMENTS, "the bit at {at} went unnoticed");
    }
}

#[tokio::test]
async fn a_garbled_segment_is_not_taken_for_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let event = new_event();
    let segment = Segment { seq: 1, epoch: 1, at: EventTime(5), tag: 7, entries: Vec::new() };
    {
        let journal = EmbeddedJournal::open(&file(folder.path())).await.expect("open");
        let epoch = journal.claim(event, "node").await.expect("claim");
        journal.append(append(event, epoch, 1, segment.to_bytes())).await.expect("append");
    }
    let pool = sqlite::open(&file(folder.path()), 1, "SELECT 1").await.expect("open");
    for at in 0..segment.to_bytes().len() {
        let mut garbled = segment.to_bytes();
        garbled[at] ^= 1;
        sqlx::query("UPDATE segment SET bytes = $1").bind(garbled).execute(&pool).await.expect("damage");
        let recovered = recover(folder.path(), event).await;
        let (_, found) = &recovered.segments[0];
        let refused = Segment::from_bytes(found).expect_err("garbled");
        assert!(matches!(refused, Unreadable::Checksum | Unreadable::Version(_)), "byte {at}: {refused}");
    }
}
