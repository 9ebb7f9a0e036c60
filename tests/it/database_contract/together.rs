//! What many ask for at the same time is done together, and comes out as if each had asked alone: repeats, races and what can never
//! be done among them.

use std::{collections::HashSet, iter};

use futures_util::future::join_all;
use onsale::{
    domain::{
        id::{EventId, OrderRef},
        inventory::{
            fact::FactKind,
            request::{HoldState, HoldView, Line},
        },
        money::Currency,
        order::OrderState,
    },
    stores::{
        database::{
            Database, checks,
            idempotency::{self, Begun},
            ledger, mails,
            orders::{self, Settled},
            outbox,
            payments::{self, Payment, outstanding},
            sandbox::{self, Card, Decision, Said, Session},
            tickets,
            webhooks::{self, Received},
        },
        error::StoreError,
        provider::SessionRequest,
    },
};
use rand::seq::SliceRandom as _;
use uuid::Uuid;

use super::{
    Home,
    sample::{
        add_order, at, eur, fact, fan, open_payment, payment_for, payment_id, reference, seats, tickets as new_tickets,
        two,
    },
};
use crate::harness::new_event;

/// More than fit into one statement, fewer than into one transaction.
const MANY: u128 = 80;

/// An order with an open payment of the same number.
async fn checked_out(database: &Database, event: EventId, n: u128, lines: &[Line]) -> OrderRef {
    let order = reference(event, n);
    add_order(database, order, lines.to_vec()).await;
    open_payment(database, &payment_for(n, order, lines)).await;
    order
}

async fn is_sound(database: &Database, event: EventId) {
    assert_eq!(checks::unbalanced(database, event).await.expect("check"), []);
    assert_eq!(checks::miscounted(database, event).await.expect("check"), []);
    assert_eq!(checks::ticketed_without_sale(database, event).await.expect("check"), []);
    assert_eq!(checks::paid_twice(database, event).await.expect("check"), []);
    assert_eq!(checks::seats_sold_twice(database, event).await.expect("check"), []);
}

async fn state(database: &Database, order: OrderRef) -> OrderState {
    orders::by_reference(database, order).await.expect("read").expect("there").state
}

fn asked_for(payment: &Payment) -> SessionRequest {
    SessionRequest {
        key: payment.id,
        reference: payment.reference,
        amount: payment.amount,
        description: "Concert: 2 × Standing".into(),
        shop_url: "https://shop.example".into(),
        return_url: String::new(),
        at: payment.created_at,
        expires_at: at(600),
    }
}

#[tokio::test]
async fn money_for_many_orders_is_taken_in_once_each() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        for n in 0..MANY {
            checked_out(&database, event, n, &two()).await;
        }
        let receive = |message: String, told: Option<(OrderRef, u128)>| {
            let told = told.map(|(order, n)| (order, payment_id(n)));
            let database = &database;
            async move {
                webhooks::receive(database, ("sandbox", &message), ("order.payment-success", "{}"), told, at(40)).await
            }
        };
        let message = |n: u128| receive(format!("evt_{n}"), Some((reference(event, n), n)));
        message(7).await.expect("one that came before");
        let outcomes = join_all(
            (0..MANY)
                .map(message)
                .chain([message(3), receive("another".into(), Some((reference(event, 4), 4)))])
                .chain([receive("foreign".into(), Some((reference(event, 5), 6))), receive("decline".into(), None)]),
        )
        .await;
        let (each, others) = outcomes.split_at(MANY as usize);
        for (n, outcome) in each.iter().enumerate() {
            let expected = if n == 7 { Received::Already } else { Received::Now };
            assert!(matches!(outcome, Ok(received) if *received == expected), "{n}: {outcome:?}");
        }
        assert!(matches!(others[0], Ok(Received::Already)), "a repeat: {:?}", others[0]);
        assert!(matches!(others[1], Ok(Received::Now)), "another message of the same money: {:?}", others[1]);
        assert!(matches!(others[2], Err(StoreError::Conflict(_))), "another order's payment: {:?}", others[2]);
        assert!(matches!(others[3], Ok(Received::Now)), "no news of money: {:?}", others[3]);
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), MANY as u64 + 2);
        for n in 0..MANY {
            let order = reference(event, n);
            assert_eq!(state(&database, order).await, OrderState::Paid);
            assert_eq!(ledger::entries(&database, order).await.expect("entries").len(), 1, "booked once");
        }
    }
}

