//! Payments, and what the settling of one does: tickets, or money that goes back; never both, never neither.

use futures_util::future::join_all;
use onsale::{
    domain::{
        id::OrderRef,
        inventory::{fact::FactKind, request::ConfirmRefusal},
        order::OrderState,
        refund::RefundState,
        time::EventTime,
    },
    stores::{
        database::{
            Database, checks,
            orders::{self, Settled},
            payments::{self, State},
            refunds, tickets,
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{
        add_order, at, fact, fan, open_payment, payment, payment_for, payment_id, reference, seats,
        tickets as new_tickets, two,
    },
};
use crate::harness::new_event;

async fn order_state(database: &Database, reference: OrderRef) -> OrderState {
    orders::by_reference(database, reference).await.expect("read").expect("there").state
}

async fn payment_state(database: &Database, n: u128) -> State {
    payments::by_id(database, payment_id(n)).await.expect("read").expect("there").state
}

/// An order with an open payment.
async fn checked_out(database: &Database, reference: OrderRef, n: u128, names: &[&str]) {
    let lines = if names.is_empty() { two() } else { seats(names) };
    add_order(database, reference, lines.clone()).await;
    let payment = payment_for(n, reference, &lines);
    assert_eq!(open_payment(database, &payment).await, payment);
}

async fn settle(database: &Database, reference: OrderRef, n: u128, names: &[&str]) -> Result<Settled, StoreError> {
    let lines = if names.is_empty() { two() } else { seats(names) };
    let tickets = new_tickets(reference, &lines);
    orders::settle(database, reference, payment_id(n), &lines, &tickets, at(50)).await
}

async fn refuse(database: &Database, reference: OrderRef, n: u128, why: ConfirmRefusal) -> Result<(), StoreError> {
    orders::settle_refused(database, reference, payment_id(n), why, at(60)).await
}

/// The provider gives back whatever was begun.
pub async fn give_back_all(database: &Database, reference: OrderRef, now: EventTime) {
    for refund in refunds::of_order(database, reference).await.expect("read") {
        let mut write = database.begin().await.expect("begin");
        orders::advance_refund(&mut write, refund.key(), RefundState::Done, "", now).await.expect("done");
        write.commit().await.expect("commit");
    }
}

#[tokio::test]
async fn of_many_checkouts_of_one_order_one_payment_is_open() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        add_order(&database, order, two()).await;
        let tasks = (1..=20).map(|n| {
            let database = database.clone();
            tokio::spawn(async move { open_payment(&database, &payment(n, order)).await })
        });
        let opened: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect();
        assert!(opened.iter().all(|payment| *payment == opened[0]), "{opened:?}");
        let of_order = payments::of_order(&database, order).await.expect("read");
        assert_eq!(of_order, opened[..1]);
        let by_session =
            payments::by_provider_session(&database, "sandbox", &opened[0].provider_session).await.expect("read");
        assert_eq!(by_session.as_ref(), of_order.first());
        assert_eq!(payments::by_provider_session(&database, "other", "session-1").await.expect("read"), None);
    }
}

#[tokio::test]
async fn a_payment_moves_along_its_table_only() {
    use State::{Captured, Declined, Open, Refunded, Refunding};
    let all = [Open, Captured, Declined, Refunding, Refunded];
    let ways: [(State, &[State], &[State]); 5] = [
        (Open, &[], &[Captured, Declined]),
        (Declined, &[Declined], &[Captured]),
        (Captured, &[Captured], &[Refunding]),
        (Refunding, &[Captured, Refunding], &[Refunded]),
        (Refunded, &[Captured, Refunding, Refunded], &[]),
    ];
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let mut n = 0;
        for (from, way, onward) in ways {
            for to in all {
                n += 1;
                open_payment(&database, &payment(n, reference(event, n))).await;
                let mut write = database.begin().await.expect("begin");
                for step in way {
                    payments::set_state(&mut write, payment_id(n), *step, at(1)).await.expect("on the way");
                }
                let outcome = payments::set_state(&mut write, payment_id(n), to, at(2)).await;
                if to == from || onward.contains(&to) {
                    outcome.expect("allowed");
                    write.commit().await.expect("commit");
                    assert_eq!(payment_state(&database, n).await, to);
                } else {
                    assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{from:?} to {to:?}: {outcome:?}");
                }
            }
        }
        let mut write = database.begin().await.expect("begin");
        let nobody = payments::set_state(&mut write, payment_id(999), Captured, at(1)).await;
        assert!(matches!(nobody, Err(StoreError::Conflict(_))), "{nobody:?}");
    }
}

