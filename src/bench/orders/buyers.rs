//! The buyers, as a process of their own: one connection each, hold, checkout and payment one after the other.
//!
//! How many tickets there are is told on standard input; no more than `ahead` orders are begun beyond them, so that the whole
//! path is measured and not how fast its beginning fills a queue. One order in [`WATCHED`] is asked for until it is ticketed: its
//! time is that from the hold's request to the fan's seeing it.

use std::{
    io::BufRead,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout},
    sync::watch,
    time::sleep,
};
use uuid::Uuid;

use super::Way;
use crate::{
    bench::{
        load::{Fan, read_fans, read_status},
        report::Tally,
    },
    cli::child,
    failure::Failure,
    http::payments::signature,
};

/// Of so many orders one.
const WATCHED: u64 = 64;
const LOOK: Duration = Duration::from_millis(10);
/// Before an order that was refused somewhere is given up for the next one.
const CALM: Duration = Duration::from_millis(20);
const HOLD: &str = r#"{"items":[{"ticket_type":"HOT","quantity":1}]}"#;
const CHECKOUT: &str = r#"{"provider":"sandbox"}"#;
const PAY: &str = "outcome=pay";

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    pub address: String,
    #[arg(long)]
    pub event: String,
    #[arg(long)]
    pub buyers: u64,
    #[arg(long)]
    pub orders: u64,
    #[arg(long)]
    pub ahead: u64,
    #[arg(long)]
    pub per_fan: usize,
    /// File with one fan (JSON) a line.
    #[arg(long)]
    pub fans: PathBuf,
    #[arg(long)]
    pub way: Way,
    /// File with the key that webhooks are signed with, where the buyers send them themselves.
    #[arg(long)]
    pub key: PathBuf,
}

/// What is printed at the end, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub paid: u64,
    pub refused: u64,
    pub first_refusal: Option<String>,
    /// Histogram of the watched: (microseconds, count).
    pub times: Vec<(u64, u64)>,
}

pub struct Buyers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Buyers {
    pub fn start(options: &Options) -> Result<Self, Failure> {
        let mut child = child::itself()?
            .args(["bench", "buyers", "--address", &options.address, "--event", &options.event, "--way"])
            .arg(options.way.name())
            .args(["--buyers", &options.buyers.to_string(), "--orders", &options.orders.to_string()])
            .args(["--ahead", &options.ahead.to_string(), "--per-fan", &options.per_fan.to_string(), "--fans"])
            .arg(&options.fans)
            .arg("--key")
            .arg(&options.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, input, output })
    }

    pub fn process(&self) -> Result<u32, Failure> {
        child::id(&self.child)
    }

    pub async fn tell(&mut self, tickets: u64) -> Result<(), Failure> {
        Ok(self.input.write_all(format!("{tickets}\n").as_bytes()).await?)
    }

    /// When all their orders are begun they end by themselves.
    pub async fn outcome(mut self) -> Result<Outcome, Failure> {
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut self.output, &mut line).await?;
        drop(self.input);
        let status = self.child.wait().await?;
        Ok(serde_json::from_str(&line).map_err(|error| format!("the buyers ended with {status}: {error}"))?)
    }
}

