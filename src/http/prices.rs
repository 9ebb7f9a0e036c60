//! What a ticket costs, as it is told: all of it, and what that is made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::Price;
use crate::domain::{
    code::Code,
    inventory::{
        configuration::{Configuration, TicketType},
        request::Line,
    },
    money::Currency,
    price::Parts,
};

/// total_price = price − discount + fees + taxes
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceParts {
    /// The face value.
    pub price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Price>,
    pub fees: Price,
    /// Added to the rest.
    pub taxes: Price,
    /// Taxes that price and fees have in them.
    pub included_taxes: Price,
    /// All that is asked: nothing is added later.
    pub total_price: Price,
}

impl PriceParts {
    pub fn of(parts: Parts, currency: Currency) -> Self {
        let price = |minor| Price::new(minor, currency);
        Self {
            price: price(parts.face_minor),
            discount: (parts.discount_minor > 0).then(|| price(parts.discount_minor)),
            fees: price(parts.fees_minor),
            taxes: price(parts.taxes_minor),
            included_taxes: price(parts.included_minor),
            total_price: price(parts.total_minor()),
        }
    }

    /// What the order costs beside its tickets, if it does.
    pub fn of_order(lines: &[Line], currency: Currency) -> Option<Self> {
        let once = lines.iter().map(Line::once).fold(Parts::default(), Parts::plus);
        (once != Parts::default()).then(|| Self::of(once, currency))
    }
}

/// What one ticket costs whoever buys it at a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RatePrice {
    #[schema(value_type = String, example = "child")]
    pub code: Code,
    pub name: String,
    #[serde(flatten)]
    pub parts: PriceParts,
}

impl RatePrice {
    pub fn all(ticket_type: &TicketType, configuration: &Configuration) -> Vec<Self> {
        let rates = ticket_type.rates.iter().map(|rate| {
            let parts = configuration.charges.of_ticket(rate.price_minor, None);
            let parts = PriceParts::of(parts, configuration.currency);
            Self { code: rate.code.clone(), name: rate.name.clone(), parts }
        });
        rates.collect()
    }
}
