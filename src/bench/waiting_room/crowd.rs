//! Very many fans who only listen: one small task each, in a process of its own.
//!
//! Speaks just enough of both protocols to keep its share of the two cores small: it reads whatever comes, counts the messages
//! in it, and notes when each came and what time the server gave it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::socket::{self, ALIVE, AT_ONCE, PONG, UPGRADE},
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    #[arg(long)]
    way: Way,
    #[arg(long)]
    seconds: u64,
    /// File with one fan's token a line.
    #[arg(long)]
    tokens: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// WebSockets, told by sweeps.
    Sweep,
    /// Server-sent events, each asking Redis once a second.
    Asking,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Asking => "asking",
        }
    }
}

/// What is printed at the end, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub bytes: u64,
    pub told: Vec<Told>,
}

/// One message.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Told {
    /// How many wait, which is another number with each publication; `None` of one who does not wait, or where nothing is published.
    pub total: Option<u64>,
    /// What the server's clock said, in milliseconds since 1970,
    pub server_ms: u64,
    /// and when it came here.
    pub came_ms: f64,
}

const MARK: &[u8] = b"\"serverNow\":\"";
const WAITING: &[u8] = b"\"state\":\"waiting\"";
const TOTAL: &[u8] = b"\"totalPeopleInQueue\":";
const TIME: usize = "2026-11-20T18:00:00.000Z".len();

struct Shared {
    options: Options,
    here: AtomicUsize,
    is_counting: AtomicBool,
    over: CancellationToken,
    opening: Semaphore,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let tokens = std::fs::read_to_string(&options.tokens)?;
    let tokens: Vec<&str> = tokens.lines().collect();
    let length = Duration::from_secs(options.seconds);
    let shared = Arc::new(Shared {
        options,
        here: AtomicUsize::new(0),
        is_counting: AtomicBool::new(false),
        over: CancellationToken::new(),
        opening: Semaphore::new(AT_ONCE),
    });
    let (began, mut fans) = (Instant::now(), JoinSet::new());
    for (number, token) in tokens.iter().enumerate() {
        let permit = shared.opening.acquire().await?;
        permit.forget();
        fans.spawn(listen(Arc::clone(&shared), number, (*token).to_owned()));
        if let Some(ended) = fans.try_join_next() {
            ended??;
            return Err("a fan was sent away".into());
        }
    }
    while shared.here.load(Ordering::Relaxed) < tokens.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if let Some(ended) = fans.try_join_next() {
            ended??;
            return Err("a fan was sent away".into());
        }
    }
    println!("{}", began.elapsed().as_secs_f64());
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    shared.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(length).await;
    shared.over.cancel();
    let mut outcome = Outcome { bytes: 0, told: Vec::new() };
    while let Some(heard) = fans.join_next().await {
        let heard = heard??;
        outcome.bytes += heard.bytes;
        outcome.told.extend(heard.told);
    }
    println!("{}", serde_json::to_string(&outcome).expect("plain fields"));
    Ok(())
}

#[derive(Default)]
struct Heard {
    bytes: u64,
    told: Vec<Told>,
}

/// Until all is over.
async fn listen(shared: Arc<Shared>, number: usize, token: String) -> Result<Heard, Failure> {
    let mut stream = open(&shared.options, number, &token).await?;
    let (mut buffer, mut heard) = (Vec::with_capacity(1_024), Heard::default());
    let (mut is_here, mut alive) = (false, Instant::now());
    loop {
        if shared.options.way == Way::Sweep && alive.elapsed() >= ALIVE {
            stream.write_all(&PONG).await?;
            alive = Instant::now();
        }
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 {
                return Err("the server closed a socket".into());
            },
            () = shared.over.cancelled() => return Ok(heard),
        }
        let came_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0;
        let is_counting = shared.is_counting.load(Ordering::Relaxed);
        let mut read = 0;
        while let Some(found) = next(buffer.get(read..).unwrap_or_default()) {
            let (told, length) = found?;
            if is_counting {
                heard.bytes += length as u64;
                heard.told.push(Told { came_ms, ..told });
            }
            if !is_here {
                is_here = true;
                shared.here.fetch_add(1, Ordering::Relaxed);
                shared.opening.add_permits(1);
            }
            read += length;
        }
        buffer.drain(..read);
        if buffer.is_empty() {
            buffer.shrink_to(1_024);
        }
    }
}

/// The first whole message, and the bytes up to its end. What has no time of the server is skipped with the next that has.
fn next(bytes: &[u8]) -> Option<Result<(Told, usize), Failure>> {
    let mark = find(bytes, MARK)?;
    let (before, rest) = bytes.split_at_checked(mark + MARK.len())?;
    let time = rest.get(..TIME)?;
    let length = before.len() + rest.iter().position(|&byte| byte == b'}')? + 1;
    let time = std::str::from_utf8(time).ok().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let server_ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let total = find(before, WAITING).and_then(|_| find(before, TOTAL)).and_then(|at| {
        let digits = before.get(at + TOTAL.len()..)?.split(|byte| !byte.is_ascii_digit()).next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    });
    let told = server_ms.map(|server_ms| (Told { total, server_ms, came_ms: 0.0 }, length));
    Some(told.ok_or_else(|| "a message without the server's time".into()))
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

async fn open(Options { address, path, way, .. }: &Options, number: usize, token: &str) -> Result<TcpStream, Failure> {
    match way {
        Way::Sweep => {
            let fields = format!("{UPGRADE}Authorization: Bearer {token}\r\n");
            socket::open(*address, number, path, &fields, 101).await
        }
        Way::Asking => socket::open(*address, number, &format!("{path}/{token}"), "", 200).await,
    }
}
