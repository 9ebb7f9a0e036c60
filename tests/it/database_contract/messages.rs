//! Messages to fans, those to all ticket holders, codes of accounts, texts in the place of our own.

use std::collections::BTreeSet;

use onsale::{
    domain::{
        id::{EventId, FanId},
        inventory::fact::{FactKind, OrderFact},
        message::Kind,
        time::Millis,
    },
    stores::database::{
        Database,
        account_codes::{self, MOST_TRIES, Purpose},
        mailings::{self, Asked, Said, Texts},
        mails::{self, About},
        messages::{self, Details, New, Wanted},
        orders,
        templates::{self, Template},
    },
};
use uuid::Uuid;

use super::{
    Home,
    sample::{add_account, at, fact, open_payment, payment, payment_id, reference, tickets, two},
};
use crate::harness::new_event;

fn new(account: FanId, kind: Kind, about: &str) -> New {
    let details = Details::from([("amount".to_owned(), "1.00 EUR".to_owned())]);
    New { account, kind, about: about.into(), event: None, details }
}

async fn written(database: &Database, messages: &[New]) {
    messages::write_alone(database, messages, at(10)).await.expect("written");
}

async fn shown(database: &Database, account: FanId) -> Vec<Kind> {
    let page = messages::list(database, account, false, None, 200).await.expect("listed");
    page.items.iter().map(|message| message.kind).collect()
}

async fn mailed(database: &Database) -> Vec<Uuid> {
    let due = mails::due(database, at(1_000), 200).await.expect("due");
    let of_message = |about| match about {
        About::Message(id) => Some(id),
        About::Tickets(_) => None,
    };
    due.into_iter().filter_map(|mail| of_message(mail.about)).collect()
}

#[tokio::test]
async fn a_message_is_written_once_on_the_ways_that_the_fan_wants() {
    for home in Home::all().await {
        let database = home.open().await;
        let (ann, bob) = (FanId::from_u128(1), FanId::from_u128(2));
        let mut write = database.begin().await.expect("begin");
        for (mail, in_app) in [(true, true), (false, true)] {
            messages::want(&mut write, bob, Kind::RefundDone, Wanted { mail, in_app }).await.expect("wanted");
        }
        messages::want(&mut write, bob, Kind::EventChanged, Wanted { mail: false, in_app: false })
            .await
            .expect("wanted");
        write.commit().await.expect("commit");
        assert_eq!(messages::settings(&database, bob).await.expect("read").len(), 2);
        let all: Vec<_> = [ann, bob]
            .into_iter()
            .flat_map(|fan| {
                [Kind::RefundDone, Kind::EventChanged, Kind::Reset, Kind::Tickets].map(|kind| new(fan, kind, "1"))
            })
            .collect();
        written(&database, &all).await;
        written(&database, &all).await;
        assert_eq!(
            BTreeSet::from_iter(shown(&database, ann).await),
            BTreeSet::from([Kind::RefundDone, Kind::EventChanged, Kind::Tickets])
        );
        assert_eq!(BTreeSet::from_iter(shown(&database, bob).await), BTreeSet::from([Kind::RefundDone, Kind::Tickets]));
        let mut mails = Vec::new();
        for id in mailed(&database).await {
            let message = messages::by_id(&database, id).await.expect("read").expect("there");
            mails.push((message.account, message.kind));
        }
        mails.sort();
        let expected = [(ann, Kind::RefundDone), (ann, Kind::EventChanged), (ann, Kind::Reset), (bob, Kind::Reset)];
        assert_eq!(mails, expected, "the tickets' own mail is written elsewhere");
        // More than one statement holds.
        let many: Vec<_> = (0..100).map(|n| new(ann, Kind::RefundBegun, &n.to_string())).collect();
        written(&database, &many).await;
        assert_eq!(mailed(&database).await.len(), 104);
    }
}

