//! Holds over HTTP, and a POST that does nothing: the load comes from a process of its own, as it would outside.

use std::{
    io::{BufWriter, Write},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    Mode,
    load::{Fan, Outcome},
    report::{Report, Row, Tally},
    sibling::Sibling,
    stage::{self, PER_FAN, Stage},
};
use crate::{
    cli::child::itself,
    domain::{
        account::Role,
        claims::{Access, AdmissionClaim, Kind},
    },
    failure::Failure,
    stores::order_bus::Topic,
};

const TOKEN_SECONDS: u64 = 900;
/// Between two looks at what the orders side has left to do.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(
    stage: &Stage,
    sibling: Option<&Sibling>,
    mode: Mode,
    callers: usize,
    duration: Duration,
    report: &mut Report,
) -> Result<Row, Failure> {
    let (event, inventory) = stage.open_event().await?;
    stage.admit(&inventory, stage.fans()).await?;
    let file = tempfile::NamedTempFile::with_prefix("onsale-bench-fans-")?;
    let mut lines = BufWriter::new(&file);
    let tokens = &stage.node().app().tokens;
    for (fan, n) in stage.fans().iter().zip(1..) {
        let fan = Fan {
            access: tokens.sign(Kind::Access, *fan, TOKEN_SECONDS, Access { sv: 1, roles: vec![Role::Fan] }),
            admission: tokens.sign(
                Kind::Admission,
                *fan,
                TOKEN_SECONDS,
                AdmissionClaim { evt: event, plc: stage::place(n) },
            ),
        };
        writeln!(lines, "{}", serde_json::to_string(&fan).expect("plain fields"))?;
    }
    lines.flush()?;
    let target = match mode {
        Mode::Noop => format!("/api/v1/events/{event}/noop"),
        _ => format!("/api/v1/events/{event}/holds"),
    };
    let address = match (mode, sibling) {
        (Mode::Remote, Some(sibling)) => {
            sibling.reaches(event).await?;
            sibling.address().to_owned()
        }
        _ => stage.node().address().to_string(),
    };
    let outcome = load(&address, &target, callers, duration, file.path()).await?;
    if let Some(refusal) = &outcome.first_refusal {
        eprintln!("  first refusal: {}", refusal.lines().last().unwrap_or_default());
    }
    let mut tally = Tally { ok: outcome.ok, refused: outcome.refused, ..Tally::default() };
    for (value, count) in outcome.times {
        tally.times.saturating_record_n(value, count);
    }
    if mode != Mode::Noop {
        let (behind, took) = orders_done(stage).await?;
        eprintln!("  order messages behind at the end: {behind}; caught up after {:.1} s", took.as_secs_f64());
        let (stored, oversold) = stage.count_holds(event).await?;
        report.stored += stored;
        report.oversold += oversold;
        report.acknowledged += tally.ok;
    }
    Ok(tally.row(mode, callers, Duration::from_secs_f64(outcome.seconds)))
}

/// Waits until the orders side has caught up, so that it takes no part in the next measurement. Gives how many messages it was
/// behind, and how long that took.
async fn orders_done(stage: &Stage) -> Result<(u64, Duration), Failure> {
    let (began, mut at_first) = (Instant::now(), None);
    loop {
        let unpublished: u64 = stage.node().directory().running().iter().map(|running| running.outbox).sum();
        let behind = unpublished + stage.node().app().bus.depth(Topic::Orders).await?;
        let at_first = *at_first.get_or_insert(behind);
        if behind == 0 {
            return Ok((at_first, began.elapsed()));
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{behind} order messages are left after {PATIENCE:?}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn load(address: &str, path: &str, callers: usize, duration: Duration, fans: &Path) -> Result<Outcome, Failure> {
    let output = itself()?
        .args(["bench", "load", "--address", address, "--path", path])
        .args(["--callers", &callers.to_string(), "--seconds", &duration.as_secs_f64().to_string()])
        .args(["--per-fan", &PER_FAN.to_string(), "--fans"])
        .arg(fans)
        .stderr(Stdio::inherit())
        .output()
        .await
        .map_err(|error| format!("the load generator: {error}"))?;
    if !output.status.success() {
        return Err(format!("the load generator ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("the load generator: {error}"))?)
}
