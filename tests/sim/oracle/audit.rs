//! What must be true when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use onsale::{
    actors::inventory::recovery::fold,
    domain::{
        id::{FanId, OrderId},
        inventory::{
            Inventory,
            fact::{FactKind, OrderFact},
            request::HoldState,
        },
        ledger::Account,
        money::Currency,
        order::{HoldFact, Known, OrderState},
        time::EventTime,
    },
};

use crate::{
    stores::database::{MailState, PaymentState},
    world::{Event, World},
};

impl World {
    pub fn is_settled(&self) -> bool {
        self.unsettled().is_empty()
    }

    pub fn unsettled(&self) -> String {
        let busy: Vec<_> = self.fans.iter().filter(|fan| !fan.is_done()).map(|fan| fan.describe()).collect();
        let held = self.model.orders.values().filter(|order| order.state == HoldState::Held).count();
        let unpaid = self.provider.sessions.values().filter(|one| one.captured_minor == 0).count();
        let mails = self.database.mails.values().filter(|row| row.state == MailState::Waiting).count();
        let mut left = Vec::new();
        for (what, count) in [
            ("fans", busy.len()),
            ("held", held),
            ("messages", self.broker.messages.len()),
            ("webhooks", self.provider.webhooks.len()),
            ("rows in the outbox", self.database.outbox.len()),
            ("open orders", self.open_orders()),
            ("mails", mails),
            ("facts", (self.model.facts - self.journal.published.min(self.model.facts)) as usize),
        ] {
            if count > 0 {
                left.push(format!("{count} {what}"));
            }
        }
        // Money may still be on its way as long as an agenda holds it.
        if unpaid > 0 && self.is_paying() {
            left.push(format!("{unpaid} unpaid"));
        }
        if self.agenda_has(|event| matches!(event, Event::Act(_))) {
            left.push("the organizer".to_owned());
        }
        if !busy.is_empty() {
            left.push(busy.join("; "));
        }
        left.join(", ")
    }

    fn is_paying(&self) -> bool {
        self.agenda_has(|event| {
            matches!(event, Event::CheckOut { .. } | Event::Pay { .. } | Event::Paid { .. } | Event::Webhook(_))
        })
    }

    /// Everything has come to rest: the books must agree.
    pub fn audit(&mut self) {
        let mut wrong = Vec::new();
        self.audit_orders(&mut wrong);
        self.audit_facts(&mut wrong);
        self.audit_recovery(&mut wrong);
        self.audit_codes(&mut wrong);
        self.audit_claims(&mut wrong);
        self.audit_mails(&mut wrong);
        self.require(wrong.is_empty(), || wrong.join("\n"));
    }