#[tokio::test]
async fn a_fan_reads_and_deletes_own_messages_only_and_old_ones_are_forgotten() {
    for home in Home::all().await {
        let database = home.open().await;
        let (ann, bob) = (FanId::from_u128(1), FanId::from_u128(2));
        let all: Vec<_> =
            (0..5).flat_map(|n| [ann, bob].map(|fan| new(fan, Kind::RefundDone, &n.to_string()))).collect();
        written(&database, &all).await;
        let ids: Vec<_> = messages::list(&database, ann, false, None, 10).await.expect("listed").items;
        let ids: Vec<_> = ids.iter().map(|message| message.id).collect();
        let mut write = database.begin().await.expect("begin");
        assert_eq!(messages::mark_read(&mut write, bob, Some(&ids), at(20)).await.expect("asked"), 0);
        assert_eq!(messages::mark_read(&mut write, ann, Some(&ids[..2]), at(20)).await.expect("read"), 2);
        assert_eq!(messages::delete(&mut write, bob, Some(&ids), at(21)).await.expect("asked"), 0);
        assert_eq!(messages::delete(&mut write, ann, Some(&ids[1..3]), at(21)).await.expect("deleted"), 2);
        write.commit().await.expect("commit");
        assert_eq!(messages::count(&database, ann).await.expect("counted"), (3, 2));
        assert_eq!(messages::count(&database, bob).await.expect("counted"), (5, 5));
        written(&database, &all).await;
        assert_eq!(
            messages::count(&database, ann).await.expect("counted"),
            (3, 2),
            "what was deleted does not come again"
        );
        let mut write = database.begin().await.expect("begin");
        assert_eq!(messages::mark_read(&mut write, ann, None, at(22)).await.expect("read"), 2);
        assert_eq!(messages::delete(&mut write, ann, None, at(22)).await.expect("deleted"), 3);
        write.commit().await.expect("commit");
        assert_eq!(mailed(&database).await.len(), 10, "a mail that waits goes out all the same");
        assert_eq!(messages::forget(&database, at(10), 100).await.expect("asked"), 0);
        assert_eq!(messages::forget(&database, at(11), 7).await.expect("forgotten"), 7);
        assert_eq!(messages::forget(&database, at(11), 7).await.expect("forgotten"), 3);
    }
}

/// One fan for each order, two orders of the last.
async fn sold(database: &Database, event: EventId, fans: u128) {
    for n in 1..=fans + 1 {
        let order = reference(event, n);
        let created = OrderFact { fan: FanId::from_u128(n.min(fans)), ..fact(order, 1, FactKind::Created) };
        orders::apply_fact(database, event, &created).await.expect("applied");
        open_payment(database, &payment(n, order)).await;
        let made = tickets(order, &two());
        orders::settle(database, order, payment_id(n), &two(), &made, at(10)).await.expect("settled");
    }
}

#[tokio::test]
async fn each_ticket_holder_is_told_once_whatever_is_repeated() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        sold(&database, event, 7).await;
        let said = Said { subject: "Doors".into(), text: "Late".into() };
        let texts = Texts::from([("en".to_owned(), said)]);
        let asked = Asked { event, kind: Kind::Broadcast, texts: &texts, reason: "a test", by: FanId::from_u128(99) };
        let mut write = database.begin().await.expect("begin");
        let id = mailings::ask(&mut write, &asked, at(20)).await.expect("asked");
        write.commit().await.expect("commit");
        assert!(mailings::due(&database, at(19), 10).await.expect("due").is_empty());
        let mut rounds = 0;
        while let [mailing] = &mailings::due(&database, at(20), 10).await.expect("due")[..] {
            // Two nodes are at it, or one that did not hear that it was done.
            let twice = [(); 2].map(|()| mailings::step(&database, mailing, 3, at(20)));
            futures_util::future::try_join_all(twice).await.expect("stepped");
            rounds += 1;
        }
        let done = mailings::by_id(&database, id).await.expect("read").expect("there");
        assert_eq!((rounds, done.told, done.done_at, &done.texts), (3, 7, Some(at(20)), &texts));
        for n in 1..=7 {
            assert_eq!(shown(&database, FanId::from_u128(n)).await, [Kind::Broadcast], "{n}");
        }
        assert_eq!(mailed(&database).await.len(), 7);
        assert_eq!(mailings::broadcasts_since(&database, event, at(19)).await.expect("counted"), 1);
        assert_eq!(mailings::broadcasts_since(&database, event, at(20)).await.expect("counted"), 0);
        let list = mailings::list(&database, event, None, 10).await.expect("listed");
        assert_eq!(list.items, [done]);
    }
}

