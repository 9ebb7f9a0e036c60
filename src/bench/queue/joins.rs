//! Joins over HTTP: each account once, answered with its signed ticket after the store has the place.

use super::{
    crowd::{self, access, paused},
    figures::Figures,
};
use crate::{
    bench::{
        load::{self, Fan},
        stage::Stage,
    },
    failure::Failure,
};

/// Starts a ticket in an answer.
pub const TICKET: &str = r#""queueTicket":"ey"#;
const SECONDS: f64 = 120.0;

pub async fn run(stage: &Stage, joins: u32, callers: u32, figures: &mut Figures) -> Result<(), Failure> {
    let (event, handles) = stage.open_with(paused()).await?;
    let fans = stage.fans().iter().take(joins as usize);
    let file = load::file_of(fans.map(|&fan| Fan { access: access(stage, fan), admission: String::new() }))?;
    let options = load::Options {
        address: stage.node().address().to_string(),
        path: format!("/api/v1/events/{event}/queue"),
        callers: callers as usize,
        seconds: SECONDS,
        fans: file.path().to_owned(),
        per_fan: 1,
        body: String::new(),
        expect: TICKET.into(),
    };
    let outcome = options.spawn().await?;
    if outcome.ok != u64::from(joins) {
        return Err(format!("{} of {joins} have joined: {:?}", outcome.ok, outcome.first_refusal).into());
    }
    let room = handles.waiting_room;
    crowd::published(&room, joins as usize).await?;
    let (first, _) = *room.members(None, 1).await?.first().ok_or("nobody waits")?;
    crowd::stored(stage, event, first.term(), joins as usize).await?;
    let tally = outcome.tally();
    figures.add("joins", "stored and answered with a ticket", "/s", outcome.ok as f64 / outcome.seconds);
    figures.add("joins", "p50", "ms", tally.times.value_at_quantile(0.5) as f64 / 1e3);
    figures.add("joins", "p99", "ms", tally.times.value_at_quantile(0.99) as f64 / 1e3);
    Ok(())
}
