//! The money is here: sell what is held, take it again if the hold lapsed, or refuse for good.
//!
//! The decision is one and for ever. The same payment always gets the same answer; an order that was refused once is
//! refused to every later payment; one that was sold is refused to every other payment, and stays sold.

use std::collections::BTreeSet;

use super::super::{
    Decision, Inventory,
    best::best,
    configuration::{Limits, MAX_PER_FAN, OrphanRule, SeatKind},
    entry::{Entry, EntryLine},
    orders::Lines,
    request::{Answer, BestAvailable, Confirm, ConfirmRefusal, HoldState, Line, Refusal},
    stock::Stock,
};
use crate::domain::{event::Phase, id::OrderId};

/// What the fan gets who has paid.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    These,
    OrOthers,
    Nothing,
}

impl Inventory {
    pub(super) fn decide_confirm(&self, confirm: &Confirm) -> Result<Decision, Refusal> {
        self.decide_paid(confirm, Taking::These)
    }

    /// Tells what was sold: it may be other seats.
    pub(super) fn decide_confirm_or_others(&self, confirm: &Confirm) -> Result<Decision, Refusal> {
        let Decision { entries, answer } = self.decide_paid(confirm, Taking::OrOthers)?;
        if answer != Answer::Confirmed {
            return Ok(Decision { entries, answer });
        }
        let lines = match (entries.first(), self.orders.get(confirm.order)) {
            (Some(Entry::Confirmed { taken_again: Some(lines), .. }), _) => self.public_lines(&Lines::of(lines)),
            (_, Some(record)) => self.public_lines(&record.lines),
            (_, None) => confirm.lines.clone(),
        };
        Ok(Decision { entries, answer: Answer::ConfirmedAs(lines) })
    }

    pub(super) fn decide_refuse_instrument(&self, confirm: &Confirm) -> Result<Decision, Refusal> {
        self.decide_paid(confirm, Taking::Nothing)
    }

    fn decide_paid(&self, confirm: &Confirm, taking: Taking) -> Result<Decision, Refusal> {
        let configuration = self.configuration.as_ref().ok_or(Refusal::UnknownOrder)?;
        let quantity = confirm.lines.iter().map(|line| line.quantity).fold(0, u32::saturating_add);
        let max = u32::from(MAX_PER_FAN);
        if quantity > max || confirm.lines.iter().any(|line| line.seats.len() > max as usize) {
            return Err(Refusal::Quantity { max });
        }
        let record = self.orders.get(confirm.order);
        if record.is_some_and(|record| record.fan != confirm.fan) {
            return Err(Refusal::UnknownOrder);
        }
        if let Some(why) = self.orders.refusal(confirm.order, confirm.payment) {
            return Ok(Decision::already(Answer::ConfirmRefused(why)));
        }
        if record.and_then(|record| record.payment()) == Some(confirm.payment) {
            return Ok(Decision::already(Answer::Confirmed));
        }
        let state = record.map(|record| record.state);
        let refused_before = self.orders.any_refusal(confirm.order);
        match (state, refused_before) {
            (Some(HoldState::Sold), _) => Ok(refuse(confirm, ConfirmRefusal::AlreadyPaid)),
            (Some(HoldState::Voided), _) => Ok(refuse(confirm, ConfirmRefusal::Voided)),
            (_, Some(why)) => Ok(refuse(confirm, why)),
            _ if configuration.phase == Phase::Cancelled => Ok(refuse(confirm, ConfirmRefusal::EventCancelled)),
            _ if taking == Taking::Nothing => Ok(refuse(confirm, ConfirmRefusal::InstrumentLimit)),
            (Some(HoldState::Held), _) => Ok(confirmed(confirm, None)),
            _ => Ok(self.take_again(confirm, configuration.limits, taking)),
        }
    }

    /// Respects stock, the fan's limit and the code's, nothing else: the fan was admitted, and has paid the frozen price.
    fn take_again(&self, confirm: &Confirm, limits: Limits, taking: Taking) -> Decision {
        let lines = match self.orders.get(confirm.order) {
            Some(record) => Some(record.lines.to_entry()),
            None => confirm.lines.iter().map(|line| self.line_paid_for(line)).collect(),
        };
        let lines = lines.filter(|lines| !lines.is_empty()).and_then(|lines| match self.is_free_again(&lines) {
            true => Some(lines),
            false if taking == Taking::OrOthers => self.others(&lines).filter(|others| {
                // They are other people's turn.
                self.is_free_again(others) && self.not_past_the_list(others).is_ok()
            }),
            false => None,
        });
        let Some(lines) = lines else { return refuse(confirm, ConfirmRefusal::Gone) };
        if !self.may_have_again(confirm.fan, &lines, limits) {
            return refuse(confirm, ConfirmRefusal::LimitReached);
        }
        if !self.codes_have_room(confirm.fan, &lines) {
            return refuse(confirm, ConfirmRefusal::CodeUsedUp);
        }
        confirmed(confirm, Some(lines))
    }

