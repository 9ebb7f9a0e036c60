//! What an organizer may send, and what is said about mistakes in it.

use serde_json::{Value, json};

use super::*;
use crate::domain::inventory::configuration::{QueueSettings, Stock};

fn concert() -> Value {
    json!({
        "title": "Concert", "category": "music", "venue": "Hall", "city": "Berlin", "time_zone": "Europe/Berlin",
        "starts_at": "2030-06-01T18:00:00Z", "ends_at": "2030-06-01T22:00:00Z", "doors_at": "2030-06-01T17:00:00Z",
        "on_sale_at": "2030-01-01T09:00:00Z", "currency": "EUR",
        "ticket_types": [
            {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 500, "quotas": ["hall"]},
            {"code": "VIP", "name": "Balcony", "price": {"minor": 9000, "currency": "EUR"}, "seated": true}],
        "quotas": [{"code": "hall", "capacity": 400}]
    })
}

fn event(value: Value) -> NewEvent {
    serde_json::from_value(value).expect("the shape is right")
}

#[test]
fn an_event_with_the_least_of_fields_gets_the_defaults() {
    let event = event(concert());
    event.validate(Shortest::NORMAL).expect("valid");
    let configuration = event.configuration();
    assert_eq!((configuration.version, configuration.phase), (1, Phase::Draft));
    assert_eq!(configuration.limits.hold_ttl, Millis::minutes(10));
    assert_eq!((configuration.limits.per_order, configuration.limits.per_fan), (4, 4));
    assert_eq!(configuration.queue.session, Millis::minutes(15));
    assert_eq!(configuration.ticket_types[0].stock, Stock::Quantity(500));
    assert_eq!(configuration.ticket_types[1].stock, Stock::Seats);
}

#[test]
fn every_field_out_of_its_limits_is_named() {
    let table: [(&str, Value, &str); 31] = [
        ("/title", json!(""), "title"),
        ("/title", json!("x".repeat(201)), "title"),
        ("/title", json!("a\nb"), "title"),
        ("/category", json!(" "), "category"),
        ("/venue", json!(""), "venue"),
        ("/city", json!("x".repeat(101)), "city"),
        ("/time_zone", json!("Mars/Olympus"), "time_zone"),
        ("/time_zone", json!(""), "time_zone"),
        ("/ends_at", json!("2030-06-01T18:00:00Z"), "ends_at"),
        ("/doors_at", json!("2030-06-01T18:00:01Z"), "doors_at"),
        ("/on_sale_at", json!("2030-06-01T23:00:00Z"), "on_sale_at"),
        ("/on_sale_at", json!("2030-06-01T19:00:00Z"), "sale_ends_at"),
        ("/sale_ends_at", json!("2030-01-01T09:00:00Z"), "sale_ends_at"),
        ("/sale_ends_at", json!("2030-06-02T09:00:00Z"), "sale_ends_at"),
        ("/age_limit", json!(100), "age_limit"),
        ("/currency", json!("USD"), "ticket_types[0].price.currency"),
        ("/ticket_types", json!([]), "ticket_types"),
        ("/ticket_types/1/code", json!("GA"), "ticket_types[1].code"),
        ("/ticket_types/0/name", json!(""), "ticket_types[0].name"),
        ("/ticket_types/0/price/minor", json!(-1), "ticket_types[0].price.minor"),
        ("/ticket_types/0/price/minor", json!(1_000_000_001), "ticket_types[0].price.minor"),
        ("/ticket_types/0/stock", json!(10_000_001), "ticket_types[0].stock"),
        ("/ticket_types/0/stock", json!(null), "ticket_types[0]"),
        ("/ticket_types/0/seated", json!(true), "ticket_types[0]"),
        ("/ticket_types/0/quotas", json!(["pit"]), "ticket_types[0].quotas"),
        ("/quotas", json!([{"code": "hall", "capacity": 1}, {"code": "hall", "capacity": 1}]), "quotas[1].code"),
        ("/limits", json!({"per_order": 21}), "limits.per_order"),
        ("/limits", json!({"per_fan": 0}), "limits.per_fan"),
        ("/limits", json!({"hold_seconds": 59}), "limits.hold_seconds"),
        ("/queue", json!({"slots": 0}), "queue.slots"),
        ("/queue", json!({"session_seconds": 59}), "queue.session_seconds"),
    ];
    for (pointer, value, field) in table {
        let mut body = concert();
        match body.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => {
                let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
                let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
                parent.insert(name.into(), value.clone());
            }
        }
        let errors = event(body).validate(Shortest::NORMAL).expect_err(field);
        assert_eq!(errors[0].field, field, "{pointer} = {value}: {errors:?}");
    }
}

#[test]
fn shapes_that_are_wrong_are_refused_before_any_limit() {
    for (name, value) in [
        ("status", json!("published")),
        ("version", json!(7)),
        ("organizer", json!("somebody")),
        ("age_limit", json!(-1)),
        ("age_limit", json!(300)),
        ("limits", json!({"per_order": 1.5})),
        ("limits", json!({"per_century": 1})),
        ("orphan_rule", json!("maybe")),
        ("starts_at", json!(17)),
        ("title", json!(null)),
    ] {
        let mut body = concert();
        body[name] = value.clone();
        assert!(serde_json::from_value::<NewEvent>(body).is_err(), "{name} = {value}");
    }
}

#[test]
fn a_change_touches_only_what_it_names_and_raises_the_version() {
    let mut body = concert();
    body["queue"] = json!({"rate_per_minute": 77});
    let event = event(body);
    let change: EventChange =
        serde_json::from_value(json!({"version": 1, "title": "New", "doors_at": null, "queue": {"slots": 9}}))
            .expect("shape");
    let (details, configuration) =
        change.applied(event.details(), event.configuration(), Shortest::NORMAL).expect("valid");
    assert_eq!(details, Details { title: "New".into(), doors_at: None, ..event.details() });
    let before = event.configuration();
    let queue = QueueSettings { slots: 9, ..before.queue };
    assert_eq!(configuration, Configuration { version: 2, queue, ..before });
}

#[test]
fn a_change_is_checked_against_what_stays() {
    for (change, field) in [
        (json!({"version": 1, "starts_at": "2031-01-01T00:00:00Z"}), "ends_at"),
        (json!({"version": 1, "quotas": []}), "ticket_types[0].quotas"),
        (json!({"version": 1, "sale_ends_at": "2029-01-01T00:00:00Z"}), "sale_ends_at"),
    ] {
        let event = event(concert());
        let change: EventChange = serde_json::from_value(change).expect("shape");
        let errors = change.applied(event.details(), event.configuration(), Shortest::NORMAL).expect_err(field);
        assert_eq!(errors[0].field, field, "{errors:?}");
    }
    for wrong in [
        json!({"title": "no version"}),
        json!({"version": 1, "currency": "USD"}),
        json!({"version": 1, "phase": "ended"}),
    ] {
        assert!(serde_json::from_value::<EventChange>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn shorter_times_are_taken_only_where_the_operator_allows_it() {
    let mut body = concert();
    body["limits"] = json!({"hold_seconds": 2});
    body["queue"] = json!({"session_seconds": 2, "claim_seconds": 1});
    let event = event(body);
    event.validate(Shortest::DEMO).expect("allowed for a demonstration");
    assert_eq!(event.validate(Shortest::NORMAL).expect_err("too short").len(), 3);
}
