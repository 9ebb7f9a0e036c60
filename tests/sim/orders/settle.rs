//! A payment on its way from the bus into the books: the inventory decides, the database follows.

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::request::{Answer, Command, Confirm, ConfirmRefusal, Request},
    ledger::Entry,
    order::HoldFact,
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    orders::Settling,
    saga::Step,
    swarm::Fault,
    world::{Event, Told, World},
};

/// Whether the fan takes other seats where these are gone when the money comes.
pub fn takes_others(order: OrderId) -> bool {
    order.as_u128() % 2 == 1
}

impl World {
    /// Asks the inventory first: its decision is final.
    pub fn settle(&mut self, message: u64, payment: PaymentId, order: OrderId, row: u64) {
        let Some(of_order) = self.database.orders.get(&order) else { return self.again(message) };
        let (fan, lines) = (of_order.fan, of_order.lines.clone());
        let attempt = self.settling.get(&message).map_or(1, |settling| settling.attempt + 1);
        let mut asked = payment;
        if self.bug == Some(Bug::ConfirmUnderAnotherPayment) && attempt > 1 {
            asked = PaymentId::from_u128(payment.as_u128() + 16);
        }
        let Some(is_beyond) = self.is_beyond_card(payment, order) else { return self.again(message) };
        let confirm = Confirm { order, payment: asked, fan, lines };
        let carried = self.carry(Step::ConfirmAsked);
        let is_deaf = !carried.heard && !carried.arrivals.is_empty();
        self.settling.insert(message, Settling { payment, order, row, attempt, is_deaf });
        let command = match (is_beyond, takes_others(order)) {
            (true, _) => Command::RefuseInstrument(confirm),
            (false, true) => Command::ConfirmOrOthers(confirm),
            (false, false) => Command::Confirm(confirm),
        };
        let request = Request { identity: None, command };
        let node = self.lease.0;
        for late in carried.arrivals {
            let (delay, request) = (late + self.short_delay(), request.clone());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Settle(message) }));
        }
        self.later(3_000, Event::SettleTimeout { message, attempt });
        if self.bug == Some(Bug::AcknowledgeBeforeCommit) {
            self.broker.messages.remove(&message);
            self.database.outbox.remove(&row);
        }
    }

    pub fn settle_timeout(&mut self, message: u64, attempt: u64) {
        let same = self.settling.get(&message).is_some_and(|settling| settling.attempt == attempt);
        if same && self.broker.messages.contains_key(&message) {
            self.again(message);
        }
    }

    pub fn settle_answered(&mut self, message: u64, told: Told) {
        let Some(settling) = self.settling.get_mut(&message) else { return };
        if std::mem::take(&mut settling.is_deaf) {
            return;
        }
        let Settling { payment, order, row, .. } = *settling;
        let (outcome, lines) = match told {
            Told::Answer(Answer::Confirmed) => (HoldFact::Sold, None),
            Told::Answer(Answer::ConfirmedAs(lines)) => (HoldFact::Sold, Some(lines)),
            Told::Answer(Answer::ConfirmRefused(why)) => {
                self.saw_refusal(why);
                if !self.free_claim(payment) {
                    return self.again(message);
                }
                (HoldFact::Refused, None)
            }
            // Later: the timeout has it delivered again.
            _ => return,
        };
        let database = self.transaction();
        let write = |world: &mut Self| {
            let row = world.database.orders.get_mut(&order).filter(|row| !row.known.settled);
            if let (Some(lines), Some(row)) = (&lines, row) {
                row.lines.clone_from(lines);
            }
            world.write_settlement(payment, order, outcome);
        };
        let step = if outcome == HoldFact::Sold { Step::Settled } else { Step::ReturnBegun };
        let transaction = self.transact(step, database, write);
        self.trace.note(self.now, "settle", &[message, outcome as u64, transaction.done.into()]);
        if transaction.heard && !self.strikes(Fault::ConsumerCrashes) {
            self.settling.remove(&message);
            self.outbox_done(row);
            self.acknowledge(message, Step::PaymentAcknowledged);
        } else if self.broker.messages.contains_key(&message) {
            self.again(message);
        }
    }

    pub fn saw_refusal(&mut self, why: ConfirmRefusal) {
        self.saw(match why {
            ConfirmRefusal::Gone => "a late payment finds its stock gone",
            ConfirmRefusal::AlreadyPaid => "a second payment for one order is refused",
            ConfirmRefusal::LimitReached => "a late payment finds the fan's limit reached",
            ConfirmRefusal::EventCancelled => "a payment for a cancelled event is given back",
            ConfirmRefusal::InstrumentLimit => "a card has bought as many as it may",
            ConfirmRefusal::CodeUsedUp => "a late payment finds its code used up",
            ConfirmRefusal::Voided => "a late payment finds the order undone",
        });
    }

    /// One transaction: order, tickets, and whether money has to go back.
    pub fn write_settlement(&mut self, payment: PaymentId, order: OrderId, outcome: HoldFact) {
        let Some(row) = self.database.orders.get_mut(&order) else { return };
        let is_first = !row.known.settled;
        match outcome {
            HoldFact::Sold => row.known.settle(),
            // A second payment's refusal is none of the order's business.
            _ if matches!(row.known.hold, HoldFact::Sold | HoldFact::Voided) => {}
            _ => row.known.refuse(),
        }
        let (lines, total_minor) = (row.lines.clone(), row.total_minor);
        if outcome != HoldFact::Sold {
            return self.give_back(payment, order);
        }
        if is_first {
            self.database.book(order, Entry::Ticketed, total_minor);
        }
        let twice = self.bug == Some(Bug::ConsumerWithoutDeduplication);
        let first = if twice { 1 + self.database.live_tickets(order) as u32 } else { 1 };
        self.database.issue_tickets(order, &lines, first);
        self.enqueue_mail(order);
        self.check_one_ticket_a_seat();
        let refunds = self.database.refunds.iter().any(|row| row.order == order && row.payment == payment);
        if !refunds && self.script.is_none() && self.rng.percent(5) {
            let tickets = self.tickets_to_refund(order);
            self.refund_tickets(payment, order, tickets, true);
        }
    }
}
