//! The ledger and refunds: whatever happens in whatever order, the books balance after each commit, and nothing goes back twice.

use onsale::{
    domain::{
        id::{OrderRef, TicketId},
        inventory::{
            fact::FactKind,
            request::{ConfirmRefusal, Line},
        },
        ledger::Account,
        order::OrderState,
        price::{Breakdown, Parts},
        refund::{RefundKey, RefundReason, RefundState},
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            Database, checks,
            ledger::{self, Booked},
            orders::{self, NotRefunded, Wanted},
            payments::{self, State},
            refund_batches,
            refunds::{self, Refund, Stock},
            sandbox::{self, Card, Decision, NotGiven, Session},
            tickets::{self, Ticket},
            webhooks::{self, Received},
        },
        error::StoreError,
        provider::{Over, Providers, RefundAnswer, RefundRequest},
    },
};

use super::{
    Home,
    money::give_back_all,
    sample::{
        add_order, at, eur, fact, fan, open_payment, payment_for, payment_id, reference, seats, tickets as made, two,
    },
};
use crate::harness::new_event;

/// captured, pending, ticketed, refunding, refunded
async fn books(database: &Database, order: OrderRef) -> [i64; 5] {
    let books = ledger::of_order(database, order).await.expect("no account is below zero");
    assert!(books.balance(), "{books:?}");
    Account::ALL.map(|account| books.of(account))
}

async fn order_state(database: &Database, order: OrderRef) -> OrderState {
    orders::by_reference(database, order).await.expect("read").expect("there").state
}

async fn captured(database: &Database, order: OrderRef, n: u128, message: &str) -> Result<Received, StoreError> {
    let said = (order, payment_id(n));
    webhooks::receive(database, ("sandbox", message), ("order.payment-success", "{}"), Some(said), at(40)).await
}

/// Paid, with its tickets.
async fn sold(database: &Database, order: OrderRef, n: u128, lines: &[Line]) -> Vec<Ticket> {
    add_order(database, order, lines.to_vec()).await;
    open_payment(database, &payment_for(n, order, lines)).await;
    captured(database, order, n, &format!("evt_{n}")).await.expect("received");
    let tickets = made(order, lines);
    orders::settle(database, order, payment_id(n), lines, &tickets, at(50)).await.expect("settle");
    tickets
}

async fn refund(
    database: &Database,
    order: OrderRef,
    tickets: Option<&[TicketId]>,
) -> Result<Result<Refund, NotRefunded>, StoreError> {
    let wanted = Wanted { reference: order, tickets, restock: true, reason: RefundReason::Requested, note: "as asked" };
    let mut write = database.begin().await?;
    let refund = orders::refund_tickets(&mut write, &wanted, at(60)).await?;
    write.commit().await?;
    Ok(refund)
}

async fn advance(database: &Database, key: RefundKey, to: RefundState) -> Option<Refund> {
    let mut write = database.begin().await.expect("begin");
    let refund = orders::advance_refund(&mut write, key, to, "why", at(70)).await.expect("advance");
    write.commit().await.expect("commit");
    refund
}

#[tokio::test]
async fn money_is_booked_where_it_stands_from_capture_to_tickets() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        add_order(&database, order, two()).await;
        open_payment(&database, &payment_for(1, order, &two())).await;
        assert_eq!(books(&database, order).await, [0; 5]);
        for message in ["evt_1", "evt_1", "evt_2"] {
            captured(&database, order, 1, message).await.expect("received");
            assert_eq!(books(&database, order).await, [5_000, 5_000, 0, 0, 0]);
            assert_eq!(order_state(&database, order).await, OrderState::Paid);
        }
        for _ in 0..2 {
            let tickets = made(order, &two());
            orders::settle(&database, order, payment_id(1), &two(), &tickets, at(50)).await.expect("settle");
            assert_eq!(books(&database, order).await, [5_000, 0, 5_000, 0, 0]);
        }
        let entries = ledger::entries(&database, order).await.expect("read");
        let told = |booked: &Booked| (booked.payment, booked.refund, booked.amount);
        assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), [(payment_id(1), None, eur(5_000)); 2]);
        assert_eq!(checks::unbalanced(&database, order.event).await.expect("check"), []);
    }
}

