//! The load generator: one connection a caller, one request at a time on each, in a process of its own.
//!
//! Speaks just enough HTTP/1.1 to keep its own share of the two cores small: requests are put together from parts, answers
//! are read by their Content-Length.

use std::{
    io::{BufWriter, Write},
    os::unix::process::parent_id,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::{
    processors::{Share, Used},
    report::Tally,
};
use crate::{cli::child::itself, failure::Failure};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    pub address: String,
    #[arg(long)]
    pub path: String,
    #[arg(long)]
    pub callers: usize,
    #[arg(long)]
    pub seconds: f64,
    /// File with one fan (JSON) a line.
    #[arg(long)]
    pub fans: PathBuf,
    /// Requests with each fan's tokens at most.
    #[arg(long)]
    pub per_fan: usize,
    /// Of each request.
    #[arg(long)]
    pub body: String,
    /// An answer without this text counts as a refusal.
    #[arg(long)]
    pub expect: String,
}

/// What a fan sends along.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fan {
    pub access: String,
    pub admission: String,
}

/// Writes them for the generator to read.
pub fn file_of(fans: impl Iterator<Item = Fan>) -> Result<tempfile::NamedTempFile, Failure> {
    let file = tempfile::NamedTempFile::with_prefix("onsale-bench-fans-")?;
    let mut lines = BufWriter::new(&file);
    for fan in fans {
        writeln!(lines, "{}", serde_json::to_string(&fan).expect("plain fields"))?;
    }
    lines.flush()?;
    drop(lines);
    Ok(file)
}

impl Options {
    /// Runs it as another process.
    pub async fn spawn(&self) -> Result<Outcome, Failure> {
        let output = itself()?
            .args(["bench", "load", "--address", &self.address, "--path", &self.path])
            .args(["--callers", &self.callers.to_string(), "--seconds", &self.seconds.to_string()])
            .args(["--per-fan", &self.per_fan.to_string(), "--body", &self.body, "--expect", &self.expect, "--fans"])
            .arg(&self.fans)
            .stderr(Stdio::inherit())
            .output()
            .await
            .map_err(|error| format!("the load generator: {error}"))?;
        if !output.status.success() {
            return Err(format!("the load generator ended with {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("the load generator: {error}"))?)
    }
}

/// What is printed at the end, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub ok: u64,
    pub refused: u64,
    pub seconds: f64,
    /// The histogram: (microseconds, count).
    pub times: Vec<(u64, u64)>,
    /// The first refusal seen, for people.
    pub first_refusal: Option<String>,
    /// Whose their time was meanwhile; empty where nobody looked.
    pub processors: Vec<Share>,
}

impl Outcome {
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { ok: self.ok, refused: self.refused, ..Tally::default() };
        for &(value, count) in &self.times {
            tally.times.saturating_record_n(value, count);
        }
        tally
    }

    pub fn of(tally: &Tally, took: Duration, first_refusal: Option<String>) -> Self {
        let times = tally.times.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        let (ok, refused, seconds) = (tally.ok, tally.refused, took.as_secs_f64());
        Self { ok, refused, seconds, times, first_refusal, processors: Vec::new() }
    }
}

/// As [`file_of`] wrote them.
pub fn read_fans(file: &std::path::Path) -> Result<Vec<Fan>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let fans = Arc::new(read_fans(&options.fans)?);
    let mut callers = Vec::new();
    for index in 0..options.callers {
        let stream = TcpStream::connect(&options.address).await?;
        stream.set_nodelay(true)?;
        callers.push(Caller {
            stream,
            index,
            step: options.callers,
            fans: fans.clone(),
            per_fan: options.per_fan,
            path: options.path.clone(),
            body: options.body.clone(),
            expect: options.expect.clone(),
        });
    }
    let used = || Used::now([(parent_id(), "node"), (std::process::id(), "generator")]);
    let before = used()?;
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(options.seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for caller in callers {
        tasks.spawn(caller.run(end));
    }
    let (mut all, mut first_refusal) = (Tally::default(), None);
    while let Some(done) = tasks.join_next().await {
        let (tally, refusal) = done??;
        all.add(&tally);
        first_refusal = first_refusal.or(refusal);
    }
    let mut outcome = Outcome::of(&all, started.elapsed(), first_refusal);
    outcome.processors = used()?.shares_since(&before);
    println!("{}", serde_json::to_string(&outcome).expect("plain fields"));
    Ok(())
}

struct Caller {
    stream: TcpStream,
    index: usize,
    step: usize,
    fans: Arc<Vec<Fan>>,
    per_fan: usize,
    path: String,
    body: String,
    expect: String,
}

impl Caller {
    /// Every `step`-th fan is this caller's. Ends at `end`, or when they have all done their share.
    async fn run(mut self, end: Instant) -> Result<(Tally, Option<String>), Failure> {
        let mut tally = Tally::default();
        let mut first_refusal = None;
        let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(4096));
        let fans = self.fans.clone();
        for fan in fans.iter().skip(self.index).step_by(self.step) {
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nOnsale-Admission: {}\r\nContent-Length: {}\r\nIdempotency-Key: ",
                self.path,
                fan.access,
                fan.admission,
                self.body.len()
            );
            for _ in 0..self.per_fan {
                if Instant::now() >= end {
                    return Ok((tally, first_refusal));
                }
                request.clear();
                request.extend_from_slice(head.as_bytes());
                request.extend_from_slice(Uuid::new_v4().simple().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
                request.extend_from_slice(b"\r\n\r\n");
                request.extend_from_slice(self.body.as_bytes());
                let begun = Instant::now();
                self.stream.write_all(&request).await?;
                let ok = read_answer(&mut self.stream, &mut answer).await? && contains(&answer, &self.expect);
                tally.count(ok, begun.elapsed());
                if !ok && first_refusal.is_none() {
                    first_refusal = Some(String::from_utf8_lossy(&answer).into_owned());
                }
            }
        }
        Ok((tally, first_refusal))
    }
}

/// Reads one whole answer; whether its status is 2xx.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<bool, Failure> {
    Ok(read_status(stream, answer).await? / 100 == 2)
}

/// Reads one whole answer; its status.
pub async fn read_status(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u16, Failure> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err("the server closed a connection".into());
        }
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let lines = answer.get(..head).unwrap_or_default();
        let status = lines.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        let status = status.ok_or("an answer without a status")?;
        // One without content says no length.
        let length = if status == 204 { Some(0) } else { content_length(lines) };
        if answer.len() >= head + 4 + length.ok_or("an answer without Content-Length")? {
            return Ok(status);
        }
    }
}

pub fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn content_length(head: &[u8]) -> Option<usize> {
    let name = b"content-length:";
    head.split(|&byte| byte == b'\n')
        .find(|line| {
            line.len() > name.len() && line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        })
        .and_then(|line| std::str::from_utf8(line.get(name.len()..)?).ok())
        .and_then(|text| text.trim().parse().ok())
}
