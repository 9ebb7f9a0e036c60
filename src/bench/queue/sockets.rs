//! New sockets: connect, handshake, the first message with the ticket. They stay open, in a process of their own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    crowd::{self, PATIENCE, access, paused},
    figures::Figures,
    joins::TICKET,
};
use crate::{
    bench::{
        load::{self, Fan, Outcome, contains},
        report::Tally,
        stage::Stage,
    },
    cli::child::itself,
    failure::Failure,
};

/// Of loopback: one has 28,000 ports to connect from.
const SOURCES: usize = 8;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    #[arg(long)]
    callers: usize,
    /// File with one fan (JSON) a line.
    #[arg(long)]
    fans: PathBuf,
}

pub async fn measure(stage: &Stage, sockets: u32, callers: u32, figures: &mut Figures) -> Result<(), Failure> {
    let (event, handles) = stage.open_with(paused()).await?;
    let fans = stage.fans().iter().take(sockets as usize);
    let file = load::file_of(fans.map(|&fan| Fan { access: access(stage, fan), admission: String::new() }))?;
    let mut child = itself()?
        .args(["bench", "sockets", "--address", &stage.node().address().to_string()])
        .args(["--path", &format!("/api/v1/events/{event}/queue/socket"), "--callers", &callers.to_string(), "--fans"])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the sockets have no output")?;
    let line = BufReader::new(output).lines().next_line().await?.ok_or("the sockets have ended")?;
    let outcome: Outcome = serde_json::from_str(&line)?;
    if outcome.ok != u64::from(sockets) {
        return Err(format!("{} of {sockets} sockets opened: {:?}", outcome.ok, outcome.first_refusal).into());
    }
    let mut queue = handles.waiting_room.queue();
    let all = |count: usize| move |queue: &Arc<crate::domain::queue::Queue>| queue.present == count;
    drop(timeout(PATIENCE, queue.wait_for(all(sockets as usize))).await.map_err(|_| "not all are present")??);
    crowd::published(&handles.waiting_room, sockets as usize).await?;
    // It ends with its input.
    drop(child.stdin.take());
    child.wait().await?;
    drop(timeout(PATIENCE, queue.wait_for(all(0))).await.map_err(|_| "some stay present")??);
    let tally = outcome.tally();
    figures.add("sockets", "opened, place stored, told the ticket", "/s", outcome.ok as f64 / outcome.seconds);
    figures.add("sockets", "p50", "ms", tally.times.value_at_quantile(0.5) as f64 / 1e3);
    figures.add("sockets", "p99", "ms", tally.times.value_at_quantile(0.99) as f64 / 1e3);
    Ok(())
}

/// The process that opens them.
pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let fans = Arc::new(load::read_fans(&options.fans)?);
    let started = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..options.callers {
        callers.spawn(call(options.clone(), Arc::clone(&fans), caller));
    }
    let (mut all, mut first_refusal, mut open) = (Tally::default(), None, Vec::new());
    while let Some(done) = callers.join_next().await {
        let (tally, refusal, streams) = done??;
        all.add(&tally);
        first_refusal = first_refusal.or(refusal);
        open.extend(streams);
    }
    println!("{}", serde_json::to_string(&Outcome::of(&all, started.elapsed(), first_refusal))?);
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    drop(open);
    Ok(())
}

/// Every `callers`-th fan is this one's.
async fn call(
    options: Options,
    fans: Arc<Vec<Fan>>,
    caller: usize,
) -> Result<(Tally, Option<String>, Vec<TcpStream>), Failure> {
    let (mut tally, mut first_refusal, mut open) = (Tally::default(), None, Vec::new());
    for fan in fans.iter().skip(caller).step_by(options.callers) {
        let begun = Instant::now();
        let mut answer = Vec::with_capacity(2_048);
        let stream = open_one(&options, caller, fan, &mut answer).await?;
        let ok = answer.starts_with(b"HTTP/1.1 101") && contains(&answer, TICKET);
        tally.count(ok, begun.elapsed());
        if !ok && first_refusal.is_none() {
            first_refusal = Some(String::from_utf8_lossy(&answer).into_owned());
        }
        open.push(stream);
    }
    Ok((tally, first_refusal, open))
}

async fn open_one(options: &Options, caller: usize, fan: &Fan, answer: &mut Vec<u8>) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2 + (caller % SOURCES) as u8), 0).into())?;
    let mut stream = socket.connect(options.address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        options.path, fan.access
    );
    stream.write_all(request.as_bytes()).await?;
    // A refusal is an answer without a ticket, and is whole with its first bytes.
    while answer.is_empty() || answer.starts_with(b"HTTP/1.1 101") && !contains(answer, TICKET) {
        if stream.read_buf(answer).await? == 0 {
            break;
        }
    }
    Ok(stream)
}
