//! What a fan asks for, and a hold as it is told.
//!
//! Prices, states and times are told, never taken: a body that names one is refused as unknown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{
        code::{Code, SeatId},
        id::{EventId, OrderRef},
        inventory::{
            configuration::Configuration,
            request::{AtRate, BestAvailable, HoldState, HoldView, Line, Want, Which},
        },
        money::Currency,
        time::EventTime,
    },
    http::{
        prices::PriceParts,
        shapes::{FieldError, Price, Timestamp, Wrong},
    },
};

/// Nobody may hold more in one order, whatever the event says: longer lists are refused unread.
const MOST: usize = 20;

/// One of `items`, `seats` and `best_available`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// General admission, by quantity.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 20)]
    pub items: Option<Vec<Item>>,
    /// These very seats.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 20)]
    pub seats: Option<Vec<SeatId>>,
    /// Which of `seats` at which of their ticket type's rates; the others at its price.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub seat_rates: BTreeMap<SeatId, Code>,
    #[serde(default)]
    pub best_available: Option<Best>,
    /// The version that the fan has seen: a newer one refuses.
    #[serde(default)]
    pub event_version: Option<u32>,
    /// For seats kept for a channel.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub channel: Option<Code>,
    /// For a discount, or for what is not open to everybody; in upper or lower case.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub code: Option<Code>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    #[schema(value_type = String, example = "GA")]
    pub ticket_type: Code,
    #[schema(minimum = 1, maximum = 20)]
    pub quantity: u32,
    /// One of the ticket type's rates; left out: its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "child")]
    pub rate: Option<Code>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Best {
    #[schema(value_type = String, example = "VIP")]
    pub ticket_type: Code,
    /// All seats together, accessible and companion seats included.
    #[schema(minimum = 1, maximum = 20)]
    pub quantity: u32,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub zone: Option<Code>,
    /// How many of them are accessible seats.
    #[serde(default)]
    #[schema(maximum = 20)]
    pub accessible: u32,
    /// Whether one unbroken run is required; otherwise it is preferred.
    #[serde(default)]
    pub together: bool,
    /// How many of them at which of the ticket type's rates; the others at its price.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u32>)]
    pub rates: BTreeMap<Code, u32>,
}

impl HoldBody {
    /// What is wanted, and what of it at other rates. The event's own limits are checked where its stock is.
    pub fn want(self) -> Result<(Want, Vec<AtRate>), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        if self.seats.is_none() && !self.seat_rates.is_empty() {
            wrong.add("seat_rates", "is for seats only");
        }
        match (self.items, self.seats, self.best_available) {
            (Some(items), None, None) => {
                wrong.number("items", items.len(), 1..=MOST);
                for (i, item) in items.iter().enumerate().take(MOST) {
                    let same = |other: &Item| other.ticket_type == item.ticket_type && other.rate == item.rate;
                    if items.iter().take(i).any(same) {
                        wrong.add(format!("items[{i}].ticket_type"), format!("{} is named twice", item.ticket_type));
                    }
                    wrong.number(format_args!("items[{i}].quantity"), item.quantity, 1..=MOST as u32);
                }
                let rates = items.iter().filter_map(Item::at_rate).collect();
                let quantities = items.into_iter().map(|item| (item.ticket_type, item.quantity)).collect();
                wrong.or((Want::Quantities(quantities), rates))
            }
            (None, Some(seats), None) => {
                wrong.number("seats", seats.len(), 1..=MOST);
                if let Some(stray) = self.seat_rates.keys().find(|seat| !seats.contains(seat)) {
                    wrong.add("seat_rates", format!("{stray} is not among the seats"));
                }
                let at_rate = |(seat, rate)| AtRate { rate, which: Which::Seat(seat) };
                let rates = self.seat_rates.into_iter().map(at_rate).collect();
                wrong.or((Want::Seats(seats), rates))
            }
            (None, None, Some(best)) => {
                wrong.number("best_available.quantity", best.quantity, 1..=MOST as u32);
                wrong.number("best_available.accessible", best.accessible, 0..=best.quantity.max(1));
                let at_rates = best.rates.values().fold(0, |sum: u32, quantity| sum.saturating_add(*quantity));
                wrong.number("best_available.rates", at_rates, 0..=best.quantity);
                let at_rate = |(rate, quantity): (Code, u32)| AtRate {
                    rate,
                    which: Which::Some { ticket_type: best.ticket_type.clone(), quantity },
                };
                let rates = best.rates.into_iter().filter(|(_, quantity)| *quantity > 0).map(at_rate).collect();
                let want = Want::BestAvailable(BestAvailable {
                    ticket_type: best.ticket_type,
                    quantity: best.quantity,
                    zone: best.zone,
                    accessible: best.accessible,
                    together: best.together,
                });
                wrong.or((want, rates))
            }
            _ => {
                wrong.add("items", "exactly one of items, seats and best_available is expected");
                wrong.or((Want::Seats(Vec::new()), Vec::new()))
            }
        }
    }
}

