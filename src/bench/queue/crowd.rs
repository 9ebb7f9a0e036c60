//! Very many fans of one event, and the count that positions are held against.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{sleep, timeout};

use super::figures::Figures;
use crate::{
    actors::waiting_room::{Handle, Position, WaitError},
    bench::stage::Stage,
    domain::{
        account::Role,
        claims::{Access, Kind},
        id::{EventId, FanId},
        inventory::configuration::{Configuration, QueueSettings},
        queue::{Outcome, Place},
    },
    failure::Failure,
};

/// Asked of the room at once.
const AT_ONCE: usize = 8_192;
/// For what follows from what was done to be there.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Fans whose number is held against the count.
pub const SAMPLE: usize = 1_000;
const TOKEN_SECONDS: u64 = 3_600;
const LOOK: Duration = Duration::from_millis(5);

/// On sale, and nobody is let in.
pub fn paused() -> Configuration {
    let configuration = crate::bench::stage::configuration();
    let queue = QueueSettings { paused: true, ..configuration.queue };
    Configuration { queue, ..configuration }
}

/// What signing in gives an account, without the password's hash.
pub fn access(stage: &Stage, fan: FanId) -> String {
    let access = Access::of(1, vec![Role::Fan]);
    stage.node().app().tokens.sign(Kind::Access, fan, TOKEN_SECONDS, access)
}

pub fn fans(count: u32) -> Vec<FanId> {
    let mut random = StdRng::seed_from_u64(count.into());
    (0..count).map(|_| FanId::random(random.random())).collect()
}

/// One of each `one_in`, spread over all of them.
pub fn some<T: Copy>(all: &[T], one_in: u32) -> Vec<T> {
    let mut random = StdRng::seed_from_u64(11);
    all.iter().copied().filter(|_| random.random_ratio(1, one_in)).collect()
}

/// All join, and have their places.
pub async fn join(room: &Handle, fans: &[FanId]) -> Result<Vec<(Place, FanId)>, Failure> {
    let places = stream::iter(fans.iter().copied()).map(async |fan| {
        loop {
            match room.join(fan).await {
                Ok(Outcome::Waiting { place }) => return Ok((place, fan)),
                Ok(other) => return Err(Failure::from(format!("a join was answered {other:?}"))),
                Err(WaitError::TryAgain | WaitError::Overloaded) => sleep(LOOK).await,
                Err(error) => return Err(error.into()),
            }
        }
    });
    let mut places: Vec<_> = places.buffer_unordered(AT_ONCE).try_collect().await?;
    places.sort_unstable();
    Ok(places)
}

pub async fn leave(room: &Handle, fans: &[FanId]) -> Result<(), Failure> {
    let leaving = stream::iter(fans.iter().copied()).map(async |fan| match room.leave(fan).await {
        Ok(Outcome::Left) => Ok(()),
        other => Err(Failure::from(format!("leaving was answered {other:?}"))),
    });
    leaving.buffer_unordered(AT_ONCE).try_collect().await
}

/// Waits until the queue that is published has so many.
pub async fn published(room: &Handle, total: usize) -> Result<(), Failure> {
    let mut queue = room.queue();
    let seen = timeout(PATIENCE, queue.wait_for(|queue| queue.ranks.total() == total)).await;
    drop(seen.map_err(|_| format!("the queue does not come to {total}"))??);
    Ok(())
}

/// Waits until the store has so many places.
pub async fn stored(stage: &Stage, event: EventId, term: u32, total: usize) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let count = stage.node().stores().queue.count(event, term).await?;
        if count == total {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the queue's store has {count} places, not {total}").into());
        }
        sleep(LOOK).await;
    }
}

/// Whether `ahead` says of a random sample what counting says. `live` are the places of all who wait.
pub fn check_exact(live: &[Place], ahead: impl Fn(Place) -> Option<usize>) -> Result<Duration, Failure> {
    let mut random = StdRng::seed_from_u64(5);
    let sample: BTreeSet<Place> =
        (0..SAMPLE).filter_map(|_| live.get(random.random_range(0..live.len())).copied()).collect();
    let began = Instant::now();
    let told: Vec<_> = sample.iter().map(|&place| ahead(place)).collect();
    let took = began.elapsed();
    for (&place, told) in sample.iter().zip(told) {
        let counted = live.iter().filter(|&&other| other < place).count();
        if told != Some(counted) {
            return Err(format!("{place} is told that {told:?} are ahead; there are {counted}").into());
        }
    }
    Ok(took / sample.len().max(1) as u32)
}

/// The same of the queue as it is published, and of some fans by `GET …/queue`.
pub async fn check_published(
    stage: &Stage,
    event: EventId,
    room: &Handle,
    live: &[(Place, FanId)],
    figures: &mut Figures,
) -> Result<(), Failure> {
    published(room, live.len()).await?;
    let queue = room.queue().borrow().clone();
    let places: Vec<Place> = live.iter().map(|(place, _)| *place).collect();
    let each = check_exact(&places, |place| Position::of(place, &queue).ahead())?;
    figures.add("waiting", "one position, exact for all of the sample", "us", each.as_secs_f64() * 1e6);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/api/v1/events/{event}/queue", stage.node().address());
    for (index, &(place, fan)) in live.iter().enumerate().step_by((live.len() / 100).max(1)) {
        let answer = client.get(&url).bearer_auth(access(stage, fan)).send().await?;
        let state: serde_json::Value = answer.json().await?;
        if state["peopleAheadInQueue"] != index {
            return Err(format!("{place} has {index} ahead and is told {state}").into());
        }
    }
    Ok(())
}