    /// I-2, I-13, I-14, I-16, I-18, I-20.
    fn audit_orders(&mut self, wrong: &mut Vec<String>) {
        let mut money: BTreeMap<OrderId, (i64, i64)> = BTreeMap::new();
        for (payment, session) in &self.provider.sessions {
            let sums = money.entry(session.order).or_default();
            sums.0 += session.captured_minor;
            sums.1 += session.refunded_minor;
            if session.refunded_minor > session.captured_minor {
                wrong.push(format!("I-14: payment {payment} gives back more than it took: {session:?}"));
            }
        }
        wrong.extend(self.database.misbooked.clone());
        let mut refunded = BTreeSet::new();
        for (row, ticket) in self.database.refunds.iter().flat_map(|row| row.tickets.iter().map(move |one| (row, one)))
        {
            if !refunded.insert((row.order, ticket)) {
                wrong.push(format!("I-14: ticket {ticket} of {} is refunded twice", row.order));
            }
        }
        let mut situations = BTreeSet::new();
        for (id, order) in &self.model.orders {
            let (captured, refunded) = money.get(id).copied().unwrap_or_default();
            let kept = captured - refunded;
            let tickets = self.database.live_tickets(*id);
            let row = self.database.orders.get(id);
            let state = row.map(|row| row.known.state());
            // Its places may stay taken.
            let is_given_up = row.is_some_and(|row| row.known.given_up);
            let (sold, expected) = match order.state {
                HoldState::Sold if !is_given_up => (true, OrderState::Ticketed),
                _ if captured > 0 => (false, OrderState::Refunded),
                _ => (false, OrderState::Cancelled),
            };
            if state != Some(expected) {
                wrong.push(format!("I-15: order {id} is {:?} and {state:?}, not {expected:?}", order.state));
            }
            let (price, count) = if sold { (order.total_minor(), order.quantity() as usize) } else { (0, 0) };
            if kept != price {
                wrong.push(format!("I-13: order {id} ({:?}) costs {price}, {kept} is kept", order.state));
            }
            let books = self.database.books.get(id).copied().unwrap_or_default();
            let booked = Account::ALL.map(|account| books.of(account));
            if !books.balance() || booked != [captured, 0, price, 0, refunded] {
                wrong.push(format!("I-20: order {id} is booked as {booked:?}, {captured} came and {refunded} went"));
            }
            let seats = self.database.seats(*id);
            let of_order = if sold { self.model.seats_of_order(*id) } else { BTreeSet::new() };
            if seats != of_order {
                wrong.push(format!("I-2: order {id} has the seats {of_order:?}, its tickets {seats:?}"));
            }
            if tickets != count {
                wrong.push(format!("I-18: order {id} ({:?}) has {tickets} tickets of {count}", order.state));
            }
            match order.state {
                HoldState::Sold => situations.insert("a payment in time sells its hold"),
                HoldState::Expired => situations.insert("a hold runs out"),
                HoldState::Refused => situations.insert("a late payment is given back"),
                _ => false,
            };
        }
        situations.into_iter().for_each(|what| self.saw(what));
        let stuck = self.database.payments.iter().find(|(_, row)| row.state == PaymentState::Refunding);
        if let Some((payment, row)) = stuck {
            wrong.push(format!("I-15: payment {payment} of {} ({}) is never given back", row.order, row.amount_minor));
        }
        let mut seats = BTreeMap::new();
        for (id, seat) in self.database.tickets.iter().filter(|(id, _)| !self.database.voided.contains(id)) {
            if let Some(seat) = seat
                && let Some(other) = seats.insert(seat, id)
            {
                wrong.push(format!("I-2: seat {seat} is on the tickets {id:?} and {other:?}"));
            }
        }
    }

    /// I-17, I-18, I-19: every fact arrived, and the order in which they did makes no difference.
    fn audit_facts(&mut self, wrong: &mut Vec<String>) {
        if self.broker.contiguous() < self.model.facts {
            wrong.push(format!("I-19: {} facts, the bus had {}", self.model.facts, self.broker.contiguous()));
        }
        for (id, order) in &self.model.orders {
            let Some(row) = self.database.orders.get(id) else { continue };
            let mut facts = order.facts.clone();
            for _ in 0..4 {
                // Shuffled and some of them twice, from the same payments.
                for last in (1..facts.len()).rev() {
                    facts.swap(last, self.rng.below(last as u64 + 1) as usize);
                }
                let known = replay(*id, order.fan, &facts, row.known);
                if known.state() != row.known.state() || known.hold != row.known.hold {
                    wrong.push(format!("I-17: {id} is {:?}, and {:?} by {facts:?}", row.known, known));
                }
            }
        }
    }

    /// I-29: a second recovery is the same.
    fn audit_recovery(&mut self, wrong: &mut Vec<String>) {
        let recover = || fold(self.journal.recover()).map(|folded| folded.inventory.to_snapshot());
        match (recover(), recover()) {
            (Ok(first), Ok(second)) if first == second => {
                if let Err(error) = Inventory::from_snapshot(&first) {
                    wrong.push(format!("I-29: a snapshot cannot be read: {error}"));
                }
            }
            (first, _) => wrong.push(format!("I-29: two recoveries differ, or fail: {:?}", first.err())),
        }
    }
}

fn replay(order: OrderId, fan: FanId, facts: &[(u64, FactKind)], row: Known) -> Known {
    let mut known = Known { fact_number: 0, hold: HoldFact::default(), ..row };
    for &(number, what) in facts.iter().chain(facts.first()) {
        known.learn(&OrderFact {
            number,
            order,
            fan,
            at: EventTime(0),
            what,
            lines: Vec::new(),
            total_minor: 0,
            currency: Currency::EUR,
            expires_at: EventTime(0),
            version: 1,
        });
    }
    known
}