impl Item {
    fn at_rate(&self) -> Option<AtRate> {
        let which = Which::Some { ticket_type: self.ticket_type.clone(), quantity: self.quantity };
        Some(AtRate { rate: self.rate.clone()?, which })
    }
}

/// The whole order, as the inventory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hold {
    #[schema(value_type = String)]
    pub reference: OrderRef,
    #[schema(value_type = String)]
    pub event: EventId,
    pub state: State,
    pub lines: Vec<OrderLine>,
    /// What is asked once for the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_fees: Option<PriceParts>,
    /// The lines and what is asked once.
    pub total: Price,
    pub expires_at: Timestamp,
    /// The server's clock at this answer, also when a request is repeated: `expires_at` less this is what is left.
    pub server_now: Timestamp,
    pub extended: bool,
    /// The event's version that these prices are from.
    pub event_version: u32,
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Held,
    Released,
    Expired,
    Sold,
    Voided,
    Refused,
}

/// One ticket type of an order at one of its rates, and at its frozen price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderLine {
    #[schema(value_type = String)]
    pub ticket_type: Code,
    pub name: String,
    /// Left out where it is the price of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub rate: Option<Code>,
    pub quantity: u32,
    /// What each ticket costs, all in.
    pub unit_price: Price,
    /// What that is made of; left out where it is the face value alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<PriceParts>,
    /// Empty for general admission.
    #[schema(value_type = Vec<String>)]
    pub seats: Vec<SeatId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// `orphan_seat`: this hold leaves the seat single.
    pub code: &'static str,
    #[schema(value_type = String)]
    pub seat: SeatId,
}

impl Hold {
    pub fn of(event: EventId, view: HoldView, configuration: &Configuration, now: EventTime) -> Self {
        let name = |code: &Code| name_of(configuration, code);
        Self {
            reference: OrderRef { event, order: view.order },
            event,
            state: view.state.into(),
            order_fees: PriceParts::of_order(&view.lines, view.currency),
            lines: view.lines.into_iter().map(|line| OrderLine::of(line, view.currency, name)).collect(),
            total: Price::new(view.total_minor, view.currency),
            expires_at: view.expires_at.into(),
            server_now: now.into(),
            extended: view.extended,
            event_version: view.version,
            warnings: view.orphans.into_iter().map(|seat| Warning { code: "orphan_seat", seat }).collect(),
        }
    }
}

impl OrderLine {
    pub fn of(line: Line, currency: Currency, name: impl Fn(&Code) -> String) -> Self {
        let each = line.each();
        Self {
            name: name(&line.ticket_type),
            rate: line.rate().cloned(),
            ticket_type: line.ticket_type,
            quantity: line.quantity,
            unit_price: Price::new(line.unit_price_minor, currency),
            parts: (!each.is_plain()).then(|| PriceParts::of(each, currency)),
            seats: line.seats,
        }
    }
}

