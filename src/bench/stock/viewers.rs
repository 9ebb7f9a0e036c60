//! Very many viewers of one event's stock: one small task each, in a process of its own. Each puts its map together by itself.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::socket::{self, ALIVE, AT_ONCE, PONG, UPGRADE},
    domain::{
        code::Code,
        stock::{Change, Delta, Map, Run, Section},
    },
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    #[arg(long)]
    viewers: usize,
}

/// What is printed at the end, as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub bytes: u64,
    pub messages: u64,
    /// What was told, in order.
    pub deltas: Vec<Delta>,
    /// By change: at which millisecond since 1970 how many viewers had it.
    pub arrivals: BTreeMap<u64, BTreeMap<u64, u32>>,
    /// The maps at the end, and how many viewers have each; more than a few are not listed.
    pub maps: Vec<(Map, u32)>,
}

/// Maps that are listed.
const LISTED: usize = 10;

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Said {
    #[serde(rename = "stock.snapshot", rename_all = "camelCase")]
    Snapshot { seq: u64, version: u32, sections: Vec<SectionNow>, counts: Vec<CountNow> },
    #[serde(rename = "stock.delta", rename_all = "camelCase")]
    Delta {
        seq: u64,
        section: Option<Code>,
        bits: Option<Vec<(u32, String)>>,
        ticket_type: Option<Code>,
        free: Option<u32>,
    },
}

#[derive(Deserialize)]
struct SectionNow {
    section: Code,
    seats: u32,
    bits: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountNow {
    ticket_type: Code,
    free: u32,
}

enum Message {
    Whole { seq: u64, map: Map },
    Delta(Delta),
}

impl Message {
    fn of(text: &[u8]) -> Result<Self, Failure> {
        let seats = |text: &str| STANDARD_NO_PAD.decode(text);
        match serde_json::from_slice(text)? {
            Said::Snapshot { seq, version, sections, counts } => {
                let section =
                    |one: SectionNow| Ok(Section { zone: one.section, seats: one.seats, bits: seats(&one.bits)? });
                let sections = sections.into_iter().map(section).collect::<Result<_, base64::DecodeError>>()?;
                let counts = counts.into_iter().map(|one| (one.ticket_type, one.free)).collect();
                Ok(Self::Whole { seq, map: Map { version, sections, counts } })
            }
            Said::Delta { seq, section: Some(zone), bits: Some(bits), .. } => {
                let run = |(from, text): (u32, String)| Ok(Run { from, bytes: seats(&text)? });
                let runs = bits.into_iter().map(run).collect::<Result<_, base64::DecodeError>>()?;
                Ok(Self::Delta(Delta { seq, change: Change::Bits { zone, runs } }))
            }
            Said::Delta { seq, ticket_type: Some(ticket_type), free: Some(free), .. } => {
                Ok(Self::Delta(Delta { seq, change: Change::Count { ticket_type, free } }))
            }
            Said::Delta { .. } => Err("a change of nothing".into()),
        }
    }
}

struct Shared {
    options: Options,
    here: AtomicUsize,
    is_counting: AtomicBool,
    over: CancellationToken,
    opening: Semaphore,
    /// What was read once need not be read by each: all are sent the same.
    known: RwLock<HashMap<Vec<u8>, Arc<Message>>>,
}

impl Shared {
    fn message(&self, text: &[u8]) -> Result<Arc<Message>, Failure> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(known));
        }
        let message = Arc::new(Message::of(text)?);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(text.to_vec(), Arc::clone(&message));
        Ok(message)
    }
}

