//! Talking to etcd: one pinned client per endpoint, short deadlines, and our own move to the next endpoint.
//!
//! The client library would balance over all endpoints, and keep choosing one that hangs. Here a killed or hung member
//! costs one deadline. Connections are served by a thread of their own ([`thread`]). Owns no key's meaning; the names of all keys
//! are in [`keys`].

pub mod keys;
pub mod lease;
mod thread;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, KeyValue, KvClient, LeaseClient, Txn, TxnResponse, WatchClient,
    WatchOptions, WatchStream,
};
use tokio::time::{sleep, timeout};

use self::thread::Thread;
use super::error::{Source, StoreError};

/// For one attempt at one endpoint; grows when all endpoints have failed twice, so that a slow disk is not asked for
/// ever what it cannot answer in time.
const ATTEMPT: Duration = Duration::from_millis(400);
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);
/// Between rounds over all endpoints; grows with each.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Every event in use may be trying at the same time.
const ROUNDS_PER_WARNING: u32 = 20;
/// For a watch to be granted.
const WATCH: Duration = Duration::from_secs(2);
/// Of a list of short values: far below what a client takes in one reply.
const LIST_PAGE: i64 = 1_000;
/// For everything but a commit: reads, claims, leases.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Server {
    pub kv: KvClient,
    pub lease: LeaseClient,
    pub watch: WatchClient,
}

pub struct Etcd {
    servers: Vec<Server>,
    current: AtomicUsize,
    _thread: Thread,
}

/// Why an attempt gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The servers will not do it, however often they are asked.
    #[error(transparent)]
    Refused(Error),
    /// May have been done.
    #[error("no answer: {0}")]
    NoAnswer(#[source] Source),
}

impl Etcd {
    /// Connects when first used.
    pub async fn new(endpoints: &[String]) -> Result<Self, StoreError> {
        if endpoints.is_empty() {
            return Err(StoreError::Invalid("no etcd endpoint is configured".into()));
        }
        let connecting = servers(endpoints.to_vec());
        let started = Thread::start("etcd", connecting).await;
        let (thread, servers) = started.map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self { servers: servers?, current: AtomicUsize::new(0), _thread: thread })
    }

    /// Asks one endpoint, once. If it does not answer, the next call goes to the next one.
    pub async fn attempt<T, F>(&self, deadline: Duration, call: impl FnOnce(Server) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let chosen = self.current.load(Ordering::Relaxed);
        let server = self.servers.get(chosen % self.servers.len()).expect("a remainder is below its divisor");
        let source = match timeout(deadline, call(server.clone())).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if is_final(&error) => return Err(Failure::Refused(error)),
            Ok(Err(error)) => error.into(),
            Err(late) => late.into(),
        };
        // Only the first of many that fail at one endpoint moves on.
        let _ = self.current.compare_exchange(chosen, chosen.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
        Err(Failure::NoAnswer(source))
    }

    /// Asks until somebody answers, for as long as it takes.
    pub async fn until_answered<T, F>(&self, call: impl Fn(Server) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempts = 0_usize;
        loop {
            let rounds = u32::try_from(attempts / self.servers.len()).unwrap_or(u32::MAX);
            let deadline = ATTEMPT.saturating_mul(1 << (rounds / 2).min(4)).min(LONGEST_ATTEMPT);
            let source = match self.attempt(deadline, &call).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::NoAnswer(source)) => source,
            };
            attempts = attempts.saturating_add(1);
            if attempts.is_multiple_of(self.servers.len()) {
                if rounds.is_multiple_of(ROUNDS_PER_WARNING) {
                    tracing::warn!(attempts, error = %source, "no etcd endpoint answers, trying on");
                }
                sleep(PAUSE.saturating_mul(rounds + 1).min(LONGEST_PAUSE)).await;
            }
        }
    }

    /// Asks until somebody answers or the time is up. For what may be done twice; the caller says what to conclude from
    /// silence.
    pub async fn with_patience<T, F>(
        &self,
        silence: fn(Source) -> StoreError,
        call: impl Fn(Server) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match timeout(PATIENCE, self.until_answered(call)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(StoreError::ReadOnly(error.into())),
            Err(late) => Err(silence(late.into())),
        }
    }

    /// For as long as it takes. Its guards must let it through once at most: it is sent again when no answer comes.
    pub async fn txn(&self, txn: Txn) -> Result<TxnResponse, Error> {
        self.until_answered(|mut server| {
            let txn = txn.clone();
            async move { server.kv.txn(txn).await }
        })
        .await
    }

    /// A linearizable read.
    pub async fn get(
        &self,
        key: impl Into<Vec<u8>>,
        options: GetOptions,
    ) -> Result<etcd_client::GetResponse, StoreError> {
        let key = key.into();
        self.with_patience(StoreError::Unavailable, |mut server| {
            let (key, options) = (key.clone(), options.clone());
            async move { server.kv.get(key, Some(options)).await }
        })
        .await
    }

    /// Something is told when what is watched has changed. A hint only: some changes may never be told.
    pub async fn watch(&self, key: &'static str, options: WatchOptions) -> Result<WatchStream, Failure> {
        self.attempt(WATCH, |mut server| async move { server.watch.watch(key, Some(options)).await }).await
    }

    /// Everything under `prefix`, which ends with a slash; its values are short. Read in pages, so it is no one moment's.
    pub async fn list(&self, prefix: &str) -> Result<Vec<KeyValue>, StoreError> {
        // `0` follows `/`.
        let end = format!("{}0", prefix.trim_end_matches('/'));
        let (mut all, mut first) = (Vec::new(), prefix.as_bytes().to_vec());
        loop {
            let options = GetOptions::new().with_range(end.as_str()).with_limit(LIST_PAGE);
            let mut page = self.get(first, options).await?;
            let more = page.more();
            all.append(&mut page.take_kvs());
            match all.last() {
                Some(last) if more => first = [last.key(), b"\0"].concat(),
                _ => return Ok(all),
            }
        }
    }
}

