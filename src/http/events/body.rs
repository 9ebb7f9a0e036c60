//! What an organizer sends about an event, and how it becomes a configuration.
//!
//! Owns the fields, their limits and their defaults. What conflicts with stock already held or sold is the inventory's to
//! refuse.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{
        code::Code,
        event::Phase,
        inventory::configuration::{
            Configuration, Limits, OrphanRule, QueueSettings, Quota, Stock, TicketType as ConfiguredType,
        },
        money::{Currency, Money},
        time::{EventTime, Millis},
    },
    http::shapes::{FieldError, Price, Timestamp, Wrong},
    stores::database::events::Details,
};

const MOST_TICKET_TYPES: usize = 50;
const MOST_QUOTAS: usize = 50;
const MOST_STOCK: u32 = 10_000_000;

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    pub description: String,
    #[schema(min_length = 1, max_length = 50)]
    pub category: String,
    #[schema(min_length = 1, max_length = 200)]
    pub venue: String,
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// IANA name.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    #[serde(default)]
    pub doors_at: Option<Timestamp>,
    pub on_sale_at: Timestamp,
    #[serde(default)]
    pub sale_ends_at: Option<Timestamp>,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    #[serde(default)]
    #[schema(maximum = 99)]
    pub age_limit: Option<u8>,
    #[serde(default)]
    pub limits: LimitsBody,
    #[serde(default)]
    pub orphan_rule: OrphanBody,
    #[schema(min_items = 1, max_items = 50)]
    pub ticket_types: Vec<TicketType>,
    #[serde(default)]
    #[schema(max_items = 50)]
    pub quotas: Vec<QuotaBody>,
    #[serde(default)]
    pub queue: QueueBody,
}

/// What changes, and the version that it was read at. A field left out stays; `null` clears one that may be empty.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventChange {
    pub version: u32,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub category: Option<String>,
    #[serde(default)]
    pub venue: Option<String>,
    #[serde(default)]
    pub city: Option<String>,
    #[serde(default)]
    pub time_zone: Option<String>,
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Timestamp>)]
    pub doors_at: Option<Option<Timestamp>>,
    #[serde(default)]
    pub on_sale_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Timestamp>)]
    pub sale_ends_at: Option<Option<Timestamp>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u8>)]
    pub age_limit: Option<Option<u8>>,
    #[serde(default)]
    pub limits: Option<LimitsBody>,
    #[serde(default)]
    pub orphan_rule: Option<OrphanBody>,
    #[serde(default)]
    pub ticket_types: Option<Vec<TicketType>>,
    #[serde(default)]
    pub quotas: Option<Vec<QuotaBody>>,
    #[serde(default)]
    pub queue: Option<QueueBody>,
}

/// Tells `null` from a field left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Sold by quantity, with `stock`, or by seat, with `seated`: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketType {
    #[schema(value_type = String, example = "VIP")]
    pub code: Code,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub price: Price,
    /// General admission: so many in all.
    #[serde(default)]
    pub stock: Option<u32>,
    /// One for each seat of the plan that names this type.
    #[serde(default)]
    pub seated: bool,
    /// Codes of quotas that this type also draws on.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub quotas: Vec<Code>,
}

/// A number shared by several ticket types, such as the capacity of a hall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaBody {
    #[schema(value_type = String)]
    pub code: Code,
    pub capacity: u32,
}

/// A field left out has its default in a new event, and stays in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsBody {
    /// Tickets in one order.
    #[schema(minimum = 1, maximum = 20, default = 4)]
    pub per_order: Option<u16>,
    /// Tickets held and bought together by one fan.
    #[schema(minimum = 1, maximum = 20, default = 4)]
    pub per_fan: Option<u16>,
    /// How long a hold lasts: one minute to an hour.
    #[schema(minimum = 60, maximum = 3600, default = 600)]
    pub hold_seconds: Option<u32>,
    /// What the one extension adds.
    #[schema(minimum = 0, maximum = 3600, default = 300)]
    pub extension_seconds: Option<u32>,
}

const DEFAULT_LIMITS: Limits =
    Limits { per_order: 4, per_fan: 4, hold_ttl: Millis::minutes(10), hold_extension: Millis::minutes(5) };

/// What to do about a single free seat left between taken ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrphanBody {
    #[default]
    Off,
    Warn,
    Block,
}

/// A field left out has its default in a new event, and stays in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueBody {
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
    /// How long a called fan has to claim.
    #[schema(minimum = 10, maximum = 900, default = 120)]
    pub claim_seconds: Option<u32>,
    /// How long the place of a fan who is gone is kept.
    #[schema(minimum = 0, maximum = 3600, default = 300)]
    pub grace_seconds: Option<u32>,
}

