//! The running actors of a node on embedded stores: a whole sale, crashes in the middle of it, and a restart.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures_util::future::join_all;
use onsale::{
    actors::{
        config::Config,
        connection::{self, Close, Outgoing, Update},
        directory::{Directory, DirectoryError, Part},
        inventory::{AskError, recovery},
    },
    domain::{
        id::{EventId, FanId, OrderRef},
        inventory::{
            configuration::QueueSettings,
            request::{Admission, Command, HoldState, HoldView, Refusal, Request},
        },
        keys::Generation,
        order::OrderState,
        queue::{Outcome, Standing},
        ticket::TicketCode,
        time::{EventTime, Millis},
    },
    stores::{
        database::{checks, dead_letters, events, orders, outbox, tickets},
        order_bus::Topic,
        secret::{RootSecret, TicketKey},
    },
};
use tokio::sync::mpsc;

use crate::{
    harness::{address, eventually, until},
    shop::{Shop, configuration, hold_of, new_fan},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_joins_is_admitted_holds_pays_and_has_tickets() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let event = shop.new_event(configuration(10)).await;

    let admission = shop.admitted(event, new_fan()).await;
    let hold = shop.hold(event, admission, 3).await.expect("stock is there");
    let view = shop.event(event).await.inventory.view();
    assert_eq!((view.ticket_types[0].free, view.ticket_types[0].held), (7, 3));
    shop.pay(event, &hold).await;
    let order = ticketed(&shop, event, &hold).await;
    assert_eq!(order.fan, admission.fan);

    let tickets = tickets::of_order(&shop.stores.database, order.reference).await.expect("tickets");
    assert_eq!(tickets.len(), 3);
    let secret = RootSecret::open(None, folder.path()).expect("the root secret");
    for ticket in &tickets {
        let code = TicketCode::from_text(&ticket.code).expect("a code");
        assert!(TicketKey::of(&secret, Generation::FIRST)[0].verify(&code.signed, &code.signature));
        assert_eq!((code.code.event, code.code.ticket), (event, ticket.id));
    }
    audit(&shop, event).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_not_there_is_said_to_be_so() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let nowhere = EventId::from_u128(9);
    assert_eq!(shop.directory.event(nowhere).await.err(), Some(DirectoryError::UnknownEvent));
    assert_eq!(shop.stores.ownership.owner(nowhere).await.expect("answers"), None, "nothing was claimed for it");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_actor_in_the_middle_of_a_sale_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut ample = configuration(1_000_000);
    ample.queue.slots = 100_000;
    let event = shop.new_event(ample).await;
    shop.event(event).await;

    let sale = Sale::default();
    let buyers = join_all((0..16).map(|_| sale.buy(&shop, event)));
    let (bought, killed) = tokio::join!(buyers, sale.kill_in_turn(&shop, event));
    println!("killed: {killed:?}, bought: {}", bought.iter().flatten().count());
    assert!(killed.iter().all(|&count| count > 0), "each was there to be killed: {killed:?}");

    let mut sold = 0;
    for hold in bought.iter().flatten() {
        sold += hold.lines.iter().map(|line| line.quantity).sum::<u32>();
        ticketed(&shop, event, hold).await;
    }
    let view = shop.event(event).await.inventory.view();
    assert_eq!(view.ticket_types[0].sold, sold, "what was answered is what is sold");
    audit(&shop, event).await;
    shop.close().await;
}

#[derive(Default)]
struct Sale {
    is_over: AtomicBool,
    bought: AtomicU32,
}

