//! The queue in Redis: a sorted set per event (member: fan, score: place) and the term that may write it.
//!
//! Owns the keys and the scripts. Decides nothing: a script compares terms and writes, all or nothing. Redis may lose what
//! it has acknowledged; whoever needs more keeps more (the fan's signed ticket, the journal).

use std::time::Duration;

use async_trait::async_trait;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, ScriptInvocation, aio::MultiplexedConnection,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{OLD_TERM, QueueStore};
use crate::{
    domain::{
        id::{EventId, FanId},
        queue::Place,
    },
    stores::error::StoreError,
};

/// For one call to Redis, with the connecting if that is needed.
const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// Members that one reply gives back.
const PAGE: usize = 10_000;
/// Places that one script forgets: Redis does nothing else meanwhile.
const FORGET_AT_ONCE: usize = 2_000;
/// Joins in one call: they are one script, so that they are all or nothing.
const MAX_JOINS: usize = 100_000;
/// A score is a double, which is exact up to here: term 2,097,151.
const MAX_PLACE: u64 = (1 << 53) - 1;

/// Begins each script: refuses an older term, remembers a newer one. A newer one may come with any verb, for Redis may
/// have lost the term together with the queue.
const FENCE: &str = "
local seen = tonumber(redis.call('GET', KEYS[2]) or '0')
local term = tonumber(ARGV[1])
if term < seen then return redis.error_reply('OLDTERM the queue has a newer owner') end
if term > seen then redis.call('SET', KEYS[2], ARGV[1]) end
";
/// One page. Each page checks the term again, so no later owner's changes can come between.
const OPEN: &str = "return redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES')";
/// Lua's stack bounds `unpack`; an even chunk keeps score and member together.
const JOIN: &str = "
for i = 2, #ARGV, 2000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, i, math.min(i + 1999, #ARGV)))
end
return 0
";
/// By place: a fan who has joined again since keeps the newer one.
const FORGET: &str = "
for i = 2, #ARGV do
  redis.call('ZREMRANGEBYSCORE', KEYS[1], ARGV[i], ARGV[i])
end
return 0
";

pub struct RedisQueue {
    client: Client,
    slot: Mutex<Slot>,
    open: Script,
    join: Script,
    forget: Script,
}

/// The one connection, shared by all calls.
#[derive(Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    /// Of the connections made so far; who met an error drops only the one it used.
    number: u64,
}

impl RedisQueue {
    /// Connects at the first call.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let script = |body: &str| Script::new(&format!("{FENCE}{body}"));
        Ok(Self {
            client: Client::open(url).map_err(|error| StoreError::Invalid(error.into()))?,
            slot: Mutex::default(),
            open: script(OPEN),
            join: script(JOIN),
            forget: script(FORGET),
        })
    }

    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), StoreError> {
        let connect = async {
            // The lock is held while connecting, so that one attempt serves all who wait.
            let mut slot = self.slot.lock().await;
            if let Some(connection) = &slot.connection {
                return Ok((slot.number, connection.clone()));
            }
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CALL_DEADLINE))
                .set_response_timeout(Some(CALL_DEADLINE));
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            slot.number += 1;
            slot.connection = Some(connection.clone());
            Ok::<_, RedisError>((slot.number, connection))
        };
        match timeout_at(deadline, connect).await {
            Ok(connected) => connected.map_err(|error| StoreError::Unavailable(error.into())),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }

    async fn drop_connection(&self, number: u64) {
        let mut slot = self.slot.lock().await;
        if slot.number == number {
            slot.connection = None;
        }
    }

    /// Runs a script. Each may be repeated, so a connection that was lost (perhaps while it was idle) costs a second
    /// attempt on a new one, not an error.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let (number, mut connection) = self.connection(deadline).await?;
        let lost = match timeout_at(deadline, script.invoke_async(&mut connection)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) if error.is_connection_dropped() => error,
            Ok(Err(error)) => {
                if error.is_io_error() {
                    self.drop_connection(number).await;
                }
                return Err(conclude(error));
            }
            Err(late) => {
                self.drop_connection(number).await;
                return Err(StoreError::Unknown(late.into()));
            }
        };
        self.drop_connection(number).await;
        // From here on nothing can prove that the first attempt was not carried out.
        let Ok((number, mut connection)) = self.connection(deadline).await else {
            return Err(StoreError::Unknown(lost.into()));
        };
        match timeout_at(deadline, script.invoke_async(&mut connection)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) if !error.is_io_error() => match conclude(error) {
                StoreError::Unavailable(source) | StoreError::ReadOnly(source) => Err(StoreError::Unknown(source)),
                other => Err(other),
            },
            Ok(Err(_)) | Err(_) => {
                self.drop_connection(number).await;
                Err(StoreError::Unknown(lost.into()))
            }
        }
    }
}

