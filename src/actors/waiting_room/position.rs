//! From the published queue to what one fan is told about it.

use crate::domain::queue::{Place, Queue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub ahead: usize,
    pub total: usize,
    /// `None` while nobody has moved for a minute, or nobody may.
    pub estimated_wait_seconds: Option<u64>,
}

impl Position {
    /// `place` need not be in the queue yet: it may have been published before the fan joined, and others before them.
    pub fn of(place: Place, queue: &Queue) -> Self {
        let since = usize::try_from(place.0.saturating_sub(queue.newest.0)).unwrap_or(usize::MAX);
        let ahead = queue.ranks.ahead(place).saturating_add(since.saturating_sub(1));
        let total = queue.ranks.total().max(ahead + 1);
        let outflow = queue.outflow_per_minute.filter(|&outflow| outflow > 0 && !queue.paused);
        let estimated_wait_seconds = outflow.map(|outflow| ((ahead as u64 + 1) * 60).div_ceil(u64::from(outflow)));
        Self { ahead, total, estimated_wait_seconds }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{queue::Ranks, time::EventTime};

    fn queue(outflow_per_minute: Option<u32>, paused: bool) -> Queue {
        let ranks = Arc::new(Ranks::new(vec![Place(3), Place(5), Place(8)]));
        Queue {
            at: EventTime(0),
            ranks,
            newest: Place(8),
            outflow_per_minute,
            paused,
            present: 0,
            admissions: 0,
            tickets: None,
            pace_percent: 100,
        }
    }

    #[test]
    fn the_position_counts_those_before_and_includes_oneself() {
        for (place, ahead, total) in [(3, 0, 3), (8, 2, 3), (9, 3, 4), (12, 6, 7)] {
            let position = Position::of(Place(place), &queue(None, false));
            assert_eq!((position.ahead, position.total), (ahead, total), "{place}");
        }
    }

    #[test]
    fn the_wait_is_known_only_while_the_queue_moves() {
        for (outflow, paused, seconds) in
            [(Some(2), false, Some(90)), (Some(0), false, None), (None, false, None), (Some(2), true, None)]
        {
            let position = Position::of(Place(8), &queue(outflow, paused));
            assert_eq!(position.estimated_wait_seconds, seconds, "{outflow:?} {paused}");
        }
    }
}
