//! Talking to Redis: one connection for all calls, short deadlines, and a second attempt on a new connection.
//!
//! Owns no key. Redis may lose what it has acknowledged; whoever needs more keeps more.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::error::StoreError;

/// For one call to Redis, with the connecting if that is needed.
const CALL_DEADLINE: Duration = Duration::from_secs(2);

pub struct Redis {
    client: Client,
    slot: Mutex<Slot>,
}

/// The one connection, shared by all calls.
#[derive(Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    /// Of the connections made so far; who met an error drops only the one it used.
    number: u64,
}

/// What an error with a code of the caller's own means; `None`: no such code.
pub type Meaning = fn(&str) -> Option<StoreError>;

impl Redis {
    /// Connects at the first call.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|error| StoreError::Invalid(error.into()))?;
        Ok(Self { client, slot: Mutex::default() })
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
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        meaning: Meaning,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let (number, mut connection) = self.connection(deadline).await?;
        let lost = match timeout_at(deadline, script.invoke_async(&mut connection)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) if error.is_connection_dropped() => error,
            Ok(Err(error)) => {
                if error.is_io_error() {
                    self.drop_connection(number).await;
                }
                return Err(conclude(error, meaning));
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
            Ok(Err(error)) if !error.is_io_error() => match conclude(error, meaning) {
                StoreError::Unavailable(source) | StoreError::ReadOnly(source) => Err(StoreError::Unknown(source)),
                other => Err(other),
            },
            Ok(Err(_)) | Err(_) => {
                self.drop_connection(number).await;
                Err(StoreError::Unknown(lost.into()))
            }
        }
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
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

/// What an error of a script that was sent lets one conclude.
fn conclude(error: RedisError, meaning: Meaning) -> StoreError {
    if let Some(own) = error.code().and_then(meaning) {
        return own;
    }
    match error.code() {
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