#[tokio::test]
async fn a_declined_payment_makes_room_for_another_and_a_captured_one_does_not() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &[]).await;
        let mut write = database.begin().await.expect("begin");
        payments::set_state(&mut write, payment_id(1), State::Declined, at(2)).await.expect("decline");
        write.commit().await.expect("commit");
        assert_eq!(open_payment(&database, &payment(2, order)).await.id, payment_id(2));
        assert_eq!(settle(&database, order, 2, &[]).await.expect("settle"), Settled::Now);
        let mut write = database.begin().await.expect("begin");
        let paid = payments::open(&mut write, &payment(3, order)).await;
        assert!(matches!(paid, Err(StoreError::Conflict(_))), "{paid:?}");
        let ids: Vec<_> = payments::of_order(&database, order).await.expect("read").iter().map(|p| p.id).collect();
        assert_eq!(ids, [payment_id(2), payment_id(1)], "newest first");
    }
}

#[tokio::test]
async fn many_that_settle_one_order_make_one_set_of_tickets() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &["A-1", "A-2", "A-3"]).await;
        let tasks = (0..20).map(|_| {
            let database = database.clone();
            tokio::spawn(async move { settle(&database, order, 1, &["A-1", "A-2", "A-3"]).await })
        });
        let outcomes: Vec<_> =
            join_all(tasks).await.into_iter().map(|task| task.expect("task").expect("settle")).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Settled::Now).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Settled::Already).count(), 19);

        let stored = tickets::of_order(&database, order).await.expect("read");
        let seats: Vec<_> = stored.iter().map(|ticket| ticket.seat.as_ref().map(ToString::to_string)).collect();
        assert_eq!(seats, [Some("A-1".into()), Some("A-2".into()), Some("A-3".into())]);
        assert_eq!(stored.iter().map(|ticket| ticket.position).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
        assert_eq!(payment_state(&database, 1).await, State::Captured);

        // The inventory's facts come later, in their own time.
        for (number, kind) in [(1, FactKind::Created), (2, FactKind::Confirmed { payment: payment_id(1) })] {
            orders::apply_fact(&database, order.event, &fact(order, number, kind)).await.expect("apply");
            assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
        }
    }
}

#[tokio::test]
async fn tickets_come_back_as_they_went_in_to_their_fan_only() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &[]).await;
        let written = new_tickets(order, &two());
        orders::settle(&database, order, payment_id(1), &two(), &written, at(50)).await.expect("settle");
        assert_eq!(tickets::of_order(&database, order).await.expect("read"), written);
        assert_eq!(tickets::of_fan(&database, written[0].id, fan(1)).await.expect("read"), Some(written[0].clone()));
        assert_eq!(tickets::of_fan(&database, written[0].id, fan(2)).await.expect("read"), None);
        assert_eq!(tickets::list(&database, fan(2), None, 10).await.expect("list").items, []);
        let first = tickets::list(&database, fan(1), None, 1).await.expect("list");
        assert_eq!(first.items, written[1..], "newest first");
        let second = tickets::list(&database, fan(1), first.next.as_ref(), 1).await.expect("list");
        assert_eq!((second.items.as_slice(), second.next), (&written[..1], None));
        assert_eq!(tickets::count_live(&database, order.event).await.expect("count"), 2);
    }
}

