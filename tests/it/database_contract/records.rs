//! Webhooks, the outbox, idempotency keys, the audit, the sandbox's books, and the checks.

use futures_util::future::join_all;
use onsale::{
    domain::{inventory::request::ConfirmRefusal, order::OrderState, time::EventTime},
    stores::{
        database::{
            Database,
            audit::{self, Act},
            checks,
            idempotency::{self, Begun},
            orders, outbox,
            sandbox::{self, Card, Decision, Said, Session},
            webhooks::{self, Received},
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{add_order, at, eur, fan, open_payment, payment_for, payment_id, reference, seats, tickets, two},
};
use crate::harness::new_event;

#[tokio::test]
async fn a_webhook_is_taken_in_once_with_what_follows_from_it() {
    for home in Home::all().await {
        let database = home.open().await;
        let receive = |provider: &'static str, id: &'static str| {
            let database = database.clone();
            async move { webhooks::receive(&database, (provider, id), ("order.payment-success", "{}"), None, at(1)).await }
        };
        let tasks = (0..20).map(|_| tokio::spawn(receive("sandbox", "evt_1")));
        let outcomes: Vec<_> =
            join_all(tasks).await.into_iter().map(|task| task.expect("task").expect("receive")).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Received::Now).count(), 1);
        assert_eq!(receive("other", "evt_1").await.expect("receive"), Received::Now, "another provider's id");
        assert_eq!(receive("sandbox", "' OR 1=1").await.expect("receive"), Received::Now);
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), 3);
    }
}

#[tokio::test]
async fn the_outbox_gives_what_was_not_sent_oldest_first_and_what_is_not_done() {
    for home in Home::all().await {
        let database = home.open().await;
        for n in 0..5 {
            let mut write = database.begin().await.expect("begin");
            outbox::push(&mut write, "order.test", &format!("{{\"n\":{n}}}"), at(n)).await.expect("push");
            write.commit().await.expect("commit");
        }
        let unsent = outbox::unsent(&database, 3).await.expect("read");
        assert_eq!(
            unsent.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(),
            ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]
        );
        assert_eq!((unsent[0].routing_key.as_str(), unsent[0].created_at), ("order.test", at(0)));
        let ids: Vec<_> = unsent.iter().take(2).map(|message| message.id).collect();
        outbox::mark_sent(&database, &ids, at(10)).await.expect("mark");
        assert_eq!(outbox::unsent(&database, 1).await.expect("read"), unsent[2..]);
        assert_eq!(outbox::count_unsent(&database).await.expect("count"), 3);
        assert_eq!(outbox::overdue(&database, at(10), 9).await.expect("read"), []);
        assert_eq!(outbox::overdue(&database, at(11), 9).await.expect("read"), unsent[..2]);
        outbox::mark_sent(&database, &ids[..1], at(20)).await.expect("again");
        outbox::done(&database, &ids[1..2]).await.expect("done");
        assert_eq!(outbox::overdue(&database, at(20), 9).await.expect("read"), []);
        assert_eq!(outbox::overdue(&database, at(21), 9).await.expect("read"), unsent[..1], "the last mark counts");
    }
}

async fn begin(database: &Database, body: &str, now: EventTime) -> Begun {
    idempotency::begin(database, "key", body, now).await.expect("begin")
}

async fn finish(database: &Database, response: &str) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    idempotency::finish(&mut write, "key", 201, response).await?;
    write.commit().await
}

#[tokio::test]
async fn of_many_with_one_key_one_works_and_the_others_get_its_answer() {
    for home in Home::all().await {
        let database = home.open().await;
        let contend = async |now: EventTime| -> Vec<Begun> {
            let tasks = (0..20).map(|_| {
                let database = database.clone();
                tokio::spawn(async move { begin(&database, "body", now).await })
            });
            join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect()
        };
        let count = |begun: &[Begun], expected: &Begun| begun.iter().filter(|begun| *begun == expected).count();

        let first = contend(at(0)).await;
        assert_eq!(count(&first, &Begun::Yours { resumed: false }), 1);
        assert_eq!(count(&first, &Begun::Running { since: at(0) }), 19);
        assert_eq!(begin(&database, "other", at(1)).await, Begun::OtherBody);
        assert_eq!(begin(&database, "body", at(59_999)).await, Begun::Running { since: at(0) });

        let resumed = contend(at(60_000)).await;
        assert_eq!(count(&resumed, &Begun::Yours { resumed: true }), 1);
        assert_eq!(count(&resumed, &Begun::Running { since: at(60_000) }), 19);

        finish(&database, "{\"a\":1}").await.expect("finish");
        let late = finish(&database, "{\"a\":2}").await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "the one that was slow: {late:?}");
        let done = Begun::Done { status: 201, response: "{\"a\":1}".into() };
        assert_eq!(begin(&database, "body", at(200_000)).await, done);
        assert_eq!(begin(&database, "other", at(200_000)).await, Begun::OtherBody);
        idempotency::abandon(&database, "key").await.expect("abandon");
        assert_eq!(begin(&database, "body", at(200_000)).await, done, "what is finished cannot be given up");
    }
}

