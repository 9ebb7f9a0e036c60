//! How an event's waiting list goes.

use serde::{Deserialize, Serialize};

use crate::domain::time::{EventTime, Millis};

/// Who waits for what is sold out, and what ticket holders may give back to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistSettings {
    pub mode: ListMode,
    /// Who may wait at once.
    pub max_entries: u32,
    /// How long an offer lasts,
    pub offer: Millis,
    /// and how long within a day of the sale's opening, or before the event.
    pub offer_on_the_day: Millis,
    /// How long what is not enough for the first is kept, for more may become free.
    pub gather: Millis,
    /// When the event itself starts.
    pub starts_at: Option<EventTime>,
    /// Until when holders may put tickets up for return; `None`: not at all.
    pub returns_until: Option<EventTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListMode {
    /// Nothing is offered or kept; who waits stays, in case it is switched on again.
    #[default]
    Off,
    Open,
    /// Nobody new; who waits is served.
    Closed,
}

impl WaitlistSettings {
    pub const DEFAULT: Self = Self {
        mode: ListMode::Off,
        max_entries: 10_000,
        offer: Millis::minutes(4 * 60),
        offer_on_the_day: Millis::minutes(15),
        gather: Millis::minutes(10),
        starts_at: None,
        returns_until: None,
    };
}

impl Default for WaitlistSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