#[tokio::test]
async fn many_orders_are_settled_and_one_that_can_never_be_hurts_no_other() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        let seat = |n: u128| seats(&[&format!("A-{n}")]);
        for n in 0..MANY {
            let order = checked_out(&database, event, n, &seat(n)).await;
            // Of one the message is late: its payment is not captured yet.
            if n != 6 {
                let told = Some((order, payment_id(n)));
                let id = format!("evt_{n}");
                webhooks::receive(&database, ("sandbox", &id), ("order.payment-success", "{}"), told, at(40))
                    .await
                    .expect("received");
            }
        }
        // Sold before, to somebody else; and one that has gone meanwhile.
        let before = checked_out(&database, event, 100, &seat(9)).await;
        let sold = new_tickets(before, &seat(9));
        orders::settle(&database, before, payment_id(100), &seat(9), &sold, at(45)).await.expect("settle");
        orders::apply_fact(&database, event, &fact(reference(event, 11), 9, FactKind::Voided)).await.expect("void");
        let settle = |order: OrderRef, n: u128, lines: Vec<Line>| {
            let database = &database;
            async move {
                let tickets = new_tickets(order, &lines);
                orders::settle(database, order, payment_id(n), &lines, &tickets, at(50)).await
            }
        };
        let outcomes = join_all((0..MANY).map(|n| settle(reference(event, n), n, seat(n))).chain([
            settle(reference(event, 3), 3, seat(3)),
            settle(reference(event, 4), 5, seat(4)),
            settle(reference(event, 200), 1, seat(200)),
            settle(before, 100, seat(9)),
        ]))
        .await;
        let (each, others) = outcomes.split_at(MANY as usize);
        for (n, outcome) in each.iter().enumerate() {
            match n {
                9 => assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "a seat of another: {outcome:?}"),
                11 => assert!(matches!(outcome, Ok(Settled::Voided)), "{outcome:?}"),
                _ => assert!(matches!(outcome, Ok(Settled::Now)), "{n}: {outcome:?}"),
            }
        }
        assert!(matches!(others[0], Ok(Settled::Already)), "a repeat: {:?}", others[0]);
        assert!(matches!(others[1], Err(StoreError::Conflict(_))), "another's payment: {:?}", others[1]);
        assert!(matches!(others[2], Err(StoreError::Conflict(_))), "no such order: {:?}", others[2]);
        assert!(matches!(others[3], Ok(Settled::Already)), "settled before: {:?}", others[3]);
        assert_eq!(tickets::count_live(&database, event).await.expect("count"), MANY as u64 - 1);
        assert_eq!(tickets::of_order(&database, reference(event, 3)).await.expect("read").len(), 1);
        assert_eq!(state(&database, reference(event, 9)).await, OrderState::Paid, "its money waits");
        let mails = mails::due(&database, at(60), 500).await.expect("due");
        let distinct: HashSet<_> = mails.iter().map(|mail| mail.about.to_string()).collect();
        assert_eq!((mails.len(), distinct.len()), (MANY as usize - 1, MANY as usize - 1), "one mail each");
        is_sound(&database, event).await;
    }
}

