//! Port: a payment provider, as far as the shop asks one for something without a fan before its page.
//!
//! What a provider says by itself comes by webhook, at the edge. Whatever is asked for here may be asked for again, under the
//! same key, and happens once.

pub mod reconcile;
pub mod sandbox;

use std::sync::Arc;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{money::Money, refund::RefundKey};

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

/// What the provider has moved for one payment, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub session: String,
    pub captured_minor: i64,
    pub refunded_minor: i64,
}

#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// As payments have it.
    fn name(&self) -> &'static str;

    /// An error means that it may have been done, or not: ask again.
    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError>;

    /// Its records, by session, above `after`; an empty page is the end.
    async fn records(&self, after: &str, limit: u32) -> Result<Vec<Record>, StoreError>;
}

/// Those that this installation knows. Cheap to clone.
#[derive(Clone)]
pub struct Providers(Arc<[Arc<dyn PaymentProvider>]>);

impl Providers {
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn PaymentProvider>>) -> Self {
        Self(providers.into_iter().collect())
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.0.iter().find(|provider| provider.name() == name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn PaymentProvider>> {
        self.0.iter()
    }
}
