//! Reading back, in pages: the client refuses replies over 4 MiB.

use etcd_client::{GetOptions, KeyValue};
use tokio::sync::mpsc;

use crate::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        etcd::{Etcd, keys},
        journal::{Piece, discard, manifest::Manifest, tail::Tail},
    },
};

/// What a page should come to; a page that holds more, up to one long value, still fits.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// So many of the longest values fit into a reply.
const SAFE_PAGE: usize = 3;
const LONGEST_PAGE: usize = 1024;
/// Keys alone are short.
const KEYS_PAGE: i64 = 1000;

pub async fn read(etcd: &Etcd, event: EventId, pieces: &mpsc::Sender<Piece>) -> Result<(), StoreError> {
    let published = match value(etcd, keys::published(event)).await? {
        Some(text) => text.parse().map_err(|_| StoreError::Corrupt(format!("published mark {text:?}")))?,
        None => 0,
    };
    let json = value(etcd, keys::manifest(event)).await?;
    let manifest = json.map(|json| Manifest::from_json(json.as_bytes())).transpose()?;
    let covered = manifest.as_ref().map(|manifest| manifest.seq);
    if pieces.send(Piece::Begin { published, covered }).await.is_err() {
        return Ok(());
    }
    if let Some(manifest) = manifest {
        read_chunks(etcd, event, &manifest, pieces).await?;
    }
    read_segments(etcd, event, Tail::after(covered), pieces).await
}

/// Events whose ids follow this prefix.
pub async fn events(etcd: &Etcd, prefix: &str) -> Result<Vec<EventId>, StoreError> {
    let mut events = Vec::new();
    // `0` follows `/`, and `g` every hexadecimal digit.
    let end = format!("{prefix}g");
    let mut first = prefix.to_owned();
    loop {
        let options = GetOptions::new().with_range(end.as_str()).with_limit(KEYS_PAGE).with_keys_only();
        let page = etcd.get(first.as_str(), options).await?;
        for found in page.kvs() {
            let key = String::from_utf8_lossy(found.key());
            let event = key.strip_prefix(prefix).and_then(|event| event.parse().ok());
            events.push(event.ok_or_else(|| StoreError::Corrupt(format!("{key:?} names no event")))?);
        }
        match page.kvs().last() {
            Some(last) if page.more() => first = format!("{}\0", String::from_utf8_lossy(last.key())),
            _ => return Ok(events),
        }
    }
}

/// Whether the chunks that are stored are those of the manifest.
pub async fn check_chunks(etcd: &Etcd, event: EventId, manifest: &Manifest) -> Result<(), StoreError> {
    let (sender, pieces) = mpsc::channel(1);
    let read = async move { read_chunks(etcd, event, manifest, &sender).await };
    tokio::join!(read, discard(pieces)).0
}

async fn read_chunks(
    etcd: &Etcd,
    event: EventId,
    manifest: &Manifest,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), StoreError> {
    let mut found = manifest.begin_again();
    let (mut first, end) = keys::generation(event, &manifest.generation);
    loop {
        let (page, more) = page(etcd, &first, &end, SAFE_PAGE).await?;
        for (key, chunk) in page {
            found.add(&chunk);
            if pieces.send(Piece::Chunk(chunk)).await.is_err() {
                return Ok(());
            }
            first = format!("{key}\0");
        }
        if !more {
            return manifest.compare(&found);
        }
    }
}

async fn read_segments(
    etcd: &Etcd,
    event: EventId,
    mut tail: Tail,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), StoreError> {
    let end = keys::segments_end(event);
    let mut limit = SAFE_PAGE;
    loop {
        let (page, more) = match page(etcd, &keys::segment(event, tail.next()), &end, limit).await {
            // Longer ones follow than came before.
            Err(StoreError::ReadOnly(_)) if limit > SAFE_PAGE => {
                limit = (limit / 4).max(SAFE_PAGE);
                continue;
            }
            page => page?,
        };
        let fitting = PAGE_BYTES * page.len() / page.iter().map(|(_, bytes)| bytes.len()).sum::<usize>().max(1);
        limit = fitting.clamp(SAFE_PAGE, LONGEST_PAGE);
        let page = page.into_iter().map(|(key, bytes)| Ok((seq(&key)?, bytes))).collect::<Result<_, StoreError>>()?;
        if pieces.send(Piece::Segments(tail.follow(page)?)).await.is_err() {
            return Ok(());
        }
        if !more {
            return tail.end();
        }
    }
}

fn seq(key: &str) -> Result<u64, StoreError> {
    let seq = key.rsplit('/').next().and_then(|seq| u64::from_str_radix(seq, 16).ok());
    seq.ok_or_else(|| StoreError::Corrupt(format!("{key:?} names no segment")))
}

/// The values from `first` up to `end`, at most `limit` of them, and whether more follow.
async fn page(etcd: &Etcd, first: &str, end: &str, limit: usize) -> Result<(Vec<(String, Vec<u8>)>, bool), StoreError> {
    let options = GetOptions::new().with_range(end).with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut found = etcd.get(first, options).await?;
    let more = found.more();
    let values = found.take_kvs().into_iter().map(KeyValue::into_key_value);
    Ok((values.map(|(key, value)| (String::from_utf8_lossy(&key).into_owned(), value)).collect(), more))
}

async fn value(etcd: &Etcd, key: String) -> Result<Option<String>, StoreError> {
    let found = etcd.get(key, GetOptions::new()).await?;
    Ok(found.kvs().first().map(|found| String::from_utf8_lossy(found.value()).into_owned()))
}