#[tokio::test]
async fn tickets_are_refunded_one_by_one_until_none_is_left() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        let lines = seats(&["A-1", "A-2", "A-3"]);
        let sold = sold(&database, order, 1, &lines).await;
        let first = refund(&database, order, Some(&[sold[1].id])).await.expect("asked").expect("may");
        assert_eq!(
            (first.amount, first.tickets, first.stock, first.state),
            (eur(9_000), 1, Stock::Wanted, RefundState::Begun)
        );
        assert_eq!(books(&database, order).await, [27_000, 0, 18_000, 9_000, 0]);
        assert_eq!(order_state(&database, order).await, OrderState::Ticketed);
        let states = async || {
            let tickets = tickets::of_order(&database, order).await.expect("read");
            tickets.iter().map(|ticket| ticket.state == tickets::State::Live).collect::<Vec<_>>()
        };
        assert_eq!(states().await, [true, false, true]);
        assert_eq!(checks::miscounted(&database, order.event).await.expect("check"), []);
        assert_eq!(checks::unbalanced(&database, order.event).await.expect("check"), []);

        let again = refund(&database, order, Some(&[sold[0].id, sold[1].id])).await.expect("asked");
        assert_eq!(again, Err(NotRefunded::NoSuchTicket(sold[1].id)));
        let foreign = refund(&database, order, Some(&[TicketId::from_u128(1)])).await.expect("asked");
        assert_eq!(foreign, Err(NotRefunded::NoSuchTicket(TicketId::from_u128(1))));
        assert_eq!(states().await, [true, false, true]);

        give_back_all(&database, order, at(70)).await;
        assert_eq!(books(&database, order).await, [27_000, 0, 18_000, 0, 9_000]);
        let paid = async || payments::by_id(&database, payment_id(1)).await.expect("read").expect("there").state;
        assert_eq!((paid().await, order_state(&database, order).await), (State::Captured, OrderState::Ticketed));

        let rest = refund(&database, order, None).await.expect("asked").expect("may");
        assert_eq!((rest.amount, rest.tickets), (eur(18_000), 2));
        assert_eq!((paid().await, order_state(&database, order).await), (State::Refunding, OrderState::Refunding));
        for _ in 0..2 {
            give_back_all(&database, order, at(80)).await;
            assert_eq!(books(&database, order).await, [27_000, 0, 0, 0, 27_000]);
            assert_eq!((paid().await, order_state(&database, order).await), (State::Refunded, OrderState::Refunded));
        }
        let nothing = refund(&database, order, None).await.expect("asked");
        assert_eq!(nothing, Err(NotRefunded::OrderState(OrderState::Refunded)));
        // The inventory's word comes later.
        orders::apply_fact(&database, order.event, &fact(order, 9, FactKind::Voided)).await.expect("apply");
        assert_eq!(order_state(&database, order).await, OrderState::Refunded);
        let unknown = refund(&database, reference(order.event, 2), None).await;
        assert!(matches!(unknown, Err(StoreError::Conflict(_))), "{unknown:?}");
    }
}

#[tokio::test]
async fn what_was_asked_once_goes_back_with_the_last_ticket() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        let mut lines = seats(&["A-1", "A-2", "A-3"]);
        let once = Parts { fees_minor: 99, taxes_minor: 7, ..Parts::default() };
        lines[0].breakdown = Some(Box::new(Breakdown { each: Parts::face(9_000), once, code: None, rate: None }));
        let sold = sold(&database, order, 1, &lines).await;
        let is_sound = async || {
            assert_eq!(checks::miscounted(&database, order.event).await.expect("check"), []);
            assert_eq!(checks::unbalanced(&database, order.event).await.expect("check"), []);
        };
        assert_eq!(books(&database, order).await, [27_106, 0, 27_106, 0, 0]);
        is_sound().await;
        for (back, amount, expected) in [
            (Some(&[sold[0].id][..]), 9_000, [27_106, 0, 18_106, 9_000, 0]),
            (Some(&[sold[2].id]), 9_000, [27_106, 0, 9_106, 18_000, 0]),
            (None, 9_106, [27_106, 0, 0, 27_106, 0]),
        ] {
            let refund = refund(&database, order, back).await.expect("asked").expect("may");
            assert_eq!((refund.amount, books(&database, order).await), (eur(amount), expected));
            is_sound().await;
        }
        give_back_all(&database, order, at(70)).await;
        assert_eq!(books(&database, order).await, [27_106, 0, 0, 0, 27_106]);
        assert_eq!(order_state(&database, order).await, OrderState::Refunded);
    }
}