#[tokio::test]
async fn a_batch_without_anything_unusual_settles_all_of_it() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        let orders: Vec<_> = (0..MANY).map(|n| (reference(event, n), n)).collect();
        for (order, n) in &orders {
            checked_out(&database, event, *n, &two()).await;
            let told = Some((*order, payment_id(*n)));
            let id = format!("evt_{n}");
            webhooks::receive(&database, ("sandbox", &id), ("order.payment-success", "{}"), told, at(40))
                .await
                .expect("received");
        }
        let all = orders.iter().map(|(order, n)| {
            let database = &database;
            async move {
                let tickets = new_tickets(*order, &two());
                orders::settle(database, *order, payment_id(*n), &two(), &tickets, at(50)).await
            }
        });
        assert!(join_all(all).await.iter().all(|outcome| matches!(outcome, Ok(Settled::Now))));
        for (order, _) in &orders {
            assert_eq!(state(&database, *order).await, OrderState::Ticketed);
            assert_eq!(tickets::of_order(&database, *order).await.expect("read").len(), 2);
        }
        is_sound(&database, event).await;
    }
}

#[tokio::test]
async fn facts_money_and_tickets_of_the_same_orders_come_at_the_same_time() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        for n in 0..MANY {
            checked_out(&database, event, n, &two()).await;
        }
        let life = |n: u128| {
            let kinds = [FactKind::Created, FactKind::Extended, FactKind::Confirmed { payment: payment_id(n) }];
            kinds.into_iter().zip(1..).map(move |(kind, number)| (event, fact(reference(event, n), number, kind)))
        };
        let mut facts: Vec<_> = (0..MANY).flat_map(life).collect();
        let mut told = Vec::new();
        for _ in 0..3 {
            facts.shuffle(&mut rand::rng());
            told.extend(facts.chunks(70).map(<[_]>::to_vec));
        }
        let told = told.into_iter().map(|facts| {
            let database = &database;
            async move { orders::apply_facts(database, &facts).await }
        });
        let paid = (0..MANY).chain(0..MANY).map(|n| {
            let (database, told) = (&database, Some((reference(event, n), payment_id(n))));
            async move {
                let id = format!("evt_{n}");
                webhooks::receive(database, ("sandbox", &id), ("order.payment-success", "{}"), told, at(40)).await
            }
        });
        let settled =
            (0..MANY).map(|n| {
                let (database, order) = (&database, reference(event, n));
                async move {
                    orders::settle(database, order, payment_id(n), &two(), &new_tickets(order, &two()), at(50)).await
                }
            });
        let (told, paid, settled) = tokio::join!(join_all(told), join_all(paid), join_all(settled));
        assert!(told.iter().all(Result::is_ok), "{told:?}");
        assert_eq!(paid.iter().filter(|one| matches!(one, Ok(Received::Now))).count(), MANY as usize, "{paid:?}");
        assert_eq!(paid.iter().filter(|one| matches!(one, Ok(Received::Already))).count(), MANY as usize, "{paid:?}");
        assert!(settled.iter().all(|one| matches!(one, Ok(Settled::Now))), "{settled:?}");
        for n in 0..MANY {
            let order = orders::by_reference(&database, reference(event, n)).await.expect("read").expect("there");
            assert_eq!((order.state, order.known.fact_number), (OrderState::Ticketed, 3), "order {n}");
        }
        assert_eq!(tickets::count_live(&database, event).await.expect("count"), 2 * MANY as u64);
        is_sound(&database, event).await;
    }
}

#[tokio::test]
async fn of_many_keys_each_is_begun_by_one() {
    for home in Home::all().await {
        let database = home.open().await;
        let begin = |key: String, body: &'static str| {
            let database = &database;
            async move { idempotency::begin(database, &key, body, at(1)).await.expect("begin") }
        };
        assert_eq!(begin("key-5".into(), "body").await, Begun::Yours { resumed: false });
        let keys = (0..MANY).map(|n| begin(format!("key-{n}"), "body"));
        let outcomes = join_all(keys.chain([begin("key-3".into(), "body"), begin("key-4".into(), "other")])).await;
        let (each, others) = outcomes.split_at(MANY as usize);
        for (n, outcome) in each.iter().enumerate() {
            let expected = if n == 5 { Begun::Running { since: at(1) } } else { Begun::Yours { resumed: false } };
            assert_eq!(*outcome, expected, "{n}");
        }
        assert_eq!(others, [Begun::Running { since: at(1) }, Begun::OtherBody]);
    }
}

