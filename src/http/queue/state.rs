//! A fan's standing in a queue, as it is told by poll and by socket alike.
//!
//! Owns the fields and the tokens in them. The names in camel case are those of the first version of this service: its
//! clients read them still.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::notice::{NoticeBody, NoticeTold};
use crate::{
    actors::{connection::Update, waiting_room::Spot},
    domain::{
        claims::{AdmissionClaim, Confirmation, Kind, QueueTicketClaim},
        id::{EventId, FanId},
        inventory::{classes::Classes, configuration::Mode, request::Admission},
        queue::{Class, Conditions, Place, Standing, Tickets},
        time::EventTime,
    },
    http::{
        events::body::ModeBody,
        shapes::Timestamp,
        tokens::{Tokens, lives::QUEUE_TICKET_S, unix_now},
    },
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueState {
    pub state: StateName,
    pub mode: ModeBody,
    /// From 1; 0 when not waiting, and where nobody has a number.
    pub position_in_queue: usize,
    pub people_ahead_in_queue: usize,
    pub total_people_in_queue: usize,
    /// Seconds that half of those in this place wait less than, by the measured outflow; `null` when unknown,
    pub estimated_wait_time: Option<u64>,
    /// and that nine in ten of them wait less than.
    pub estimated_wait_p90: Option<u64>,
    /// Fans admitted a minute; `null` when unknown.
    pub outflow_per_min: Option<u32>,
    /// The admission token, or empty.
    #[schema(value_type = String)]
    pub accepted_token_id: Arc<str>,
    pub admission_expires_at: Option<Timestamp>,
    /// It has had its one extension.
    pub admission_extended: bool,
    /// Declared to need more time: turns are kept, and admissions last, twice as long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more_time: bool,
    /// Called: claim the admission until then.
    pub claim_by: Option<Timestamp>,
    /// Signed proof of the place, or empty. A socket or stream is told it once, and again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub queue_ticket: Option<Arc<str>>,
    /// When to ask again; a socket need not.
    pub poll_after_ms: u32,
    /// Known by a device: it has to be tied to an account before it can be called.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub account_needed: bool,
    /// Admission stands still; places are kept.
    pub paused: bool,
    /// The queue is being rebuilt after a loss: show the last `queueTicket` again, if `state` is `none` or the ticket has changed. Nobody
    /// is called and nobody has a number until that is over, within seconds; then numbers are counted anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rebuilding: bool,
    /// The sale is halted: nobody is let in and nothing new can be held; what there is stays.
    pub halted: bool,
    /// Whether there is a queue; below the event's threshold everybody is let through.
    pub engaged: bool,
    /// When the queue can be joined; `null` once it can,
    pub join_opens_at: Option<Timestamp>,
    /// and when the sale opens, to count down to.
    pub opens_at: Option<Timestamp>,
    /// What can still be had, all ticket types together, as far as quotas have room (`null` for a moment after a start),
    pub tickets_free: Option<u64>,
    /// and what is held and not paid, and so may come back.
    pub tickets_held: Option<u64>,
    /// Nothing is left and nothing can come back but by a refund.
    pub sold_out: bool,
    /// What all who wait are told by those who steer the event; `null`: nothing. A socket or stream is told it once, and again
    /// when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NoticeBody>)]
    pub notice: Option<Option<NoticeTold>>,
    /// The line in which the fan waits, by its code: one of the event's classes, `default`, or `front` for those whom an admin has
    /// put first. Positions count within it. Left out where the event has no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class: Option<String>,
    /// How many fans were moved in this queue by hand, ever.
    pub manual_moves: u64,
    pub server_now: Timestamp,
    /// Never falls within one connection.
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    Waiting,
    /// Takes part in the draw, which gives the place when the sale opens.
    Entered,
    /// At the front, and to be claimed.
    Called,
    Admitted,
    None,
}

/// Tells one fan's standings; signs each token once, so that a socket does not sign with every message.
pub struct Teller {
    tokens: Tokens,
    event: EventId,
    fan: FanId,
    /// What the admission token is bound to.
    key: Option<Confirmation>,
    more_time: bool,
    /// Of which place a ticket was told, if each is told once only.
    tickets_once: bool,
    told_ticket_of: Option<Place>,
    admission: Option<(Admission, Arc<str>)>,
    /// As last heard.
    total: usize,
}

impl Teller {
    pub fn new(tokens: Tokens, event: EventId, fan: FanId) -> Self {
        Self {
            tokens,
            event,
            fan,
            key: None,
            more_time: false,
            tickets_once: false,
            told_ticket_of: None,
            admission: None,
            total: 0,
        }
    }

    /// Its holder has to show this key.
    pub fn bound_to(mut self, key: Option<Confirmation>) -> Self {
        self.key = key;
        self
    }

    pub fn with_more_time(mut self, more_time: bool) -> Self {
        self.more_time = more_time;
        self
    }

    /// A ticket is half of a message, and does not change.
    pub fn telling_tickets_once(mut self) -> Self {
        self.tickets_once = true;
        self
    }

    /// Of this place, on the socket that this one stands for.
    pub fn having_told_ticket_of(mut self, place: Option<Place>) -> Self {
        self.told_ticket_of = place;
        self
    }

    pub fn told_ticket_of(&self) -> Option<Place> {
        self.told_ticket_of
    }

    /// How many wait, where it is known without a position.
    pub fn with_total(mut self, total: usize) -> Self {
        self.total = total;
        self
    }

    pub fn tell(&mut self, told: Update) -> QueueState {
        if let Some(position) = told.position {
            self.total = position.total;
        }
        let Conditions { mode, paused, engaged, hours, tickets, rebuilding, halted, .. } = told.conditions;
        let ahead_of_now = |at: EventTime| (at > told.server_now).then(|| at.into());
        let none = QueueState {
            state: StateName::None,
            mode: mode.into(),
            position_in_queue: 0,
            people_ahead_in_queue: 0,
            total_people_in_queue: self.total,
            estimated_wait_time: None,
            estimated_wait_p90: None,
            outflow_per_min: told.outflow_per_minute,
            accepted_token_id: Arc::default(),
            admission_expires_at: None,
            admission_extended: false,
            more_time: self.more_time,
            claim_by: None,
            queue_ticket: (!self.tickets_once).then(Arc::default),
            poll_after_ms: 5_000,
            account_needed: self.fan.is_device(),
            paused,
            rebuilding,
            halted,
            engaged,
            join_opens_at: ahead_of_now(hours.join_from),
            opens_at: ahead_of_now(hours.on_sale_at),
            tickets_free: tickets.map(|tickets| tickets.free),
            tickets_held: tickets.map(|tickets| tickets.held),
            sold_out: tickets == Some(Tickets::default()),
            notice: told.notice.map(|notice| notice.map(NoticeTold)),
            priority_class: priority_class(told.standing, &told.classes),
            manual_moves: told.manual_moves,
            server_now: told.server_now.into(),
            seq: told.seq,
        };
        match told.standing {
            Standing::NotHere => none,
            Standing::Waiting(place) => {
                let waiting = QueueState { state: StateName::Waiting, queue_ticket: self.ticket(place), ..none };
                match told.position.map(|position| position.spot) {
                    Some(Spot::Behind { ahead, wait }) => QueueState {
                        position_in_queue: ahead + 1,
                        people_ahead_in_queue: ahead,
                        estimated_wait_time: wait.map(|wait| wait.p50),
                        estimated_wait_p90: wait.map(|wait| wait.p90),
                        poll_after_ms: poll_after_ms(ahead, told.conditions),
                        ..waiting
                    },
                    Some(Spot::Entered) => QueueState { state: StateName::Entered, ..waiting },
                    Some(Spot::Anywhere | Spot::Unsettled) | None => waiting,
                }
            }
            Standing::Admitted(admission) => match admission.claim_by {
                Some(claim_by) => QueueState {
                    state: StateName::Called,
                    claim_by: Some(claim_by.into()),
                    estimated_wait_time: Some(0),
                    estimated_wait_p90: Some(0),
                    queue_ticket: self.ticket(admission.place),
                    poll_after_ms: 1_000,
                    ..none
                },
                None => QueueState {
                    state: StateName::Admitted,
                    accepted_token_id: self.admission(admission),
                    admission_expires_at: Some(admission.until.into()),
                    admission_extended: admission.extended,
                    estimated_wait_time: Some(0),
                    estimated_wait_p90: Some(0),
                    ..none
                },
            },
        }
    }

    fn ticket(&mut self, place: Place) -> Option<Arc<str>> {
        if self.tickets_once && self.told_ticket_of == Some(place) {
            return None;
        }
        self.told_ticket_of = Some(place);
        let claim = QueueTicketClaim { evt: self.event, plc: place };
        Some(self.tokens.sign(Kind::QueueTicket, self.fan, QUEUE_TICKET_S, claim).into())
    }

    fn admission(&mut self, admission: Admission) -> Arc<str> {
        if let Some((of, token)) = &self.admission
            && *of == admission
        {
            return token.clone();
        }
        let claim = AdmissionClaim { evt: self.event, plc: admission.place, cnf: self.key.clone() };
        let now_s = unix_now();
        // Rounded down: no token outlives the admission in the journal.
        let until_s = admission.until.0 / 1000;
        let token: Arc<str> = self.tokens.sign_until(Kind::Admission, self.fan, now_s, until_s, claim).into();
        self.admission = Some((admission, token.clone()));
        token
    }
}

fn priority_class(standing: Standing, classes: &Classes) -> Option<String> {
    match standing {
        Standing::Waiting(place) if place.class() != Class::DEFAULT || !classes.list.is_empty() => {
            Some(classes.code(place.class()).to_owned())
        }
        _ => None,
    }
}

/// Those at the front ask more often; nobody misses the claim window by asking as told.
fn poll_after_ms(ahead: usize, conditions: Conditions) -> u32 {
    match ahead {
        _ if conditions.paused || conditions.halted => 10_000,
        _ if conditions.mode == Mode::Passthrough || !conditions.engaged => 1_000,
        0..100 => 2_000,
        100..1_000 => 5_000,
        1_000..10_000 => 7_000,
        10_000..100_000 => 8_000,
        _ => 10_000,
    }
}
