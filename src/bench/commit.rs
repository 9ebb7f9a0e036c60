//! Our commit path without HTTP: callers ask the inventory's handle, with real entries, limits and request ids.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Mode,
    report::{Report, Row, Tally},
    stage::{self, PER_FAN, Stage},
};
use crate::{
    actors::inventory::{AskError, Handle},
    domain::{
        id::FanId,
        inventory::request::{Answer, Want},
    },
    failure::Failure,
};

pub async fn run(stage: &Stage, callers: usize, duration: Duration, report: &mut Report) -> Result<Row, Failure> {
    let (event, inventory) = stage.open_inventory(0).await?;
    stage.admit(&inventory, stage.fans()).await?;
    let fans: Arc<[FanId]> = stage.fans().into();
    let started = Instant::now();
    let end = started + duration;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        tasks.spawn(call(inventory.clone(), fans.clone(), caller, callers, end));
    }
    let mut all = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        all.add(&tally??);
    }
    let row = all.row(Mode::Commit, callers, started.elapsed());
    inventory.drain().await;
    let (stored, oversold) = stage.count_holds(event).await?;
    report.stored += stored;
    report.oversold += oversold;
    report.acknowledged += all.ok;
    stage.settle(event).await?;
    Ok(row)
}

/// Every `callers`-th fan is this caller's, for as many holds as the limit allows.
async fn call(
    inventory: Handle,
    fans: Arc<[FanId]>,
    caller: usize,
    callers: usize,
    end: Instant,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let want = Want::Quantities(vec![(stage::HOT.parse().expect("a code"), 1)]);
    for (fan, n) in fans.iter().zip(1..).skip(caller).step_by(callers) {
        for _ in 0..PER_FAN {
            if Instant::now() >= end {
                return Ok(tally);
            }
            let begun = Instant::now();
            let ok = match inventory.ask(stage::hold(*fan, n, want.clone())).await {
                Ok(Answer::Held(_)) => true,
                Ok(other) => return Err(format!("a hold was answered {other:?}").into()),
                Err(AskError::Refused(_) | AskError::Overloaded | AskError::TooLate) => false,
                Err(error) => return Err(error.into()),
            };
            tally.count(ok, begun.elapsed());
        }
    }
    Ok(tally)
}