#[tokio::test]
async fn of_many_who_refund_one_ticket_one_does() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        let sold = sold(&database, order, 1, &two()).await;
        let id = sold[0].id;
        let asked = (0..12).map(|_| {
            let database = database.clone();
            tokio::spawn(async move { refund(&database, order, Some(&[id])).await })
        });
        let mut done = 0;
        for task in futures_util::future::join_all(asked).await {
            match task.expect("ran").expect("asked") {
                Ok(_) => done += 1,
                Err(no) => assert_eq!(no, NotRefunded::NoSuchTicket(id)),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(books(&database, order).await, [5_000, 0, 2_500, 2_500, 0]);
    }
}

#[tokio::test]
async fn a_refund_that_failed_is_asked_anew_under_another_key() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        sold(&database, order, 1, &two()).await;
        let begun = refund(&database, order, None).await.expect("asked").expect("may");
        for (round, to, expected) in [
            (0, RefundState::Begun, None),
            (0, RefundState::Asked, Some(0)),
            (0, RefundState::Asked, None),
            (0, RefundState::Failed, Some(0)),
            (0, RefundState::Asked, None),
            (0, RefundState::Begun, Some(1)),
            // Whoever had asked under the first key was slow to note the answer.
            (0, RefundState::Failed, None),
            (0, RefundState::Asked, None),
            (1, RefundState::Asked, Some(1)),
            (0, RefundState::Failed, None),
            (1, RefundState::Done, Some(1)),
            (1, RefundState::Failed, None),
            (1, RefundState::Begun, None),
            (1, RefundState::Done, None),
        ] {
            let moved = advance(&database, RefundKey { id: begun.id, round }, to).await;
            assert_eq!(moved.as_ref().map(|refund| refund.key().round), expected, "{round} {to:?}");
            assert!(moved.is_none_or(|refund| refund.state == to));
        }
        assert_eq!(books(&database, order).await, [5_000, 0, 0, 0, 5_000]);
        let failed = refunds::in_state(&database, RefundState::Failed, None, 10).await.expect("list");
        let done = refunds::in_state(&database, RefundState::Done, None, 10).await.expect("list");
        assert_eq!((failed.items.len(), done.items.len()), (0, 1));
        assert_eq!(refunds::of_fan(&database, fan(1), None, 10).await.expect("list").items, done.items);
        assert_eq!(refunds::of_event(&database, order.event, None, 10).await.expect("list").items, done.items);
        assert_eq!(refunds::counts(&database, order.event).await.expect("counts"), [(RefundState::Done, 1, 5_000)]);
        let other = reference(order.event, 2);
        assert_eq!(refunds::of_order(&database, other).await.expect("list"), []);
    }
}

#[tokio::test]
async fn a_step_is_one_workers_until_its_lease_is_over() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        sold(&database, order, 1, &two()).await;
        let begun = refund(&database, order, None).await.expect("asked").expect("may");
        assert_eq!(refunds::due(&database, at(59), 10).await.expect("due"), []);
        let due = refunds::due(&database, at(60), 10).await.expect("due");
        assert_eq!(due, [begun]);
        let lease = Millis(1_000);
        let first = refunds::take_up(&database, &due[0], at(60), lease).await.expect("taken").expect("the first");
        assert_eq!((first.next_at, first.attempts), (at(1_060), 1));
        assert_eq!(
            refunds::take_up(&database, &due[0], at(60), lease).await.expect("asked"),
            None,
            "another was faster"
        );
        assert_eq!(refunds::due(&database, at(1_059), 10).await.expect("due"), []);
        // Its worker has died.
        let again = refunds::due(&database, at(1_060), 10).await.expect("due");
        assert_eq!(again, [first]);
        let second =
            refunds::take_up(&database, &again[0], at(1_060), lease).await.expect("taken").expect("free again");
        // While one has it, there is news: it is due now, however long that one wants to wait.
        refunds::ask_now(&database, second.payment, at(1_070)).await.expect("made due");
        refunds::put_off(&database, &second, "nothing yet", at(9_000)).await.expect("too late");
        let due = refunds::due(&database, at(1_070), 10).await.expect("due");
        assert_eq!((due.len(), due[0].failure.as_str()), (1, ""));
        let third = refunds::take_up(&database, &due[0], at(1_070), lease).await.expect("taken").expect("due");
        // A change of its state alone makes nothing due.
        advance(&database, third.key(), RefundState::Asked).await.expect("asked");
        refunds::put_off(&database, &third, "the event is away", at(5_000)).await.expect("put off");
        assert_eq!(refunds::due(&database, at(4_999), 10).await.expect("due"), []);

        // The money is back, the places are not yet.
        advance(&database, third.key(), RefundState::Done).await.expect("done");
        assert_eq!(refunds::due(&database, at(5_000), 10).await.expect("due").len(), 1);
        assert_eq!(given_back(&database, order).await, 2);
        refunds::stock_is_back(&database, third.id, at(5_001)).await.expect("back");
        assert_eq!(refunds::due(&database, EventTime(u64::MAX / 4), 10).await.expect("due"), []);
        assert_eq!(given_back(&database, order).await, 2, "for a repeat");
    }
}