#[tokio::test]
async fn many_checkouts_make_one_order_and_one_payment_each() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        let hold = |n: u128| HoldView {
            order: reference(event, n).order,
            fan: fan(1),
            state: HoldState::Held,
            lines: two(),
            total_minor: 5_000,
            currency: Currency::EUR,
            expires_at: at(600_001),
            extended: false,
            version: 1,
            orphans: Vec::new(),
        };
        add_order(&database, reference(event, 2), two()).await;
        let holds: Vec<_> = (0..MANY).chain([3]).map(hold).collect();
        let ensured = join_all(holds.iter().map(|hold| orders::ensure(&database, event, hold, at(7)))).await;
        for (order, hold) in ensured.into_iter().zip(&holds) {
            let order = order.expect("ensured");
            assert_eq!((order.reference.order, order.lines), (hold.order, two()));
        }
        // One is paid already, by a payment of before.
        let paid = payment_for(5, reference(event, 5), &two());
        open_payment(&database, &paid).await;
        let told = Some((paid.reference, paid.id));
        webhooks::receive(&database, ("sandbox", "evt"), ("order.payment-success", "{}"), told, at(8))
            .await
            .expect("paid");
        let open = |n: u128, order: u128| {
            let payment = payment_for(1_000 + n, reference(event, order), &two());
            let request = asked_for(&payment);
            outstanding::begin(&database, payment, request, at(60))
        };
        let opened = join_all((0..MANY).map(|n| open(n, n)).chain([open(500, 3)])).await;
        for (n, begun) in opened[..MANY as usize].iter().enumerate() {
            if n == 5 {
                assert!(matches!(begun, Err(StoreError::Conflict(_))), "{begun:?}");
                continue;
            }
            let begun = begun.as_ref().expect("open");
            assert_eq!(begun.payment, payment_for(1_000 + n as u128, reference(event, n as u128), &two()));
            assert_eq!((begun.request.clone(), begun.look_at), (Some(asked_for(&begun.payment)), at(60)));
        }
        let second = &opened.last().expect("the second of an order").as_ref().expect("open").payment;
        assert_eq!(second.id, payment_id(1_003), "the one that is open already");
        let found = join_all((0..MANY).map(|n| {
            let session = payment_for(1_000 + n, reference(event, n), &two()).provider_session;
            let database = &database;
            async move { payments::by_provider_session(database, "sandbox", &session).await.expect("read") }
        }))
        .await;
        assert!(found.iter().zip(0..).all(|(payment, n)| payment.is_none() == (n == 5)));
        let other = payments::by_provider_session(&database, "other", &second.provider_session).await;
        assert_eq!(other.expect("read"), None);
        let read = join_all((0..MANY + 2).map(|n| orders::by_reference(&database, reference(event, n)))).await;
        for (order, n) in read.into_iter().zip(0..) {
            assert_eq!(order.expect("read").map(|order| order.reference), (n < MANY).then(|| reference(event, n)));
        }
    }
}

