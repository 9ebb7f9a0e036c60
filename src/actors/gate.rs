//! The bound that a mailbox lacks: how many requests may be in flight to one actor.
//!
//! A permit travels with its request and is given back when the actor is done with it, not when the caller gives up:
//! otherwise callers that come and go could fill a mailbox whose actor waits for a slow store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Clone)]
pub(super) struct Gate {
    inside: Arc<AtomicUsize>,
    limit: usize,
}

/// One place inside; dropping it gives it back.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Gate {
    pub fn new(limit: usize) -> Self {
        Self { inside: Arc::default(), limit }
    }

    pub fn enter(&self) -> Option<Permit> {
        let permit = Permit(Arc::clone(&self.inside));
        // Counted first: `permit` gives it back on every way out.
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        (before < self.limit).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_inside_and_leaving_makes_room() {
        let gate = Gate::new(2);
        let (first, second) = (gate.enter(), gate.enter());
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter().is_none());
        assert!(gate.enter().is_none(), "a refusal takes no place");
        drop(first);
        assert!(gate.enter().is_some());
    }
}
