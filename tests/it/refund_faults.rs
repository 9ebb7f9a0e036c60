//! Refunds whose workers die and whose provider's answers are lost: the money goes back once, and the places with it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use onsale::{
    actors::directory::Directory as _,
    domain::{
        id::{EventId, OrderRef},
        inventory::request::HoldView,
        ledger::Account,
        order::OrderState,
        refund::{RefundReason, RefundState},
        time::EventTime,
    },
    stores::{
        database::{
            checks, ledger,
            orders::{self, Wanted},
            refunds::{self, Stock},
            sandbox::{self, Card, Decision, Session},
            tickets,
        },
        error::StoreError,
        provider::{
            Opened, Over, Page, PaymentProvider, Providers, RefundAnswer, RefundRequest, SessionRequest, Standing,
            guard::Settings,
        },
    },
};

use crate::{
    harness::{eventually, until},
    psp,
    shop::{Shop, configuration, new_fan},
};

/// The way to the real provider, on which every second answer is lost after the provider has done what was asked.
struct Lossy {
    provider: Arc<dyn PaymentProvider>,
    asked: AtomicU32,
}

#[async_trait]
impl PaymentProvider for Lossy {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError> {
        let answer = self.provider.refund(request).await?;
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Err(StoreError::Unknown("the answer was lost".into()));
        }
        Ok(answer)
    }

    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError> {
        self.provider.open(request).await
    }

    async fn look(&self, session: &str) -> Result<Standing, StoreError> {
        self.provider.look(session).await
    }

    async fn close(&self, session: &str) -> Result<Standing, StoreError> {
        self.provider.close(session).await
    }

    async fn records(&self, over: Over, after: &str, limit: u32) -> Result<Page, StoreError> {
        self.provider.records(over, after, limit).await
    }
}

/// A breaker would keep the faults away.
fn lossy(providers: Providers) -> Providers {
    let wrap = |provider: Arc<dyn PaymentProvider>| {
        Arc::new(Lossy { provider, asked: AtomicU32::new(0) }) as Arc<dyn PaymentProvider>
    };
    let mut settings = Settings::default();
    settings.breaker.calls = u32::MAX;
    Providers::new(providers.all().map(wrap).collect::<Vec<_>>(), settings)
}

/// A payment whose money the provider really has.
async fn pay(shop: &Shop, event: EventId, hold: &HoldView) -> OrderRef {
    let fact = shop.check_out(event, hold).await;
    let database = &shop.stores.database;
    let id = fact.payment.to_string();
    let now = EventTime(5);
    let session = Session {
        id: id.clone(),
        reference: fact.reference,
        amount: onsale::domain::money::Money { minor: fact.amount_minor, currency: fact.currency },
        state: sandbox::State::Open,
        card: sandbox::Card::Good,
        return_url: String::new(),
        created_at: now,
        updated_at: now,
    };
    let mut write = database.begin().await.expect("begin");
    sandbox::create(&mut write, &session).await.expect("create");
    write.commit().await.expect("commit");
    let decision = Decision { to: sandbox::State::Paid, card: Card::Good, says: &[] };
    sandbox::decide(database, &id, decision, now).await.expect("paid");
    shop.money_comes(&fact).await;
    fact.reference
}

async fn becomes(shop: &Shop, order: OrderRef, state: OrderState) {
    eventually("the order's state", async || {
        let order = shop.order(order.event, order.order).await?;
        (order.state == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_dying_workers_give_money_and_places_back_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open_asking(folder.path(), lossy).await;
    let database = &shop.stores.database;
    let event = shop.new_event(configuration(40)).await;
    let mut orders = Vec::new();
    for _ in 0..6 {
        let admission = shop.admitted(event, new_fan()).await;
        let hold = shop.hold(event, admission, 3).await.expect("stock is there");
        let order = pay(&shop, event, &hold).await;
        becomes(&shop, order, OrderState::Ticketed).await;
        orders.push(order);
    }
    // Of each a ticket, then the rest, while whoever works them off dies again and again.
    for order in &orders {
        let one = tickets::of_order(database, *order).await.expect("tickets")[1].id;
        for tickets in [Some([one]), None] {
            let tickets = tickets.as_ref().map(<[_; 1]>::as_slice);
            let (reason, note) = (RefundReason::Requested, "as asked");
            let wanted = Wanted { reference: *order, tickets, restock: true, reason, note };
            let mut write = database.begin().await.expect("begin");
            orders::refund_tickets(&mut write, &wanted, EventTime(9)).await.expect("asked").expect("may");
            write.commit().await.expect("commit");
            shop.directory.kill_intake().await;
        }
    }
    for order in &orders {
        becomes(&shop, *order, OrderState::Refunded).await;
        until("the places are back", async || {
            let refunds = refunds::of_order(database, *order).await.expect("refunds");
            refunds.iter().all(|refund| (refund.stock, refund.state) == (Stock::Back, RefundState::Done))
        })
        .await;
        let books = ledger::of_order(database, *order).await.expect("books");
        assert_eq!((books.of(Account::Captured), books.of(Account::Refunded)), (3_750, 3_750));
    }
    let provider = shop.stores.providers.by_name("sandbox").expect("there");
    for record in psp::records(provider.as_ref(), 100).await {
        assert_eq!((record.captured_minor, record.refunded_minor), (3_750, 3_750), "{}", record.session);
    }
    let view = shop.directory.event(event).await.expect("it runs").inventory.view();
    assert_eq!((view.ticket_types[0].free, view.ticket_types[0].sold), (40, 0));
    for wrong in [checks::unbalanced(database, event).await, checks::miscounted(database, event).await] {
        assert_eq!(wrong.expect("check"), []);
    }
    shop.close().await;
}
