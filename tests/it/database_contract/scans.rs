//! Scans at doors: one turn of a ticket is given once, whoever asks at the same time.

use futures_util::future::join_all;
use onsale::{
    domain::{
        door::{Direction, Outcome},
        id::{EventId, ScanId, TicketId},
    },
    stores::database::{
        orders,
        scans::{self, Counts, Read, Scan},
    },
};

use super::{
    Home,
    sample::{add_order, at, fan, open_payment, payment, payment_id, reference, tickets as new_tickets, two},
};
use crate::harness::new_event;

fn scan(id: u128, event: EventId, ticket: TicketId, direction: Direction) -> Scan {
    Scan {
        id: ScanId::from_u128(id),
        event,
        code: Read::Ticket(ticket),
        direction,
        force: None,
        offline: false,
        scanned_at: at(100),
        received_at: at(100),
        device: "north".into(),
        account: fan(9),
        reason: String::new(),
    }
}

#[tokio::test]
async fn i_30_of_many_scans_at_once_one_counts_and_a_repeat_is_answered_as_it_was() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let order = reference(event, 1);
        add_order(&database, order, two()).await;
        open_payment(&database, &payment(1, order)).await;
        let written = new_tickets(order, &two());
        orders::settle(&database, order, payment_id(1), &two(), &written, at(9)).await.expect("settled");

        let ticket = written[0].id;
        let at_once = join_all((1..=10).map(|id| {
            let scan = [scan(id, event, ticket, Direction::In)];
            let database = &database;
            async move { scans::record(database, &scan).await.expect("recorded").remove(0) }
        }))
        .await;
        let counted: Vec<_> = at_once.iter().filter(|one| one.scan.outcome == Outcome::Accepted).collect();
        assert_eq!(counted.len(), 1, "{at_once:?}");
        let refused = at_once.iter().find(|one| one.scan.outcome == Outcome::AlreadyInside).expect("nine");
        assert_eq!(refused.before.as_ref(), Some(&counted[0].scan));
        for one in [counted[0], refused] {
            let again = scan(one.scan.id.as_u128(), event, ticket, Direction::In);
            assert_eq!(scans::record(&database, &[again]).await.expect("recorded"), std::slice::from_ref(one));
        }

        let batch = [
            scan(11, event, ticket, Direction::Out),
            scan(12, event, ticket, Direction::In),
            scan(13, event, ticket, Direction::In),
        ];
        let answered = scans::record(&database, &batch).await.expect("recorded");
        let outcomes: Vec<_> = answered.iter().map(|one| (one.scan.turn, one.scan.outcome)).collect();
        let expected = [(Some(2), Outcome::Accepted), (Some(3), Outcome::Accepted), (None, Outcome::AlreadyInside)];
        assert_eq!(outcomes, expected);

        let counts = scans::counts(&database, order.event).await.expect("counted");
        assert_eq!(counts, Counts { live: 2, void: 0, entered: 1, inside: 1 });
        let listed = scans::tickets(&database, order.event, None, 10).await.expect("listed");
        let inside: Vec<_> =
            listed.items.iter().filter(|listed| listed.is_inside).map(|listed| listed.ticket).collect();
        assert_eq!((listed.items.len(), inside), (2, vec![ticket]));
        assert_eq!(scans::list(&database, order.event, false, None, 20).await.expect("listed").items.len(), 13);
        assert_eq!(scans::list(&database, order.event, true, None, 20).await.expect("listed").items, []);
    }
}