async fn paid_session(database: &Database, id: &str, card: Card) {
    let session = Session {
        id: id.into(),
        reference: reference(new_event(), 1),
        amount: eur(5_000),
        state: sandbox::State::Open,
        card: sandbox::Card::Good,
        return_url: String::new(),
        created_at: at(0),
        updated_at: at(0),
    };
    let mut write = database.begin().await.expect("begin");
    sandbox::create(&mut write, &session).await.expect("create");
    write.commit().await.expect("commit");
    let decision = Decision { to: sandbox::State::Paid, card, says: &[] };
    sandbox::decide(database, id, decision, at(1)).await.expect("paid");
}

#[tokio::test]
async fn the_sandbox_gives_back_once_for_each_key_and_never_more_than_was_paid() {
    for home in Home::all().await {
        let database = home.open().await;
        paid_session(&database, "s1", Card::Good).await;
        let give = async |key: &str, session: &str, minor| {
            sandbox::give_back(&database, key, session, eur(minor), |_| "{}".into(), at(9)).await.expect("asked")
        };
        for _ in 0..3 {
            let given = give("k1", "s1", 2_000).await.expect("given");
            assert_eq!((given.amount, given.failure.as_str(), given.due_at), (eur(2_000), "", at(9)));
        }
        for (key, session, minor, refused) in [
            ("k1", "s1", 1_000, NotGiven::KeyReused),
            ("k2", "s1", 3_001, NotGiven::TooMuch),
            ("k2", "s1", 0, NotGiven::TooMuch),
            ("k2", "s1", -1, NotGiven::TooMuch),
            ("k2", "s9", 1, NotGiven::NoSuchPayment),
        ] {
            assert_eq!(give(key, session, minor).await, Err(refused), "{key} {session} {minor}");
        }
        let many = (0..10).map(|n| {
            let database = database.clone();
            tokio::spawn(async move {
                let key = format!("m{n}");
                sandbox::give_back(&database, &key, "s1", eur(3_000), |_| "{}".into(), at(9)).await.expect("asked")
            })
        });
        let given = futures_util::future::join_all(many).await;
        assert_eq!(given.iter().filter(|task| matches!(task, Ok(Ok(_)))).count(), 1, "{given:?}");
        let session = sandbox::by_id(&database, "s1").await.expect("read").expect("there");
        assert_eq!(session.state, sandbox::State::Refunded);
        let due = sandbox::due(&database, at(9), 10).await.expect("due");
        assert_eq!(due.len(), 2, "told of each once");

        paid_session(&database, "s2", Card::RefundFails).await;
        assert_eq!(give("k5", "s2", 5_000).await.expect("recorded").failure, "the card's account is closed");
        assert_eq!(
            give("k5", "s2", 5_000).await.expect("recorded").failure,
            "the card's account is closed",
            "the same"
        );
        assert_eq!(give("k6", "s2", 5_000).await.expect("given").failure, "");
        paid_session(&database, "s3", Card::RefundSlow).await;
        assert!(give("k7", "s3", 5_000).await.expect("given").due_at > at(9));
    }
}

fn ask(providers: &Providers, refund: &Refund, session: &str) -> impl Future<Output = RefundAnswer> {
    let provider = providers.by_name("sandbox").expect("there").clone();
    let request = RefundRequest { key: refund.key(), session: session.to_owned(), amount: refund.amount };
    async move { provider.refund(&request).await.expect("answered") }
}

