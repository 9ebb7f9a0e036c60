//! A fan's standing in a queue, as it is told by poll and by socket alike.
//!
//! Owns the fields and the tokens in them. The names in camel case are those of the first version of this service: its
//! clients read them still.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::notice::{NoticeBody, NoticeTold};
use crate::{
    actors::{
        connection::Update,
        waiting_room::{Position, Spot},
    },
    domain::{
        claims::{AdmissionClaim, Kind, QueueTicketClaim},
        id::{EventId, FanId},
        inventory::{classes::Classes, configuration::Mode, notice::Notice, request::Admission},
        queue::{Class, Conditions, Place, Queue, Standing, Tickets},
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
    /// Of which place a ticket was told, if each is told once only.
    tickets_once: bool,
    told_ticket_of: Option<Place>,
    admission: Option<(Admission, Arc<str>)>,
    /// As last heard.
    total: usize,
}

/// What there is to tell.
#[derive(Debug, Clone)]
pub struct Told {
    pub standing: Standing,
    /// Of those who wait.
    pub position: Option<Position>,
    pub outflow_per_minute: Option<u32>,
    pub conditions: Conditions,
    /// `None`: as told before.
    pub notice: Option<Option<Arc<Notice>>>,
    pub classes: Arc<Classes>,
    pub manual_moves: u64,
    pub server_now: EventTime,
    pub seq: u64,
}

impl Told {
    pub fn of(standing: Standing, queue: &Queue, server_now: EventTime) -> Self {
        let position = match standing {
            Standing::Waiting(place) => Some(Position::of(place, queue)),
            Standing::Admitted(_) | Standing::NotHere => None,
        };
        let outflow_per_minute = queue.outflow.map(|outflow| outflow.per_minute);
        let (conditions, notice, seq) = (queue.conditions, Some(queue.notice.clone()), queue.at.0);
        let (classes, manual_moves) = (Arc::clone(&queue.classes), queue.manual_moves);
        Self { standing, position, outflow_per_minute, conditions, notice, classes, manual_moves, server_now, seq }
    }
}

impl From<Update> for Told {
    fn from(update: Update) -> Self {
        let Update {
            seq,
            server_now,
            standing,
            position,
            outflow_per_minute,
            conditions,
            notice,
            classes,
            manual_moves,
        } = update;
        Self { standing, position, outflow_per_minute, conditions, notice, classes, manual_moves, server_now, seq }
    }
}

impl Teller {
    pub fn new(tokens: Tokens, event: EventId, fan: FanId) -> Self {
        Self { tokens, event, fan, tickets_once: false, told_ticket_of: None, admission: None, total: 0 }
    }

    /// A ticket is half of a message, and does not change.
    pub fn telling_tickets_once(mut self) -> Self {
        self.tickets_once = true;
        self
    }

    /// How many wait, where it is known without a position.
    pub fn with_total(mut self, total: usize) -> Self {
        self.total = total;
        self
    }

    pub fn tell(&mut self, told: Told) -> QueueState {
        if let Some(position) = told.position {
            self.total = position.total;
        }
        let Conditions { mode, paused, engaged, hours, tickets, halted, .. } = told.conditions;
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
            claim_by: None,
            queue_ticket: (!self.tickets_once).then(Arc::default),
            poll_after_ms: 5_000,
            account_needed: self.fan.is_device(),
            paused,
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
                    Some(Spot::Anywhere) | None => waiting,
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
        let claim = AdmissionClaim { evt: self.event, plc: admission.place };
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::{
            keys::Schedule,
            queue::{Hours, Outflow, Ranks},
        },
        http::tokens::Lives,
        stores::{keys::ring::KeyRing, secret::RootSecret},
    };

    const SECRET: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";

    fn teller() -> (Teller, Tokens) {
        let keys = KeyRing::fixed(RootSecret::parse(SECRET).expect("secret"), Schedule::first());
        let tokens = Tokens::new(keys, "onsale", Lives { access_s: 900 });
        (Teller::new(tokens.clone(), EventId::from_u128(7), FanId::from_u128(9)), tokens)
    }

    fn queue(per_minute: Option<u32>) -> Queue {
        let places = [3, 5, 8].map(Place).to_vec();
        Queue {
            at: EventTime(1_000),
            ranks: Arc::new(Ranks::new(places)),
            newest: Place(8),
            outflow: per_minute.map(|per_minute| Outflow { per_minute, slowest: per_minute }),
            conditions: Conditions {
                engaged: true,
                tickets: Some(Tickets { free: 7, held: 2 }),
                hours: Hours { join_from: EventTime(1_000), on_sale_at: EventTime(3_000) },
                ..Conditions::default()
            },
            notice: None,
            classes: Arc::default(),
            manual_moves: 0,
            present: 2,
            admissions: 1,
            pace_percent: 100,
        }
    }

    fn told(standing: Standing, outflow_per_minute: Option<u32>) -> Told {
        Told::of(standing, &queue(outflow_per_minute), EventTime(2_000))
    }

    #[test]
    fn a_position_counts_from_one_and_people_who_left_do_not_count() {
        let (mut teller, _) = teller();
        for (place, position) in [(3, 1), (5, 2), (8, 3), (9, 4)] {
            let state = teller.tell(told(Standing::Waiting(Place(place)), Some(30)));
            assert_eq!(
                (state.state, state.position_in_queue, state.people_ahead_in_queue),
                (StateName::Waiting, position, position - 1)
            );
            assert_eq!(state.total_people_in_queue, position.max(3));
            assert_eq!(state.estimated_wait_time, Some(2 * position as u64));
        }
        assert_eq!(teller.tell(told(Standing::Waiting(Place(3)), None)).estimated_wait_time, None);
    }

    #[test]
    fn where_anybody_may_be_picked_only_the_total_is_told() {
        let (mut teller, _) = teller();
        let mut random = queue(Some(30));
        random.conditions.mode = Mode::Random;
        let state = teller.tell(Told::of(Standing::Waiting(Place(5)), &random, EventTime(2_000)));
        let numbers = (state.position_in_queue, state.people_ahead_in_queue, state.total_people_in_queue);
        assert_eq!((state.state, numbers, state.estimated_wait_time), (StateName::Waiting, (0, 0, 3), None));
        assert!(state.queue_ticket.is_some_and(|ticket| !ticket.is_empty()));
    }

    #[test]
    fn what_is_still_to_come_is_counted_down_to() {
        let (mut teller, _) = teller();
        let state = teller.tell(told(Standing::NotHere, None));
        assert_eq!((state.join_opens_at, state.opens_at), (None, Some(Timestamp(EventTime(3_000)))));
    }

    #[tokio::test]
    async fn tokens_are_of_their_kind_and_a_socket_is_told_a_ticket_once() {
        let (teller, tokens) = teller();
        let mut teller = teller.telling_tickets_once();
        let first = teller.tell(told(Standing::Waiting(Place(5)), None)).queue_ticket.expect("told");
        let again = teller.tell(told(Standing::Waiting(Place(5)), None));
        assert_eq!(again.queue_ticket, None);
        assert!(teller.tell(told(Standing::Waiting(Place(8)), None)).queue_ticket.is_some(), "another place");
        let claims = tokens.verify_queue_ticket(&first).await.expect("a queue ticket");
        assert_eq!((claims.sub, claims.about.plc), (FanId::from_u128(9), Place(5)));

        let until = EventTime((unix_now() + 60) * 1000 + 999);
        let admission = Admission { place: Place(5), fan: FanId::from_u128(9), claim_by: None, until, extended: false };
        let state = teller.tell(told(Standing::Admitted(admission), None));
        let claims = tokens.verify_admission(&state.accepted_token_id).await.expect("an admission token");
        let expected = (EventId::from_u128(7), Place(5), until.0 / 1000);
        assert_eq!((claims.about.evt, claims.about.plc, claims.exp), expected);
        assert!(tokens.verify_admission(&first).await.is_err());
    }

    #[test]
    fn a_notice_is_told_with_a_state_and_not_named_where_it_was_told_before() {
        let (mut teller, _) = teller();
        let texts = [("en".to_owned(), "Later.".to_owned())].into();
        let noticed = queue(None).with_notice(Some(Arc::new(Notice { version: 2, at: EventTime(1_500), texts })));
        let mut notice = |told| serde_json::to_value(teller.tell(told)).expect("plain values").get("notice").cloned();
        let polled = Told::of(Standing::NotHere, &noticed, EventTime(2_000));
        let expected = json!({"texts": {"en": "Later."}, "at": "1970-01-01T00:00:01.500Z"});
        assert_eq!(notice(polled.clone()), Some(expected));
        assert_eq!(notice(told(Standing::NotHere, None)), Some(Value::Null));
        assert_eq!(notice(Told { notice: None, ..polled }), None);
    }

    #[test]
    fn a_called_fan_gets_no_admission_token_before_claiming() {
        let (mut teller, _) = teller();
        let claim_by = Some(EventTime(9_000));
        let until = EventTime(99_000);
        let called = Admission { place: Place(5), fan: FanId::from_u128(9), claim_by, until, extended: false };
        let state = teller.tell(told(Standing::Admitted(called), None));
        assert_eq!((state.state, state.claim_by), (StateName::Called, Some(Timestamp(EventTime(9_000)))));
        assert!(state.accepted_token_id.is_empty());
    }

    #[test]
    fn the_fields_of_the_first_version_keep_their_names() {
        let (mut teller, _) = teller();
        let json = serde_json::to_value(teller.tell(told(Standing::NotHere, None))).expect("plain values");
        let names =
            ["positionInQueue", "peopleAheadInQueue", "totalPeopleInQueue", "estimatedWaitTime", "acceptedTokenId"];
        for name in names {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["acceptedTokenId"], "");
        assert_eq!(json["state"], "none");
    }
}