#[tokio::test]
async fn a_seat_is_on_one_live_ticket_whatever_else_fails() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let (first, second, elsewhere) = (reference(event, 1), reference(event, 2), reference(new_event(), 3));
        checked_out(&database, first, 1, &["A-1", "A-2"]).await;
        checked_out(&database, second, 2, &["A-9", "A-2"]).await;
        checked_out(&database, elsewhere, 3, &["A-2"]).await;
        settle(&database, first, 1, &["A-1", "A-2"]).await.expect("settle");
        let oversold = settle(&database, second, 2, &["A-9", "A-2"]).await;
        assert!(matches!(&oversold, Err(StoreError::Corrupt(what)) if what.contains("A-2")), "{oversold:?}");
        // Nothing of it was done.
        assert_eq!(tickets::of_order(&database, second).await.expect("read"), []);
        assert_eq!(order_state(&database, second).await, OrderState::Pending);
        assert_eq!(payment_state(&database, 2).await, State::Open);
        settle(&database, elsewhere, 3, &["A-2"]).await.expect("another event has a seat A-2 of its own");

        // Voided, the seat can be sold again.
        orders::apply_fact(&database, event, &fact(first, 9, FactKind::Voided)).await.expect("void");
        assert_eq!(order_state(&database, first).await, OrderState::Refunding);
        assert_eq!(tickets::count_live(&database, event).await.expect("count"), 0);
        settle(&database, second, 2, &["A-9", "A-2"]).await.expect("settle");
        assert_eq!(tickets::count_live(&database, event).await.expect("count"), 2);
        assert_eq!(checks::seats_sold_twice(&database, event).await.expect("check"), []);
    }
}

#[tokio::test]
async fn settling_needs_the_order_its_payment_and_the_tickets_of_its_lines() {
    for home in Home::all().await {
        let database = home.open().await;
        let (order, other) = (reference(new_event(), 1), reference(new_event(), 2));
        let nothing = settle(&database, order, 1, &[]).await;
        assert!(matches!(nothing, Err(StoreError::Conflict(_))), "no order: {nothing:?}");
        checked_out(&database, order, 1, &[]).await;
        checked_out(&database, other, 2, &[]).await;
        let foreign = settle(&database, order, 2, &[]).await;
        assert!(matches!(foreign, Err(StoreError::Conflict(_))), "another order's payment: {foreign:?}");
        let few =
            orders::settle(&database, order, payment_id(1), &two(), &new_tickets(order, &two())[..1], at(9)).await;
        assert!(matches!(few, Err(StoreError::Invalid(_))), "too few tickets: {few:?}");
        let outcome = refuse(&database, order, 2, ConfirmRefusal::Gone).await;
        assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{outcome:?}");
        let dear = settle(&database, order, 1, &["A-1"]).await;
        assert!(matches!(dear, Err(StoreError::Conflict(_))), "another price: {dear:?}");
        assert_eq!(order_state(&database, order).await, OrderState::Pending);
        assert_eq!(payment_state(&database, 1).await, State::Open);
        assert_eq!(tickets::of_order(&database, order).await.expect("read"), []);
    }
}

#[tokio::test]
async fn refused_money_goes_back_once() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &[]).await;
        for _ in 0..2 {
            refuse(&database, order, 1, ConfirmRefusal::Gone).await.expect("refuse");
            assert_eq!(order_state(&database, order).await, OrderState::Refunding);
            let waiting = refunds::due(&database, at(60), 10).await.expect("read");
            assert_eq!(waiting.iter().map(|refund| refund.payment).collect::<Vec<_>>(), [payment_id(1)]);
        }
        for _ in 0..2 {
            give_back_all(&database, order, at(70)).await;
            assert_eq!(order_state(&database, order).await, OrderState::Refunded);
            assert_eq!(refunds::due(&database, at(99), 10).await.expect("read"), []);
        }
        refuse(&database, order, 1, ConfirmRefusal::Gone).await.expect("a late repeat changes nothing");
        assert_eq!(order_state(&database, order).await, OrderState::Refunded);
        let late = settle(&database, order, 1, &[]).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "that money is gone: {late:?}");
    }
}

