//! What the tests of documents say.

use super::programme::{Entry, Place, Programme};
use crate::domain::{
    id::{EventId, OrderId, OrderRef, TicketId},
    money::{Currency, Money},
    time::EventTime,
};

/// On Friday, 1 June 2035, from 20:00 to midnight in Zagreb.
pub fn programme(title: &str) -> Programme {
    Programme {
        event: EventId::from_u128(1),
        version: 3,
        // 2025-11-29T11:00:00Z
        changed_at: EventTime(1_764_414_000_000),
        is_cancelled: false,
        title: title.into(),
        venue: "Dom sportova".into(),
        city: "Zagreb".into(),
        time_zone: "Europe/Zagreb".into(),
        starts_at: EventTime(2_064_333_600_000),
        ends_at: EventTime(2_064_348_000_000),
        doors_at: Some(EventTime(2_064_330_000_000)),
        age_limit: Some(16),
    }
}

pub fn entry(holder: &str) -> Entry {
    Entry {
        ticket: TicketId::from_u128(9),
        order: OrderRef { event: EventId::from_u128(1), order: OrderId::from_u128(2) },
        position: 1,
        of: 2,
        kind: "Balcony".into(),
        place: Some(Place { seat: "A-12-7".parse().expect("code"), found: None }),
        holder: holder.into(),
        price: Money { minor: 9_000, currency: Currency::EUR },
        code: Some("AQJoZWxsbw".repeat(18)),
    }
}
