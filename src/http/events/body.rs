//! What an organizer sends about an event, and how it becomes a configuration.
//!
//! Owns the fields, their limits and their defaults. What conflicts with stock already held or sold is the inventory's to
//! refuse.

mod charges;
mod checks;
mod classes;
mod parts;
mod queue;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

pub use charges::{FeeBody, TaxBody};
pub use classes::{ClassesBody, PrecedenceBody};
pub use queue::{ModeBody, QueueBody};
pub use rules::TicketRulesBody;

use self::checks::{check_details, check_quotas, check_sale, check_ticket_types};
use crate::{
    domain::{
        code::{Code, SeatId},
        event::Phase,
        inventory::configuration::{
            Configuration, Limits, OrphanRule, Quota, TicketType as ConfiguredType, WaitlistSettings,
        },
        money::Currency,
        price::Charges,
        time::Millis,
    },
    http::shapes::{FieldError, Price, Timestamp, Wrong},
    stores::database::events::{Details, TicketRules},
};

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
    #[schema(max_items = 10)]
    pub fees: Vec<FeeBody>,
    #[serde(default)]
    #[schema(max_items = 5)]
    pub taxes: Vec<TaxBody>,
    #[serde(default)]
    pub queue: QueueBody,
    #[serde(default)]
    pub ticket_rules: TicketRulesBody,
    /// Names a public value that counts in the draw, one that nobody can know before the sale opens.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    pub draw_beacon: Option<String>,
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
    /// All of them, instead of those before.
    #[serde(default)]
    pub fees: Option<Vec<FeeBody>>,
    /// All of them, instead of those before.
    #[serde(default)]
    pub taxes: Option<Vec<TaxBody>>,
    #[serde(default)]
    pub queue: Option<QueueBody>,
    #[serde(default)]
    pub ticket_rules: Option<TicketRulesBody>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub draw_beacon: Option<Option<String>>,
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
    /// The face value.
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
    /// Before then only who has a code that opens it can hold it.
    #[serde(default)]
    pub opens_at: Option<Timestamp>,
    /// Whoever holds it needs a code that opens it.
    #[serde(default)]
    pub needs_code: bool,
    /// Parts of the stock, or seats, that nobody can have before their time; the earliest first.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub releases: Vec<ReleaseBody>,
    /// What some pay instead of its price, such as children.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub rates: Vec<RateBody>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    #[schema(value_type = String, example = "child")]
    pub code: Code,
    #[schema(min_length = 1, max_length = 100, example = "Child up to 14")]
    pub name: String,
    /// The face value.
    pub price: Price,
}

/// Of stock by quantity: `quantity`. Of a type with seats: those of a `zone`, or these `seats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub quantity: Option<u32>,
    /// Without those that a release names one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "A")]
    pub zone: Option<Code>,
    /// In all releases of an event 2,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 2_000)]
    pub seats: Option<Vec<SeatId>>,
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
    /// Tickets bought with one card, by whomever; 0: any number. What is paid beyond goes back.
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub per_instrument: Option<u16>,
    /// How long a hold lasts: one minute to an hour.
    #[schema(minimum = 60, maximum = 3600, default = 600)]
    pub hold_seconds: Option<u32>,
    /// What the one extension adds.
    #[schema(minimum = 0, maximum = 3600, default = 300)]
    pub extension_seconds: Option<u32>,
}

const DEFAULT_LIMITS: Limits = Limits {
    per_order: 4,
    per_fan: 4,
    per_instrument: None,
    hold_ttl: Millis::minutes(10),
    hold_extension: Millis::minutes(5),
};

/// What to do about a single free seat left between taken ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrphanBody {
    #[default]
    Off,
    Warn,
    Block,
}

/// The shortest times that are taken.
#[derive(Debug, Clone, Copy)]
pub struct Shortest {
    hold_seconds: u32,
    session_seconds: u32,
    claim_seconds: u32,
    prequeue_seconds: u32,
}

impl Shortest {
    pub const NORMAL: Self = Self { hold_seconds: 60, session_seconds: 60, claim_seconds: 10, prequeue_seconds: 300 };
    /// For demonstrations and tests, where the operator's configuration allows it.
    pub const DEMO: Self = Self { hold_seconds: 1, session_seconds: 1, claim_seconds: 1, prequeue_seconds: 1 };

    /// As of a hold.
    pub fn offer_seconds(self) -> u32 {
        self.hold_seconds
    }
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
            ticket_rules: self.ticket_rules.applied(TicketRules::default()),
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
            queue: self.queue.applied(queue::DEFAULT),
            beacon: self.draw_beacon.clone(),
            notice: None,
            classes: self.queue.classes_applied(&Arc::default()),
            halted: false,
            waitlist: WaitlistSettings { starts_at: Some(self.starts_at.0), ..WaitlistSettings::DEFAULT },
            charges: Charges {
                fees: self.fees.iter().map(FeeBody::configured).collect(),
                taxes: self.taxes.iter().map(TaxBody::configured).collect(),
            },
        }
    }

    pub fn validate(&self, shortest: Shortest) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        check_details(&mut wrong, &self.details());
        check_sale(&mut wrong, &self.details(), self.on_sale_at.0, self.sale_ends_at.map(|t| t.0));
        check_ticket_types(&mut wrong, &self.ticket_types, self.currency);
        check_quotas(&mut wrong, &self.quotas, &self.ticket_types);
        charges::check_fees(&mut wrong, &self.fees, self.currency);
        charges::check_taxes(&mut wrong, &self.taxes);
        self.limits.check(&mut wrong, shortest);
        self.queue.check(&mut wrong, shortest, queue::DEFAULT);
        parts::check_beacon(&mut wrong, self.draw_beacon.as_deref());
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
        let rules = details.ticket_rules;
        set(&mut details.ticket_rules, self.ticket_rules.map(|body| body.applied(rules)));
        check_details(&mut wrong, &details);
        configuration.waitlist.starts_at = Some(details.starts_at);

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
        if let Some(fees) = self.fees {
            charges::check_fees(&mut wrong, &fees, configuration.currency);
            configuration.charges.fees = fees.iter().map(FeeBody::configured).collect();
        }
        if let Some(taxes) = self.taxes {
            charges::check_taxes(&mut wrong, &taxes);
            configuration.charges.taxes = taxes.iter().map(TaxBody::configured).collect();
        }
        if let Some(limits) = self.limits {
            limits.check(&mut wrong, shortest);
            configuration.limits = limits.applied(configuration.limits);
        }
        if let Some(queue) = self.queue {
            queue.check(&mut wrong, shortest, configuration.queue);
            configuration.queue = queue.applied(configuration.queue);
            configuration.classes = queue.classes_applied(&configuration.classes);
        }
        set(&mut configuration.beacon, self.draw_beacon);
        parts::check_beacon(&mut wrong, configuration.beacon.as_deref());
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
