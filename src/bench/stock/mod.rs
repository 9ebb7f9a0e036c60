//! Very many who watch one event's stock while its seats change: how soon each sees a change, and what that costs.

mod changes;
mod viewers;

use std::{collections::HashMap, process::Stdio, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::{Instant, sleep},
};

pub use self::viewers::{Options as ViewersOptions, run as viewers};
use self::{changes::Changed, viewers::Outcome};
use super::{
    Common, memory,
    stage::{self, Lagging, Stage},
};
use crate::{
    cli::child,
    domain::{
        inventory::{
            Inventory,
            configuration::{Configuration, Kept, Seat, SeatKind, Stock, TicketType},
        },
        stock::{Change, Delta, Layout, Map},
    },
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Sockets; a process here may have 20,000 descriptors or fewer.
    #[arg(long, default_value_t = 19_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    viewers: u32,
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2_000..=100_000))]
    seats: u32,
    /// Changes of seats a second, holds and releases.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=2_000))]
    changes: u32,
    /// Seconds of the measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=300))]
    seconds: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    stores: String,
    viewers: u32,
    seats: u32,
    changes_per_s: f64,
    opened_per_s: f64,
    bytes_per_viewer_per_s: f64,
    messages_per_viewer_per_s: f64,
    /// From the request that changes a seat until a viewer's map has it, its commit included.
    delay_p50_ms: f64,
    delay_p99_ms: f64,
    delay_worst_ms: f64,
    /// Of one core, the node's; it also makes the changes.
    cpu_percent: f64,
    resident_kb_per_viewer: f64,
    /// The kernel's, of both ends of the connection.
    kernel_kb_per_viewer: f64,
    /// All seats read from the inventory's state, as bits, and compared with those before.
    look_us: f64,
    /// Viewers whose map is the one that the event's journal has, in the end.
    right: u32,
}

/// Seats of one section.
const PER_SECTION: u32 = 2_000;
/// For the last change to arrive.
const SETTLE: Duration = Duration::from_secs(3);
const LOOKS: u32 = 100;

pub async fn run(options: Options) -> Result<(), Failure> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if limit < u64::from(options.viewers) + 500 {
        return Err(format!("{} viewers need more than the {limit} file descriptors allowed", options.viewers).into());
    }
    let mut config = options.common.config.clone();
    config.set.push(format!("http.max_connections={}", options.viewers + 1_000));
    let stage = Stage::open(&config, Lagging::AsConfigured).await?;
    let measured = measure(&stage, &options).await;
    let left = stage.leave().await;
    let swept = left.sweep().await;
    let report = Report { stores: left.config.stores.technologies(), ..measured? };
    report.print(options.common.json);
    swept?;
    if report.right != report.viewers {
        return Err("not every viewer's map is the inventory's".into());
    }
    Ok(())
}

/// So many seats in sections of equal size.
fn hall(seats: u32) -> Configuration {
    let normal = stage::configuration();
    let code = |text: &str| text.parse().expect("a code");
    let ticket_type = |normal: &TicketType| TicketType { stock: Stock::Seats, ..normal.clone() };
    let seat = |n: u32| Seat {
        id: code(&format!("S{n}")),
        zone: code(&format!("ZONE-{}", n / PER_SECTION)),
        row: code(&format!("{}", n / 50)),
        number: u16::try_from(n % 50).unwrap_or_default(),
        ticket_type: code(stage::HOT),
        kind: SeatKind::Standard,
        kept: Kept::Free,
    };
    let ticket_types = normal.ticket_types.iter().map(ticket_type).collect();
    Configuration { ticket_types, seats: (0..seats).map(seat).collect(), ..normal }
}

