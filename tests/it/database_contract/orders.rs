//! Orders: one row from the facts, in whatever order and number they come.

use std::collections::HashSet;

use futures_util::future::join_all;
use onsale::{
    domain::{
        id::OrderRef,
        inventory::{
            fact::{FactKind, OrderFact},
            request::{ConfirmRefusal, HoldState, HoldView},
        },
        money::Currency,
        order::{HoldFact, OrderState},
    },
    stores::{
        database::{
            Database,
            orders::{self, Order},
        },
        error::StoreError,
    },
};
use rand::seq::SliceRandom as _;

use super::{
    Home,
    sample::{add_order, at, eur, fact, fan, open_payment, payment, payment_id, reference, two},
};
use crate::harness::new_event;

/// Held, extended, lapsed, taken again for payment 1; payment 2 came too late.
fn life(reference: OrderRef) -> Vec<OrderFact> {
    let kinds = [
        FactKind::Created,
        FactKind::Extended,
        FactKind::Expired,
        FactKind::Confirmed { payment: payment_id(1) },
        FactKind::ConfirmRefused { payment: payment_id(2), why: ConfirmRefusal::AlreadyPaid },
    ];
    kinds.into_iter().zip(1..).map(|(kind, number)| fact(reference, number, kind)).collect()
}

async fn stored(database: &Database, reference: OrderRef) -> Order {
    orders::by_reference(database, reference).await.expect("read").expect("there")
}

/// Without what tells how it came about.
fn content(order: Order) -> Order {
    Order { revision: 0, ..order }
}

fn hold(reference: OrderRef) -> HoldView {
    HoldView {
        order: reference.order,
        fan: fan(1),
        state: HoldState::Held,
        lines: two(),
        total_minor: 5_000,
        currency: Currency::EUR,
        expires_at: at(600_001),
        extended: false,
        version: 1,
        orphans: Vec::new(),
    }
}

#[tokio::test]
async fn facts_give_the_same_row_in_any_order_and_number() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let expected = {
            let reference = reference(event, 0);
            for fact in life(reference) {
                orders::apply_fact(&database, event, &fact).await.expect("apply");
            }
            stored(&database, reference).await
        };
        assert_eq!(expected.known.hold, HoldFact::Sold);
        assert_eq!(expected.state, OrderState::Paid, "ticketed only with its tickets");
        assert_eq!((expected.created_at, expected.updated_at), (at(1), at(5)));
        assert_eq!((expected.expires_at, expected.total, expected.revision), (at(600_005), eur(5_000), 5));

        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
        for n in 1..=40 {
            let reference = reference(event, n);
            let mut facts = [life(reference), life(reference)].concat();
            facts.shuffle(&mut random);
            if n % 2 == 0 {
                for fact in &facts {
                    orders::apply_fact(&database, event, fact).await.expect("apply");
                }
            } else {
                let facts: Vec<_> = facts.into_iter().map(|fact| (event, fact)).collect();
                orders::apply_facts(&database, &facts).await.expect("apply");
            }
            let found = stored(&database, reference).await;
            assert_eq!(content(found), Order { reference, ..content(expected.clone()) });
        }
    }
}

#[tokio::test]
async fn many_consumers_of_the_same_facts_lose_none() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let mut facts: Vec<_> = (1..=100).flat_map(|n| life(reference(event, n))).map(|fact| (event, fact)).collect();
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
        let mut tasks = Vec::new();
        for _ in 0..4 {
            facts.shuffle(&mut random);
            for batch in facts.chunks(90) {
                let (database, batch) = (database.clone(), batch.to_vec());
                tasks.push(tokio::spawn(async move { orders::apply_facts(&database, &batch).await }));
            }
        }
        for task in join_all(tasks).await {
            task.expect("task").expect("apply");
        }
        for n in 1..=100 {
            let order = stored(&database, reference(event, n)).await;
            assert_eq!((order.known.fact_number, order.known.hold), (5, HoldFact::Sold), "order {n}");
            assert_eq!((order.created_at, order.updated_at), (at(1), at(5)), "order {n}");
        }
    }
}

#[tokio::test]
async fn an_order_is_made_once_whoever_makes_it_first() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        let first = reference(event, 1);
        let tasks = (0..20).map(|_| {
            let database = database.clone();
            tokio::spawn(async move { orders::ensure(&database, event, &hold(first), at(3)).await })
        });
        for task in join_all(tasks).await {
            let order = task.expect("task").expect("ensure");
            assert_eq!((order.state, order.fan, order.revision), (OrderState::Pending, fan(1), 1));
            assert_eq!(order.lines, two());
        }
        orders::apply_fact(&database, event, &fact(first, 1, FactKind::Created)).await.expect("apply");
        let order = stored(&database, first).await;
        assert_eq!((order.known.fact_number, order.created_at), (1, at(1)), "the fact knows better when");

        let second = reference(event, 2);
        orders::apply_fact(&database, event, &fact(second, 2, FactKind::Released)).await.expect("apply");
        let order = orders::ensure(&database, event, &hold(second), at(9)).await.expect("ensure");
        assert_eq!(order.state, OrderState::Cancelled, "what is there stays");
    }
}

#[tokio::test]
async fn another_fans_order_is_not_there() {
    for home in Home::all().await {
        let database = home.open().await;
        let mine = reference(new_event(), 1);
        add_order(&database, mine, two()).await;
        assert!(orders::of_fan(&database, mine, fan(1)).await.expect("read").is_some());
        assert_eq!(orders::of_fan(&database, mine, fan(2)).await.expect("read"), None);
        assert_eq!(orders::of_fan(&database, reference(new_event(), 1), fan(1)).await.expect("read"), None);
        assert_eq!(orders::list(&database, fan(2), None, 10).await.expect("list").items, []);
    }
}

#[tokio::test]
async fn a_checkout_opens_an_order_that_can_be_paid_and_no_other() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        let open = async || {
            let mut write = database.begin().await?;
            let order = orders::open_checkout(&mut write, order, at(5)).await?;
            write.commit().await?;
            Ok::<_, StoreError>(order)
        };
        let refused = open().await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        add_order(&database, order, two()).await;
        assert_eq!(open().await.expect("open").state, OrderState::Paying);
        let again = open().await.expect("again");
        assert_eq!(again, stored(&database, order).await);

        open_payment(&database, &payment(1, order)).await;
        assert!(orders::decline(&database, order, payment_id(1), at(6)).await.expect("decline"));
        assert_eq!(stored(&database, order).await.state, OrderState::Pending);

        orders::apply_fact(&database, order.event, &fact(order, 2, FactKind::Expired)).await.expect("apply");
        let refused = open().await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn pages_give_each_order_once_also_while_others_are_made() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        for n in 1..=30 {
            let made = fact(reference(event, n), n as u64 / 7 + 1, FactKind::Created);
            orders::apply_fact(&database, event, &made).await.expect("apply");
        }
        let mut seen = HashSet::new();
        let mut cursor = None;
        for newcomer in 100.. {
            let page = orders::list(&database, fan(1), cursor.as_ref(), 4).await.expect("list");
            for order in &page.items {
                assert!(seen.insert(order.reference), "{} twice", order.reference);
            }
            let made = fact(reference(event, newcomer), 1_000, FactKind::Created);
            orders::apply_fact(&database, event, &made).await.expect("apply");
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        assert_eq!(seen, (1..=30).map(|n| reference(event, n)).collect());
    }
}
