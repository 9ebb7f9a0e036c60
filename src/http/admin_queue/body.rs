//! What is asked of a queue by those who steer it, and what they are told.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::{id::FanId, inventory::configuration::QueueSettings, queue::Place},
    http::events::body::ModeBody,
    http::queue::notice::NoticeBody,
    http::shapes::{FieldError, Wrong},
};

/// Fans named in one request, and members told in one page.
pub const MOST: usize = 1_000;

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// Members after this place.
    pub after: Option<u64>,
    /// 1000 at most.
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueueReport {
    pub waiting: usize,
    /// Fans with an open socket, waiting or not.
    pub present: usize,
    /// Live admissions, called or claimed.
    pub admissions: usize,
    /// Live admissions, and ended ones with an unpaid hold.
    pub slots_taken: u32,
    pub slots: u32,
    pub rate_per_minute: u32,
    pub paused: bool,
    /// How much of the rate is used: less than 100 while the journal is slow or fails.
    pub pace_percent: u32,
    pub mode: ModeBody,
    /// Whether there is a queue; below the threshold everybody is let through.
    pub engaged: bool,
    pub engage_above: u32,
    pub release_below: u32,
    /// Admitted a minute: half the last minute's pace, half the last five's; `null` when unknown.
    pub outflow_per_minute: Option<u32>,
    /// What all who wait are told.
    pub notice: Option<NoticeBody>,
    /// How many fans were moved by hand, ever.
    pub manual_moves: u64,
    /// The event's own kill switch is on.
    pub halted: bool,
    /// The kill switch over all events is on.
    pub all_halted: bool,
    /// Class by class, each in its order.
    pub members: Vec<Member>,
    /// `after` for the next page.
    pub next_after: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Member {
    #[schema(value_type = u64)]
    pub place: Place,
    #[schema(value_type = String)]
    pub fan: FanId,
    /// Code of a class of the event, `default`, or `front`.
    pub class: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For the audit.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmitBody {
    #[schema(minimum = 1, maximum = 100_000)]
    pub count: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Either these fans, or so many from the front.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveBody {
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 1_000)]
    pub fans: Option<Vec<FanId>>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub count: Option<u32>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Removed {
    pub removed: u32,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1_000)]
    pub fans: Vec<FanId>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Revoked {
    /// Fans who were admitted until now.
    pub revoked: u32,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_minute: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotsBody {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub slots: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// What is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeChange {
    #[serde(default)]
    pub mode: Option<ModeBody>,
    /// The queue forms when so many shop; 0: it is always there.
    #[serde(default)]
    #[schema(maximum = 1_000_000)]
    pub engage_above: Option<u32>,
    /// It lets go when fewer than these shop and nobody waits.
    #[serde(default)]
    #[schema(maximum = 1_000_000)]
    pub release_below: Option<u32>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl ModeChange {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        if self.mode.is_none() && self.engage_above.is_none() && self.release_below.is_none() {
            wrong.add("mode", "mode, engage_above or release_below is expected");
        }
        for (field, value) in [("engage_above", self.engage_above), ("release_below", self.release_below)] {
            wrong.number(field, value.unwrap_or_default(), 0..=1_000_000);
        }
        wrong.add_reason(&self.reason);
        wrong.or(())
    }

    pub fn apply(&self, queue: &mut QueueSettings) {
        queue.mode = self.mode.map_or(queue.mode, Into::into);
        queue.engage_above = self.engage_above.unwrap_or(queue.engage_above);
        // A threshold that is lowered takes the other one along.
        queue.release_below = self.release_below.unwrap_or(queue.release_below.min(queue.engage_above));
    }

    /// For the audit: what is changed, and why.
    pub fn told(&self) -> String {
        let mode = self.mode.map(|mode| mode.name().to_owned());
        let engage = self.engage_above.map(|shopping| format!("engage above {shopping}"));
        let release = self.release_below.map(|shopping| format!("release below {shopping}"));
        let changes: Vec<_> = [mode, engage, release].into_iter().flatten().collect();
        format!("{}: {}", changes.join(", "), self.reason)
    }
}

impl AdmitBody {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        checked("count", self.count, 100_000, &self.reason)
    }
}

impl RevokeBody {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        checked("fans", self.fans.len(), MOST, &self.reason)
    }
}

impl RateBody {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        checked("per_minute", self.per_minute, 1_000_000, &self.reason)
    }
}

impl SlotsBody {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        checked("slots", self.slots, 1_000_000, &self.reason)
    }
}

impl RemoveBody {
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        match (&self.fans, self.count) {
            (Some(fans), None) => checked("fans", fans.len(), MOST, &self.reason),
            (None, Some(count)) => checked("count", count, 10_000_000, &self.reason),
            _ => {
                let mut wrong = Wrong::default();
                wrong.add("fans", "either fans or count is expected");
                wrong.add_reason(&self.reason);
                wrong.or(())
            }
        }
    }
}

pub fn checked<N: PartialOrd + Display + From<u8>>(
    field: &str,
    value: N,
    most: N,
    reason: &str,
) -> Result<(), Vec<FieldError>> {
    let mut wrong = Wrong::default();
    wrong.number(field, value, N::from(1)..=most);
    wrong.add_reason(reason);
    wrong.or(())
}