async fn measure(stage: &Stage, options: &Options) -> Result<Report, Failure> {
    let hall = hall(options.seats);
    let (event, handles) = stage.open_with(hall.clone()).await?;
    let mut changes = changes::Changes::new(stage, handles.inventory, options).await?;
    let process = std::process::id();
    let (resident, kernel) = (memory::resident_mb(process)?, memory::kernel_mb()?);
    eprintln!("opening {} sockets ...", options.viewers);
    let mut child = child::itself()?
        .args(["bench", "viewers", "--address", &stage.node().address().to_string()])
        .args(["--path", &format!("/api/v1/events/{event}/stock/socket"), "--viewers", &options.viewers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let opened: f64 = lines.next_line().await?.ok_or("the viewers did not come")?.parse()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    tokio::io::AsyncWriteExt::write_all(&mut input, b"count\n").await?;
    eprintln!("  changing seats for {} s ...", options.seconds);
    let (cpu, began) = (memory::cpu_time(process)?, Instant::now());
    changes.run().await?;
    let (elapsed, cpu) = (began.elapsed(), memory::cpu_time(process)? - cpu);
    let (resident, kernel) = (memory::resident_mb(process)? - resident, memory::kernel_mb()? - kernel);
    sleep(SETTLE).await;
    drop(input);
    let line = lines.next_line().await?.ok_or("the viewers ended without an outcome")?;
    let outcome: Outcome = serde_json::from_str(&line)?;
    child.wait().await?;

    let real = stage.read_back(event).await?;
    let layout = Layout::of(1, &hall.seats);
    let map = layout.map(real.free_seats(), real.free_counts());
    let delays = delays(&outcome, layout.map(hall.seats.iter().map(|_| true), Vec::new()), changes.done());
    let each = |whole: f64| whole / f64::from(options.viewers);
    let ms = |quantile| delays.value_at_quantile(quantile) as f64;
    Ok(Report {
        stores: String::new(),
        viewers: options.viewers,
        seats: options.seats,
        changes_per_s: changes.done().len() as f64 / elapsed.as_secs_f64(),
        opened_per_s: f64::from(options.viewers) / opened,
        bytes_per_viewer_per_s: each(outcome.bytes as f64) / elapsed.as_secs_f64(),
        messages_per_viewer_per_s: each(outcome.messages as f64) / elapsed.as_secs_f64(),
        delay_p50_ms: ms(0.5),
        delay_p99_ms: ms(0.99),
        delay_worst_ms: delays.max() as f64,
        cpu_percent: cpu.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
        resident_kb_per_viewer: each(resident * 1_000.0),
        kernel_kb_per_viewer: each(kernel * 1_000.0),
        look_us: look_us(&layout, &real),
        right: outcome.maps.iter().filter(|(seen, _)| *seen == map).map(|(_, count)| count).sum(),
    })
}

/// As the event's feed does it; without the message to the actor.
fn look_us(layout: &Layout, inventory: &Inventory) -> f64 {
    let map = || layout.map(inventory.free_seats(), inventory.free_counts());
    let (before, began) = (map(), Instant::now());
    for _ in 0..LOOKS {
        std::hint::black_box(before.changes(&map()));
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(LOOKS)
}

/// In milliseconds, of each change and each viewer that had it while they changed.
fn delays(outcome: &Outcome, mut map: Map, changed: &[Changed]) -> Histogram<u64> {
    let mut delays = Histogram::new_with_bounds(1, 600_000, 3).expect("constant bounds");
    let mut asked: HashMap<u32, Vec<u64>> = HashMap::new();
    for Changed { seat, asked_ms } in changed.iter().rev() {
        asked.entry(*seat).or_default().push(*asked_ms);
    }
    for Delta { seq, change } in &outcome.deltas {
        let Change::Bits { zone, runs } = change else { continue };
        let Some(section) = map.sections.iter().position(|section| section.zone == *zone) else { continue };
        let before = map.sections.get(section).map(|section| section.bits.clone()).unwrap_or_default();
        if map.apply(change).is_err() {
            continue;
        }
        let after = map.sections.get(section).map(|section| section.bits.as_slice()).unwrap_or_default();
        for at in runs.iter().flat_map(|run| run.from as usize..run.from as usize + run.bytes.len()) {
            let flipped = before.get(at).unwrap_or(&0) ^ after.get(at).unwrap_or(&0);
            for bit in (0..8).filter(|bit| flipped & (1 << bit) != 0) {
                let seat = u32::try_from(section).unwrap_or(u32::MAX) * PER_SECTION + at as u32 * 8 + bit;
                let Some(asked_ms) = asked.get_mut(&seat).and_then(Vec::pop) else { continue };
                for (ms, count) in outcome.arrivals.get(seq).into_iter().flatten() {
                    delays.saturating_record_n(ms.saturating_sub(asked_ms).max(1), u64::from(*count));
                }
            }
        }
    }
    delays
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!(
            "{}; {} viewers, {} seats, {:.0} changes/s",
            self.stores, self.viewers, self.seats, self.changes_per_s
        );
        println!(
            "{:>8} {:>8} {:>7} {:>7} {:>7} {:>8} {:>6} {:>8} {:>9} {:>8} {:>8}",
            "opened/s",
            "bytes/s",
            "told/s",
            "p50 ms",
            "p99 ms",
            "worst ms",
            "CPU %",
            "user kB",
            "kernel kB",
            "look us",
            "right"
        );
        println!(
            "{:>8.0} {:>8.0} {:>7.1} {:>7.0} {:>7.0} {:>8.0} {:>6.0} {:>8.1} {:>9.1} {:>8.0} {:>8}",
            self.opened_per_s,
            self.bytes_per_viewer_per_s,
            self.messages_per_viewer_per_s,
            self.delay_p50_ms,
            self.delay_p99_ms,
            self.delay_worst_ms,
            self.cpu_percent,
            self.resident_kb_per_viewer,
            self.kernel_kb_per_viewer,
            self.look_us,
            self.right,
        );
    }
}
