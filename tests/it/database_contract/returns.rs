//! Tickets given back: against the door, the organizer and their holder's change of mind, whoever is first.

use futures_util::future::join_all;
use onsale::{
    domain::{
        door::{Direction, Outcome},
        id::{EventId, ScanId, TicketId},
        time::EventTime,
    },
    stores::{
        database::{
            Database, checks, orders,
            returns::{self, NotReturned, Offered, State},
            scans::{self, Read, Scan},
            tickets::{self, Ticket},
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{add_order, at, fan, open_payment, payment_for, payment_id, reference, tickets as made, two},
};
use crate::harness::new_event;

async fn sold(database: &Database, event: EventId, n: u128) -> Vec<Ticket> {
    let order = reference(event, n);
    add_order(database, order, two()).await;
    open_payment(database, &payment_for(n, order, &two())).await;
    let tickets = made(order, &two());
    orders::settle(database, order, payment_id(n), &two(), &tickets, at(50)).await.expect("settle");
    tickets::of_order(database, order).await.expect("read")
}

async fn offered(database: &Database, event: EventId, ticket: TicketId) -> Option<Offered> {
    let offered = returns::offered(database, event).await.expect("read");
    offered.into_iter().find(|offered| offered.ticket == ticket)
}

/// As the worker does.
async fn take(database: &Database, offered: &Offered) -> Result<Result<(), NotReturned>, StoreError> {
    let mut write = database.begin().await?;
    let taken = returns::take(&mut write, offered, at(60)).await?;
    if taken.is_ok() {
        write.commit().await?;
    }
    Ok(taken.map(drop))
}

async fn scan(database: &Database, event: EventId, ticket: TicketId) -> Outcome {
    let scan = Scan {
        id: ScanId::from_u128(rand::random()),
        event,
        code: Read::Ticket(ticket),
        direction: Direction::In,
        force: None,
        offline: false,
        scanned_at: at(100),
        received_at: at(100),
        device: "north".into(),
        account: fan(9),
        reason: String::new(),
    };
    scans::record(database, &[scan]).await.expect("recorded").remove(0).scan.outcome
}

async fn state(database: &Database, ticket: &Ticket) -> tickets::State {
    let tickets = tickets::of_order(database, ticket.reference).await.expect("read");
    tickets.into_iter().find(|other| other.id == ticket.id).expect("there").state
}

#[tokio::test]
async fn i_30_a_ticket_is_scanned_or_given_back_and_never_both() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let (mut entered, mut returned) = (0, 0);
        for n in 1..=20 {
            let ticket = sold(&database, event, n).await.remove(0);
            returns::put_up(&database, &ticket, at(55)).await.expect("asked").expect("may");
            let offered = offered(&database, event, ticket.id).await.expect("offered");
            let door = async { scan(&database, event, ticket.id).await };
            let worker = async {
                // Who was beaten by the door looks again, as the worker does.
                loop {
                    match take(&database, &offered).await {
                        Err(StoreError::Conflict(_)) => {}
                        taken => return taken.expect("answered"),
                    }
                }
            };
            let (outcome, taken) = tokio::join!(door, worker);
            match (outcome, taken, state(&database, &ticket).await) {
                (Outcome::Accepted, Err(NotReturned::Scanned), tickets::State::Live) => entered += 1,
                (Outcome::Void, Ok(()), tickets::State::Void) => returned += 1,
                other => unreachable!("{other:?}"),
            }
            let next = scan(&database, event, ticket.id).await;
            assert!(matches!(next, Outcome::AlreadyInside | Outcome::Void), "{next:?}");
        }
        println!("{entered} entered, {returned} were given back");
        assert_eq!(entered + returned, 20);
        let counts = scans::counts(&database, event).await.expect("counted");
        assert_eq!((counts.entered, counts.void), (entered, returned));
        for wrong in [checks::unbalanced(&database, event).await, checks::miscounted(&database, event).await] {
            assert_eq!(wrong.expect("check"), []);
        }
    }
}

#[tokio::test]
async fn of_many_who_take_a_ticket_one_does_and_who_withdrew_keeps_it() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let [first, second]: [Ticket; 2] = sold(&database, event, 1).await.try_into().expect("two");
        for ticket in [&first, &second] {
            for now in [55, 56] {
                returns::put_up(&database, ticket, at(now)).await.expect("asked").expect("may");
            }
        }
        assert_eq!(returns::offered_of(&database, fan(1)).await.expect("read").len(), 2);
        let offer = offered(&database, event, first.id).await.expect("offered");
        let taken = join_all((0..8).map(|_| take(&database, &offer))).await;
        let took = taken.iter().filter(|taken| matches!(taken, Ok(Ok(())))).count();
        assert_eq!(took, 1, "{taken:?}");
        assert_eq!(returns::withdraw(&database, first.id, at(61)).await.expect("asked"), Some(State::Taken));
        assert_eq!(returns::put_up(&database, &first, at(62)).await.expect("asked"), Err(NotReturned::Void));
        assert_eq!(returns::coming(&database, event).await.expect("read"), [(first.ticket_type.clone(), 1)]);

        let offer = offered(&database, event, second.id).await.expect("offered");
        assert_eq!(returns::withdraw(&database, second.id, at(63)).await.expect("asked"), Some(State::Wanted));
        assert_eq!(take(&database, &offer).await.expect("answered"), Err(NotReturned::Withdrawn));
        assert_eq!(state(&database, &second).await, tickets::State::Live);
        assert_eq!(returns::counts(&database, event).await.expect("counted"), (0, 1));
        // Offered anew, and scanned.
        returns::put_up(&database, &second, at(64)).await.expect("asked").expect("may");
        assert_eq!(scan(&database, event, second.id).await, Outcome::Accepted);
        let offer = offered(&database, event, second.id).await.expect("offered");
        assert_eq!(take(&database, &offer).await.expect("answered"), Err(NotReturned::Scanned));
        returns::void(&database, second.id, at(65)).await.expect("done");
        assert_eq!(returns::put_up(&database, &second, at(66)).await.expect("asked"), Err(NotReturned::Scanned));
        assert_eq!(returns::withdraw(&database, second.id, at(67)).await.expect("asked"), Some(State::Void));
    }
}

#[tokio::test]
async fn one_worker_at_a_time_looks_and_a_ticket_that_is_put_up_meanwhile_is_looked_at_soon() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let tickets = sold(&database, event, 1).await;
        returns::put_up(&database, &tickets[0], at(55)).await.expect("asked").expect("may");
        let due = async |now: u64| -> Vec<returns::Look> {
            let due = returns::due(&database, at(now), 10).await.expect("read");
            due.into_iter().filter(|look| look.event == event).collect()
        };
        assert_eq!(due(54).await, []);
        let look = due(55).await[0];
        let mine = returns::move_look(&database, look, at(90)).await.expect("moved").expect("mine");
        assert_eq!(returns::move_look(&database, look, at(91)).await.expect("asked"), None);
        assert_eq!(due(89).await, []);
        returns::put_up(&database, &tickets[1], at(60)).await.expect("asked").expect("may");
        assert_eq!(returns::move_look(&database, mine, EventTime(u64::MAX >> 8)).await.expect("asked"), None);
        assert_eq!(due(60).await.len(), 1);
    }
}