#[tokio::test]
async fn a_key_that_is_handed_on_is_resumed_at_once_by_one_and_not_taken_from_that_one() {
    for home in Home::all().await {
        let database = home.open().await;
        let hand_on = async |began: EventTime| idempotency::hand_on(&database, "key", began).await.expect("handed on");
        let (first, second) = (at(70_000), at(70_001));
        assert_eq!(begin(&database, "body", first).await, Begun::Yours { resumed: false });
        hand_on(first).await;
        assert_eq!(begin(&database, "body", second).await, Begun::Yours { resumed: true });
        // Late: it is somebody else's.
        hand_on(first).await;
        assert_eq!(begin(&database, "body", at(70_002)).await, Begun::Running { since: second });
        finish(&database, "{}").await.expect("finish");
        hand_on(second).await;
        let done = Begun::Done { status: 201, response: "{}".into() };
        assert_eq!(begin(&database, "body", at(70_003)).await, done, "what is finished stays so");
    }
}

#[tokio::test]
async fn a_key_is_free_again_when_given_up_and_after_a_day() {
    for home in Home::all().await {
        let database = home.open().await;
        let free = Begun::Yours { resumed: false };
        assert_eq!(begin(&database, "body", at(0)).await, free);
        idempotency::abandon(&database, "key").await.expect("abandon");
        assert_eq!(begin(&database, "other", at(1)).await, free);
        finish(&database, "{}").await.expect("finish");
        let day = idempotency::KEPT;
        assert_eq!(idempotency::purge(&database, at(0) + day).await.expect("purge"), 0);
        assert!(matches!(begin(&database, "other", at(0) + day).await, Begun::Done { .. }));
        assert_eq!(begin(&database, "body", at(1) + day).await, free, "also when nobody has purged");
        assert_eq!(idempotency::purge(&database, at(1) + day + day).await.expect("purge"), 1);
        assert_eq!(begin(&database, "body", at(2)).await, free);
    }
}

#[tokio::test]
async fn a_key_finished_in_a_transaction_that_fails_is_not_finished() {
    for home in Home::all().await {
        let database = home.open().await;
        begin(&database, "body", at(0)).await;
        let mut write = database.begin().await.expect("begin");
        idempotency::finish(&mut write, "key", 201, "{}").await.expect("finish");
        drop(write);
        assert_eq!(begin(&database, "body", at(1)).await, Begun::Running { since: at(0) });
    }
}

#[tokio::test]
async fn acts_are_listed_newest_first_and_an_act_undone_leaves_no_row() {
    for home in Home::all().await {
        let database = home.open().await;
        let act = |n: u64| Act {
            at: at(n / 3),
            account: n.is_multiple_of(2).then(|| fan(1)),
            role: "admin".into(),
            address: "127.0.0.1".into(),
            action: "account.roles".into(),
            object: format!("'; DELETE FROM audit; -- {n}"),
            reason: "because".into(),
            request_id: "r-1".into(),
        };
        for n in 0..10 {
            let mut write = database.begin().await.expect("begin");
            audit::append(&mut write, &act(n)).await.expect("append");
            if n != 5 {
                write.commit().await.expect("commit");
            }
        }
        let mut acts = Vec::new();
        let mut cursor = None;
        loop {
            let page = audit::list(&database, cursor.as_ref(), 4).await.expect("list");
            acts.extend(page.items);
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        assert_eq!(acts, [9, 8, 7, 6, 4, 3, 2, 1, 0].map(act));
    }
}

#[tokio::test]
async fn the_sandbox_decides_a_session_once_and_delivers_until_it_is_told() {
    use sandbox::State::{Cancelled, Declined, Open, Paid, Refunded};
    fn decision(to: sandbox::State, says: &[Said]) -> Decision<'_> {
        Decision { to, card: Card::Good, says }
    }
    for home in Home::all().await {
        let database = home.open().await;
        let session = |id: &str| Session {
            id: id.into(),
            reference: reference(new_event(), 1),
            amount: eur(5_000),
            state: Open,
            card: sandbox::Card::Good,
            return_url: "https://shop.example.org/?a=%".into(),
            created_at: at(0),
            updated_at: at(0),
        };
        let (first, second) = (session("s1"), session("s2"));
        let mut write = database.begin().await.expect("begin");
        for session in [&first, &second, &first] {
            sandbox::create(&mut write, session).await.expect("create");
        }
        write.commit().await.expect("commit");
        assert_eq!(sandbox::by_id(&database, "s1").await.expect("read"), Some(first));
        assert_eq!(sandbox::by_id(&database, "s3").await.expect("read"), None);

        let tasks = (0..20).map(|n| {
            let database = database.clone();
            let to = if n % 2 == 0 { Paid } else { Declined };
            let said = Said { body: format!("{{\"n\": {n}}}"), at: at(5) };
            tokio::spawn(async move { (to, sandbox::decide(&database, "s1", decision(to, &[said]), at(5)).await) })
        });
        let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect();
        let decided: Vec<_> = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Ok(true))).collect();
        assert_eq!(decided.len(), 1);
        for (to, outcome) in &outcomes {
            let is_same = *to == decided[0].0;
            assert!(matches!((outcome, is_same), (Ok(_), true) | (Err(StoreError::Conflict(_)), false)), "{outcome:?}");
        }
        assert_eq!(sandbox::due(&database, at(4), 10).await.expect("due"), []);
        let due = sandbox::due(&database, at(5), 10).await.expect("due");
        assert_eq!(due.len(), 1, "one decision, one webhook");

        sandbox::deliver_later(&database, &due[0].id, at(1_000)).await.expect("later");
        assert_eq!(sandbox::due(&database, at(999), 10).await.expect("due"), []);
        let due = sandbox::due(&database, at(1_000), 10).await.expect("due");
        assert_eq!(due[0].attempts, 1);
        sandbox::delivered(&database, &due[0].id, at(1_001)).await.expect("delivered");
        assert_eq!(sandbox::due(&database, at(9_999), 10).await.expect("due"), []);

        for (to, may) in [(Refunded, false), (Cancelled, true), (Cancelled, true), (Paid, false), (Open, false)] {
            let outcome = sandbox::decide(&database, "s2", decision(to, &[]), at(6)).await;
            assert!(
                matches!((&outcome, may), (Ok(_), true) | (Err(StoreError::Conflict(_)), false)),
                "{to:?}: {outcome:?}"
            );
        }
        let nobody = sandbox::decide(&database, "s3", decision(Paid, &[]), at(6)).await;
        assert!(matches!(nobody, Err(StoreError::Conflict(_))), "{nobody:?}");
    }
}

