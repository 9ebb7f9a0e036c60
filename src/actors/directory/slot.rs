//! Where the handles of one event are found without a message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

use super::EventHandles;

/// Written by the event's keeper, read by everybody.
pub(in crate::actors) struct Slot {
    handles: ArcSwapOption<EventHandles>,
    made: Instant,
    /// Seconds since `made`.
    asked: AtomicU64,
}

impl Slot {
    pub fn new() -> Self {
        Self { handles: ArcSwapOption::empty(), made: Instant::now(), asked: AtomicU64::new(0) }
    }

    pub fn show(&self, handles: Option<&EventHandles>) {
        self.handles.store(handles.map(|handles| Arc::new(handles.clone())));
    }

    /// Counts as asking.
    pub fn handles(&self) -> Option<EventHandles> {
        let now = self.made.elapsed().as_secs();
        // Written once a second at most: cores that only read a line do not take it from one another.
        if self.asked.load(Ordering::Relaxed) != now {
            self.asked.store(now, Ordering::Relaxed);
        }
        self.handles.load().as_deref().cloned()
    }

    /// Does not count as asking.
    pub fn look(&self) -> Option<EventHandles> {
        self.handles.load().as_deref().cloned()
    }

    /// How long nobody has asked.
    pub fn idle(&self) -> Duration {
        self.made.elapsed().saturating_sub(Duration::from_secs(self.asked.load(Ordering::Relaxed)))
    }
}