#[tokio::test]
async fn the_sandbox_serves_many_fans_at_once() {
    use sandbox::State::{Cancelled, Open, Paid};
    for home in Home::all().await {
        let database = home.open().await;
        let session = |n: u128| Session {
            id: format!("s{n}"),
            reference: reference(new_event(), n),
            amount: eur(5_000),
            state: Open,
            card: sandbox::Card::Good,
            return_url: String::new(),
            created_at: at(0),
            updated_at: at(0),
        };
        let mut write = database.begin().await.expect("begin");
        for n in 0..MANY {
            sandbox::create(&mut write, &session(n)).await.expect("create");
        }
        write.commit().await.expect("commit");
        let cancelled = Decision { to: Cancelled, card: Card::Good, says: &[] };
        sandbox::decide(&database, "s9", cancelled, at(1)).await.expect("cancelled");
        let decide = |n: u128| {
            let database = &database;
            async move {
                let said = Said { body: format!("{n}"), at: at(5) };
                let decision = Decision { to: Paid, card: Card::Good, says: &[said] };
                sandbox::decide(database, &format!("s{n}"), decision, at(5)).await
            }
        };
        let outcomes = join_all((0..MANY).map(decide).chain([decide(3), decide(MANY)])).await;
        let (each, others) = outcomes.split_at(MANY as usize);
        for (n, outcome) in each.iter().enumerate() {
            match n {
                9 => assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{outcome:?}"),
                _ => assert!(matches!(outcome, Ok(true)), "{n}: {outcome:?}"),
            }
        }
        assert!(matches!(others[0], Ok(false)), "a repeat: {:?}", others[0]);
        assert!(matches!(others[1], Err(StoreError::Conflict(_))), "no such session: {:?}", others[1]);
        let read =
            join_all(
                (0..=MANY).map(|n| {
                    let database = &database;
                    async move {
                        sandbox::by_id(database, &format!("s{n}")).await.expect("read").map(|session| session.state)
                    }
                }),
            )
            .await;
        for (state, n) in read.into_iter().zip(0..) {
            let expected = if n == 9 { Cancelled } else { Paid };
            assert_eq!(state, (n < MANY).then_some(expected), "{n}");
        }
        let due = sandbox::due(&database, at(5), 100).await.expect("due");
        let bodies: HashSet<_> = due.iter().map(|webhook| webhook.body.clone()).collect();
        assert_eq!((due.len(), bodies.len()), (MANY as usize - 1, MANY as usize - 1), "one webhook for each decision");
        let told = due.iter().skip(1).chain(due.get(1));
        for delivered in join_all(told.map(|webhook| sandbox::delivered(&database, &webhook.id, at(9)))).await {
            delivered.expect("delivered");
        }
        assert_eq!(sandbox::due(&database, at(5), 100).await.expect("due"), due[..1]);
    }
}

#[tokio::test]
async fn many_messages_of_the_outbox_are_marked_and_done_and_no_others() {
    for home in Home::all().await {
        let database = home.open().await;
        let mut write = database.begin().await.expect("begin");
        for n in 0..MANY {
            outbox::push(&mut write, "order.test", "{}", at(n as u64)).await.expect("push");
        }
        write.commit().await.expect("commit");
        let ids: Vec<Uuid> =
            outbox::unsent(&database, 100).await.expect("read").iter().map(|message| message.id).collect();
        let (stays, goes) = ids.split_at(2);
        let with_a_stranger: Vec<Uuid> = goes.iter().copied().chain(iter::once(Uuid::now_v7())).collect();
        outbox::mark_sent(&database, &with_a_stranger, at(100)).await.expect("mark");
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), stays.len() as u64);
        assert_eq!(outbox::overdue(&database, at(101), 100).await.expect("read").len(), goes.len());
        outbox::done(&database, &with_a_stranger).await.expect("done");
        assert_eq!(outbox::overdue(&database, at(101), 100).await.expect("read"), []);
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), stays.len() as u64);
    }
}

#[tokio::test]
async fn facts_of_many_orders_are_written_over_whatever_others_wrote() {
    for home in Home::all().await {
        let (database, event) = (home.open().await, new_event());
        for n in 0..MANY {
            add_order(&database, reference(event, n), two()).await;
        }
        let sold: Vec<_> = (0..MANY)
            .map(|n| (event, fact(reference(event, n), 5, FactKind::Confirmed { payment: payment_id(n) })))
            .collect();
        let declare = (0..MANY).step_by(3).map(|n| {
            let database = &database;
            async move {
                let mut write = database.begin().await.expect("begin");
                let opened = orders::open_checkout(&mut write, reference(event, n), at(9)).await;
                if opened.is_ok() {
                    write.commit().await.expect("commit");
                }
            }
        });
        let (applied, _) = futures_util::join!(orders::apply_facts(&database, &sold), join_all(declare));
        applied.expect("applied");
        orders::apply_facts(&database, &sold).await.expect("a repeat");
        for n in 0..MANY {
            let order = orders::by_reference(&database, reference(event, n)).await.expect("read").expect("there");
            assert_eq!((order.state, order.known.fact_number), (OrderState::Paid, 5), "sold, and its tickets to come");
        }
    }
}