#[async_trait]
impl QueueStore for RedisQueue {
    async fn open(&self, event: EventId, term: u32) -> Result<Vec<(Place, FanId)>, StoreError> {
        let mut found = Vec::new();
        loop {
            let from = found.len();
            let mut script = invoke(&self.open, event, term);
            script.arg(from).arg(from + PAGE - 1);
            let page: Vec<(String, u64)> = self.run(&script).await?;
            let is_last = page.len() < PAGE;
            for (fan, place) in page {
                let fan = fan.parse().map_err(|_| StoreError::Corrupt(format!("queue of {event}: member {fan:?}")))?;
                found.push((Place(place), fan));
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn join(&self, event: EventId, term: u32, joins: &[(Place, FanId)]) -> Result<(), StoreError> {
        if joins.len() > MAX_JOINS {
            return Err(StoreError::Invalid(format!("more than {MAX_JOINS} joins in one call").into()));
        }
        let mut script = invoke(&self.join, event, term);
        for (place, fan) in joins {
            if place.0 > MAX_PLACE {
                return Err(StoreError::Invalid(format!("place {place} is no exact score").into()));
            }
            script.arg(place.0).arg(fan.to_string());
        }
        self.run(&script).await
    }

    async fn forget(&self, event: EventId, term: u32, places: &[Place]) -> Result<(), StoreError> {
        for places in places.chunks(FORGET_AT_ONCE) {
            let mut script = invoke(&self.forget, event, term);
            for place in places {
                script.arg(place.0);
            }
            self.run::<()>(&script).await?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let (number, mut connection) = self.connection(deadline).await?;
        let command = redis::cmd("PING");
        let answer = match timeout_at(deadline, command.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.into(),
            Err(late) => late.into(),
        };
        self.drop_connection(number).await;
        Err(StoreError::Unavailable(answer))
    }
}

/// Both keys carry the event as hash tag: in a Redis cluster they lie in one slot, as a script needs.
fn invoke(script: &Script, event: EventId, term: u32) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    invocation.key(format!("onsale:{{{event}}}:queue")).key(format!("onsale:{{{event}}}:term")).arg(term);
    invocation
}

/// What an error of a script that was sent lets one conclude.
fn conclude(error: RedisError) -> StoreError {
    match error.code() {
        Some("OLDTERM") => StoreError::Conflict(OLD_TERM),
        Some("READONLY" | "OOM" | "MISCONF" | "NOREPLICAS") => StoreError::ReadOnly(error.into()),
        Some("WRONGTYPE") => StoreError::Corrupt(error.to_string()),
        // The script itself has failed, and a script is not undone.
        Some("ERR") => StoreError::Unknown(error.into()),
        // The server answered that it did not run the script: loading, not allowed, moved, busy.
        Some(_) => StoreError::Unavailable(error.into()),
        None if error.is_io_error() => StoreError::Unknown(error.into()),
        None => StoreError::Corrupt(error.to_string()),
    }
}
