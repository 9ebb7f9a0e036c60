//! `ticket.issued`, for whoever listens on the bus: all tickets of an order, without what lets anybody in.

use serde::Serialize;

use super::{Payment, Ticket};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{FanId, OrderRef, PaymentId, TicketId},
        money::Currency,
        time::EventTime,
    },
    stores::database::row::json,
};

pub(super) const KEY: &str = "ticket.issued";

#[derive(Serialize)]
struct News<'a> {
    version: u8,
    reference: OrderRef,
    fan: FanId,
    payment: PaymentId,
    currency: Currency,
    tickets: Vec<One<'a>>,
    at: EventTime,
}

#[derive(Serialize)]
struct One<'a> {
    ticket: TicketId,
    ticket_type: &'a Code,
    rate: Option<&'a Code>,
    seat: Option<&'a SeatId>,
    price_minor: i64,
}

pub(super) fn body(fan: FanId, paid: &Payment, tickets: &[Ticket], now: EventTime) -> String {
    let tickets = tickets.iter().map(|ticket| One {
        ticket: ticket.id,
        ticket_type: &ticket.ticket_type,
        rate: ticket.rate.as_ref(),
        seat: ticket.seat.as_ref(),
        price_minor: ticket.price.minor,
    });
    json(&News {
        version: 1,
        reference: paid.reference,
        fan,
        payment: paid.id,
        currency: paid.amount.currency,
        tickets: tickets.collect(),
        at: now,
    })
}