#[tokio::test]
async fn the_checks_are_silent_about_a_clean_event_and_find_what_is_wrong() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        for n in 1..=4 {
            let order = reference(event, n);
            let names = [format!("A-{n}"), format!("B-{n}")];
            let lines = seats(&names.each_ref().map(String::as_str));
            add_order(&database, order, lines.clone()).await;
            open_payment(&database, &payment_for(n, order, &lines)).await;
            match n {
                1 | 2 => {
                    let tickets = tickets(order, &lines);
                    orders::settle(&database, order, payment_id(n), &lines, &tickets, at(9)).await.expect("settle");
                }
                3 => orders::settle_refused(&database, order, payment_id(n), ConfirmRefusal::Gone, at(9))
                    .await
                    .expect("refuse"),
                _ => {}
            }
        }
        add_order(&database, reference(new_event(), 5), two()).await;

        let mut states = checks::orders_by_state(&database, event).await.expect("check");
        states.sort();
        assert_eq!(states, [(OrderState::Pending, 1), (OrderState::Ticketed, 2), (OrderState::Refunding, 1)]);
        let wrong = async || {
            (
                checks::seats_sold_twice(&database, event).await.expect("check"),
                checks::ticketed_without_sale(&database, event).await.expect("check"),
                checks::miscounted(&database, event).await.expect("check"),
                checks::paid_twice(&database, event).await.expect("check"),
                checks::unbalanced(&database, event).await.expect("check"),
            )
        };
        assert_eq!(wrong().await, (vec![], vec![], vec![], vec![], vec![]));

        let (first, second) = (reference(event, 1), reference(event, 2));
        home.meddle("DROP INDEX tickets_seat").await;
        home.meddle("UPDATE tickets SET seat = 'A-1' WHERE position = 1").await;
        assert_eq!(wrong().await.0, [("A-1".parse().expect("seat"), 2)]);
        home.meddle("UPDATE tickets SET state = 'void' WHERE seat = 'B-1'").await;
        assert_eq!((wrong().await.2, wrong().await.4), (vec![first], vec![first]));
        home.meddle("UPDATE orders SET state = 'paid' WHERE quantity = 2 AND reference = (SELECT order_reference FROM tickets WHERE seat = 'B-2')").await;
        assert_eq!(wrong().await.1, [second]);
        home.meddle("UPDATE payments SET order_reference = (SELECT order_reference FROM tickets WHERE seat = 'B-2') WHERE state = 'captured'").await;
        assert_eq!(wrong().await.3, [second]);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_is_called_corrupt() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        add_order(&database, order, two()).await;
        for sql in [
            "UPDATE orders SET known = 'not json'",
            "UPDATE orders SET known = '{\"fact_number\":-1}'",
            "UPDATE orders SET currency = 'euro'",
        ] {
            home.meddle(sql).await;
            let read = orders::by_reference(&database, order).await;
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{sql}: {read:?}");
        }
    }
}
