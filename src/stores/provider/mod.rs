//! Port: a payment provider. The shop has its session opened, looked at and closed, and money given back.
//!
//! What a provider says by itself comes by webhook, at the edge. Whatever is asked for here may be asked for again, under the
//! same key, and happens once. No card's data ever comes here: fans give it on the provider's own page.

pub mod config;
pub mod guard;
mod http;
pub mod measures;
pub mod reconcile;
pub mod sandbox;
pub mod stripe;
pub mod toss;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::{
    config::{Config, InvalidConfig},
    guard::{Guard, Health, Settings},
    sandbox::Sandbox,
    stripe::Stripe,
    toss::Toss,
};
use super::{database::Database, error::StoreError};
use crate::domain::{
    id::{OrderRef, PaymentId},
    money::Money,
    refund::RefundKey,
    time::{EventTime, Millis},
};

/// All that this software can speak to, configured or not.
pub const NAMES: [&str; 3] = [sandbox::NAME, stripe::NAME, toss::NAME];

/// What a provider is asked to take money for. Kept with the payment: under one key nothing else is ever asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    pub key: PaymentId,
    pub reference: OrderRef,
    pub amount: Money,
    /// What the fan sees on the provider's page.
    pub description: String,
    /// How the outside reaches this shop, without a slash at the end: for pages of ours.
    pub shop_url: String,
    /// Where the fan is led back to; may be empty.
    pub return_url: String,
    /// When it was first asked.
    pub at: EventTime,
    /// Of the hold.
    pub expires_at: EventTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The provider's own name of the payment.
    pub session: String,
    /// The hosted page.
    pub url: String,
}

/// Where a session stands at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can be paid.
    Open,
    /// The fan has done his part; whether the money comes is not known yet.
    Processing,
    /// So much was paid, whether or not some has gone back since.
    Paid(Money),
    /// It was not paid, and cannot be any more.
    Ended,
}

/// The fan has agreed on the provider's page, and came back with this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub key: PaymentId,
    pub session: String,
    /// What the provider gave the fan for the shop.
    pub token: String,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    pub key: RefundKey,
    /// The provider's own name of the payment.
    pub session: String,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAnswer {
    /// The money is on its way to the fan.
    Done,
    /// Asked for; the provider will say so when it is done. Asking again tells how it goes.
    Pending,
    /// Never, under this key: a person must look.
    Refused(String),
}

/// What the provider has moved for one payment, in minor units, as far as this says: those of one session add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub session: String,
    pub captured_minor: i64,
    pub refunded_minor: i64,
}

/// A time whose records are asked for, both ends in it. A provider that tells of others, too, does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    pub since: EventTime,
    pub until: EventTime,
}

/// Of a provider's records. It may be empty and have a next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub records: Vec<Record>,
    /// Where the next one begins, in the provider's own words.
    pub next: Option<String>,
}

/// An error means that it may have been done, or not: ask again. But [`StoreError::Invalid`]: the provider has refused, and
/// nothing was done.
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// As payments have it.
    fn name(&self) -> &'static str;

    /// The same session for the same key.
    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError>;

    async fn look(&self, session: &str) -> Result<Standing, StoreError>;

    /// Has the money taken where the provider waits for the shop's word; elsewhere the fan's was enough.
    async fn confirm(&self, agreement: &Agreement) -> Result<Standing, StoreError> {
        self.look(&agreement.session).await
    }

    /// Nobody can pay it from then on. What was paid already stays, and is told.
    async fn close(&self, session: &str) -> Result<Standing, StoreError>;

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError>;

    /// By which card, or whatever else, a paid session was paid, as far as the provider tells: the same text for the same one, and
    /// never its number.
    async fn instrument(&self, _session: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// A page of its records: the first, or that of a page's `next`.
    async fn records(&self, over: Over, after: &str, limit: u32) -> Result<Page, StoreError>;
}

/// Those that this installation knows, each behind its guard. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    guards: Arc<[Arc<Guard>]>,
    edge: Arc<Edge>,
    awaits: Millis,
}

/// What the edge has to know of them.
#[derive(Default)]
pub struct Edge {
    /// What Stripe signs its messages with.
    pub stripe_secrets: stripe::WebhookSecrets,
    /// By which Toss knows this shop's pages; public.
    pub toss_client_key: String,
}

impl Providers {
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn PaymentProvider>>, settings: Settings) -> Self {
        Self {
            guards: providers.into_iter().map(|provider| Arc::new(Guard::new(provider, settings))).collect(),
            edge: Arc::default(),
            awaits: Millis::seconds(Config::default().processing_seconds),
        }
    }

    /// The sandbox alone.
    pub fn sandbox(database: &Database) -> Self {
        let sandbox: Arc<dyn PaymentProvider> = Arc::new(Sandbox::new(database.clone()));
        Self::new([sandbox], Settings::default())
    }

    /// What the configuration names; reads the secrets' files.
    pub fn open(config: &Config, database: &Database) -> Result<Self, InvalidConfig> {
        config.check()?;
        let mut providers: Vec<Arc<dyn PaymentProvider>> = Vec::new();
        if config.sandbox {
            providers.push(Arc::new(Sandbox::new(database.clone())));
        }
        let mut edge = Edge::default();
        if let Some(key_file) = &config.stripe.secret_key_file {
            providers.push(Arc::new(Stripe::open(&config.stripe, key_file, config.timeout())?));
            edge.stripe_secrets = stripe::WebhookSecrets::open(&config.stripe)?;
        }
        if let Some(key_file) = &config.toss.secret_key_file {
            providers.push(Arc::new(Toss::open(&config.toss, key_file, config.timeout())?));
            edge.toss_client_key.clone_from(&config.toss.client_key);
        }
        let awaits = Millis::seconds(config.processing_seconds);
        Ok(Self { edge: Arc::new(edge), awaits, ..Self::new(providers, config.settings()) })
    }

    /// How much longer a hold lasts while its payment is under way.
    pub fn awaits(&self) -> Millis {
        self.awaits
    }

    pub fn by_name(&self, name: &str) -> Option<Arc<dyn PaymentProvider>> {
        let guard = self.guard(name)?;
        Some(Arc::clone(guard) as Arc<dyn PaymentProvider>)
    }

    pub fn all(&self) -> impl Iterator<Item = Arc<dyn PaymentProvider>> {
        self.guards.iter().map(|guard| Arc::clone(guard) as Arc<dyn PaymentProvider>)
    }

    /// How it goes with this one, as far as this process has seen.
    pub fn health(&self, name: &str) -> Option<Health> {
        self.guard(name).map(|guard| guard.health())
    }

    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    fn guard(&self, name: &str) -> Option<&Arc<Guard>> {
        self.guards.iter().find(|guard| guard.name() == name)
    }
}
