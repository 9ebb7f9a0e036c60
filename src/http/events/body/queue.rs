//! An event's queue as its organizer sets it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Shortest,
    parts::{seconds, within},
    set,
};
use crate::{
    domain::{
        inventory::configuration::{Mode, QueueSettings},
        time::Millis,
    },
    http::{
        shapes::Wrong,
        tokens::lives::{ADMISSION_S, EXTENSION_S},
    },
};

/// A field left out has its default in a new event, and stays in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueBody {
    /// How fans are let in.
    #[schema(default = "draw")]
    pub mode: Option<ModeBody>,
    /// How long before the sale opens the queue can be joined: five minutes to a day.
    #[schema(minimum = 300, maximum = 86_400, default = 1800)]
    pub prequeue_seconds: Option<u32>,
    /// The queue forms when so many shop, until then everybody is let through; 0: it is always there.
    #[schema(maximum = 1_000_000, default = 0)]
    pub engage_above: Option<u32>,
    /// It lets go when fewer than these shop and nobody waits; not more than `engage_above`.
    #[schema(maximum = 1_000_000, default = 0)]
    pub release_below: Option<u32>,
    /// Fans who may shop at once.
    #[schema(minimum = 1, maximum = 1_000_000, default = 500)]
    pub slots: Option<u32>,
    /// Admissions a minute at most.
    #[schema(minimum = 1, maximum = 1_000_000, default = 600)]
    pub rate_per_minute: Option<u32>,
    /// Admission stands still; places are kept.
    #[schema(default = false)]
    pub paused: Option<bool>,
    /// How long an admission lasts.
    #[schema(minimum = 60, maximum = 7200, default = 900)]
    pub session_seconds: Option<u32>,
    /// What the one extension of an admission adds; 0: there is none.
    #[schema(minimum = 0, maximum = 3600, default = 300)]
    pub session_extension_seconds: Option<u32>,
    /// How long a called fan has to claim.
    #[schema(minimum = 10, maximum = 900, default = 120)]
    pub claim_seconds: Option<u32>,
    /// How long the place of a fan who is gone is kept.
    #[schema(minimum = 0, maximum = 3600, default = 300)]
    pub grace_seconds: Option<u32>,
}

/// How fans are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeBody {
    /// First come, first served.
    Fifo,
    /// Who joins before the sale opens is drawn when it does; who comes later stands behind.
    Draw,
    /// Each admission goes to anybody of those who wait.
    Random,
    /// At once, as long as slots and stock allow; who finds none waits.
    Passthrough,
    /// Nobody new gets a place; who has one keeps it.
    Reject,
}

pub(super) const DEFAULT: QueueSettings = QueueSettings {
    mode: Mode::Draw,
    prequeue: Millis::minutes(30),
    engage_above: 0,
    release_below: 0,
    slots: 500,
    rate_per_minute: 600,
    paused: false,
    session: Millis::minutes(15),
    extension: Millis::minutes(5),
    claim_window: Millis::minutes(2),
    grace: Millis::minutes(5),
};

impl QueueBody {
    pub fn of(queue: &QueueSettings) -> Self {
        Self {
            mode: Some(queue.mode.into()),
            prequeue_seconds: Some(seconds(queue.prequeue)),
            engage_above: Some(queue.engage_above),
            release_below: Some(queue.release_below),
            slots: Some(queue.slots),
            rate_per_minute: Some(queue.rate_per_minute),
            paused: Some(queue.paused),
            session_seconds: Some(seconds(queue.session)),
            session_extension_seconds: Some(seconds(queue.extension)),
            claim_seconds: Some(seconds(queue.claim_window)),
            grace_seconds: Some(seconds(queue.grace)),
        }
    }

    pub(super) fn applied(&self, mut queue: QueueSettings) -> QueueSettings {
        set(&mut queue.mode, self.mode.map(Mode::from));
        set(&mut queue.prequeue, self.prequeue_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.engage_above, self.engage_above);
        set(&mut queue.release_below, self.release_below);
        set(&mut queue.slots, self.slots);
        set(&mut queue.rate_per_minute, self.rate_per_minute);
        set(&mut queue.paused, self.paused);
        set(&mut queue.session, self.session_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.extension, self.session_extension_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.claim_window, self.claim_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.grace, self.grace_seconds.map(|s| Millis::seconds(s.into())));
        queue
    }

    pub(super) fn check(&self, wrong: &mut Wrong, shortest: Shortest, before: QueueSettings) {
        within(wrong, "queue.prequeue_seconds", self.prequeue_seconds, shortest.prequeue_seconds..=86_400);
        within(wrong, "queue.engage_above", self.engage_above, 0..=1_000_000);
        let most = self.engage_above.unwrap_or(before.engage_above);
        wrong.number("queue.release_below", self.release_below.unwrap_or(before.release_below), 0..=most);
        within(wrong, "queue.slots", self.slots, 1..=1_000_000);
        within(wrong, "queue.rate_per_minute", self.rate_per_minute, 1..=1_000_000);
        within(wrong, "queue.session_seconds", self.session_seconds, shortest.session_seconds..=ADMISSION_S);
        within(wrong, "queue.session_extension_seconds", self.session_extension_seconds, 0..=EXTENSION_S);
        within(wrong, "queue.claim_seconds", self.claim_seconds, shortest.claim_seconds..=900);
        within(wrong, "queue.grace_seconds", self.grace_seconds, 0..=3600);
    }
}

impl ModeBody {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Draw => "draw",
            Self::Random => "random",
            Self::Passthrough => "passthrough",
            Self::Reject => "reject",
        }
    }
}

impl From<ModeBody> for Mode {
    fn from(mode: ModeBody) -> Self {
        match mode {
            ModeBody::Fifo => Self::Fifo,
            ModeBody::Draw => Self::Draw,
            ModeBody::Random => Self::Random,
            ModeBody::Passthrough => Self::Passthrough,
            ModeBody::Reject => Self::Reject,
        }
    }
}

impl From<Mode> for ModeBody {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Fifo => Self::Fifo,
            Mode::Draw => Self::Draw,
            Mode::Random => Self::Random,
            Mode::Passthrough => Self::Passthrough,
            Mode::Reject => Self::Reject,
        }
    }
}
