//! Another ticket takes a ticket's place: the old one lets nobody in from then on, whatever was printed of it.
//!
//! Order and money are not touched by it. Takes the order's row first, as whatever revokes tickets does.

use serde::Serialize;

use super::{put, take};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{FanId, OrderRef, TicketId},
        order::OrderState,
        time::EventTime,
    },
    stores::{
        crash_point::Step,
        database::{
            Write, outbox,
            row::json,
            scans,
            tickets::{self, State, Ticket},
        },
        error::StoreError,
    },
};

/// What is different about the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Its code only: the old one was lost, or seen by others.
    Code,
    /// The name on it.
    Holder(&'a str),
    /// Whose it is.
    Fan(FanId),
    Seat(&'a SeatId),
}

impl Change<'_> {
    const fn why(self) -> &'static str {
        match self {
            Self::Code => "reissued",
            Self::Holder(_) => "renamed",
            Self::Fan(_) => "transferred",
            Self::Seat(_) => "moved",
        }
    }
}

/// A rule says no: nothing was done, and nothing may be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReplaced {
    NoSuchTicket,
    Void,
    /// Somebody came in with it.
    Used,
    /// By another ticket of its order.
    SeatTaken,
}

/// Makes id and signed code of an order's ticket at this position.
pub type Issue<'a> = &'a (dyn Fn(OrderRef, u32, Option<&SeatId>) -> (TicketId, String) + Send + Sync);

/// Of this fan, or whoever's. Counts when the transaction does.
pub async fn replace_ticket(
    write: &mut Write,
    (id, of): (TicketId, Option<FanId>),
    change: Change<'_>,
    issue: Issue<'_>,
    now: EventTime,
) -> Result<Result<Ticket, NotReplaced>, StoreError> {
    write.is_step(Step::TicketReplaced);
    let found = tickets::read(write, id).await?.filter(|ticket| of.is_none_or(|fan| ticket.fan == fan));
    let Some(found) = found else { return Ok(Err(NotReplaced::NoSuchTicket)) };
    let mut order = take(write, found.reference).await?;
    let old = tickets::read(write, id).await?.ok_or_else(|| StoreError::Corrupt("a ticket is gone".into()))?;
    if old.state != State::Live || order.state != OrderState::Ticketed {
        return Ok(Err(NotReplaced::Void));
    }
    if let Change::Seat(seat) = change {
        // The inventory knows only that the order has it.
        let live = tickets::live(write, old.reference).await?;
        if live.iter().any(|other| other.id != id && other.seat.as_ref() == Some(seat)) {
            return Ok(Err(NotReplaced::SeatTaken));
        }
    }
    let position = tickets::last_position(write, old.reference).await? + 1;
    let seat = match change {
        Change::Seat(seat) => Some(seat.clone()),
        _ => old.seat.clone(),
    };
    let (new_id, code) = issue(old.reference, position, seat.as_ref());
    // Whoever scans it at the same time is before this, or after it.
    if !tickets::replace(write, id, new_id).await? {
        return Ok(Err(NotReplaced::Void));
    }
    if scans::was_used(write, id).await? {
        return Ok(Err(NotReplaced::Used));
    }
    let new = Ticket {
        id: new_id,
        fan: if let Change::Fan(fan) = change { fan } else { old.fan },
        position,
        seat,
        code,
        issued_at: now,
        holder: match change {
            Change::Holder(name) => name.to_owned(),
            // The name was another person's.
            Change::Fan(_) => String::new(),
            Change::Code | Change::Seat(_) => old.holder.clone(),
        },
        ..old.clone()
    };
    tickets::add(write, &new).await?;
    if let (Change::Seat(to), Some(from)) = (change, &old.seat) {
        let of_type = |seat: &&mut SeatId| *seat == from;
        if let Some(seat) = order.lines.iter_mut().flat_map(|line| &mut line.seats).find(of_type) {
            seat.clone_from(to);
        }
        put(write, order, now).await?;
    }
    outbox::push(write, KEY, &news(&old, &new, change.why(), now), now).await?;
    Ok(Ok(new))
}

const KEY: &str = "ticket.replaced";

/// For whoever listens on the bus; without what lets anybody in.
fn news(old: &Ticket, new: &Ticket, why: &'static str, at: EventTime) -> String {
    json(&News {
        version: 1,
        reference: old.reference,
        ticket: old.id,
        by: new.id,
        fan: new.fan,
        ticket_type: &new.ticket_type,
        rate: new.rate.as_ref(),
        seat: new.seat.as_ref(),
        why,
        at,
    })
}

#[derive(Serialize)]
struct News<'a> {
    version: u8,
    reference: OrderRef,
    /// Void from now on.
    ticket: TicketId,
    by: TicketId,
    /// Whose the new one is.
    fan: FanId,
    ticket_type: &'a Code,
    rate: Option<&'a Code>,
    seat: Option<&'a SeatId>,
    why: &'static str,
    at: EventTime,
}
