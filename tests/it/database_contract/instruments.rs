//! A card's limit: of many orders at once those get their part that there is room for, on either database.

use futures_util::future::join_all;
use onsale::{
    domain::id::{EventId, PaymentId},
    stores::database::instruments::{self, Paid},
};

use super::{
    Home,
    sample::{at, reference},
};
use crate::harness::new_event;

#[tokio::test]
async fn of_many_orders_of_one_card_at_once_as_many_have_room_as_there_is_once_each() {
    for home in Home::all().await {
        let database = &home.open().await;
        let event = new_event();
        let paid = |event, n: u128, by: u128, tickets| Paid {
            payment: PaymentId::from_u128(event_number(event) + by),
            reference: reference(event, n),
            tickets,
        };
        let claim_by = |n: u128, by: u128, card: &'static str| async move {
            instruments::claim(database, paid(event, n, by, 2), card, 5, at(1)).await.expect("counted")
        };
        let claim = |n: u128| claim_by(n, n, "card");
        let claimed = join_all((1..=8).map(claim)).await;
        assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 2, "{claimed:?}");
        for (n, first) in (1..).zip(&claimed) {
            assert_eq!(claim(n).await, *first, "again: as before");
        }
        let other = instruments::claim(database, paid(event, 20, 20, 5), "another", 5, at(1)).await;
        assert!(other.expect("counted"), "each card has its own");
        let elsewhere = instruments::claim(database, paid(new_event(), 21, 21, 5), "card", 5, at(1)).await;
        assert!(elsewhere.expect("counted"), "at each event");
        let (n, _) = (1..).zip(&claimed).find(|(_, claimed)| **claimed).expect("two");
        let free = async |by: u128| instruments::free(database, paid(event, by, by, 0).payment).await.expect("freed");
        free(n).await;
        assert!(claim(30).await, "room again");

        // An order that is paid twice: by one card it counts once, and each card has bought what it paid for.
        assert!(claim_by(30, 31, "card").await, "of the same order");
        assert!(!claim(32).await);
        free(30).await;
        assert!(!claim(32).await, "by the second payment it is bought all the same");
        let third = instruments::claim(database, paid(event, 30, 33, 2), "another", 5, at(1)).await;
        assert!(!third.expect("counted"), "what another card has claimed gives this one no room");
    }
}

/// Other payments for each event.
fn event_number(event: EventId) -> u128 {
    event.as_u128() & !0xffff
}
