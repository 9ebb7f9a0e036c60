//! Which node runs an event, as this node last heard.
//!
//! Owns the memory of it, and that many who ask at once are one question. What is remembered may be wrong at any time: whoever
//! goes there and does not find the event forgets it and asks again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use moka::sync::Cache;

use crate::domain::id::EventId;

/// Events remembered, about 100 bytes each.
const REMEMBERED: u64 = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFound {
    UnknownEvent,
    /// Nobody runs it who can be reached, or that could not be learnt.
    Unavailable,
}

type Search = Shared<BoxFuture<'static, Result<String, NotFound>>>;

pub(super) struct Owners {
    known: Cache<EventId, String>,
    searches: Mutex<HashMap<EventId, Search>>,
}

impl Owners {
    pub fn new() -> Self {
        Self { known: Cache::new(REMEMBERED), searches: Mutex::default() }
    }

    pub fn known(&self, event: EventId) -> Option<String> {
        self.known.get(&event)
    }

    pub fn learn(&self, event: EventId, node: String) {
        self.known.insert(event, node);
    }

    /// Unless something else has been learnt meanwhile.
    pub fn forget(&self, event: EventId, node: &str) {
        if self.known.get(&event).is_some_and(|known| known == node) {
            self.known.invalidate(&event);
        }
    }

    /// All events remembered to be there; they are forgotten.
    pub fn forget_node(&self, node: &str) -> Vec<EventId> {
        let there = self.known.iter().filter(|(_, known)| known == node).map(|(event, _)| *event);
        let there: Vec<EventId> = there.collect();
        there.iter().for_each(|event| self.known.invalidate(event));
        there
    }

    /// Waits for a search that is under way, or for `search`; what is found is remembered.
    pub async fn find(
        &self,
        event: EventId,
        search: impl FnOnce() -> BoxFuture<'static, Result<String, NotFound>>,
    ) -> Result<String, NotFound> {
        if let Some(node) = self.known(event) {
            return Ok(node);
        }
        let searching = self.search(event, search);
        let found = searching.clone().await;
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        // The first who comes back takes it away; a later one may be another's.
        if searches.get(&event).is_some_and(|under_way| under_way.ptr_eq(&searching)) {
            searches.remove(&event);
            if let Ok(node) = &found {
                self.learn(event, node.clone());
            }
        }
        found
    }

    fn search(&self, event: EventId, search: impl FnOnce() -> BoxFuture<'static, Result<String, NotFound>>) -> Search {
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        searches.entry(event).or_insert_with(|| search().shared()).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_are_one_question_and_its_answer_is_remembered() {
        let (owners, asked, answer) = (Arc::new(Owners::new()), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let event = EventId::from_u128(1);
        let search = {
            let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
            move || {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answer.notified().await;
                    Ok("n1".to_owned())
                }
                .boxed()
            }
        };
        let askers: Vec<_> = (0..10)
            .map(|_| {
                let (owners, search) = (Arc::clone(&owners), search.clone());
                tokio::spawn(async move { owners.find(event, search).await })
            })
            .collect();
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        answer.notify_one();
        for asker in askers {
            assert_eq!(asker.await.expect("no panic"), Ok("n1".to_owned()));
        }
        assert_eq!(owners.find(event, search.clone()).await, Ok("n1".to_owned()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        owners.forget(event, "n2");
        assert_eq!(owners.known(event).as_deref(), Some("n1"), "another was meant");
        assert_eq!(owners.forget_node("n1"), [event]);
        assert_eq!(owners.known(event), None);
    }

    #[tokio::test]
    async fn what_was_not_found_is_searched_again() {
        let (owners, event) = (Owners::new(), EventId::from_u128(1));
        let nowhere = || async { Err(NotFound::Unavailable) }.boxed();
        assert_eq!(owners.find(event, nowhere).await, Err(NotFound::Unavailable));
        let found = || async { Ok("n1".to_owned()) }.boxed();
        assert_eq!(owners.find(event, found).await, Ok("n1".to_owned()));
    }
}