const DEFAULT_QUEUE: QueueSettings = QueueSettings {
    slots: 500,
    rate_per_minute: 600,
    paused: false,
    session: Millis::minutes(15),
    claim_window: Millis::minutes(2),
    grace: Millis::minutes(5),
};

/// The shortest times that are taken.
#[derive(Debug, Clone, Copy)]
pub struct Shortest {
    hold_seconds: u32,
    session_seconds: u32,
    claim_seconds: u32,
}

impl Shortest {
    pub const NORMAL: Self = Self { hold_seconds: 60, session_seconds: 60, claim_seconds: 10 };
    /// For demonstrations and tests, where the operator's configuration allows it.
    pub const DEMO: Self = Self { hold_seconds: 1, session_seconds: 1, claim_seconds: 1 };
}

impl NewEvent {
    pub fn details(&self) -> Details {
        Details {
            title: self.title.clone(),
            description: self.description.clone(),
            category: self.category.clone(),
            venue: self.venue.clone(),
            city: self.city.clone(),
            time_zone: self.time_zone.clone(),
            starts_at: self.starts_at.0,
            ends_at: self.ends_at.0,
            doors_at: self.doors_at.map(|t| t.0),
            age_limit: self.age_limit,
        }
    }

    /// A draft, version 1, without seats: a plan follows by its own route.
    pub fn configuration(&self) -> Configuration {
        Configuration {
            version: 1,
            phase: Phase::Draft,
            currency: self.currency,
            on_sale_at: self.on_sale_at.0,
            sale_ends_at: self.sale_ends_at.map(|t| t.0),
            ticket_types: self.ticket_types.iter().map(TicketType::configured).collect(),
            quotas: self.quotas.iter().map(QuotaBody::configured).collect(),
            seats: Vec::new(),
            limits: self.limits.applied(DEFAULT_LIMITS),
            orphan_rule: self.orphan_rule.into(),
            queue: self.queue.applied(DEFAULT_QUEUE),
        }
    }

    pub fn validate(&self, shortest: Shortest) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        check_details(&mut wrong, &self.details());
        check_sale(&mut wrong, &self.details(), self.on_sale_at.0, self.sale_ends_at.map(|t| t.0));
        check_ticket_types(&mut wrong, &self.ticket_types, self.currency);
        check_quotas(&mut wrong, &self.quotas, &self.ticket_types);
        self.limits.check(&mut wrong, shortest);
        self.queue.check(&mut wrong, shortest);
        wrong.or(())
    }
}

impl EventChange {
    /// The event as it will be, one version on.
    pub fn applied(
        self,
        mut details: Details,
        mut configuration: Configuration,
        shortest: Shortest,
    ) -> Result<(Details, Configuration), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        set(&mut details.title, self.title);
        set(&mut details.description, self.description);
        set(&mut details.category, self.category);
        set(&mut details.venue, self.venue);
        set(&mut details.city, self.city);
        set(&mut details.time_zone, self.time_zone);
        set(&mut details.starts_at, self.starts_at.map(|t| t.0));
        set(&mut details.ends_at, self.ends_at.map(|t| t.0));
        set(&mut details.doors_at, self.doors_at.map(|t| t.map(|t| t.0)));
        set(&mut details.age_limit, self.age_limit);
        check_details(&mut wrong, &details);

        set(&mut configuration.on_sale_at, self.on_sale_at.map(|t| t.0));
        set(&mut configuration.sale_ends_at, self.sale_ends_at.map(|t| t.map(|t| t.0)));
        check_sale(&mut wrong, &details, configuration.on_sale_at, configuration.sale_ends_at);
        if self.ticket_types.is_some() || self.quotas.is_some() {
            let types = self.ticket_types.unwrap_or_else(|| {
                configuration.ticket_types.iter().map(|t| TicketType::of(t, configuration.currency)).collect()
            });
            let quotas = self.quotas.unwrap_or_else(|| configuration.quotas.iter().map(QuotaBody::of).collect());
            check_ticket_types(&mut wrong, &types, configuration.currency);
            check_quotas(&mut wrong, &quotas, &types);
            configuration.ticket_types = types.iter().map(TicketType::configured).collect();
            configuration.quotas = quotas.iter().map(QuotaBody::configured).collect();
        }
        if let Some(limits) = self.limits {
            limits.check(&mut wrong, shortest);
            configuration.limits = limits.applied(configuration.limits);
        }
        if let Some(queue) = self.queue {
            queue.check(&mut wrong, shortest);
            configuration.queue = queue.applied(configuration.queue);
        }
        set(&mut configuration.orphan_rule, self.orphan_rule.map(OrphanRule::from));
        configuration.version += 1;
        wrong.or((details, configuration))
    }
}

fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

fn check_details(wrong: &mut Wrong, details: &Details) {
    wrong.text("title", &details.title, 1..=200, false);
    wrong.text("description", &details.description, 0..=10_000, true);
    wrong.text("category", &details.category, 1..=50, false);
    wrong.text("venue", &details.venue, 1..=200, false);
    wrong.text("city", &details.city, 1..=100, false);
    if details.time_zone.len() > 64 || jiff::tz::TimeZone::get(&details.time_zone).is_err() {
        wrong.add("time_zone", "is not an IANA time zone such as Europe/Berlin");
    }
    if details.ends_at <= details.starts_at {
        wrong.add("ends_at", "must be after starts_at");
    }
    if details.doors_at.is_some_and(|doors| doors > details.starts_at) {
        wrong.add("doors_at", "must not be after starts_at");
    }
    if let Some(age) = details.age_limit {
        wrong.number("age_limit", age, 0..=99);
    }
}

fn check_sale(wrong: &mut Wrong, details: &Details, on_sale: EventTime, sale_ends: Option<EventTime>) {
    if on_sale >= details.ends_at {
        wrong.add("on_sale_at", "must be before ends_at");
    }
    match sale_ends {
        Some(end) if end <= on_sale => wrong.add("sale_ends_at", "must be after on_sale_at"),
        Some(end) if end > details.ends_at => wrong.add("sale_ends_at", "must not be after ends_at"),
        Some(_) => {}
        None if on_sale >= details.starts_at => {
            wrong.add("sale_ends_at", "is needed when the sale opens after the start")
        }
        None => {}
    }
}

fn check_ticket_types(wrong: &mut Wrong, types: &[TicketType], currency: Currency) {
    wrong.number("ticket_types", types.len(), 1..=MOST_TICKET_TYPES);
    for (i, ticket_type) in types.iter().enumerate().take(MOST_TICKET_TYPES) {
        let at = format!("ticket_types[{i}]");
        if types.iter().take(i).any(|other| other.code == ticket_type.code) {
            wrong.add(format!("{at}.code"), format!("{} is named twice", ticket_type.code));
        }
        wrong.text(&format!("{at}.name"), &ticket_type.name, 1..=100, false);
        wrong.number(format!("{at}.price.minor"), ticket_type.price.minor, 0..=Money::MAX_MINOR);
        if ticket_type.price.currency != currency {
            wrong.add(format!("{at}.price.currency"), format!("must be the event's: {currency}"));
        }
        match (ticket_type.stock, ticket_type.seated) {
            (Some(stock), false) => wrong.number(format!("{at}.stock"), stock, 0..=MOST_STOCK),
            (None, true) => {}
            _ => wrong.add(at, "needs either stock or seated"),
        }
    }
}

