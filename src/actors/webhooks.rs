//! The sender of webhooks: takes deliveries that are due from the database and calls their endpoints, once for the node.
//!
//! Owns nothing that lasts. A delivery is taken for a while, sent, and what became of it recorded; a crash in between makes it go out
//! again, under the same message's id. In no order: what one endpoint cannot take now does not hold up the rest of its own.
//!
//! Limits: so many under way, and of these so many to one endpoint.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_TYPE, USER_AGENT},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{backoff::Backoff, clock::wall, measures, worker::Worker};
use crate::{
    domain::{
        retry::{Outcome, Retries, Verdict},
        time::{EventTime, Millis},
    },
    stores::{
        crash_point::{self, Step},
        database::{
            Database,
            webhook_deliveries::{self as deliveries, Attempt, Delivery, State},
            webhook_endpoints::{self as endpoints, Endpoint},
        },
        egress::{Egress, config::Config, signature},
        error::StoreError,
        keys::ring::KeyRing,
    },
};

/// By which a receiver knows a repeat.
pub const MESSAGE_ID: &str = "onsale-message-id";
pub const TOPIC: &str = "onsale-topic";

const EVERY: Duration = Duration::from_millis(500);
/// So many times what looking took: of a receiver that is down very many may wait.
const REST: u32 = 9;
/// So long a delivery is its sender's: longer than a call may take.
const HELD: Millis = Millis::minutes(1);
/// Between two attempts at most.
const LONGEST_PAUSE: Millis = Millis::minutes(4 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const FORGET_EVERY: Duration = Duration::from_secs(10 * 60);
/// Rows forgotten in one transaction.
const FORGOTTEN: u32 = 500;
/// The endpoint's word that it will never take anything again.
const GONE: u16 = 410;

struct Sender {
    database: Database,
    egress: Arc<Egress>,
    keys: Arc<KeyRing>,
    workers: usize,
    each: usize,
    retries: Retries,
}

/// Takes deliveries that are due, and calls their endpoints.
pub fn start(database: Database, egress: Arc<Egress>, keys: Arc<KeyRing>, config: &Config) -> Worker {
    let retries = Retries { first: Millis::seconds(config.retry_after), longest: LONGEST_PAUSE };
    let (workers, each) = (config.workers, config.workers_per_endpoint);
    let sender = Arc::new(Sender { database, egress, keys, workers, each, retries });
    Worker::start("the sender of webhooks", move |stop| Arc::clone(&sender).run(stop))
}

/// Those under way.
#[derive(Default)]
struct UnderWay {
    calls: JoinSet<Uuid>,
    by_endpoint: HashMap<Uuid, usize>,
}

impl UnderWay {
    fn to(&self, endpoint: Uuid) -> usize {
        self.by_endpoint.get(&endpoint).copied().unwrap_or(0)
    }

    fn ended(&mut self, ended: Result<Uuid, JoinError>) {
        let endpoint = match ended {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::error!(%error, "a delivery broke off");
                // Of which endpoint is not known: for once there may be too many.
                self.by_endpoint.clear();
                return;
            }
        };
        match self.by_endpoint.get_mut(&endpoint) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_endpoint.remove(&endpoint)),
        }
    }
}