/// Counts from the first line of its input on, to the end of it.
pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let count = options.viewers;
    let shared = Arc::new(Shared {
        options,
        here: AtomicUsize::new(0),
        is_counting: AtomicBool::new(false),
        over: CancellationToken::new(),
        opening: Semaphore::new(AT_ONCE),
        known: RwLock::default(),
    });
    let (began, mut viewers) = (Instant::now(), JoinSet::new());
    for number in 0..count {
        shared.opening.acquire().await?.forget();
        viewers.spawn(view(Arc::clone(&shared), number));
        sent_away(&mut viewers)?;
    }
    while shared.here.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
        sent_away(&mut viewers)?;
    }
    println!("{}", began.elapsed().as_secs_f64());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    lines.next_line().await?;
    shared.is_counting.store(true, Ordering::Relaxed);
    while lines.next_line().await?.is_some() {}
    shared.over.cancel();
    let outcome = Mutex::new(Outcome::default());
    while let Some(viewer) = viewers.join_next().await {
        outcome.lock().unwrap_or_else(PoisonError::into_inner).add(viewer??);
    }
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let known = shared.known.read().unwrap_or_else(PoisonError::into_inner);
    let deltas = known.values().filter_map(|message| match &**message {
        Message::Delta(delta) => Some(delta.clone()),
        Message::Whole { .. } => None,
    });
    outcome.deltas = deltas.collect();
    outcome.deltas.sort_by_key(|delta| delta.seq);
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn sent_away(viewers: &mut JoinSet<Result<Viewer, Failure>>) -> Result<(), Failure> {
    match viewers.try_join_next() {
        None => Ok(()),
        Some(ended) => ended?.and(Err("a viewer was sent away".into())),
    }
}

#[derive(Default)]
struct Viewer {
    bytes: u64,
    messages: u64,
    seq: u64,
    map: Map,
    /// After which number the counting began, and up to which one was there when.
    counted_after: u64,
    came: Vec<(u64, u64)>,
}

impl Outcome {
    fn add(&mut self, viewer: Viewer) {
        self.bytes += viewer.bytes;
        self.messages += viewer.messages;
        let mut next = viewer.counted_after + 1;
        for (seq, ms) in viewer.came {
            for seq in next..=seq {
                *self.arrivals.entry(seq).or_default().entry(ms).or_default() += 1;
            }
            next = seq + 1;
        }
        let listed = self.maps.len();
        match self.maps.iter_mut().find(|(map, _)| *map == viewer.map) {
            Some((_, count)) => *count += 1,
            None if listed < LISTED => self.maps.push((viewer.map, 1)),
            None => {}
        }
    }
}

impl Viewer {
    fn take(&mut self, message: &Message) -> Result<(), Failure> {
        match message {
            Message::Whole { seq, map } => (self.seq, self.map) = (*seq, map.clone()),
            Message::Delta(delta) if delta.seq == self.seq + 1 => {
                self.map.apply(&delta.change)?;
                self.seq = delta.seq;
            }
            Message::Delta(delta) => return Err(format!("change {} after {}", delta.seq, self.seq).into()),
        }
        Ok(())
    }
}

/// Until all is over.
async fn view(shared: Arc<Shared>, number: usize) -> Result<Viewer, Failure> {
    let options = &shared.options;
    let mut stream = socket::open(options.address, number, &options.path, UPGRADE, 101).await?;
    let (mut buffer, mut viewer) = (Vec::with_capacity(4_096), Viewer::default());
    let (mut is_here, mut alive) = (false, Instant::now());
    loop {
        if alive.elapsed() >= ALIVE {
            stream.write_all(&PONG).await?;
            alive = Instant::now();
        }
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 {
                return Err("the server closed a socket".into());
            },
            () = shared.over.cancelled() => return Ok(viewer),
        }
        let came_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (mut read, before) = (0, viewer.seq);
        while let Some((opcode, payload, length)) = frame(buffer.get(read..).unwrap_or_default()) {
            if opcode == 1 {
                let message = shared.message(payload)?;
                viewer.take(&message)?;
                if shared.is_counting.load(Ordering::Relaxed) {
                    viewer.messages += 1;
                    viewer.bytes += length as u64;
                }
            }
            read += length;
        }
        buffer.drain(..read);
        if viewer.seq > before && is_here {
            if viewer.came.is_empty() {
                viewer.counted_after = before;
            }
            viewer.came.push((viewer.seq, u64::try_from(came_ms).unwrap_or(u64::MAX)));
        }
        if !is_here && viewer.map != Map::default() {
            is_here = true;
            shared.here.fetch_add(1, Ordering::Relaxed);
            shared.opening.add_permits(1);
        }
    }
}

/// The first whole frame of a server: its opcode, its payload, and how long all of it is.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, head) = match second {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    Some((first & 0x0f, bytes.get(head..head + length)?, head + length))
}
