//! Tokens that were found good a moment ago: a fan sends the same one with each request, and checking it anew costs more than
//! deciding a hold.
//!
//! Owns what follows from the bytes and the keys alone. What follows from the time is looked at each time.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;

use crate::domain::claims::Claims;

/// Of one kind; about a kilobyte each.
const MOST: u64 = 10_000;
/// Who has asked once may never come again.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Seen<T>(Cache<Box<str>, Arc<Claims<T>>>);

impl<T: Send + Sync + 'static> Seen<T> {
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build())
    }

    pub fn get(&self, token: &str) -> Option<Arc<Claims<T>>> {
        self.0.get(token)
    }

    pub fn add(&self, token: &str, claims: &Arc<Claims<T>>) {
        self.0.insert(token.into(), Arc::clone(claims));
    }
}