#[tokio::test]
async fn the_providers_records_say_what_has_moved() {
    for home in Home::all().await {
        let database = home.open().await;
        let providers = Providers::sandbox(&database);
        let order = reference(new_event(), 1);
        sold(&database, order, 1, &two()).await;
        let refund = refund(&database, order, None).await.expect("asked").expect("may");
        for (session, card) in [("s1", Card::Good), ("s2", Card::RefundSlow), ("s3", Card::RefundFails)] {
            paid_session(&database, session, card).await;
        }
        assert_eq!(ask(&providers, &refund, "s1").await, RefundAnswer::Done);
        assert_eq!(ask(&providers, &refund, "s1").await, RefundAnswer::Done);
        let again = Refund { round: 1, ..refund.clone() };
        assert_eq!(ask(&providers, &again, "s2").await, RefundAnswer::Pending);
        let third = Refund { round: 2, ..refund };
        assert_eq!(ask(&providers, &third, "s3").await, RefundAnswer::Refused("the card's account is closed".into()));
        let sandbox = providers.by_name("sandbox").expect("there");
        let over = Over { since: at(0), until: at(1_000) };
        let records = sandbox.records(over, "", 10).await.expect("records").records;
        let sums: Vec<_> = records.iter().map(|r| (r.session.as_str(), r.captured_minor, r.refunded_minor)).collect();
        assert_eq!(sums, [("s1", 5_000, 5_000), ("s2", 5_000, 0), ("s3", 5_000, 0)]);
        let page = sandbox.records(over, "", 2).await.expect("records");
        let more = sandbox.records(over, &page.next.expect("more"), 10).await.expect("records");
        assert_eq!((page.records.len(), more.records.len()), (2, 1));
    }
}

#[tokio::test]
async fn a_cancelled_event_is_done_when_no_order_of_it_is_left() {
    for home in Home::all().await {
        let database = home.open().await;
        let event = new_event();
        for n in 1..=3 {
            sold(&database, reference(event, n), n, &two()).await;
        }
        add_order(&database, reference(event, 4), two()).await;
        let begin = async || {
            let mut write = database.begin().await.expect("begin");
            let begun = refund_batches::begin(&mut write, event, "rain", at(100)).await.expect("begin");
            write.commit().await.expect("commit");
            begun
        };
        assert_eq!((begin().await, begin().await), (true, false));
        let due = refund_batches::due(&database, at(100), 10).await.expect("due");
        assert_eq!(due.len(), 1);
        let lease = Millis(1_000);
        assert!(refund_batches::take_up(&database, &due[0], at(100), lease).await.expect("taken"));
        assert!(!refund_batches::take_up(&database, &due[0], at(100), lease).await.expect("asked"));
        let ticketed = refund_batches::ticketed(&database, event, 10).await.expect("read");
        assert_eq!(ticketed.len(), 3);
        for order in ticketed {
            refund(&database, order, None).await.expect("asked").expect("may");
        }
        assert!(!refund_batches::put_off(&database, event, at(101), at(102)).await.expect("put off"), "one is held");
        orders::apply_fact(&database, event, &fact(reference(event, 4), 2, FactKind::Expired)).await.expect("apply");
        assert!(refund_batches::put_off(&database, event, at(103), at(104)).await.expect("put off"));
        assert_eq!(refund_batches::due(&database, at(9_999), 10).await.expect("due"), []);
        let batch = refund_batches::of_event(&database, event).await.expect("read").expect("there");
        assert_eq!((batch.asked_at, batch.done_at), (at(100), Some(at(103))));
    }
}

/// One of everything that can happen to the money of an order with two payments, as often and in whatever order it comes.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Captured(u128),
    Declined(u128),
    Settled(u128),
    Refused(u128, ConfirmRefusal),
    Voided,
    Ticket(usize),
    Rest,
    Said(usize, RefundState),
}

fn happens(roll: u32) -> Happens {
    let n = u128::from(roll / 16 % 2) + 1;
    let index = (roll / 32 % 4) as usize;
    match roll % 16 {
        0 | 1 => Happens::Captured(n),
        2 => Happens::Declined(n),
        3 | 4 => Happens::Settled(n),
        5 => Happens::Refused(n, ConfirmRefusal::Gone),
        6 => Happens::Refused(n, ConfirmRefusal::AlreadyPaid),
        7 => Happens::Voided,
        8 | 9 => Happens::Ticket(index % 2),
        10 => Happens::Rest,
        11 => Happens::Said(index, RefundState::Asked),
        12 => Happens::Said(index, RefundState::Failed),
        13 => Happens::Said(index, RefundState::Begun),
        _ => Happens::Said(index, RefundState::Done),
    }
}

