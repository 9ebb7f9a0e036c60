//! What is told of which standing.

use serde_json::{Value, json};

use super::*;
use crate::{
    actors::waiting_room::Position,
    domain::{
        inventory::notice::Notice,
        keys::Schedule,
        queue::{Hours, Outflow, Queue, Ranks},
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

fn whole(standing: Standing, queue: &Queue) -> Update {
    Update::of(standing, Position::of_standing(standing, queue), queue, EventTime(2_000))
}

fn told(standing: Standing, outflow_per_minute: Option<u32>) -> Update {
    whole(standing, &queue(outflow_per_minute))
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
    let state = teller.tell(whole(Standing::Waiting(Place(5)), &random));
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
    let polled = whole(Standing::NotHere, &noticed);
    let expected = json!({"texts": {"en": "Later."}, "at": "1970-01-01T00:00:01.500Z"});
    assert_eq!(notice(polled.clone()), Some(expected));
    assert_eq!(notice(told(Standing::NotHere, None)), Some(Value::Null));
    assert_eq!(notice(Update { notice: None, ..polled }), None);
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
    let names = ["positionInQueue", "peopleAheadInQueue", "totalPeopleInQueue", "estimatedWaitTime", "acceptedTokenId"];
    for name in names {
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!(json["acceptedTokenId"], "");
    assert_eq!(json["state"], "none");
}