#[tokio::test]
async fn a_code_is_used_once_tried_five_times_and_ended_by_the_next() {
    for home in Home::all().await {
        let database = home.open().await;
        let account = add_account(&database, 1).await;
        let make = async |purpose, now| {
            let mut write = database.begin().await.expect("begin");
            let made = account_codes::make(&mut write, account, purpose, 3, at(now)).await.expect("made");
            write.commit().await.expect("commit");
            made
        };
        let tries = async |account, now| {
            account_codes::try_one(&database, account, Purpose::Reset, at(now))
                .await
                .expect("asked")
                .map(|code| code.id)
        };
        let used = async |id, purpose, now| {
            let mut write = database.begin().await.expect("begin");
            let used = account_codes::use_up(&mut write, id, purpose, at(now)).await.expect("asked");
            write.commit().await.expect("commit");
            used.map(|code| code.account)
        };
        let hour = Millis::minutes(60).0;
        let start = 2 * hour;
        let first = make(Purpose::Reset, start).await.expect("the first");
        let verify = make(Purpose::Verify, start).await.expect("another purpose");
        for _ in 0..MOST_TRIES {
            assert_eq!(tries(account, start + 1).await, Some(first));
        }
        assert_eq!(tries(account, start + 1).await, None);
        let second = make(Purpose::Reset, start + 2).await.expect("the second");
        assert_eq!(used(first, Purpose::Reset, start + 3).await, None, "ended by the next");
        assert_eq!(tries(account, start + 3).await, Some(second));
        assert_eq!(tries(FanId::from_u128(0), start + 3).await, None);
        assert_eq!(used(second, Purpose::Verify, start + 3).await, None);
        assert_eq!(used(second, Purpose::Reset, start + 3).await, Some(account));
        assert_eq!((used(second, Purpose::Reset, start + 4).await, tries(account, start + 4).await), (None, None));
        assert!(make(Purpose::Reset, start + 5).await.is_some());
        assert_eq!(make(Purpose::Reset, start + 6).await, None, "three an hour");
        assert!(make(Purpose::Reset, start + hour + 10).await.is_some());
        assert_eq!(tries(account, start + hour + 10 + Millis::minutes(10).0).await, None, "ten minutes");
        assert_eq!(used(verify, Purpose::Verify, start + Millis::minutes(15).0).await, None, "a quarter of an hour");

        assert!(!account_codes::is_verified(&database, account).await.expect("read"));
        let mut write = database.begin().await.expect("begin");
        account_codes::verified(&mut write, account, at(1)).await.expect("verified");
        write.commit().await.expect("commit");
        assert!(account_codes::is_verified(&database, account).await.expect("read"));
        assert_eq!(account_codes::forget(&database, at(start + 1)).await.expect("forgotten"), 2);
    }
}

#[tokio::test]
async fn an_organizers_text_goes_before_the_shops() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = FanId::from_u128(7);
        let template = |organizer, subject: &str| Template {
            organizer,
            kind: Kind::RefundDone,
            language: "en".into(),
            subject: subject.into(),
            body: "x".into(),
            updated_at: at(1),
        };
        let mut write = database.begin().await.expect("begin");
        for (whose, subject) in [(None, "old"), (None, "shop"), (Some(organizer), "own")] {
            templates::set(&mut write, &template(whose, subject)).await.expect("set");
        }
        write.commit().await.expect("commit");
        let found = async |organizer, language| {
            let found = templates::find(&database, organizer, Kind::RefundDone, language).await.expect("read");
            found.map(|template| template.subject)
        };
        assert_eq!(found(Some(organizer), "en").await.as_deref(), Some("own"));
        assert_eq!(found(Some(FanId::from_u128(8)), "en").await.as_deref(), Some("shop"));
        assert_eq!(found(None, "en").await.as_deref(), Some("shop"));
        assert_eq!(found(Some(organizer), "hr").await, None);
        assert_eq!(templates::list(&database, None).await.expect("read"), [template(None, "shop")]);
        let mut write = database.begin().await.expect("begin");
        for expected in [true, false] {
            let removed =
                templates::remove(&mut write, Some(organizer), Kind::RefundDone, "en").await.expect("removed");
            assert_eq!(removed, expected);
        }
        write.commit().await.expect("commit");
        assert_eq!(found(Some(organizer), "en").await.as_deref(), Some("shop"));
    }
}