async fn happen(database: &Database, order: OrderRef, tickets: &[Ticket], what: Happens, roll: u32) {
    // A rule may say no; a store that contradicts itself may not.
    fn may<T>(outcome: Result<T, StoreError>) {
        assert!(matches!(outcome, Ok(_) | Err(StoreError::Conflict(_))), "{:?}", outcome.err());
    }
    match what {
        Happens::Captured(n) => may(captured(database, order, n, &format!("evt_{n}_{}", roll % 5)).await),
        Happens::Declined(n) => may(orders::decline(database, order, payment_id(n), at(9)).await),
        Happens::Settled(n) => may(orders::settle(database, order, payment_id(n), &two(), tickets, at(50)).await),
        Happens::Refused(n, why) => {
            // The inventory never refuses what it has sold to the same payment.
            let entries = ledger::entries(database, order).await.expect("read");
            let bought = |booked: &Booked| booked.payment == payment_id(n) && booked.entry.as_str() == "ticketed";
            if !entries.iter().any(bought) {
                may(orders::settle_refused(database, order, payment_id(n), why, at(60)).await);
            }
        }
        Happens::Voided => may(orders::apply_fact(database, order.event, &fact(order, 9, FactKind::Voided)).await),
        Happens::Ticket(index) => may(refund(database, order, Some(&[tickets[index].id])).await),
        Happens::Rest => may(refund(database, order, None).await),
        Happens::Said(index, to) => {
            let refunds = refunds::of_order(database, order).await.expect("read");
            if let Some(refund) = refunds.get(index) {
                advance(database, refund.key(), to).await;
            }
        }
    }
}

/// I-13, I-14, I-20
#[tokio::test]
async fn whatever_happens_the_books_balance_after_each_commit() {
    let seed: u64 = std::env::var("ONSALE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(rand::random());
    println!("ONSALE_TEST_SEED={seed}");
    let mut random = seed | 1;
    let mut roll = move || {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 33) as u32
    };
    for home in Home::all().await {
        let database = home.open().await;
        let lives = if home.config.database.is_empty() { 60 } else { 20 };
        for life in 0..lives {
            let event = new_event();
            let order = reference(event, life);
            let (first, second) = (life * 2 + 1, life * 2 + 2);
            add_order(&database, order, two()).await;
            for n in [first, second] {
                open_payment(&database, &payment_for(n, order, &two())).await;
                orders::decline(&database, order, payment_id(n), at(5)).await.expect("another is opened");
            }
            let tickets = made(order, &two());
            let mut said = Vec::new();
            for _ in 0..30 {
                let roll = roll();
                let what = match happens(roll) {
                    Happens::Captured(n) => Happens::Captured(first + n - 1),
                    Happens::Declined(n) => Happens::Declined(first + n - 1),
                    Happens::Settled(n) => Happens::Settled(first + n - 1),
                    Happens::Refused(n, why) => Happens::Refused(first + n - 1, why),
                    other => other,
                };
                said.push(what);
                happen(&database, order, &tickets, what, roll).await;
                let [captured, pending, ticketed, refunding, refunded] = books(&database, order).await;
                assert_eq!(captured, pending + ticketed + refunding + refunded, "{said:?}");
                let done = refunds::of_order(&database, order).await.expect("read");
                let done: i64 = done.iter().filter(|r| r.state == RefundState::Done).map(|r| r.amount.minor).sum();
                assert_eq!(refunded, done, "{said:?}");
                let state = order_state(&database, order).await;
                let live = tickets::count_live(&database, event).await.expect("count");
                assert_eq!(live > 0, state == OrderState::Ticketed, "{state:?}: {said:?}");
                assert!(ticketed == i64::try_from(live).expect("few") * 2_500, "{said:?}");
            }
        }
    }
}

async fn given_back(database: &Database, order: OrderRef) -> usize {
    let mut write = database.begin().await.expect("begin");
    refunds::given_back(&mut write, order).await.expect("read").len()
}
