//! Tickets on their way to other seats, and what is said of their orders meanwhile.

use onsale::{
    domain::{
        code::SeatId,
        id::{EventId, OrderRef, TicketId},
        inventory::{
            fact::{FactKind, OrderFact},
            request::ConfirmRefusal,
        },
    },
    stores::database::{
        Database, checks,
        orders::{self, Change, NotReplaced, replace_ticket},
        seat_moves::{self, Places},
        tickets::{self, State, Ticket},
    },
};

use super::{
    Home,
    sample::{add_order, at, fact, open_payment, payment_for, payment_id, reference, seats, tickets as made},
};
use crate::harness::new_event;

fn seat(name: &str) -> SeatId {
    name.parse().expect("seat")
}

/// On the seats.
async fn sold(database: &Database, event: EventId) -> (OrderRef, Vec<Ticket>) {
    let (order, lines) = (reference(event, 1), seats(&["A-1", "A-2"]));
    add_order(database, order, lines.clone()).await;
    open_payment(database, &payment_for(1, order, &lines)).await;
    orders::settle(database, order, payment_id(1), &lines, &made(order, &lines), at(50)).await.expect("settle");
    (order, tickets::of_order(database, order).await.expect("read"))
}

async fn moved(database: &Database, ticket: TicketId, to: &SeatId) -> Result<Ticket, NotReplaced> {
    let issue = |_, position, _: Option<&SeatId>| (TicketId::from_u128(rand::random()), format!("code-{position}"));
    let mut write = database.begin().await.expect("begin");
    let new = replace_ticket(&mut write, (ticket, None), Change::Seat(to), &issue, at(60)).await.expect("done");
    if new.is_ok() {
        write.commit().await.expect("commit");
    }
    new
}

async fn keeps(database: &Database, order: OrderRef, without: Option<u32>) -> (Vec<SeatId>, u32) {
    let places = seat_moves::places(database, order, without).await.expect("read").expect("an order");
    let Places { lines, number } = places;
    (lines.into_iter().flat_map(|line| line.seats).collect(), number)
}

#[tokio::test]
async fn what_the_inventory_says_late_moves_no_ticket_back() {
    for home in Home::all().await {
        let database = home.open().await;
        let (order, stored) = sold(&database, new_event()).await;
        let begun = seat_moves::begin(&database, (order, stored[0].id, &seat("A-3")), at(70), at(55)).await;
        let begun = begun.expect("begun");
        assert_eq!(keeps(&database, order, None).await, (vec![seat("A-1"), seat("A-2"), seat("A-3")], 1), "all");
        moved(&database, stored[0].id, &seat("A-3")).await.expect("free");
        // That it was sold; and that other payments for it were refused, when it had one seat more, and one less.
        let sold = FactKind::Confirmed { payment: payment_id(1) };
        let again = FactKind::ConfirmRefused { payment: payment_id(2), why: ConfirmRefusal::AlreadyPaid };
        let told = [(2, sold, &["A-1", "A-2"][..]), (3, again, &["A-1", "A-2", "A-3"][..]), (4, again, &["A-2"][..])];
        for (number, what, names) in told {
            let told = OrderFact { lines: seats(names), total_minor: 27_000, ..fact(order, number, what) };
            orders::apply_fact(&database, order.event, &told).await.expect("apply");
            let row = orders::by_reference(&database, order).await.expect("read").expect("there");
            assert_eq!((row.lines, row.total.minor), (seats(&["A-3", "A-2"]), 5_000), "{what:?}");
            assert_eq!(keeps(&database, order, Some(begun.number)).await, (vec![seat("A-3"), seat("A-2")], 1));
        }
        assert_eq!(checks::miscounted(&database, order.event).await.expect("check"), []);
        database.close().await;
    }
}

#[tokio::test]
async fn no_ticket_moves_to_the_seat_of_another_one_of_its_order() {
    for home in Home::all().await {
        let database = home.open().await;
        let (order, stored) = sold(&database, new_event()).await;
        assert_eq!(moved(&database, stored[0].id, &seat("A-2")).await, Err(NotReplaced::SeatTaken));
        assert_eq!(tickets::of_order(&database, order).await.expect("read"), stored);
        let new = moved(&database, stored[0].id, &seat("A-1")).await.expect("its own");
        assert_eq!((new.seat, new.state), (Some(seat("A-1")), State::Live));
        database.close().await;
    }
}
