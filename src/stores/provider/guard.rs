//! What stands before every provider: a circuit breaker, a second try where a fan waits, and what is known of how it goes.
//!
//! Knows no provider. A provider that refuses answers well; one that cannot be reached, or says nothing in time, fails.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    Agreement, Opened, Over, Page, PaymentProvider, RefundAnswer, RefundRequest, SessionRequest, Standing, measures,
};
use crate::{
    domain::{
        breaker::{self, Breaker, State},
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub breaker: breaker::Settings,
    /// For one call.
    pub timeout: Duration,
    /// Of what a fan waits for; everything else is tried again by whoever asks.
    pub tries: u32,
    /// Before the second try; twice as long before each one after.
    pub pause: Duration,
    /// For all tries together.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        super::config::Config::default().settings()
    }
}

/// As far as this process has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub state: State,
    /// Until it may be asked again; zero unless it is open.
    pub retry_after: Millis,
    /// Within the breaker's window.
    pub calls: u32,
    pub failures: u32,
    /// The last failure of all, and how long ago it was.
    pub last_failure: Option<(String, Duration)>,
}

pub struct Guard {
    provider: Arc<dyn PaymentProvider>,
    settings: Settings,
    began: Instant,
    seen: Mutex<Seen>,
}

struct Seen {
    breaker: Breaker,
    last_failure: Option<(String, Instant)>,
}

impl Guard {
    pub fn new(provider: Arc<dyn PaymentProvider>, settings: Settings) -> Self {
        measures::breaker(provider.name(), State::Closed);
        let seen = Mutex::new(Seen { breaker: Breaker::new(settings.breaker), last_failure: None });
        Self { provider, settings, began: Instant::now(), seen }
    }

    pub fn health(&self) -> Health {
        let (now, seen) = (self.now(), self.seen());
        let (calls, failures) = seen.breaker.counts(now);
        Health {
            state: seen.breaker.state(now),
            retry_after: seen.breaker.rests(now),
            calls,
            failures,
            last_failure: seen.last_failure.as_ref().map(|(what, at)| (what.clone(), at.elapsed())),
        }
    }

    /// By the breaker's own clock.
    fn now(&self) -> EventTime {
        EventTime(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn once<T>(
        &self,
        what: &'static str,
        patience: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if let Err(refused) = self.seen().breaker.enter(self.now()) {
            measures::call(self.name(), what, "refused", Duration::ZERO);
            return Err(StoreError::Unavailable(refused.into()));
        }
        let asked = Instant::now();
        let answer = tokio::time::timeout(patience, call).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::Unknown("no answer in time".into())));
        let failure = answer.as_ref().err().filter(|error| is_failure(error));
        measures::call(self.name(), what, if failure.is_some() { "failed" } else { "answered" }, asked.elapsed());
        let (before, after) = {
            let (now, mut seen) = (self.now(), self.seen());
            if let Some(error) = failure {
                seen.last_failure = Some((what_failed(error), Instant::now()));
            }
            let before = seen.breaker.state(now);
            seen.breaker.ended(now, failure.is_some());
            (before, seen.breaker.state(now))
        };
        if before != after {
            tracing::warn!(provider = self.name(), ?before, ?after, "the provider's circuit breaker");
        }
        measures::breaker(self.name(), after);
        answer
    }

    /// A fan waits: a failure is tried again, in time, under the same key.
    async fn tried<T, C>(&self, what: &'static str, call: impl Fn() -> C) -> Result<T, StoreError>
    where
        C: Future<Output = Result<T, StoreError>>,
    {
        let began = Instant::now();
        let (mut pause, mut tries) = (self.settings.pause, 1);
        loop {
            let left = self.settings.patience.saturating_sub(began.elapsed());
            let answer = self.once(what, left.min(self.settings.timeout), call()).await;
            let is_over = tries >= self.settings.tries || began.elapsed() + pause >= self.settings.patience;
            match answer {
                Err(error) if !is_over && is_failure(&error) && self.health().state == State::Closed => {
                    tracing::debug!(provider = self.name(), what, %error, "asked again");
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }
}

/// What says something about the provider, not about what it was asked.
fn is_failure(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::ReadOnly(_))
}

/// For operators: why, down to the bottom.
fn what_failed(error: &StoreError) -> String {
    let mut said = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}

#[async_trait]
impl PaymentProvider for Guard {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError> {
        self.tried("open", || self.provider.open(request)).await
    }

    async fn look(&self, session: &str) -> Result<Standing, StoreError> {
        self.once("look", self.settings.timeout, self.provider.look(session)).await
    }

    async fn confirm(&self, agreement: &Agreement) -> Result<Standing, StoreError> {
        self.tried("confirm", || self.provider.confirm(agreement)).await
    }

    async fn close(&self, session: &str) -> Result<Standing, StoreError> {
        self.once("close", self.settings.timeout, self.provider.close(session)).await
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError> {
        self.once("refund", self.settings.timeout, self.provider.refund(request)).await
    }

    async fn instrument(&self, session: &str) -> Result<Option<String>, StoreError> {
        self.once("instrument", self.settings.timeout, self.provider.instrument(session)).await
    }

    async fn records(&self, over: Over, after: &str, limit: u32) -> Result<Page, StoreError> {
        self.once("records", self.settings.timeout, self.provider.records(over, after, limit)).await
    }
}
