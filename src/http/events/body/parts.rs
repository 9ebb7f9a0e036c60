//! The parts of an event that decide: ticket types, quotas, limits; to the configuration and back.

use std::ops::RangeInclusive;

use super::*;
use crate::domain::inventory::configuration::{
    MAX_BEACON_LEN, MAX_RELEASES, MAX_SEATS_NAMED, Part, Rate, Release, SeatRelease, Stock,
};

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
            opens_at: configured.opens_at.map(Timestamp),
            needs_code: configured.needs_code,
            rates: configured.rates.iter().map(|rate| RateBody::of(rate, currency)).collect(),
            releases: ReleaseBody::of(configured),
        }
    }

    pub(super) fn configured(&self) -> ConfiguredType {
        ConfiguredType {
            code: self.code.clone(),
            name: self.name.clone(),
            price_minor: self.price.minor,
            stock: self.stock.map_or(Stock::Seats, Stock::Quantity),
            quotas: self.quotas.clone(),
            opens_at: self.opens_at.map(|at| at.0),
            needs_code: self.needs_code,
            rates: self.rates.iter().map(RateBody::configured).collect(),
            releases: self.releases.iter().filter_map(ReleaseBody::of_quantity).collect(),
            seat_releases: self.releases.iter().filter_map(ReleaseBody::of_seats).collect(),
        }
    }
}

impl RateBody {
    fn of(rate: &Rate, currency: Currency) -> Self {
        let price = Price::new(rate.price_minor, currency);
        Self { code: rate.code.clone(), name: rate.name.clone(), price }
    }

    fn configured(&self) -> Rate {
        Rate { code: self.code.clone(), name: self.name.clone(), price_minor: self.price.minor }
    }
}

impl ReleaseBody {
    fn of(configured: &ConfiguredType) -> Vec<Self> {
        let none = |at| Self { at: Timestamp(at), quantity: None, zone: None, seats: None };
        let of_quantity = |release: &Release| Self { quantity: Some(release.quantity), ..none(release.at) };
        let of_seats = |release: &SeatRelease| match release.part.clone() {
            Part::Zone(zone) => Self { zone: Some(zone), ..none(release.at) },
            Part::Seats(seats) => Self { seats: Some(seats), ..none(release.at) },
        };
        let quantities = configured.releases.iter().map(of_quantity);
        quantities.chain(configured.seat_releases.iter().map(of_seats)).collect()
    }

    fn of_quantity(&self) -> Option<Release> {
        self.quantity.map(|quantity| Release { at: self.at.0, quantity })
    }

    fn of_seats(&self) -> Option<SeatRelease> {
        let part = self.zone.clone().map(Part::Zone).or_else(|| self.seats.clone().map(Part::Seats));
        part.map(|part| SeatRelease { at: self.at.0, part })
    }
}

/// `stock`: of a type without seats.
pub(super) fn check_releases(wrong: &mut Wrong, at: &str, releases: &[ReleaseBody], stock: Option<u32>) {
    wrong.number(format!("{at}.releases"), releases.len(), 0..=MAX_RELEASES);
    // Two zones may be released at once.
    if !releases.is_sorted_by(|a, b| if stock.is_some() { a.at < b.at } else { a.at <= b.at }) {
        wrong.add(format!("{at}.releases"), "must come one after the other");
    }
    for (i, release) in releases.iter().enumerate().take(MAX_RELEASES) {
        let ReleaseBody { quantity, zone, seats, .. } = release;
        let field = format!("{at}.releases[{i}]");
        match (stock, quantity, zone, seats) {
            (Some(_), Some(quantity), None, None) if *quantity > 0 => {}
            (Some(_), ..) => wrong.add(field, "needs a quantity of stock, and no seats"),
            (None, None, Some(_), None) => {}
            (None, None, None, Some(seats)) => wrong.number(format!("{field}.seats"), seats.len(), 1..=MAX_SEATS_NAMED),
            (None, ..) => wrong.add(field, "needs either a zone or seats"),
        }
    }
    let released = releases.iter().filter_map(|release| release.quantity).map(u64::from).sum::<u64>();
    if stock.is_some_and(|stock| released > stock.into()) {
        wrong.add(format!("{at}.releases"), "must not be more than the stock");
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
            per_instrument: Some(limits.per_instrument.unwrap_or(0)),
            hold_seconds: Some(seconds(limits.hold_ttl)),
            extension_seconds: Some(seconds(limits.hold_extension)),
        }
    }

    pub(super) fn applied(&self, mut limits: Limits) -> Limits {
        set(&mut limits.per_order, self.per_order);
        set(&mut limits.per_fan, self.per_fan);
        set(&mut limits.per_instrument, self.per_instrument.map(|most| (most > 0).then_some(most)));
        set(&mut limits.hold_ttl, self.hold_seconds.map(|s| Millis::seconds(s.into())));
        set(&mut limits.hold_extension, self.extension_seconds.map(|s| Millis::seconds(s.into())));
        limits
    }

    pub(super) fn check(&self, wrong: &mut Wrong, shortest: Shortest) {
        within(wrong, "limits.per_order", self.per_order, 1..=20);
        within(wrong, "limits.per_fan", self.per_fan, 1..=20);
        within(wrong, "limits.per_instrument", self.per_instrument, 0..=100);
        within(wrong, "limits.hold_seconds", self.hold_seconds, shortest.hold_seconds..=3600);
        within(wrong, "limits.extension_seconds", self.extension_seconds, 0..=3600);
    }
}

pub(super) fn check_beacon(wrong: &mut Wrong, name: Option<&str>) {
    if let Some(name) = name {
        wrong.text("draw_beacon", name, 1..=MAX_BEACON_LEN, false);
    }
}

pub(super) fn within<N: PartialOrd + std::fmt::Display>(
    wrong: &mut Wrong,
    field: &str,
    value: Option<N>,
    range: RangeInclusive<N>,
) {
    if let Some(value) = value {
        wrong.number(field, value, range);
    }
}

pub(super) fn seconds(span: Millis) -> u32 {
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