#[tokio::test]
async fn a_second_payment_goes_back_and_leaves_the_order_as_it_is() {
    for home in Home::all().await {
        let database = home.open().await;
        for second_first in [false, true] {
            let order = reference(new_event(), 1);
            let (one, two) = if second_first { (1, 2) } else { (3, 4) };
            checked_out(&database, order, one, &[]).await;
            // Given up by us, then paid all the same, while another was open.
            let mut write = database.begin().await.expect("begin");
            payments::set_state(&mut write, payment_id(one), State::Declined, at(2)).await.expect("decline");
            write.commit().await.expect("commit");
            open_payment(&database, &payment(two, order)).await;
            if !second_first {
                settle(&database, order, one, &[]).await.expect("settle");
            }
            refuse(&database, order, two, ConfirmRefusal::AlreadyPaid).await.expect("refuse");
            give_back_all(&database, order, at(70)).await;
            if second_first {
                assert_eq!(order_state(&database, order).await, OrderState::Pending);
                settle(&database, order, one, &[]).await.expect("settle");
            }
            assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
            assert_eq!(payment_state(&database, two).await, State::Refunded);
            let other = settle(&database, order, two, &[]).await.expect("it was captured, and is back");
            assert_eq!(other, Settled::Already);
            assert_eq!(tickets::of_order(&database, order).await.expect("read").len(), 2);
        }
    }
}

#[tokio::test]
async fn what_was_voided_before_it_was_settled_gets_no_tickets() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &[]).await;
        orders::apply_fact(&database, order.event, &fact(order, 9, FactKind::Voided)).await.expect("void");
        assert_eq!(settle(&database, order, 1, &[]).await.expect("settle"), Settled::Voided);
        assert_eq!(tickets::of_order(&database, order).await.expect("read"), []);
        assert_eq!(order_state(&database, order).await, OrderState::Refunding);
        assert_eq!(payment_state(&database, 1).await, State::Refunding);
        give_back_all(&database, order, at(70)).await;
        assert_eq!(order_state(&database, order).await, OrderState::Refunded);
    }
}

#[tokio::test]
async fn a_decline_closes_the_checkout_once_and_never_takes_money_away() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        checked_out(&database, order, 1, &[]).await;
        let open = async |n| {
            let mut write = database.begin().await.expect("begin");
            orders::open_checkout(&mut write, order, at(n)).await.expect("open");
            write.commit().await.expect("commit");
        };
        let decline = async |n| orders::decline(&database, order, payment_id(n), at(9)).await;
        open(5).await;
        assert!(decline(1).await.expect("decline"));
        assert_eq!(order_state(&database, order).await, OrderState::Pending);

        open_payment(&database, &payment(2, order)).await;
        open(6).await;
        assert!(!decline(1).await.expect("again"), "the message came twice");
        assert_eq!(order_state(&database, order).await, OrderState::Paying, "of the second payment");
        let unknown = decline(3).await;
        assert!(matches!(unknown, Err(StoreError::Conflict(_))), "{unknown:?}");

        settle(&database, order, 1, &[]).await.expect("the money of the first came after all");
        assert!(!decline(1).await.expect("too late"));
        assert_eq!(payment_state(&database, 1).await, State::Captured);
        assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
    }
}

#[tokio::test]
async fn money_and_decline_at_the_same_time_end_in_tickets() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        for n in 1..=50 {
            let order = reference(event, n);
            checked_out(&database, order, n, &[]).await;
            let (settled, declined) = tokio::join!(
                settle(&database, order, n, &[]),
                orders::decline(&database, order, payment_id(n), at(50))
            );
            assert_eq!(settled.expect("settle"), Settled::Now);
            declined.expect("whoever was first");
            assert_eq!(payment_state(&database, n).await, State::Captured);
            assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
        }
    }
}

#[tokio::test]
async fn a_race_that_was_lost_is_told_apart_from_a_way_that_is_not_there() {
    for home in Home::all().await {
        let database = home.open().await;
        open_payment(&database, &payment(1, reference(new_event(), 1))).await;
        let mut first = database.begin().await.expect("begin");
        payments::set_state(&mut first, payment_id(1), State::Declined, at(2)).await.expect("decline");
        let second = tokio::spawn({
            let database = database.clone();
            async move {
                let mut write = database.begin().await?;
                payments::set_state(&mut write, payment_id(1), State::Captured, at(3)).await?;
                write.commit().await
            }
        });
        home.until_one_waits_for_a_row_of_payments().await;
        first.commit().await.expect("commit");
        match second.await.expect("ran") {
            // SQLite lets one write after the other: there is no race to lose.
            Ok(()) => assert!(home.config.database.is_empty()),
            Err(lost) => assert!(matches!(lost, StoreError::Unavailable(_)), "{lost:?}"),
        }
    }
}
