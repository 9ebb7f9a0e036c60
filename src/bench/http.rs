//! Holds over HTTP, and a POST that does nothing: the load comes from a process of its own, as it would outside.

use std::time::{Duration, Instant};

use super::{
    Mode,
    load::{self, Fan},
    report::{Report, Row},
    sibling::Sibling,
    stage::{self, PER_FAN, Stage},
};
use crate::{
    domain::{
        account::Role,
        claims::{Access, AdmissionClaim, Kind},
    },
    failure::Failure,
    stores::order_bus::Topic,
};

const BODY: &str = r#"{"items":[{"ticket_type":"HOT","quantity":1}]}"#;
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
    let tokens = &stage.node().app().tokens;
    let file = load::file_of(stage.fans().iter().zip(1..).map(|(fan, n)| {
        let claim = AdmissionClaim::of(event, stage::place(n));
        Fan {
            access: tokens.sign(Kind::Access, *fan, TOKEN_SECONDS, Access::of(1, vec![Role::Fan])),
            admission: tokens.sign(Kind::Admission, *fan, TOKEN_SECONDS, claim),
        }
    }))?;
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
    let options = load::Options {
        address,
        path: target,
        callers,
        seconds: duration.as_secs_f64(),
        fans: file.path().to_owned(),
        per_fan: PER_FAN.into(),
        body: BODY.into(),
        expect: String::new(),
    };
    let outcome = options.spawn().await?;
    if let Some(refusal) = &outcome.first_refusal {
        eprintln!("  first refusal: {}", refusal.lines().last().unwrap_or_default());
    }
    let tally = outcome.tally();
    if mode != Mode::Noop {
        let (behind, took) = orders_done(stage).await?;
        eprintln!("  order messages behind at the end: {behind}; caught up after {:.1} s", took.as_secs_f64());
        let (stored, oversold) = stage.count_holds(event).await?;
        report.stored += stored;
        report.oversold += oversold;
        report.acknowledged += tally.ok;
    }
    Ok(Row { processors: outcome.processors, ..tally.row(mode, callers, Duration::from_secs_f64(outcome.seconds)) })
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