async fn servers(endpoints: Vec<String>) -> Result<Vec<Server>, StoreError> {
    let mut servers = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let options = ConnectOptions::new()
            .with_connect_timeout(ATTEMPT)
            // Not more often: servers hang up on clients that ping within 5 s.
            .with_keep_alive(Duration::from_secs(6), Duration::from_secs(2))
            // A member without a leader says so at once.
            .with_require_leader(true);
        // Nobody is asked yet: what fails here is the address.
        let client = Client::connect([endpoint], Some(options)).await;
        let client = client.map_err(|error| StoreError::Invalid(error.into()))?;
        servers.push(Server { kv: client.kv_client(), lease: client.lease_client(), watch: client.watch_client() });
    }
    Ok(servers)
}

/// A key was to be put under a lease that is gone.
pub fn is_lease_gone(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.code() as i32 == NOT_FOUND)
}

// https://grpc.io/docs/guides/status-codes; etcd's use of them: api/v3rpc/rpctypes/error.go
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;
const UNAUTHENTICATED: i32 = 16;

/// Whether asking again cannot help. What was sent before may have been done all the same.
fn is_final(error: &Error) -> bool {
    match error {
        // Of our own end, where a connection was lost or given up: a member never said it.
        Error::GRpcStatus(status) if std::error::Error::source(status).is_some() => false,
        Error::GRpcStatus(status) => match status.code() as i32 {
            // No space, or a message over a limit; but also a momentary overload.
            RESOURCE_EXHAUSTED => !status.message().contains("too many requests"),
            INVALID_ARGUMENT | NOT_FOUND | PERMISSION_DENIED | FAILED_PRECONDITION | OUT_OF_RANGE | UNIMPLEMENTED
            | UNAUTHENTICATED => true,
            _ => false,
        },
        Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::LeaseKeepAliveError(_) => true,
        _ => false,
    }
}
