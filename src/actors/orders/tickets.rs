//! The tickets of a paid order.
//!
//! A ticket's id follows from its order and position, so that a settling repeated after a crash makes the same tickets.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    domain::{
        code::SeatId,
        id::{OrderRef, TicketId},
        money::Money,
        ticket::TicketCode,
        time::EventTime,
    },
    stores::{
        database::{
            orders::Order,
            tickets::{State, Ticket},
        },
        secret::TicketKey,
    },
};

/// One for each unit of each line, numbered from 1.
pub(super) fn of(order: &Order, key: &TicketKey, issued_at: EventTime) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for line in &order.lines {
        let price = Money { minor: line.unit_price_minor, currency: order.total.currency };
        for unit in 0..line.quantity {
            let position = u32::try_from(tickets.len()).map_or(u32::MAX, |made| made + 1);
            let seat = usize::try_from(unit).ok().and_then(|unit| line.seats.get(unit)).cloned();
            let id = id(order.reference, position);
            tickets.push(Ticket {
                id,
                reference: order.reference,
                fan: order.fan,
                position,
                ticket_type: line.ticket_type.clone(),
                rate: line.rate().cloned(),
                code: code(order.reference, id, seat.clone(), key),
                seat,
                price,
                state: State::Live,
                issued_at,
                holder: String::new(),
                replaced_by: None,
            });
        }
    }
    tickets
}

/// Id and code of the ticket of an order at this position.
pub fn issue(key: &TicketKey) -> impl Fn(OrderRef, u32, Option<&SeatId>) -> (TicketId, String) + Send + Sync {
    |reference, position, seat| {
        let id = id(reference, position);
        (id, code(reference, id, seat.cloned(), key))
    }
}

fn id(reference: OrderRef, position: u32) -> TicketId {
    let mut named = Vec::from(b"onsale ticket".as_slice());
    named.extend(reference.event.as_bytes());
    named.extend(reference.order.as_bytes());
    named.extend(position.to_be_bytes());
    let hash = digest(&SHA256, &named);
    let first = hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
    TicketId::from_u128(u128::from_be_bytes(*first))
}

fn code(reference: OrderRef, ticket: TicketId, seat: Option<SeatId>, key: &TicketKey) -> String {
    let code = TicketCode { key_id: key.id(), event: reference.event, ticket, seat };
    code.to_text(&key.sign(&code.signed_part()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            id::{EventId, FanId, OrderId},
            inventory::request::Line,
            keys::Generation,
            money::Currency,
            order::{Known, OrderState},
        },
        stores::secret::RootSecret,
    };

    fn order(lines: Vec<Line>) -> Order {
        Order {
            reference: OrderRef { event: EventId::from_u128(1), order: OrderId::from_u128(2) },
            fan: FanId::from_u128(3),
            state: OrderState::Paid,
            known: Known::default(),
            lines,
            total: Money { minor: 0, currency: Currency::EUR },
            event_version: 1,
            expires_at: EventTime(0),
            revision: 1,
            created_at: EventTime(0),
            updated_at: EventTime(0),
            takes_others: false,
        }
    }

    fn key() -> TicketKey {
        let secret =
            RootSecret::parse("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").expect("good");
        TicketKey::of(&secret, Generation::FIRST).pop().expect("one")
    }

    #[test]
    fn each_unit_of_each_line_gets_its_ticket_seat_and_verifiable_code() {
        let code = |text: &str| text.parse().expect("code");
        let line = |ticket_type: &str, quantity, unit_price_minor, seats: &[&str]| Line {
            ticket_type: code(ticket_type),
            quantity,
            unit_price_minor,
            breakdown: None,
            seats: seats.iter().map(|seat| code(seat)).collect(),
        };
        let order = order(vec![line("GA", 2, 100, &[]), line("VIP", 2, 900, &["A-1", "A-2"])]);
        let key = key();
        let tickets = of(&order, &key, EventTime(7));
        let seen: Vec<_> = tickets
            .iter()
            .map(|ticket| (ticket.position, ticket.price.minor, ticket.seat.as_ref().map(SeatId::as_str)))
            .collect();
        assert_eq!(seen, [(1, 100, None), (2, 100, None), (3, 900, Some("A-1")), (4, 900, Some("A-2"))]);
        for ticket in &tickets {
            let read = TicketCode::from_text(&ticket.code).expect("a code");
            assert!(key.verify(&read.signed, &read.signature));
            assert_eq!((read.code.ticket, &read.code.seat), (ticket.id, &ticket.seat));
        }
        let mut ids: Vec<_> = tickets.iter().map(|ticket| ticket.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        assert_eq!(of(&order, &key, EventTime(7)), tickets, "made again, they are the same");
    }
}
