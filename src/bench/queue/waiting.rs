//! A very long queue in the running actor: what it takes, what it costs each second, and whether every number is right.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    crowd::{self, PATIENCE, check_published, paused, published, stored},
    figures::Figures,
};
use crate::{
    actors::waiting_room::Handle,
    bench::{memory, stage::Stage},
    domain::{
        id::{EventId, FanId},
        queue::Place,
    },
    failure::Failure,
    http::metrics,
};

/// The actor looks at the clock five times a second, and publishes once.
const WATCHED: Duration = Duration::from_secs(10);
/// Of those who wait, one in so many leaves.
const LEAVES: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);
const PART: &str = "waiting";

pub async fn run(stage: &Stage, waiting: u32, figures: &mut Figures) -> Result<(), Failure> {
    let (event, handles) = stage.open_with(paused()).await?;
    let room = handles.waiting_room;
    let fans = crowd::fans(waiting);
    let mut live: Vec<(Place, FanId)> = vec![(Place::default(), FanId::from_u128(0)); waiting as usize];
    let (me, began) = (std::process::id(), Instant::now());
    let before = memory::resident_mb(me)?;
    live.copy_from_slice(&crowd::join(&room, &fans).await?);
    drop(fans);
    let took = began.elapsed();
    let term = live.first().ok_or("nobody waits")?.0.term();
    stored(stage, event, term, live.len()).await?;
    figures.add(PART, "fans", "", f64::from(waiting));
    figures.add(PART, "joins by the handle, stored", "/s", f64::from(waiting) / took.as_secs_f64());
    watch(figures, "a tick, mean", "a publication, mean").await;
    check_published(stage, event, &room, &live, figures).await?;
    // Of this, 32 bytes a fan are the bench's own list, which was made before.
    let resident = memory::resident_mb(me)?;
    figures.add(PART, "resident memory of the process", "MB", resident);
    figures.add(PART, "of it, for each fan", "bytes", (resident - before) * 1e6 / f64::from(waiting));

    let leavers: Vec<FanId> = crowd::some(&live, LEAVES).into_iter().map(|(_, fan)| fan).collect();
    let began = Instant::now();
    crowd::leave(&room, &leavers).await?;
    figures.add(PART, "leaving, spread through the queue", "/s", leavers.len() as f64 / began.elapsed().as_secs_f64());
    let gone: std::collections::HashSet<FanId> = leavers.into_iter().collect();
    live.retain(|(_, fan)| !gone.contains(fan));
    check_published(stage, event, &room, &live, figures).await?;
    stored(stage, event, term, live.len()).await?;
    figures.add(PART, "left, and forgotten by the store too", "/s", gone.len() as f64 / began.elapsed().as_secs_f64());
    watch(figures, "a tick with gaps, mean", "a publication with gaps, mean").await;

    let began = Instant::now();
    stage.node().directory().give_up(event).await;
    let room = taken_again(stage, event).await?;
    published(&room, live.len()).await?;
    figures.add(PART, "given up and taken again, read from the store", "s", began.elapsed().as_secs_f64());
    check_published(stage, event, &room, &live, figures).await?;
    stage.node().directory().give_up(event).await;
    Ok(())
}

/// Reading so many places takes longer than a request waits.
async fn taken_again(stage: &Stage, event: EventId) -> Result<Handle, Failure> {
    let began = Instant::now();
    loop {
        match stage.node().directory().activate(event).await {
            Ok(handles) => return Ok(handles.waiting_room),
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => sleep(LOOK).await,
        }
    }
}

async fn watch(figures: &mut Figures, tick: &'static str, publication: &'static str) {
    let names = [("onsale_queue_tick_seconds", tick), ("onsale_queue_publication_seconds", publication)];
    let before = names.map(|(name, _)| sum_and_count(name));
    sleep(WATCHED).await;
    for ((name, what), before) in names.into_iter().zip(before) {
        let now = sum_and_count(name);
        figures.add(PART, what, "us", (now.0 - before.0) * 1e6 / (now.1 - before.1).max(1.0));
    }
}

/// Of all events of this process; the others' rooms have nothing to do.
fn sum_and_count(name: &str) -> (f64, f64) {
    let text = metrics::recorder().render();
    let value = |suffix: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(suffix));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
    };
    (value("_sum"), value("_count"))
}
