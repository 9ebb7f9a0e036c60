//! An order as it is told.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        code::Code,
        id::{EventId, OrderRef},
        inventory::{
            configuration::Configuration,
            request::{HoldState, HoldView},
        },
        order::OrderState,
        time::EventTime,
    },
    http::{
        holds::body::{OrderLine, name_of},
        prices::PriceParts,
        shapes::{Price, Timestamp},
    },
    stores::database::orders,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderAnswer {
    #[schema(value_type = String)]
    pub reference: OrderRef,
    #[schema(value_type = String)]
    pub event: EventId,
    #[schema(value_type = String, example = "pending")]
    pub state: OrderState,
    pub lines: Vec<OrderLine>,
    /// What is asked once for the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_fees: Option<PriceParts>,
    pub total: Price,
    /// Unpaid, it ends here.
    pub expires_at: Timestamp,
    pub server_now: Timestamp,
    /// The event's version that the prices are from. They are frozen: a later version changes nothing.
    pub event_version: u32,
    /// The event's version now, where it was at hand.
    pub current_event_version: Option<u32>,
}

impl OrderAnswer {
    /// From the row; `configuration` where the event was asked too.
    pub fn of_row(row: orders::Order, configuration: Option<&Configuration>, now: EventTime) -> Self {
        let currency = row.total.currency;
        Self {
            reference: row.reference,
            event: row.reference.event,
            state: row.state,
            order_fees: PriceParts::of_order(&row.lines, currency),
            lines: row.lines.into_iter().map(|line| OrderLine::of(line, currency, named(configuration))).collect(),
            total: row.total.into(),
            expires_at: row.expires_at.into(),
            server_now: now.into(),
            event_version: row.event_version,
            current_event_version: configuration.map(|configuration| configuration.version),
        }
    }

    /// From the inventory alone: the row is not written yet.
    pub fn of_hold(event: EventId, hold: HoldView, configuration: &Configuration, now: EventTime) -> Self {
        Self {
            reference: OrderRef { event, order: hold.order },
            event,
            state: state_of(hold.state),
            order_fees: PriceParts::of_order(&hold.lines, hold.currency),
            lines: hold
                .lines
                .into_iter()
                .map(|line| OrderLine::of(line, hold.currency, named(Some(configuration))))
                .collect(),
            total: Price::new(hold.total_minor, hold.currency),
            expires_at: hold.expires_at.into(),
            server_now: now.into(),
            event_version: hold.version,
            current_event_version: Some(configuration.version),
        }
    }

    /// The inventory knows better than a row that lags behind when an unpaid order ends.
    pub fn corrected(mut self, hold: &HoldView) -> Self {
        self.expires_at = hold.expires_at.into();
        if matches!(self.state, OrderState::Pending | OrderState::Paying)
            && matches!(hold.state, HoldState::Released | HoldState::Expired)
        {
            self.state = OrderState::Cancelled;
        }
        self
    }
}

fn named(configuration: Option<&Configuration>) -> impl Fn(&Code) -> String {
    move |code| configuration.map_or_else(|| code.to_string(), |configuration| name_of(configuration, code))
}

/// What a hold without a row is worth as an order. Sold needs tickets, which come with the row.
fn state_of(state: HoldState) -> OrderState {
    match state {
        HoldState::Held => OrderState::Pending,
        HoldState::Sold => OrderState::Paid,
        HoldState::Released | HoldState::Expired | HoldState::Voided | HoldState::Refused => OrderState::Cancelled,
    }
}