impl Sender {
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut backoff, mut under_way) = (Backoff::up_to(LONGEST_WAIT), UnderWay::default());
        let mut forgot: Option<Instant> = None;
        while !stop.is_cancelled() {
            if forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                forgot = Some(Instant::now());
                self.forget().await;
            }
            let (pause, rest) = match self.begin(&mut under_way).await {
                Ok(looked) => {
                    backoff = Backoff::up_to(LONGEST_WAIT);
                    (EVERY, looked * REST)
                }
                Err(error) => {
                    tracing::warn!(%error, "webhooks are not looked for; trying again");
                    (backoff.next(), EVERY)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause.max(rest)) => {}
                Some(ended) = under_way.calls.join_next() => {
                    under_way.ended(ended);
                    tokio::time::sleep(rest).await;
                }
                () = stop.cancelled() => {}
            }
            while let Some(ended) = under_way.calls.try_join_next() {
                under_way.ended(ended);
            }
        }
        while under_way.calls.join_next().await.is_some() {}
    }

    /// As many of those that are due as there is room for; how long looking for them took.
    async fn begin(self: &Arc<Self>, under_way: &mut UnderWay) -> Result<Duration, StoreError> {
        let room = self.workers.saturating_sub(under_way.calls.len());
        if room == 0 {
            return Ok(Duration::ZERO);
        }
        let (each, limit) = (u32::try_from(self.each).unwrap_or(u32::MAX), u32::try_from(room).unwrap_or(u32::MAX));
        let began = Instant::now();
        let due = deliveries::due(&self.database, wall(), each, limit).await?;
        let looked = began.elapsed();
        for delivery in due {
            let endpoint = delivery.endpoint;
            if under_way.to(endpoint) >= self.each {
                continue;
            }
            // Another node may be at it.
            let Some(delivery) = deliveries::take(&self.database, delivery, wall() + HELD).await? else { continue };
            *under_way.by_endpoint.entry(endpoint).or_default() += 1;
            let sender = Arc::clone(self);
            under_way.calls.spawn(async move {
                if let Err(error) = sender.deliver(&delivery).await {
                    tracing::warn!(%error, "what became of a webhook is not recorded; it goes out again");
                }
                endpoint
            });
        }
        Ok(looked)
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let Some(endpoint) = endpoints::by_id(&self.database, delivery.endpoint).await? else { return Ok(()) };
        let at = wall();
        crash_point::before(Step::HookSent);
        let (answer, took) =
            self.egress.post(&endpoint.url, self.headers(&endpoint, delivery, at), body(delivery)).await;
        crash_point::after(Step::HookSent);
        let (state, next_at) = self.judge(delivery, answer.ok(), wall());
        let attempt = Attempt {
            number: delivery.attempts,
            at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: answer.ok(),
            error: answer.err().map(|error| error.to_string()).unwrap_or_default(),
        };
        tracing::debug!(
            delivery = %delivery.id, topic = delivery.topic, state = state.as_str(), status = attempt.status,
            error = attempt.error, "a webhook was tried"
        );
        measures::webhook(state.as_str());
        deliveries::record(&self.database, delivery, (state, next_at), &attempt, answer == Ok(GONE)).await
    }

    fn headers(&self, endpoint: &Endpoint, delivery: &Delivery, at: EventTime) -> HeaderMap {
        let secret = |version| signature::secrets(self.keys.secret(), endpoint.id, version);
        let mut secrets = secret(endpoint.secret_version);
        if endpoint.secret_version > 1 && endpoint.previous_until > at {
            secrets.extend(secret(endpoint.secret_version - 1));
        }
        let signature = signature::sign(&secrets, at.0 / 1_000, delivery.body.as_bytes());
        let plain = |text: &str| HeaderValue::try_from(text).expect("digits, letters, dots and commas");
        HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("onsale/", env!("CARGO_PKG_VERSION")))),
            (http::HeaderName::from_static(signature::HEADER), plain(&signature)),
            (http::HeaderName::from_static(MESSAGE_ID), plain(&delivery.message_id)),
            (http::HeaderName::from_static(TOPIC), plain(&delivery.topic)),
        ])
    }

    fn judge(&self, delivery: &Delivery, status: Option<u16>, now: EventTime) -> (State, EventTime) {
        let outcome = if matches!(status, Some(200..=299)) { Outcome::Accepted } else { Outcome::Failed };
        match self.retries.judge(outcome, delivery.attempts, delivery.give_up_at, now) {
            Verdict::Done => (State::Delivered, now),
            Verdict::Again(next) => (State::Waiting, next),
            Verdict::GivenUp => (State::Failed, now),
        }
    }

    async fn forget(&self) {
        loop {
            match deliveries::forget(&self.database, wall() - deliveries::KEPT_FOR, FORGOTTEN).await {
                Ok(count) if count == u64::from(FORGOTTEN) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old webhooks are not forgotten; again later");
                    return;
                }
            }
        }
    }
}

fn body(delivery: &Delivery) -> Bytes {
    Bytes::copy_from_slice(delivery.body.as_bytes())
}
