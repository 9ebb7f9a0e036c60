//! The tickets' mail: written with them, taken by one sender for a while, sent, and what became of it recorded.

use std::mem;

use onsale::domain::{
    id::OrderId,
    retry::{Outcome, Retries, Verdict},
    time::{EventTime, Millis},
};

use crate::{
    bug::Bug,
    saga::Step,
    stores::database::{MailRow, MailState},
    world::{Event, World},
};

const RETRIES: Retries = Retries { first: Millis(1_000), longest: Millis(8_000) };
/// So long a mail is its sender's.
const HELD: Millis = Millis(10_000);
/// Longer than a run.
const TRIED_FOR: Millis = Millis::minutes(60 * 24);

impl World {
    /// One for each order. In the transaction of its tickets.
    pub fn enqueue_mail(&mut self, order: OrderId) {
        let (next_at, give_up_at) = (EventTime(self.now), EventTime(self.now) + TRIED_FOR);
        let row = MailRow { state: MailState::Waiting, attempts: 0, next_at, give_up_at };
        self.database.mails.entry(order).or_insert(row);
    }

    /// By dice of their own, so that a run is what it was before there were any.
    pub fn mails_due(&mut self) {
        mem::swap(&mut self.rng, &mut self.dice_of_mails);
        self.send_due();
        mem::swap(&mut self.rng, &mut self.dice_of_mails);
    }

    fn send_due(&mut self) {
        let now = EventTime(self.now);
        let is_due = |row: &MailRow| row.state == MailState::Waiting && row.next_at <= now;
        let mut due: Vec<(OrderId, u32)> =
            self.database.mails.iter().filter(|(_, row)| is_due(row)).map(|(id, row)| (*id, row.attempts)).collect();
        if self.bug == Some(Bug::ForgetTakenMail) {
            due.retain(|(_, attempts)| *attempts == 0);
        }
        for (order, attempts) in due {
            if self.take_mail(order, attempts) {
                self.send_mail(order, attempts + 1);
            }
        }
    }

    /// Whether it is this sender's.
    fn take_mail(&mut self, order: OrderId, attempts: u32) -> bool {
        let (database, until) = (self.transaction(), EventTime(self.now) + HELD);
        let mut is_mine = false;
        let taken = self.transact(Step::MailTaken, database, |world| {
            let row = world.database.mails.get_mut(&order).filter(|row| row.waits_after(attempts));
            is_mine = row.is_some();
            if let Some(row) = row {
                (row.attempts, row.next_at) = (attempts + 1, until);
            }
        });
        taken.heard && is_mine
    }

    fn send_mail(&mut self, order: OrderId, attempt: u32) {
        if attempt > 1 {
            self.saw("a mail is tried again");
        }
        // Written with what is true now.
        if self.database.live_tickets(order) == 0 {
            self.saw("a mail has no tickets to bring any more");
            return self.record_mail(order, attempt, Outcome::Refused);
        }
        if self.bug == Some(Bug::RecordMailBeforeSending) {
            self.record_mail(order, attempt, Outcome::Accepted);
        }
        if !self.healed() && self.rng.percent(self.extras.post_fails) {
            return self.record_mail(order, attempt, Outcome::Failed);
        }
        let carried = self.carry(Step::MailSent);
        for late in &carried.arrivals {
            match late {
                0 => self.mail_arrives(order),
                _ => self.later(*late, Event::Mail(order)),
            }
        }
        if !carried.crashed {
            self.record_mail(order, attempt, if carried.heard { Outcome::Accepted } else { Outcome::Failed });
        }
    }

    pub fn mail_arrives(&mut self, order: OrderId) {
        self.trace.note(self.now, "mail", &[order.as_u128() as u64]);
        self.mailbox.insert(order);
    }

    /// Nothing if another attempt has begun since.
    fn record_mail(&mut self, order: OrderId, attempt: u32, outcome: Outcome) {
        let (database, now) = (self.transaction(), EventTime(self.now));
        self.transact(Step::MailRecorded, database, |world| {
            let row = world.database.mails.get_mut(&order).filter(|row| row.waits_after(attempt));
            let Some(row) = row else { return };
            match RETRIES.judge(outcome, attempt, row.give_up_at, now) {
                Verdict::Done => row.state = MailState::Sent,
                Verdict::Again(next) => row.next_at = next,
                Verdict::GivenUp => row.state = MailState::Failed,
            }
        });
    }

    /// Whoever has tickets has a mail of them, and nobody else.
    pub fn audit_mails(&self, wrong: &mut Vec<String>) {
        for order in self.database.orders.keys() {
            let (live, all) = (self.database.live_tickets(*order), self.database.has_had_tickets(*order));
            let state = self.database.mails.get(order).map(|row| row.state);
            let arrived = self.mailbox.contains(order);
            let is_right = match state {
                None => !all && !arrived,
                Some(MailState::Sent) => all && arrived,
                Some(MailState::Failed) => all && live == 0,
                Some(MailState::Waiting) => false,
            };
            if !is_right {
                wrong.push(format!("I-15: the mail of {order} is {state:?}, has arrived: {arrived}, tickets: {live}"));
            }
        }
    }
}