struct Shared {
    options: Options,
    fans: Vec<Fan>,
    key: Vec<u8>,
    begun: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    watched: Tally,
    paid: u64,
    refused: u64,
    first_refusal: Option<String>,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let fans = read_fans(&options.fans)?;
    let key = std::fs::read(&options.key)?;
    let shared = Arc::new(Shared { options, fans, key, begun: AtomicU64::new(0), told: Mutex::default() });
    let (sender, tickets) = watch::channel(0_u64);
    // Ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = line.parse().map(|tickets| sender.send(tickets));
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..shared.options.buyers {
        let stream = TcpStream::connect(&shared.options.address).await?;
        stream.set_nodelay(true)?;
        let buyer =
            Buyer { stream, answer: Vec::with_capacity(4096), shared: shared.clone(), tickets: tickets.clone() };
        tasks.spawn(buyer.run(index));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
    let times = told.watched.times.iter_recorded();
    let outcome = Outcome {
        paid: told.paid,
        refused: told.refused,
        first_refusal: told.first_refusal.clone(),
        times: times.map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

struct Buyer {
    stream: TcpStream,
    answer: Vec<u8>,
    shared: Arc<Shared>,
    tickets: watch::Receiver<u64>,
}

impl Buyer {
    /// Every so manyth fan is this one's.
    async fn run(mut self, index: u64) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mine = shared.fans.iter().skip(usize::try_from(index)?).step_by(usize::try_from(shared.options.buyers)?);
        for fan in mine.flat_map(|fan| std::iter::repeat_n(fan, shared.options.per_fan)) {
            let number = shared.begun.fetch_add(1, Ordering::Relaxed);
            if number >= shared.options.orders {
                return Ok(());
            }
            // Whoever tells has ended: so do the buyers.
            if self.tickets.wait_for(|tickets| number < tickets + shared.options.ahead).await.is_err() {
                return Ok(());
            }
            let bought = self.buy(fan, number % WATCHED == WATCHED / 2).await?;
            let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
            match bought {
                true => told.paid += 1,
                false => {
                    told.refused += 1;
                    told.first_refusal.get_or_insert_with(|| String::from_utf8_lossy(&self.answer).into_owned());
                }
            }
        }
        Err("there are more orders than fans to make them".into())
    }

    /// `false` if any step was refused; the answer is the last step's.
    async fn buy(&mut self, fan: &Fan, is_watched: bool) -> Result<bool, Failure> {
        let began = Instant::now();
        let shared = self.shared.clone();
        let access = format!("Authorization: Bearer {}\r\n", fan.access);
        let admitted = format!("{access}Onsale-Admission: {}\r\n", fan.admission);
        let event = &shared.options.event;
        if self.post(&format!("/api/v1/events/{event}/holds"), &admitted, JSON, HOLD).await? != 201 {
            sleep(CALM).await;
            return Ok(false);
        }
        let Some(reference) = text_of(&self.answer, "reference") else { return Ok(false) };
        if self.post(&format!("/api/v1/orders/{reference}/checkout"), &access, JSON, CHECKOUT).await? != 202 {
            return Ok(false);
        }
        let Some(page) = text_of(&self.answer, "payment_url") else { return Ok(false) };
        let session = page.rsplit('/').next().unwrap_or_default().to_owned();
        let is_paid = match shared.options.way {
            Way::Page => self.post(&format!("/sandbox/pay/{session}"), "", FORM, PAY).await? == 303,
            Way::Direct => self.webhook(&session, &reference).await? == 204,
        };
        if is_paid && is_watched {
            while !self.is_ticketed(&reference, &access).await? {
                sleep(LOOK).await;
            }
            let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.watched.count(true, began.elapsed());
        }
        Ok(is_paid)
    }

    async fn post(&mut self, path: &str, headers: &str, content: &str, body: &str) -> Result<u16, Failure> {
        let key = Uuid::new_v4();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content}\r\n{headers}Idempotency-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            key.simple(),
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        read_status(&mut self.stream, &mut self.answer).await
    }

    /// What the sandbox would say.
    async fn webhook(&mut self, session: &str, reference: &str) -> Result<u16, Failure> {
        let body = json!({
            "id": format!("evt_{}", Uuid::new_v4().simple()), "type": "payment.captured", "session": session,
            "reference": reference, "amount": {"minor": super::PRICE_MINOR, "currency": "EUR"},
        })
        .to_string();
        let signature = signature::sign(&self.shared.key, crate::http::now().0 / 1_000, body.as_bytes());
        let header = format!("{}: {signature}\r\n", signature::HEADER);
        self.post("/api/v1/payments/sandbox/webhook", &header, JSON, &body).await
    }

    async fn is_ticketed(&mut self, reference: &str, access: &str) -> Result<bool, Failure> {
        let request = format!("GET /api/v1/orders/{reference} HTTP/1.1\r\nHost: bench\r\n{access}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let status = read_status(&mut self.stream, &mut self.answer).await?;
        Ok(status == 200 && text_of(&self.answer, "state").as_deref() == Some("ticketed"))
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The first text of this name; our own answers have no escapes in what is looked for.
fn text_of(answer: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let rest = text.split_once(&format!("\"{name}\":\""))?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_name() {
        let answer = br#"{"reference":"a.b","order":{"state":"paying"}}"#;
        assert_eq!(text_of(answer, "reference").as_deref(), Some("a.b"));
        assert_eq!(text_of(answer, "state").as_deref(), Some("paying"));
        assert_eq!(text_of(answer, "total"), None);
    }
}
