//! The life of an event: what its organizer decides, and what follows from that, the schedule and the stock.
//!
//! | phase (decided) | publish | pause | resume | end | cancel |
//! |---|---|---|---|---|---|
//! | draft | published | – | – | – | cancelled |
//! | published | – | paused | – | ended | cancelled |
//! | paused | – | – | published | ended | cancelled |
//! | ended | – | – | – | – | cancelled |
//! | cancelled | – | – | – | – | – |

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::EventTime;

/// What has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Draft,
    Published,
    Paused,
    Ended,
    Cancelled,
}

/// What is true now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Draft,
    /// Published, before its on-sale.
    Scheduled,
    OnSale,
    Paused,
    /// On sale, with nothing free.
    SoldOut,
    Ended,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Publish,
    Pause,
    Resume,
    End,
    Cancel,
}

impl Phase {
    /// The table above; `None` where it has a dash.
    pub fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Draft, Step::Publish) | (Self::Paused, Step::Resume) => Some(Self::Published),
            (Self::Published, Step::Pause) => Some(Self::Paused),
            (Self::Published | Self::Paused, Step::End) => Some(Self::Ended),
            (Self::Draft | Self::Published | Self::Paused | Self::Ended, Step::Cancel) => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Whether one step, or none, leads from here to `to`.
    pub fn may_become(self, to: Self) -> bool {
        self == to
            || [Step::Publish, Step::Pause, Step::Resume, Step::End, Step::Cancel]
                .into_iter()
                .any(|step| self.after(step) == Some(to))
    }
}

impl Status {
    pub fn of(phase: Phase, now: EventTime, on_sale_at: EventTime, sale_ends_at: Option<EventTime>, free: u64) -> Self {
        match phase {
            Phase::Draft => Self::Draft,
            Phase::Paused => Self::Paused,
            Phase::Ended => Self::Ended,
            Phase::Cancelled => Self::Cancelled,
            Phase::Published if sale_ends_at.is_some_and(|end| now >= end) => Self::Ended,
            Phase::Published if now < on_sale_at => Self::Scheduled,
            Phase::Published if free == 0 => Self::SoldOut,
            Phase::Published => Self::OnSale,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 5] = [Step::Publish, Step::Pause, Step::Resume, Step::End, Step::Cancel];

    #[test]
    fn the_table_is_complete() {
        use Phase::*;
        let table = [
            (Draft, [Some(Published), None, None, None, Some(Cancelled)]),
            (Published, [None, Some(Paused), None, Some(Ended), Some(Cancelled)]),
            (Paused, [None, None, Some(Published), Some(Ended), Some(Cancelled)]),
            (Ended, [None, None, None, None, Some(Cancelled)]),
            (Cancelled, [None; 5]),
        ];
        for (from, row) in table {
            for (step, to) in STEPS.into_iter().zip(row) {
                assert_eq!(from.after(step), to, "{from} {step:?}");
            }
        }
    }

    #[test]
    fn the_status_follows_from_phase_schedule_and_stock() {
        let of = |phase, now, free| Status::of(phase, EventTime(now), EventTime(10), Some(EventTime(20)), free);
        assert_eq!(of(Phase::Draft, 15, 1), Status::Draft);
        assert_eq!(of(Phase::Published, 9, 1), Status::Scheduled);
        assert_eq!(of(Phase::Published, 10, 1), Status::OnSale);
        assert_eq!(of(Phase::Published, 10, 0), Status::SoldOut);
        assert_eq!(of(Phase::Published, 20, 1), Status::Ended);
        assert_eq!(of(Phase::Paused, 15, 1), Status::Paused);
        assert_eq!(of(Phase::Cancelled, 15, 1), Status::Cancelled);
    }
}