    /// For each ticket type of which a seat is gone the best seats, as many of them accessible as before.
    fn others(&self, lines: &[EntryLine]) -> Option<Vec<EntryLine>> {
        let mut others = lines.to_vec();
        let types: BTreeSet<u16> = lines.iter().map(|line| line.ticket_type).collect();
        for ticket_type in types {
            let before = lines.iter().filter(|line| line.ticket_type == ticket_type).flat_map(|line| &line.seats);
            let before: Vec<u32> = before.copied().collect();
            if before.iter().all(|&seat| self.is_seat_free_again(ticket_type, seat)) {
                continue;
            }
            let accessible = |&&seat: &&u32| self.seats.get(seat).is_some_and(|seat| seat.kind == SeatKind::Accessible);
            let wish = BestAvailable {
                ticket_type: self.stock.get(ticket_type)?.code.clone(),
                quantity: before.len() as u32,
                zone: None,
                accessible: before.iter().filter(accessible).count() as u32,
                together: false,
            };
            let mut seats = best(&self.seats, ticket_type, &wish, OrphanRule::Off)?.into_iter();
            for line in others.iter_mut().filter(|line| line.ticket_type == ticket_type) {
                line.seats = seats.by_ref().take(line.seats.len()).collect();
            }
        }
        Some(others)
    }

    fn is_seat_free_again(&self, ticket_type: u16, seat: u32) -> bool {
        self.seats.get(seat).is_some_and(|record| record.ticket_type == ticket_type && record.is_retakable())
    }

    /// `None` if there is no such stock any more.
    fn line_paid_for(&self, line: &Line) -> Option<EntryLine> {
        let (ticket_type, stock) = self.stock.offered(&line.ticket_type)?;
        let seats: Vec<u32> = line.seats.iter().map(|id| self.seats.find(id)).collect::<Option<_>>()?;
        let seats_wanted = if stock.seated { line.quantity as usize } else { 0 };
        if line.quantity == 0 || seats.len() != seats_wanted || line.unit_price_minor < 0 {
            return None;
        }
        let Line { quantity, unit_price_minor, breakdown, .. } = line.clone();
        Some(EntryLine { ticket_type, quantity, unit_price_minor, seats, breakdown })
    }

    fn is_free_again(&self, lines: &[EntryLine]) -> bool {
        let seats: Vec<u32> = lines.iter().flat_map(|line| &line.seats).copied().collect();
        let twice = seats.iter().enumerate().any(|(n, seat)| seats.iter().skip(n + 1).any(|other| other == seat));
        !twice
            && lines.iter().all(|line| line.seats.iter().all(|&seat| self.is_seat_free_again(line.ticket_type, seat)))
            && lines.iter().all(|line| is_sold_so(&self.stock, line))
            && self.stock.shortage(&self.portions(lines)).is_none()
    }

    pub(super) fn decide_void(&self, order: OrderId) -> Result<Decision, Refusal> {
        match self.orders.get(order).map(|record| record.state) {
            None => Err(Refusal::UnknownOrder),
            Some(HoldState::Sold) => Ok(Decision::one(Entry::Voided { order }, Answer::Voided)),
            Some(HoldState::Voided) => Ok(Decision::already(Answer::Voided)),
            Some(state) => Err(Refusal::NotSold { state }),
        }
    }
}

/// Whether the type is still sold the way the line has it: with seats or without.
fn is_sold_so(stock: &Stock, line: &EntryLine) -> bool {
    stock.get(line.ticket_type).is_some_and(|stock| stock.offered && stock.seated != line.seats.is_empty())
}

fn confirmed(confirm: &Confirm, taken_again: Option<Vec<EntryLine>>) -> Decision {
    let Confirm { order, payment, fan, .. } = *confirm;
    Decision::one(Entry::Confirmed { order, payment, fan, taken_again }, Answer::Confirmed)
}

fn refuse(confirm: &Confirm, why: ConfirmRefusal) -> Decision {
    let Confirm { order, payment, fan, .. } = *confirm;
    let entry = Entry::ConfirmRefused { order, payment, fan, lines: confirm.lines.clone(), why };
    Decision::one(entry, Answer::ConfirmRefused(why))
}
