//! The usual way, for comparison: server-sent events, and for each fan a question to Redis every second.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    response::sse::{Event, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use redis::aio::ConnectionManager;
use serde_json::json;
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};

use crate::{failure::Failure, http};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long)]
    redis: String,
    #[arg(long)]
    key: String,
    /// The number of this server's first fan.
    #[arg(long)]
    first: u32,
    #[arg(long)]
    fans: u32,
}

/// Members in one command.
const AT_ONCE: u32 = 1_000;
/// The set is gone some time after the measurement.
const LIFE_S: i64 = 600;

struct Line {
    redis: ConnectionManager,
    key: String,
    first: u32,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let Options { redis, key, first, fans } = options;
    let mut connection = ConnectionManager::new(redis::Client::open(redis)?).await?;
    let last = first + fans;
    for from in (first..last).step_by(AT_ONCE as usize) {
        let mut add = redis::cmd("ZADD");
        add.arg(&key);
        for number in from..(from + AT_ONCE).min(last) {
            add.arg(number).arg(number);
        }
        add.exec_async(&mut connection).await?;
    }
    redis::cmd("EXPIRE").arg(&key).arg(LIFE_S).exec_async(&mut connection).await?;
    let line = Arc::new(Line { redis: connection.clone(), key: key.clone(), first });
    let router = Router::new().route("/stream/{number}", get(listen)).with_state(line);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    if first == 0 {
        tokio::spawn(move_up(connection, key));
    }
    Ok(axum::serve(listener, router).await?)
}

/// One fan a second goes.
async fn move_up(mut redis: ConnectionManager, key: String) {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let _: Result<(), _> = redis::cmd("ZPOPMIN").arg(&key).exec_async(&mut redis).await;
    }
}

async fn listen(
    State(line): State<Arc<Line>>,
    Path(number): Path<u32>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let told = stream::unfold((line, seconds), move |(line, mut seconds)| async move {
        seconds.tick().await;
        let at = http::now();
        let mut redis = line.redis.clone();
        let member = line.first + number;
        let asked = redis::cmd("ZRANK").arg(&line.key).arg(member).query_async::<Option<u64>>(&mut redis).await;
        let position = asked.ok().flatten().map_or(0, |rank| rank + 1);
        let said = json!({
            "type": "queue.update",
            "positionInQueue": position,
            "peopleAheadInQueue": position.saturating_sub(1),
            "serverNow": http::shapes::Timestamp(at),
        });
        Some((Event::default().data(said.to_string()), (line, seconds)))
    });
    Sse::new(told.map(Ok))
}
