//! The parts of an event that decide: ticket types, quotas, limits, the queue; to the configuration and back.

use super::*;
use crate::http::tokens::lives::ADMISSION_S;

impl TicketType {
    pub fn of(configured: &ConfiguredType, currency: Currency) -> Self {
        Self {
            code: configured.code.clone(),
            name: configured.name.clone(),
            price: Price::new(configured.price_minor, currency),
            stock: match configured.stock {
                Stock::Quantity(stock) => Some(stock),
                Stock::Seats => None,
            },
            seated: configured.stock == Stock::Seats,
            quotas: configured.quotas.clone(),
        }
    }

    pub(super) fn configured(&self) -> ConfiguredType {
        ConfiguredType {
            code: self.code.clone(),
            name: self.name.clone(),
            price_minor: self.price.minor,
            stock: self.stock.map_or(Stock::Seats, Stock::Quantity),
            quotas: self.quotas.clone(),
        }
    }
}

impl QuotaBody {
    pub fn of(quota: &Quota) -> Self {
        Self { code: quota.code.clone(), capacity: quota.capacity }
    }

    pub(super) fn configured(&self) -> Quota {
        Quota { code: self.code.clone(), capacity: self.capacity }
    }
}

impl LimitsBody {
    pub fn of(limits: &Limits) -> Self {
        Self {
            per_order: Some(limits.per_order),
            per_fan: Some(limits.per_fan),
            hold_seconds: Some(seconds(limits.hold_ttl)),
            extension_seconds: Some(seconds(limits.hold_extension)),
        }
    }

    pub(super) fn applied(&self, mut limits: Limits) -> Limits {
        set(&mut limits.per_order, self.per_order);
        set(&mut limits.per_fan, self.per_fan);
        set(&mut limits.hold_ttl, self.hold_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut limits.hold_extension, self.extension_seconds.map(|s| Millis::seconds(s.into())));
        limits
    }

    pub(super) fn check(&self, wrong: &mut Wrong, shortest: Shortest) {
        within(wrong, "limits.per_order", self.per_order, 1..=20);
        within(wrong, "limits.per_fan", self.per_fan, 1..=20);
        within(wrong, "limits.hold_seconds", self.hold_seconds, shortest.hold_seconds..=3600);
        within(wrong, "limits.extension_seconds", self.extension_seconds, 0..=3600);
    }
}

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
        within(wrong, "queue.session_extension_seconds", self.session_extension_seconds, 0..=3600);
        within(wrong, "queue.claim_seconds", self.claim_seconds, shortest.claim_seconds..=900);
        within(wrong, "queue.grace_seconds", self.grace_seconds, 0..=3600);
    }
}

pub(super) fn check_beacon(wrong: &mut Wrong, name: Option<&str>) {
    if let Some(name) = name {
        wrong.text("draw_beacon", name, 1..=MAX_BEACON_LEN, false);
    }
}

fn within<N: PartialOrd + std::fmt::Display>(
    wrong: &mut Wrong,
    field: &str,
    value: Option<N>,
    range: RangeInclusive<N>,
) {
    if let Some(value) = value {
        wrong.number(field, value, range);
    }
}

fn seconds(span: Millis) -> u32 {
    u32::try_from(span.0 / 1000).unwrap_or(u32::MAX)
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

impl From<OrphanBody> for OrphanRule {
    fn from(rule: OrphanBody) -> Self {
        match rule {
            OrphanBody::Off => Self::Off,
            OrphanBody::Warn => Self::Warn,
            OrphanBody::Block => Self::Block,
        }
    }
}

impl From<OrphanRule> for OrphanBody {
    fn from(rule: OrphanRule) -> Self {
        match rule {
            OrphanRule::Off => Self::Off,
            OrphanRule::Warn => Self::Warn,
            OrphanRule::Block => Self::Block,
        }
    }
}