fn check_quotas(wrong: &mut Wrong, quotas: &[QuotaBody], types: &[TicketType]) {
    wrong.number("quotas", quotas.len(), 0..=MOST_QUOTAS);
    for (i, quota) in quotas.iter().enumerate().take(MOST_QUOTAS) {
        if quotas.iter().take(i).any(|other| other.code == quota.code) {
            wrong.add(format!("quotas[{i}].code"), format!("{} is named twice", quota.code));
        }
        wrong.number(format!("quotas[{i}].capacity"), quota.capacity, 0..=MOST_STOCK);
    }
    for (i, ticket_type) in types.iter().enumerate().take(MOST_TICKET_TYPES) {
        wrong.number(format!("ticket_types[{i}].quotas"), ticket_type.quotas.len(), 0..=MOST_QUOTAS);
        for unknown in ticket_type.quotas.iter().filter(|code| !quotas.iter().any(|quota| quota.code == **code)) {
            wrong.add(format!("ticket_types[{i}].quotas"), format!("there is no quota {unknown}"));
        }
    }
}

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

    fn configured(&self) -> ConfiguredType {
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

    fn configured(&self) -> Quota {
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

    fn applied(&self, mut limits: Limits) -> Limits {
        set(&mut limits.per_order, self.per_order);
        set(&mut limits.per_fan, self.per_fan);
        set(&mut limits.hold_ttl, self.hold_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut limits.hold_extension, self.extension_seconds.map(|s| Millis::seconds(s.into())));
        limits
    }

    fn check(&self, wrong: &mut Wrong, shortest: Shortest) {
        within(wrong, "limits.per_order", self.per_order, 1..=20);
        within(wrong, "limits.per_fan", self.per_fan, 1..=20);
        within(wrong, "limits.hold_seconds", self.hold_seconds, shortest.hold_seconds..=3600);
        within(wrong, "limits.extension_seconds", self.extension_seconds, 0..=3600);
    }
}

impl QueueBody {
    pub fn of(queue: &QueueSettings) -> Self {
        Self {
            slots: Some(queue.slots),
            rate_per_minute: Some(queue.rate_per_minute),
            paused: Some(queue.paused),
            session_seconds: Some(seconds(queue.session)),
            claim_seconds: Some(seconds(queue.claim_window)),
            grace_seconds: Some(seconds(queue.grace)),
        }
    }

    fn applied(&self, mut queue: QueueSettings) -> QueueSettings {
        set(&mut queue.slots, self.slots);
        set(&mut queue.rate_per_minute, self.rate_per_minute);
        set(&mut queue.paused, self.paused);
        set(&mut queue.session, self.session_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.claim_window, self.claim_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut queue.grace, self.grace_seconds.map(|s| Millis::seconds(s.into())));
        queue
    }

    fn check(&self, wrong: &mut Wrong, shortest: Shortest) {
        within(wrong, "queue.slots", self.slots, 1..=1_000_000);
        within(wrong, "queue.rate_per_minute", self.rate_per_minute, 1..=1_000_000);
        within(wrong, "queue.session_seconds", self.session_seconds, shortest.session_seconds..=7200);
        within(wrong, "queue.claim_seconds", self.claim_seconds, shortest.claim_seconds..=900);
        within(wrong, "queue.grace_seconds", self.grace_seconds, 0..=3600);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn concert() -> Value {
        json!({
            "title": "Concert", "category": "music", "venue": "Hall", "city": "Berlin", "time_zone": "Europe/Berlin",
            "starts_at": "2030-06-01T18:00:00Z", "ends_at": "2030-06-01T22:00:00Z", "doors_at": "2030-06-01T17:00:00Z",
            "on_sale_at": "2030-01-01T09:00:00Z", "currency": "EUR",
            "ticket_types": [
                {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 500, "quotas": ["hall"]},
                {"code": "VIP", "name": "Balcony", "price": {"minor": 9000, "currency": "EUR"}, "seated": true}],
            "quotas": [{"code": "hall", "capacity": 400}]
        })
    }

    fn event(value: Value) -> NewEvent {
        serde_json::from_value(value).expect("the shape is right")
    }

    #[test]
    fn an_event_with_the_least_of_fields_gets_the_defaults() {
        let event = event(concert());
        event.validate(Shortest::NORMAL).expect("valid");
        let configuration = event.configuration();
        assert_eq!((configuration.version, configuration.phase), (1, Phase::Draft));
        assert_eq!(configuration.limits.hold_ttl, Millis::minutes(10));
        assert_eq!((configuration.limits.per_order, configuration.limits.per_fan), (4, 4));
        assert_eq!(configuration.queue.session, Millis::minutes(15));
        assert_eq!(configuration.ticket_types[0].stock, Stock::Quantity(500));
        assert_eq!(configuration.ticket_types[1].stock, Stock::Seats);
    }

    #[test]
    fn every_field_out_of_its_limits_is_named() {
        let table: [(&str, Value, &str); 31] = [
            ("/title", json!(""), "title"),
            ("/title", json!("x".repeat(201)), "title"),
            ("/title", json!("a\nb"), "title"),
            ("/category", json!(" "), "category"),
            ("/venue", json!(""), "venue"),
            ("/city", json!("x".repeat(101)), "city"),
            ("/time_zone", json!("Mars/Olympus"), "time_zone"),
            ("/time_zone", json!(""), "time_zone"),
            ("/ends_at", json!("2030-06-01T18:00:00Z"), "ends_at"),
            ("/doors_at", json!("2030-06-01T18:00:01Z"), "doors_at"),
            ("/on_sale_at", json!("2030-06-01T23:00:00Z"), "on_sale_at"),
            ("/on_sale_at", json!("2030-06-01T19:00:00Z"), "sale_ends_at"),
            ("/sale_ends_at", json!("2030-01-01T09:00:00Z"), "sale_ends_at"),
            ("/sale_ends_at", json!("2030-06-02T09:00:00Z"), "sale_ends_at"),
            ("/age_limit", json!(100), "age_limit"),
            ("/currency", json!("USD"), "ticket_types[0].price.currency"),
            ("/ticket_types", json!([]), "ticket_types"),
            ("/ticket_types/1/code", json!("GA"), "ticket_types[1].code"),
            ("/ticket_types/0/name", json!(""), "ticket_types[0].name"),
            ("/ticket_types/0/price/minor", json!(-1), "ticket_types[0].price.minor"),
            ("/ticket_types/0/price/minor", json!(1_000_000_001), "ticket_types[0].price.minor"),
            ("/ticket_types/0/stock", json!(10_000_001), "ticket_types[0].stock"),
            ("/ticket_types/0/stock", json!(null), "ticket_types[0]"),
            ("/ticket_types/0/seated", json!(true), "ticket_types[0]"),
            ("/ticket_types/0/quotas", json!(["pit"]), "ticket_types[0].quotas"),
            ("/quotas", json!([{"code": "hall", "capacity": 1}, {"code": "hall", "capacity": 1}]), "quotas[1].code"),
            ("/limits", json!({"per_order": 21}), "limits.per_order"),
            ("/limits", json!({"per_fan": 0}), "limits.per_fan"),
            ("/limits", json!({"hold_seconds": 59}), "limits.hold_seconds"),
            ("/queue", json!({"slots": 0}), "queue.slots"),
            ("/queue", json!({"session_seconds": 59}), "queue.session_seconds"),
        ];
        for (pointer, value, field) in table {
            let mut body = concert();
            match body.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => {
                    let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
                    let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
                    parent.insert(name.into(), value.clone());
                }
            }
            let errors = event(body).validate(Shortest::NORMAL).expect_err(field);
            assert_eq!(errors[0].field, field, "{pointer} = {value}: {errors:?}");
        }
    }

    #[test]
    fn shapes_that_are_wrong_are_refused_before_any_limit() {
        for (name, value) in [
            ("status", json!("published")),
            ("version", json!(7)),
            ("organizer", json!("somebody")),
            ("age_limit", json!(-1)),
            ("age_limit", json!(300)),
            ("limits", json!({"per_order": 1.5})),
            ("limits", json!({"per_century": 1})),
            ("orphan_rule", json!("maybe")),
            ("starts_at", json!(17)),
            ("title", json!(null)),
        ] {
            let mut body = concert();
            body[name] = value.clone();
            assert!(serde_json::from_value::<NewEvent>(body).is_err(), "{name} = {value}");
        }
    }

    #[test]
    fn a_change_touches_only_what_it_names_and_raises_the_version() {
        let mut body = concert();
        body["queue"] = json!({"rate_per_minute": 77});
        let event = event(body);
        let change: EventChange =
            serde_json::from_value(json!({"version": 1, "title": "New", "doors_at": null, "queue": {"slots": 9}}))
                .expect("shape");
        let (details, configuration) =
            change.applied(event.details(), event.configuration(), Shortest::NORMAL).expect("valid");
        assert_eq!(details, Details { title: "New".into(), doors_at: None, ..event.details() });
        let before = event.configuration();
        let queue = QueueSettings { slots: 9, ..before.queue };
        assert_eq!(configuration, Configuration { version: 2, queue, ..before });
    }

    #[test]
    fn a_change_is_checked_against_what_stays() {
        for (change, field) in [
            (json!({"version": 1, "starts_at": "2031-01-01T00:00:00Z"}), "ends_at"),
            (json!({"version": 1, "quotas": []}), "ticket_types[0].quotas"),
            (json!({"version": 1, "sale_ends_at": "2029-01-01T00:00:00Z"}), "sale_ends_at"),
        ] {
            let event = event(concert());
            let change: EventChange = serde_json::from_value(change).expect("shape");
            let errors = change.applied(event.details(), event.configuration(), Shortest::NORMAL).expect_err(field);
            assert_eq!(errors[0].field, field, "{errors:?}");
        }
        for wrong in [
            json!({"title": "no version"}),
            json!({"version": 1, "currency": "USD"}),
            json!({"version": 1, "phase": "ended"}),
        ] {
            assert!(serde_json::from_value::<EventChange>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shorter_times_are_taken_only_where_the_operator_allows_it() {
        let mut body = concert();
        body["limits"] = json!({"hold_seconds": 2});
        body["queue"] = json!({"session_seconds": 2, "claim_seconds": 1});
        let event = event(body);
        event.validate(Shortest::DEMO).expect("allowed for a demonstration");
        assert_eq!(event.validate(Shortest::NORMAL).expect_err("too short").len(), 3);
    }
}
