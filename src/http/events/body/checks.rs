//! What may be in an event, field by field.

use super::{QuotaBody, RateBody, TicketType, parts};
use crate::{
    domain::{
        inventory::configuration::MAX_RATES,
        money::{Currency, Money},
        time::EventTime,
    },
    http::shapes::{Price, Wrong},
    stores::database::events::Details,
};

const MOST_TICKET_TYPES: usize = 50;
const MOST_QUOTAS: usize = 50;
const MOST_STOCK: u32 = 10_000_000;

pub(super) fn check_details(wrong: &mut Wrong, details: &Details) {
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

pub(super) fn check_sale(wrong: &mut Wrong, details: &Details, on_sale: EventTime, sale_ends: Option<EventTime>) {
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

pub(super) fn check_ticket_types(wrong: &mut Wrong, types: &[TicketType], currency: Currency) {
    wrong.number("ticket_types", types.len(), 1..=MOST_TICKET_TYPES);
    for (i, ticket_type) in types.iter().enumerate().take(MOST_TICKET_TYPES) {
        let at = format!("ticket_types[{i}]");
        if types.iter().take(i).any(|other| other.code == ticket_type.code) {
            wrong.add(format!("{at}.code"), format!("{} is named twice", ticket_type.code));
        }
        wrong.text(&format!("{at}.name"), &ticket_type.name, 1..=100, false);
        check_price(wrong, &at, &ticket_type.price, currency);
        check_rates(wrong, &at, &ticket_type.rates, currency);
        match (ticket_type.stock, ticket_type.seated) {
            (Some(stock), false) => wrong.number(format!("{at}.stock"), stock, 0..=MOST_STOCK),
            (None, true) => {}
            _ => {
                wrong.add(at, "needs either stock or seated");
                continue;
            }
        }
        parts::check_releases(wrong, &at, &ticket_type.releases, ticket_type.stock);
    }
}

fn check_price(wrong: &mut Wrong, at: &str, price: &Price, currency: Currency) {
    wrong.number(format!("{at}.price.minor"), price.minor, 0..=Money::MAX_MINOR);
    if price.currency != currency {
        wrong.add(format!("{at}.price.currency"), format!("must be the event's: {currency}"));
    }
}

fn check_rates(wrong: &mut Wrong, at: &str, rates: &[RateBody], currency: Currency) {
    wrong.number(format!("{at}.rates"), rates.len(), 0..=MAX_RATES);
    for (i, rate) in rates.iter().enumerate().take(MAX_RATES) {
        let at = format!("{at}.rates[{i}]");
        if rates.iter().take(i).any(|other| other.code == rate.code) {
            wrong.add(format!("{at}.code"), format!("{} is named twice", rate.code));
        }
        wrong.text(&format!("{at}.name"), &rate.name, 1..=100, false);
        check_price(wrong, &at, &rate.price, currency);
    }
}

pub(super) fn check_quotas(wrong: &mut Wrong, quotas: &[QuotaBody], types: &[TicketType]) {
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