/// A ticket type's name today; its code where it has none any more.
pub fn name_of(configuration: &Configuration, code: &Code) -> String {
    let found = configuration.ticket_types.iter().find(|ticket_type| ticket_type.code == *code);
    found.map_or_else(|| code.to_string(), |ticket_type| ticket_type.name.clone())
}

impl From<HoldState> for State {
    fn from(state: HoldState) -> Self {
        match state {
            HoldState::Held => Self::Held,
            HoldState::Released => Self::Released,
            HoldState::Expired => Self::Expired,
            HoldState::Sold => Self::Sold,
            HoldState::Voided => Self::Voided,
            HoldState::Refused => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn want(body: Value) -> Result<Want, Vec<FieldError>> {
        serde_json::from_value::<HoldBody>(body).expect("the shape is right").want().map(|(want, _)| want)
    }

    #[test]
    fn three_ways_to_ask() {
        let code = |text: &str| text.parse::<Code>().expect("code");
        assert_eq!(
            want(json!({"items": [{"ticket_type": "GA", "quantity": 2}], "event_version": 3})),
            Ok(Want::Quantities(vec![(code("GA"), 2)]))
        );
        assert_eq!(want(json!({"seats": ["A-1-1", "A-1-2"]})), Ok(Want::Seats(vec![code("A-1-1"), code("A-1-2")])));
        assert_eq!(
            want(json!({"best_available": {"ticket_type": "VIP", "quantity": 2, "zone": "A", "together": true}})),
            Ok(Want::BestAvailable(BestAvailable {
                ticket_type: code("VIP"),
                quantity: 2,
                zone: Some(code("A")),
                accessible: 0,
                together: true
            }))
        );
    }

    #[test]
    fn a_want_that_makes_no_sense_names_its_field() {
        let item = |quantity| json!({"ticket_type": "GA", "quantity": quantity});
        for (body, field) in [
            (json!({}), "items"),
            (json!({"items": [item(1)], "seats": ["A"]}), "items"),
            (json!({"items": []}), "items"),
            (json!({"items": [item(0)]}), "items[0].quantity"),
            (json!({"items": [item(21)]}), "items[0].quantity"),
            (json!({"items": [item(4_294_967_295_u32)]}), "items[0].quantity"),
            (json!({"items": [item(1), item(1)]}), "items[1].ticket_type"),
            (json!({"items": vec![item(1); 21]}), "items"),
            (json!({"seats": []}), "seats"),
            (json!({"seats": vec!["A-1"; 21]}), "seats"),
            (json!({"best_available": {"ticket_type": "VIP", "quantity": 0}}), "best_available.quantity"),
            (
                json!({"best_available": {"ticket_type": "VIP", "quantity": 1, "accessible": 2}}),
                "best_available.accessible",
            ),
        ] {
            let errors = want(body.clone()).expect_err(field);
            assert_eq!(errors[0].field, field, "{body}");
        }
    }

    #[test]
    fn what_is_not_a_count_and_what_the_shop_decides_is_refused_as_a_shape() {
        for body in [
            json!({"items": [{"ticket_type": "GA", "quantity": -1}]}),
            json!({"items": [{"ticket_type": "GA", "quantity": 1.5}]}),
            json!({"items": [{"ticket_type": "GA", "quantity": "1"}]}),
            json!({"items": [{"ticket_type": "GA", "quantity": 5_000_000_000_u64}]}),
            json!({"items": [{"ticket_type": "GA", "quantity": 1, "unit_price": {"minor": 1, "currency": "EUR"}}]}),
            json!({"items": [{"ticket_type": "../GA", "quantity": 1}]}),
            json!({"seats": ["A-1"], "status": "sold"}),
            json!({"seats": ["A-1"], "price": 1}),
            json!({"seats": ["A-1"], "fan": "0190b5c2a0007000800000000000002a"}),
        ] {
            assert!(serde_json::from_value::<HoldBody>(body.clone()).is_err(), "{body}");
        }
    }
}
