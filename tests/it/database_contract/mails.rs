//! Mails: one for each order, taken by one sender at a time.

use onsale::{
    domain::{id::OrderRef, time::Millis},
    stores::{
        database::{
            Database,
            mails::{self, About, Kind, Mail, State},
            orders,
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{add_order, at, fan, open_payment, payment, payment_id, reference, tickets, two},
};
use crate::harness::new_event;

async fn due(database: &Database, now: u64) -> Vec<Mail> {
    mails::due(database, at(now), 100).await.expect("due")
}

async fn sold(database: &Database, n: u128, now: u64) -> OrderRef {
    let order = reference(new_event(), n);
    add_order(database, order, two()).await;
    open_payment(database, &payment(n, order)).await;
    let made = tickets(order, &two());
    orders::settle(database, order, payment_id(n), &two(), &made, at(now)).await.expect("settled");
    order
}

async fn enqueue(database: &Database, order: OrderRef, now: u64) {
    let mut write = database.begin().await.expect("begin");
    mails::enqueue(&mut write, Kind::Tickets, order, fan(1), at(now)).await.expect("enqueued");
    write.commit().await.expect("commit");
}

#[tokio::test]
async fn tickets_bring_one_mail_whatever_is_repeated() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = sold(&database, 1, 10).await;
        enqueue(&database, order, 11).await;
        assert!(due(&database, 9).await.is_empty());
        let mails = due(&database, 10).await;
        assert_eq!(mails.len(), 1);
        let mail = &mails[0];
        assert_eq!((mail.about, mail.account), (About::Tickets(order), fan(1)));
        assert_eq!((mail.state, mail.attempts, mail.sent_at), (State::Waiting, 0, None));
        assert_eq!(mails::by_id(&database, mail.id).await.expect("read"), Some(mail.clone()));
    }
}

#[tokio::test]
async fn of_two_senders_one_takes_a_mail_and_one_that_dies_leaves_it_for_later() {
    for home in Home::all().await {
        let database = home.open().await;
        enqueue(&database, reference(new_event(), 1), 10).await;
        let mail = due(&database, 10).await.remove(0);
        let first = mails::take(&database, mail.clone(), at(500)).await.expect("asked").expect("taken");
        assert_eq!((first.attempts, first.next_at), (1, at(500)));
        assert_eq!(mails::take(&database, mail, at(600)).await.expect("asked"), None);
        assert!(due(&database, 499).await.is_empty());

        // The first one was only slow: what it says late is not believed.
        let again = due(&database, 500).await.remove(0);
        let second = mails::take(&database, again, at(1_000)).await.expect("asked").expect("taken");
        mails::record(&database, &first, (State::Failed, at(501)), "late", at(501)).await.expect("recorded");
        assert_eq!(mails::by_id(&database, second.id).await.expect("read"), Some(second.clone()));
        mails::record(&database, &second, (State::Sent, at(510)), "taken", at(510)).await.expect("recorded");
        let sent = mails::by_id(&database, second.id).await.expect("read").expect("there");
        assert_eq!((sent.state, sent.sent_at, sent.last_outcome.as_str()), (State::Sent, Some(at(510)), "taken"));
        assert!(due(&database, 1_000_000).await.is_empty());
        let log = mails::attempts(&database, sent.id).await.expect("read");
        assert_eq!(log.iter().map(|one| (one.number, one.outcome.as_str())).collect::<Vec<_>>(), [(2, "taken")]);
    }
}

#[tokio::test]
async fn a_mail_that_was_put_off_or_given_up_can_be_sent_again_and_is_listed() {
    for home in Home::all().await {
        let database = home.open().await;
        for n in 1..=3 {
            enqueue(&database, reference(new_event(), n), n as u64).await;
        }
        let waiting = due(&database, 10).await;
        let take =
            async |mail: &Mail| mails::take(&database, mail.clone(), at(500)).await.expect("asked").expect("taken");
        let (one, two) = (take(&waiting[0]).await, take(&waiting[1]).await);
        mails::record(&database, &one, (State::Waiting, at(50)), "later", at(20)).await.expect("recorded");
        mails::record(&database, &two, (State::Failed, at(20)), "never", at(20)).await.expect("recorded");
        assert_eq!(due(&database, 49).await.iter().map(|mail| mail.id).collect::<Vec<_>>(), [waiting[2].id]);
        assert_eq!(due(&database, 50).await.len(), 2);

        let ids = async |state, cursor: Option<_>| {
            let page = mails::list(&database, state, cursor.as_ref(), 2).await.expect("listed");
            (page.items.iter().map(|mail| mail.id).collect::<Vec<_>>(), page.next)
        };
        let (newest, next) = ids(None, None).await;
        assert_eq!(newest, [waiting[2].id, waiting[1].id]);
        assert_eq!(ids(None, next).await, (vec![waiting[0].id], None));
        assert_eq!(ids(Some(State::Failed), None).await.0, [two.id]);
        assert!(ids(Some(State::Sent), None).await.0.is_empty());

        let mut write = database.begin().await.expect("begin");
        mails::send_again(&mut write, two.id, at(60)).await.expect("again");
        let unknown = mails::send_again(&mut write, uuid::Uuid::from_u128(1), at(60)).await;
        assert!(matches!(unknown, Err(StoreError::Conflict(_))), "{unknown:?}");
        write.commit().await.expect("commit");
        let again = mails::by_id(&database, two.id).await.expect("read").expect("there");
        assert_eq!((again.state, again.next_at, again.attempts), (State::Waiting, at(60), 1));
        assert_eq!(again.give_up_at, at(60) + Millis::minutes(3 * 24 * 60));
    }
}