impl Sale {
    /// How often each was there to be killed.
    async fn kill_in_turn(&self, shop: &Shop, event: EventId) -> [u32; 5] {
        let mut killed = [0; 5];
        let [parts @ .., intake] = &mut killed;
        for round in 0..4 {
            for (count, part) in parts.iter_mut().zip([Part::Inventory, Part::WaitingRoom, Part::Orders, Part::Keeper])
            {
                // In every other round the next one is killed amid the recovery from this one, if it is there by then.
                if round % 2 == 1 {
                    *count += u32::from(shop.directory.kill(event, part).await);
                    continue;
                }
                until("it is there to be killed", async || shop.directory.kill(event, part).await).await;
                *count += 1;
                self.goes_on().await;
            }
            shop.directory.kill_intake().await;
            *intake += 1;
            self.goes_on().await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        killed
    }

    async fn goes_on(&self) {
        let before = self.bought.load(Ordering::Relaxed);
        until("somebody buys", async || self.bought.load(Ordering::Relaxed) > before).await;
    }

    /// Each time another fan: admitted, holding, paid. Gives back what was answered.
    async fn buy(&self, shop: &Shop, event: EventId) -> Vec<HoldView> {
        let mut held = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let admission = shop.admitted(event, new_fan()).await;
            let hold = shop.hold(event, admission, 2).await.expect("stock is there");
            shop.pay(event, &hold).await;
            self.bought.fetch_add(1, Ordering::Relaxed);
            held.push(hold);
        }
        held
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_places_admissions_holds_and_tickets_are_as_they_were() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut slow = configuration(10);
    slow.queue = QueueSettings { slots: 2, ..slow.queue };
    let event = shop.new_event(slow).await;
    let (buyer, holder) = (shop.admitted(event, new_fan()).await, shop.admitted(event, new_fan()).await);
    let paid = shop.hold(event, buyer, 1).await.expect("stock is there");
    let kept = shop.hold(event, holder, 2).await.expect("stock is there");
    shop.pay(event, &paid).await;
    ticketed(&shop, event, &paid).await;
    let fans: Vec<FanId> = (0..5).map(|_| new_fan()).collect();
    let places = standings(&shop, event, &fans, true).await;
    shop.close().await;

    let shop = Shop::open(folder.path()).await;
    assert_eq!(standings(&shop, event, &fans, false).await, places, "the same places in the same order");
    assert!(places.is_sorted_by_key(|standing| match standing {
        Standing::Waiting(place) => Some(*place),
        _ => None,
    }));
    assert_eq!(shop.standing(event, holder.fan).await, Standing::Admitted(holder));
    let inventory = shop.event(event).await.inventory;
    let order = inventory.order(kept.order).await.expect("answered").expect("there");
    assert_eq!((order.state, order.expires_at), (HoldState::Held, kept.expires_at));
    assert_eq!(inventory.order(paid.order).await.expect("answered").expect("there").state, HoldState::Sold);
    let late = shop.event(event).await.waiting_room.join(new_fan()).await.expect("a place");
    let Outcome::Waiting { place } = late else { unreachable!("the slots are taken: {late:?}") };
    let Some(Standing::Waiting(last)) = places.last() else { unreachable!("they waited") };
    assert!(place > *last, "who comes after the restart stands behind");
    audit(&shop, event).await;
    shop.close().await;
}

/// Where each fan stands; joins first if asked to.
async fn standings(shop: &Shop, event: EventId, fans: &[FanId], join: bool) -> Vec<Standing> {
    let mut standings = Vec::new();
    for &fan in fans {
        if join {
            let joined = shop.event(event).await.waiting_room.join(fan).await.expect("a place");
            assert!(matches!(joined, Outcome::Waiting { .. }), "{joined:?}");
        }
        standings.push(shop.standing(event, fan).await);
    }
    standings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_the_database_has_not_heard_of_is_copied_at_the_next_activation() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let event = shop.new_event(configuration(10)).await;
    let mut next = configuration(20);
    next.version = 2;
    let request = Request { identity: None, command: Command::Configure(Box::new(next)) };
    shop.event(event).await.inventory.ask(request).await.expect("configured");
    assert_eq!(version(&shop, event).await, 1);
    assert!(shop.directory.kill(event, Part::Keeper).await);
    eventually("the copy is repaired", async || (version(&shop, event).await == 2).then_some(())).await;
    eventually("the new stock is shown", async || {
        let inventory = shop.directory.event(event).await.ok()?.inventory;
        (inventory.view().ticket_types[0].free == 20).then_some(())
    })
    .await;
    shop.close().await;
}

async fn version(shop: &Shop, event: EventId) -> u32 {
    let row = events::by_id(&shop.stores.database, event).await.expect("answers").expect("there");
    row.configuration.version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_when_the_stock_is_gone_goes_back() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut short = configuration(2);
    short.limits.hold_ttl = Millis::seconds(1);
    short.limits.hold_extension = Millis(0);
    let event = shop.new_event(short).await;
    let (late, quick) = (shop.admitted(event, new_fan()).await, shop.admitted(event, new_fan()).await);
    let lapsed = shop.hold(event, late, 2).await.expect("stock is there");
    let late_money = shop.check_out(event, &lapsed).await;
    assert!(matches!(shop.hold(event, quick, 2).await, Err(Refusal::SoldOut { left: 0, .. })));
    let bought = eventually("the hold lapses", async || shop.hold(event, quick, 2).await.ok()).await;
    shop.pay(event, &bought).await;
    ticketed(&shop, event, &bought).await;
    shop.money_comes(&late_money).await;
    eventually("the money goes back", async || {
        let order = shop.order(event, lapsed.order).await?;
        (order.state == OrderState::Refunding).then_some(())
    })
    .await;
    audit(&shop, event).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_message_that_the_bus_has_lost_is_sent_again() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let event = shop.new_event(configuration(10)).await;
    let admission = shop.admitted(event, new_fan()).await;
    let hold = shop.hold(event, admission, 1).await.expect("stock is there");
    let fact = shop.check_out(event, &hold).await;
    // While nobody relays: marked as sent, which it never was.
    shop.directory.kill_intake().await;
    let id = shop.money_comes(&fact).await;
    outbox::mark_sent(&shop.stores.database, &[id], EventTime(7)).await.expect("marked");
    ticketed(&shop, event, &hold).await;
    eventually("nothing is left to do", async || {
        let overdue = outbox::overdue(&shop.stores.database, EventTime(u64::MAX >> 1), 1).await.ok()?;
        overdue.is_empty().then_some(())
    })
    .await;
    audit(&shop, event).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_tells_the_place_at_once_the_turn_and_the_end_also_when_the_room_restarts() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut narrow = configuration(10);
    narrow.queue = QueueSettings { slots: 1, ..narrow.queue };
    let event = shop.new_event(narrow).await;
    let first = shop.admitted(event, new_fan()).await;

    let (outgoing, mut socket) = mpsc::channel(8);
    let directory = Arc::clone(&shop.directory) as Arc<dyn Directory>;
    let connection = connection::start(directory, event, new_fan(), outgoing).await.expect("starts");
    let first_update = next_update(&mut socket).await;
    assert_eq!(first_update.seq, 1);
    // The queue published last may still count the one who was admitted since.
    let mut update = first_update;
    while update.position.map(|position| (position.ahead(), position.total)) != Some((Some(0), 1)) {
        update = next_update(&mut socket).await;
    }

    assert!(shop.directory.kill(event, Part::WaitingRoom).await);
    let left = eventually("the first one leaves", async || {
        shop.directory.event(event).await.ok()?.waiting_room.leave(first.fan).await.ok()
    })
    .await;
    assert_eq!(left, Outcome::Left);
    let admission = eventually("the second is admitted", async || admission_of(next_update(&mut socket).await)).await;
    assert!(admission.claim_by.is_none(), "being here, it needs no claim");

    connection.leave();
    loop {
        match socket.recv().await {
            Some(Outgoing::Close(why)) => break assert_eq!(why, Close::Left),
            Some(_) => {}
            None => unreachable!("closed without a word"),
        }
    }
    assert_eq!(socket.recv().await, None, "nothing follows");
    assert_eq!(shop.standing(event, admission.fan).await, Standing::NotHere);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_left_does_not_wait_again_when_the_room_of_an_open_socket_restarts() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let event = shop.new_event(configuration(10)).await;
    let (outgoing, mut socket) = mpsc::channel(64);
    let directory = Arc::clone(&shop.directory) as Arc<dyn Directory>;
    let fan = new_fan();
    let _connection = connection::start(directory, event, fan, outgoing).await.expect("starts");
    eventually("the fan is let in", async || admission_of(next_update(&mut socket).await)).await;

    let room = shop.event(event).await.waiting_room;
    assert_eq!(room.leave(fan).await.ok(), Some(Outcome::Left), "not by the socket");
    while next_update(&mut socket).await.standing != Standing::NotHere {}
    let term = room.queue().borrow().newest.term();
    assert!(shop.directory.kill(event, Part::WaitingRoom).await);
    let mut queue = eventually("the socket is attached again", async || {
        let queue = shop.directory.event(event).await.ok()?.waiting_room.queue();
        let attached = queue.borrow().newest.term() > term && queue.borrow().present == 1;
        attached.then_some(queue)
    })
    .await;
    // Two more turns of the room: whatever the connection asked for after that is done.
    for _ in 0..2 {
        queue.changed().await.expect("published");
    }
    assert_eq!(shop.standing(event, fan).await, Standing::NotHere);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_by_one_way_is_told_so_by_all() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut shut = configuration(10);
    shut.queue.paused = true;
    let event = shop.new_event(shut).await;
    let (fan, mut sockets) = (new_fan(), Vec::new());
    for _ in 0..2 {
        let (outgoing, mut socket) = mpsc::channel(64);
        let directory = Arc::clone(&shop.directory) as Arc<dyn Directory>;
        let connection = connection::start(directory, event, fan, outgoing).await.expect("starts");
        while !matches!(next_update(&mut socket).await.standing, Standing::Waiting(_)) {}
        sockets.push((connection, socket));
    }
    let room = shop.event(event).await.waiting_room;
    assert_eq!(room.leave(fan).await.ok(), Some(Outcome::Left));
    for (_connection, mut socket) in sockets {
        while next_update(&mut socket).await.standing != Standing::NotHere {}
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_the_newest_position_only() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open(folder.path()).await;
    let mut shut = configuration(10);
    shut.queue.paused = true;
    let event = shop.new_event(shut).await;
    let room = shop.event(event).await.waiting_room;
    let before = [new_fan(), new_fan(), new_fan()];
    for fan in before {
        room.join(fan).await.expect("a place");
    }
    let (outgoing, mut socket) = mpsc::channel(1);
    let directory = Arc::clone(&shop.directory) as Arc<dyn Directory>;
    let _connection = connection::start(directory, event, new_fan(), outgoing).await.expect("starts");
    eventually("the first update waits to be read", async || (socket.len() == 1).then_some(())).await;
    let mut queue = room.queue();
    for (left, fan) in before.into_iter().enumerate() {
        room.leave(fan).await.expect("left");
        queue.wait_for(|queue| queue.ranks.total() == 3 - left).await.expect("published");
    }
    // One more turn of the room, so that the connection has seen the last one.
    queue.changed().await.expect("published");
    let ahead = |update: Update| (update.seq, update.position.and_then(|position| position.ahead()));
    assert_eq!(ahead(next_update(&mut socket).await), (1, Some(3)));
    assert_eq!(ahead(next_update(&mut socket).await), (2, Some(0)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_cap_requests_are_refused_at_once_and_change_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open_with(folder.path(), Config { inventory_in_flight: 4, ..Config::default() }).await;
    let event = shop.new_event(configuration(1_000)).await;
    let admissions = join_all((0..32).map(|_| shop.admitted(event, new_fan()))).await;
    let inventory = shop.event(event).await.inventory;
    let asked = join_all(admissions.iter().map(|&admission| inventory.ask(hold_of(admission, 1)))).await;
    let held = asked.iter().filter(|answer| answer.is_ok()).count();
    let overloaded = asked.iter().filter(|answer| matches!(answer, Err(AskError::Overloaded))).count();
    assert_eq!((held, overloaded), (4, 28));
    assert_eq!(inventory.view().ticket_types[0].held, 4);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_takes_the_place_of_the_segments_and_recovery_from_it_is_the_same() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = Config { snapshot_tail_bytes: 2_000, ..Config::default() };
    let shop = Shop::open_with(folder.path(), config.clone()).await;
    let event = shop.new_event(configuration(1_000)).await;
    let mut held = Vec::new();
    let covered = eventually("a snapshot is made", async || {
        let admission = shop.admitted(event, new_fan()).await;
        held.push(shop.hold(event, admission, 1).await.expect("stock is there"));
        shop.stores.journal.recover(event).await.expect("readable").snapshot.map(|(seq, _)| seq)
    })
    .await;
    assert!(covered > 1);
    audit(&shop, event).await;
    shop.close().await;

    let shop = Shop::open_with(folder.path(), config).await;
    let inventory = shop.event(event).await.inventory;
    for hold in &held {
        let order = inventory.order(hold.order).await.expect("answered").expect("there");
        assert_eq!((order.state, order.expires_at), (HoldState::Held, hold.expires_at));
    }
    assert_eq!(inventory.view().holds as usize, held.len());
    shop.close().await;
}

async fn next_update(socket: &mut mpsc::Receiver<Outgoing>) -> Update {
    loop {
        match socket.recv().await {
            Some(Outgoing::Update(update)) => return update,
            Some(_) => {}
            None => unreachable!("the connection ended"),
        }
    }
}

fn admission_of(update: Update) -> Option<Admission> {
    match update.standing {
        Standing::Admitted(admission) => Some(admission),
        _ => None,
    }
}

async fn ticketed(shop: &Shop, event: EventId, hold: &HoldView) -> orders::Order {
    eventually("the order is ticketed", async || {
        let order = shop.order(event, hold.order).await?;
        (order.state == OrderState::Ticketed).then_some(order)
    })
    .await
}

/// From the stores alone: the journal folds, stock adds up, tickets are what is sold, everything is published.
async fn audit(shop: &Shop, event: EventId) {
    let (journal, database) = (&shop.stores.journal, &shop.stores.database);
    let folded = eventually("everything is published", async || {
        let folded = recovery::fold(journal.recover(event).await.expect("readable")).expect("consistent");
        (folded.inventory.unpublished() == 0).then_some(folded)
    })
    .await;
    eventually("everything is taken in", async || {
        let depth = shop.stores.bus.depth(Topic::Orders).await.expect("answers");
        let unfinished = checks::ticketed_without_sale(database, event).await.expect("answers");
        (depth == 0 && unfinished.is_empty()).then_some(())
    })
    .await;
    let view = folded.inventory.view(folded.inventory.last_at());
    for ticket_type in &view.ticket_types {
        let sum = ticket_type.free + ticket_type.held + ticket_type.sold + ticket_type.blocked;
        assert_eq!(sum, ticket_type.capacity, "{}", ticket_type.code);
    }
    let sold: u32 = view.ticket_types.iter().map(|ticket_type| ticket_type.sold).sum();
    assert_eq!(tickets::count_live(database, event).await.expect("answers"), u64::from(sold));
    assert_eq!(checks::seats_sold_twice(database, event).await.expect("answers"), []);
    assert_eq!(checks::miscounted(database, event).await.expect("answers"), Vec::<OrderRef>::new());
    assert_eq!(checks::paid_twice(database, event).await.expect("answers"), Vec::<OrderRef>::new());
    assert_eq!(shop.stores.bus.depth(Topic::Dead).await.expect("answers"), 0);
    assert_eq!(dead_letters::count_waiting(database).await.expect("answers"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_stands_still_is_claimed_anew_when_its_lease_is_revoked() {
    let Some(addresses) = address("ONSALE_TEST_ETCD") else { return };
    let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
    let folder = tempfile::tempdir().expect("temporary folder");
    let shop = Shop::open_on_etcd(folder.path(), &addresses).await;
    let mut still = configuration(10);
    still.queue.paused = true;
    let event = shop.new_event(still).await;
    let fan = new_fan();
    let waiting = eventually("a place", async || match shop.event(event).await.waiting_room.join(fan).await {
        Ok(Outcome::Waiting { place }) => Some(place),
        _ => None,
    });
    let place = waiting.await;
    let before = shop.stores.ownership.owner(event).await.expect("answers").expect("owned").epoch;

    let mut etcd = etcd_client::Client::connect(&addresses, None).await.expect("etcd");
    let found = etcd.get(format!("onsale/own/{event}"), None).await.expect("read");
    let lease = found.kvs().first().expect("an owner").lease();
    etcd.lease_revoke(lease).await.expect("revoked");

    eventually("a new epoch", async || {
        let owner = shop.stores.ownership.owner(event).await.ok()??;
        (owner.epoch > before).then_some(())
    })
    .await;
    eventually("the place is told again", async || {
        let standing = shop.event(event).await.waiting_room.poll(fan).await.ok()?;
        (standing == Standing::Waiting(place)).then_some(())
    })
    .await;
    shop.close().await;
}
