//! An event as it is told.

use serde::Serialize;
use utoipa::ToSchema;

use super::body::{FeeBody, LimitsBody, OrphanBody, QueueBody, QuotaBody, TaxBody, TicketRulesBody, TicketType};
use crate::{
    domain::{
        code::Code,
        event::Status,
        id::{EventId, FanId},
        inventory::configuration::{Configuration, TicketType as ConfiguredType},
        money::Currency,
        time::EventTime,
    },
    http::{
        prices::{PriceParts, RatePrice},
        shapes::Timestamp,
        waitlist::WaitlistTold,
    },
    stores::database::events::{Event, Summary},
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventAnswer {
    #[serde(flatten)]
    pub listed: ListedEvent,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    pub limits: LimitsBody,
    pub orphan_rule: OrphanBody,
    pub ticket_types: Vec<TicketType>,
    /// What one ticket of each type costs, all in.
    pub prices: Vec<TypePrice>,
    pub quotas: Vec<QuotaBody>,
    pub fees: Vec<FeeBody>,
    pub taxes: Vec<TaxBody>,
    pub queue: QueueBody,
    pub ticket_rules: TicketRulesBody,
    pub waitlist: WaitlistTold,
    /// The public value that counts in the draw, if one was named.
    pub draw_beacon: Option<String>,
    /// Numbered seats in the plan; they are told by `/events/{event}/seats`.
    pub seats: usize,
}

/// Fees that are asked once for an order are not in it: they are among the event's fees, and in a hold.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TypePrice {
    #[schema(value_type = String)]
    pub ticket_type: Code,
    #[serde(flatten)]
    pub parts: PriceParts,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<RatePrice>,
}

impl TypePrice {
    fn all(configuration: &Configuration) -> Vec<Self> {
        let price = |ticket_type: &ConfiguredType| {
            let parts = configuration.charges.of_ticket(ticket_type.price_minor, None);
            let parts = PriceParts::of(parts, configuration.currency);
            let rates = RatePrice::all(ticket_type, configuration);
            Self { ticket_type: ticket_type.code.clone(), parts, rates }
        };
        configuration.ticket_types.iter().map(price).collect()
    }
}

/// An event in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListedEvent {
    #[schema(value_type = String)]
    pub id: EventId,
    #[schema(value_type = String)]
    pub organizer: FanId,
    pub title: String,
    pub description: String,
    pub category: String,
    pub venue: String,
    pub city: String,
    pub time_zone: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub doors_at: Option<Timestamp>,
    pub on_sale_at: Timestamp,
    pub sale_ends_at: Option<Timestamp>,
    pub age_limit: Option<u8>,
    /// In a list, `on_sale` may also be sold out.
    #[schema(value_type = String, example = "on_sale")]
    pub status: Status,
    /// Raised by each change.
    pub version: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl EventAnswer {
    pub fn of(event: Event, status: Status) -> Self {
        let configuration = event.configuration;
        let currency = configuration.currency;
        let ticket_rules = TicketRulesBody::of(event.details.ticket_rules);
        let summary = Summary {
            id: event.id,
            organizer: event.organizer,
            details: event.details,
            version: configuration.version,
            phase: configuration.phase,
            on_sale_at: configuration.on_sale_at,
            sale_ends_at: configuration.sale_ends_at,
            created_at: event.created_at,
            updated_at: event.updated_at,
        };
        Self {
            listed: ListedEvent::new(summary, status),
            currency,
            limits: LimitsBody::of(&configuration.limits),
            orphan_rule: configuration.orphan_rule.into(),
            ticket_types: configuration.ticket_types.iter().map(|t| TicketType::of(t, currency)).collect(),
            prices: TypePrice::all(&configuration),
            fees: FeeBody::all(&configuration.charges, currency),
            taxes: TaxBody::all(&configuration.charges),
            quotas: configuration.quotas.iter().map(QuotaBody::of).collect(),
            queue: QueueBody::of(&configuration.queue, &configuration.classes),
            ticket_rules,
            waitlist: WaitlistTold::of(&configuration.waitlist),
            draw_beacon: configuration.beacon,
            seats: configuration.seats.len(),
        }
    }
}

impl ListedEvent {
    pub fn of(event: Summary, now: EventTime) -> Self {
        // The list knows no stock, so nothing is sold out in it.
        let status = Status::of(event.phase, now, event.on_sale_at, event.sale_ends_at, 1);
        Self::new(event, status)
    }

    fn new(event: Summary, status: Status) -> Self {
        let details = event.details;
        Self {
            id: event.id,
            organizer: event.organizer,
            title: details.title,
            description: details.description,
            category: details.category,
            venue: details.venue,
            city: details.city,
            time_zone: details.time_zone,
            starts_at: details.starts_at.into(),
            ends_at: details.ends_at.into(),
            doors_at: details.doors_at.map(Timestamp),
            on_sale_at: event.on_sale_at.into(),
            sale_ends_at: event.sale_ends_at.map(Timestamp),
            age_limit: details.age_limit,
            status,
            version: event.version,
            created_at: event.created_at.into(),
            updated_at: event.updated_at.into(),
        }
    }
}
