//! A card's limit: of many orders at once those get their part that there is room for, on either database.

use futures_util::future::join_all;
use onsale::stores::database::instruments;

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
        let claim = |n: u128| async move {
            instruments::claim(database, (reference(event, n), 2), "card", 5, at(1)).await.expect("counted")
        };
        let claimed = join_all((1..=8).map(claim)).await;
        assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 2, "{claimed:?}");
        for (n, first) in (1..).zip(&claimed) {
            assert_eq!(claim(n).await, *first, "again: as before");
        }
        let other = instruments::claim(database, (reference(event, 20), 5), "another", 5, at(1)).await;
        assert!(other.expect("counted"), "each card has its own");
        let elsewhere = instruments::claim(database, (reference(new_event(), 21), 5), "card", 5, at(1)).await;
        assert!(elsewhere.expect("counted"), "at each event");
        let (n, _) = (1..).zip(&claimed).find(|(_, claimed)| **claimed).expect("two");
        instruments::free(database, reference(event, n)).await.expect("freed");
        assert!(claim(30).await, "room again");
    }
}
