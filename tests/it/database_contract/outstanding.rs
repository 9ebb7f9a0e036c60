//! The queue of payments whose provider is to be asked: each is taken up by one at a time, and comes up again by itself.

use onsale::{
    domain::{inventory::fact::FactKind, time::Millis},
    stores::{
        database::{
            orders,
            payments::{self, Payment, State, outstanding},
        },
        provider::{Opened, SessionRequest},
    },
};

use super::{
    Home,
    sample::{add_order, at, eur, fact, payment, payment_id, reference, two},
};
use crate::harness::new_event;

const LEASE: Millis = Millis(30_000);

fn request(payment: &Payment) -> SessionRequest {
    SessionRequest {
        key: payment.id,
        reference: payment.reference,
        amount: eur(5_000),
        description: "Concert: 2 × Größe \"L\"".into(),
        shop_url: "https://shop.example".into(),
        return_url: String::new(),
        at: at(1),
        expires_at: at(600_000),
    }
}

#[tokio::test]
async fn a_payment_is_asked_about_by_one_at_a_time_until_it_is_settled_or_given_up() {
    for home in Home::all().await {
        let database = home.open().await;
        let order = reference(new_event(), 1);
        add_order(&database, order, two()).await;
        let id = payment_id(1);
        let unopened = Payment { provider_session: id.to_string(), url: String::new(), ..payment(1, order) };
        // What is asked for is kept once.
        let asked = request(&unopened);
        for again in [asked.clone(), SessionRequest { description: "other".into(), ..asked.clone() }] {
            let begun = outstanding::begin(&database, unopened.clone(), again, at(60_000)).await.expect("open");
            assert_eq!((&begun.payment, begun.request.as_ref()), (&unopened, Some(&asked)));
        }
        assert_eq!(outstanding::due(&database, at(59_999), 10).await.expect("due"), []);
        let due = outstanding::due(&database, at(60_000), 10).await.expect("due").remove(0);
        assert_eq!((&due.payment, due.request.as_ref(), due.looks), (&unopened, Some(&asked), 0));

        // One of two workers has it, and nobody else until its lease is over.
        let taken = [
            outstanding::take_up(&database, &due, at(60_000), LEASE).await.expect("asked"),
            outstanding::take_up(&database, &due, at(60_000), LEASE).await.expect("asked"),
        ];
        assert_eq!(taken, [true, false]);
        assert_eq!(outstanding::due(&database, at(89_999), 10).await.expect("due"), []);
        assert_eq!(outstanding::due(&database, at(90_000), 10).await.expect("due")[0].looks, 1);

        // What the provider has told of its session first stays.
        for session in ["cs_1", "cs_2"] {
            let opened = Opened { session: session.into(), url: format!("https://pay.example/{session}") };
            outstanding::opened(&database, id, &opened).await.expect("kept");
        }
        outstanding::agreed(&database, id, "token", at(95_000), at(91_000)).await.expect("kept");
        let now = outstanding::by_id(&database, id).await.expect("read").expect("there");
        assert_eq!((now.payment.provider_session.as_str(), now.token.as_str()), ("cs_1", "token"));
        // A lease that was overtaken puts nothing off.
        outstanding::put_off(&database, id, at(90_000), None).await.expect("asked");
        assert_eq!(outstanding::due(&database, at(95_000), 10).await.expect("due").len(), 1);
        outstanding::put_off(&database, id, at(95_000), Some(at(200_000))).await.expect("put off");
        assert_eq!(outstanding::due(&database, at(199_999), 10).await.expect("due"), []);

        // A hint makes it due, and so does the end of its order.
        outstanding::look_now(&database, id, at(100_000)).await.expect("asked");
        assert_eq!(outstanding::due(&database, at(100_000), 10).await.expect("due").len(), 1);
        outstanding::put_off(&database, id, at(100_000), None).await.expect("put off");
        assert_eq!(outstanding::due(&database, at(1 << 40), 10).await.expect("due"), []);
        let mut write = database.begin().await.expect("begin");
        orders::open_checkout(&mut write, order, at(2)).await.expect("open");
        write.commit().await.expect("commit");
        for _ in 0..2 {
            let expired = fact(order, 2, FactKind::Expired);
            orders::apply_fact(&database, order.event, &expired).await.expect("applied");
        }
        assert_eq!(outstanding::due(&database, at(100_000), 10).await.expect("due").len(), 1);

        // Given up, only a hint brings it back; settled, nothing does.
        assert!(orders::decline(&database, order, id, at(101_000)).await.expect("declined"));
        assert_eq!(outstanding::due(&database, at(1 << 40), 10).await.expect("due"), []);
        outstanding::look_now(&database, id, at(102_000)).await.expect("asked");
        let due = outstanding::due(&database, at(102_000), 10).await.expect("due").remove(0);
        assert_eq!(due.payment.state, State::Declined);
        let mut write = database.begin().await.expect("begin");
        orders::captured(&mut write, order, id, at(103_000)).await.expect("captured");
        write.commit().await.expect("commit");
        outstanding::look_now(&database, id, at(104_000)).await.expect("asked");
        assert_eq!(outstanding::due(&database, at(1 << 40), 10).await.expect("due"), []);
        assert!(!outstanding::take_up(&database, &due, at(104_000), LEASE).await.expect("asked"));
        let state = payments::by_id(&database, id).await.expect("read").expect("there").state;
        assert_eq!(state, State::Captured);
    }
}
