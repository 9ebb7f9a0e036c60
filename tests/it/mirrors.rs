//! An event of one node, asked for at another: what fans and organizers there are told is what the owner decides, over a link
//! that loses, delays and repeats.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use onsale::{
    actors::{
        connection::{self, Close, Notice, Outgoing, Update},
        directory::{Directory, DirectoryError, EventHandles},
        inventory::{AskError, recovery},
    },
    domain::{
        id::{EventId, FanId},
        inventory::{
            configuration::{Configuration, Kept, QueueSettings, Seat, SeatKind, Stock, TicketType},
            notice,
            request::{Admission, Command, HoldView, Refusal, Request},
        },
        order::OrderState,
        queue::{Outcome, Standing},
        time::{EventTime, Millis},
    },
};
use tokio::sync::mpsc;

use crate::{
    harness::{eventually, in_time, until},
    shop::{Shop, configuration, hold_of, new_fan},
    two_nodes::{Faults, Node, TwoNodes},
};

const BAD: Faults = Faults { lost: 4, repeated: 10, longest_delay_ms: 5 };

/// Who runs the event, and the other one.
const OWNER: usize = 0;
const OTHER: usize = 1;

fn narrow(slots: u32) -> QueueSettings {
    QueueSettings { slots, ..configuration(1).queue }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_at_another_node_gets_place_position_turn_admission_hold_and_tickets() {
    for faults in [Faults::default(), BAD] {
        let Some(nodes) = TwoNodes::open(faults).await else { return };
        let [owner, other] = &nodes.shops;
        let mut one_slot = configuration(10);
        one_slot.queue = narrow(1);
        let event = owner.new_event(one_slot).await;
        let first = owner.admitted(event, new_fan()).await;

        let mut socket = Socket::open(other, event, new_fan()).await;
        let waits = socket
            .update(|update| update.position.map(|position| (position.ahead(), position.total)) == Some((Some(0), 1)));
        let waits = waits.await;
        let Standing::Waiting(place) = waits.standing else { unreachable!("it waits: {waits:?}") };
        assert_eq!(owner.standing(event, socket.fan).await, Standing::Waiting(place));

        until("the first one leaves", async || {
            let Ok(handles) = other.directory.event(event).await else { return false };
            // Sent again, it has left already.
            matches!(handles.waiting_room.leave(first.fan).await, Ok(Outcome::Left | Outcome::NotHere))
        })
        .await;
        let admission = socket.admission().await;
        assert!(admission.claim_by.is_none(), "being here, it needs no claim");
        assert_eq!(owner.standing(event, socket.fan).await, Standing::Admitted(admission));

        let hold = other.hold(event, admission, 2).await.expect("stock is there");
        assert!(matches!(other.hold(event, admission, 4).await, Err(Refusal::FanLimit { allowed: 2 })));
        let known = order(owner, event, &hold).await;
        assert_eq!(known, hold);
        assert_eq!(order(other, event, &hold).await, known, "the same wherever it is asked");
        until("the counts are shown at the other node", async || {
            let Ok(handles) = other.directory.event(event).await else { return false };
            handles.inventory.view().ticket_types[0].held == 2
        })
        .await;
        other.pay(event, &hold).await;
        ticketed(other, event, &hold).await;
        is_sold(owner, event, 2).await;

        nodes.set_faults(Faults::default());
        assert_eq!(socket.leave().await, Close::Left);
        assert_eq!(owner.standing(event, socket.fan).await, Standing::NotHere);
        nodes.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_called_fan_at_another_node_hears_the_turn_and_claims() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let mut shut = configuration(10);
    shut.queue.slots = 0;
    let event = owner.new_event(shut.clone()).await;
    let fan = new_fan();
    // Without a socket, so that it is called and has to claim.
    let room = other.event(event).await.waiting_room;
    assert!(matches!(room.join(fan).await, Ok(Outcome::Waiting { .. })));
    shut.version = 2;
    shut.queue.slots = 1;
    configure(other, event, shut).await;
    let called = eventually("the fan is called", async || match room.poll(fan).await {
        Ok(Standing::Admitted(admission)) => Some(admission),
        _ => None,
    });
    assert!(called.await.claim_by.is_some());
    let mut socket = Socket::open(other, event, fan).await;
    assert!(socket.admission().await.claim_by.is_some());
    socket.connection.claim();
    socket.update(|update| admitted(update).is_some_and(|one| one.claim_by.is_none())).await;
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_at_another_node_are_present_until_they_close_or_their_node_is_gone() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let mut shut = configuration(10);
    shut.queue.paused = true;
    shut.queue.grace = Millis::seconds(2);
    let event = owner.new_event(shut).await;
    let mut sockets = Vec::new();
    for fan in [new_fan(), new_fan(), new_fan()] {
        sockets.push(Socket::open(other, event, fan).await);
        sockets.push(Socket::open(other, event, fan).await);
    }
    let stays = Socket::open(owner, event, new_fan()).await;
    counted(owner, event, 4, 4).await;
    counted(other, event, 4, 4).await;
    // One of a fan's two sockets closes, both of another's.
    let gone = sockets.split_off(3);
    let first_left = sockets.pop().map(|socket| socket.fan);
    drop(gone);
    counted(owner, event, 1 + 1, 4).await;
    // Their grace passes, that of the fan who is here does not.
    counted(owner, event, 2, 2).await;
    let left = sockets[0].fan;
    assert!(matches!(owner.standing(event, left).await, Standing::Waiting(_)));
    let first_left = first_left.expect("two fans had sockets");
    assert_eq!(owner.standing(event, first_left).await, Standing::NotHere);

    nodes.cut_off(OWNER);
    counted(owner, event, 1, 2).await;
    counted(owner, event, 1, 1).await;
    assert_eq!(owner.standing(event, left).await, Standing::NotHere, "its grace has passed");
    assert!(matches!(owner.standing(event, stays.fan).await, Standing::Waiting(_)));
    until("a mirror that hears nothing is not shown", async || {
        other.directory.event(event).await.err() == Some(DirectoryError::Unavailable)
    })
    .await;
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_moves_in_the_middle_of_its_sale_loses_nothing_that_was_answered_at_either_node() {
    for faults in [Faults::default(), BAD] {
        let Some(nodes) = TwoNodes::open(faults).await else { return };
        let mut ample = configuration(1_000_000);
        ample.queue.slots = 100_000;
        let event = nodes.shops[OWNER].new_event(ample).await;
        let mut shut = configuration(10);
        shut.queue.paused = true;
        let waiting = nodes.shops[OWNER].new_event(shut).await;
        let mut sockets = Vec::new();
        for n in 0..8 {
            sockets.push(Socket::open(&nodes.shops[n % 2], waiting, new_fan()).await);
        }
        let mut places = Vec::new();
        for socket in &mut sockets {
            places.push(socket.update(|update| update.position.is_some()).await.standing);
        }

        let (over, sold) = (AtomicBool::new(false), AtomicU64::new(0));
        let buyers = join_all((0..8).map(|n| buy_until(&nodes.shops[n % 2], event, &over, &sold)));
        let more_is_sold = async || {
            let before = sold.load(Ordering::Relaxed);
            until("more is sold", async || sold.load(Ordering::Relaxed) >= before + 8).await;
        };
        let moving = async {
            for to in [OTHER, OWNER, OTHER] {
                more_is_sold().await;
                nodes.move_to(event, to).await;
                nodes.move_to(waiting, to).await;
            }
            more_is_sold().await;
            over.store(true, Ordering::Relaxed);
        };
        let (bought, ()) = tokio::join!(buyers, moving);

        let mut expected = 0;
        for hold in bought.iter().flatten() {
            expected += hold.lines.iter().map(|line| line.quantity).sum::<u32>();
            ticketed(&nodes.shops[OWNER], event, hold).await;
        }
        println!("bought: {}", bought.iter().flatten().count());
        assert!(bought.iter().all(|held| !held.is_empty()), "everybody bought at both nodes");
        assert!(nodes.shops[OTHER].directory.local.here(event).is_some(), "it has moved");
        for shop in &nodes.shops {
            is_sold(shop, event, expected).await;
        }
        one_writer_an_epoch(&nodes.shops[OWNER], event).await;

        // Each socket hears again, and of the same place.
        for (socket, place) in sockets.iter_mut().zip(places) {
            assert_eq!(nodes.shops[OTHER].standing(waiting, socket.fan).await, place);
        }
        let mut open = configuration(10);
        open.version = 2;
        configure(&nodes.shops[OWNER], waiting, open).await;
        for socket in &mut sockets {
            socket.admission().await;
        }
        nodes.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_come_and_go_over_a_bad_link_are_counted_right_in_the_end() {
    let Some(nodes) = TwoNodes::open(Faults { lost: 15, repeated: 15, longest_delay_ms: 10 }).await else { return };
    let [owner, other] = &nodes.shops;
    let mut shut = configuration(10);
    shut.queue.paused = true;
    let event = owner.new_event(shut).await;
    let fans: Vec<FanId> = (0..20).map(|_| new_fan()).collect();
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    sockets.resize_with(fans.len(), || None);
    for _ in 0..5 {
        for (socket, &fan) in sockets.iter_mut().zip(&fans) {
            *socket = match socket.take() {
                Some(open) if rand::random() => Some(open),
                _ if rand::random() => Some(Socket::open(other, event, fan).await),
                _ => None,
            };
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let here = sockets.iter().flatten().count();
    counted_here(owner, event, here).await;
    for socket in sockets.iter_mut().flatten() {
        let told = socket.update(|update| update.position.is_some()).await;
        assert_eq!(owner.standing(event, socket.fan).await, told.standing);
    }
    nodes.set_faults(Faults::default());
    let mut open = configuration(100);
    open.version = 2;
    configure(other, event, open).await;
    for socket in sockets.iter_mut().flatten() {
        assert!(socket.admission().await.claim_by.is_none());
    }
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_was_lost_on_the_way_is_learnt_when_the_link_is_back() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let mut shut = configuration(10);
    shut.queue.slots = 0;
    let event = owner.new_event(shut.clone()).await;
    let mut socket = Socket::open(other, event, new_fan()).await;
    socket.update(|update| update.position.is_some()).await;
    // For less than the silence after which the mirror gives up by itself.
    nodes.set_faults(Faults { lost: 100, ..Faults::default() });
    shut.version = 2;
    shut.queue.slots = 1;
    configure(owner, event, shut).await;
    let admission = owner.admitted(event, socket.fan).await;
    let mut queue = owner.event(event).await.waiting_room.queue();
    // What told of it has been sent, and lost.
    for _ in 0..3 {
        queue.changed().await.expect("published");
    }
    nodes.set_faults(Faults::default());
    assert_eq!(socket.admission().await, admission);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_at_another_node_is_seen_there_at_once_and_so_are_all_seats() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let event = owner.new_event(configuration(10)).await;
    let code = |text: &str| text.parse().expect("code");
    let mut hall = configuration(10);
    hall.version = 2;
    hall.ticket_types.push(TicketType { code: code("SEAT"), stock: Stock::Seats, ..hall.ticket_types[0].clone() });
    let seat = |n: u16| Seat {
        id: code(&format!("A-{n}")),
        zone: code("A"),
        row: code(&format!("{}", n / 1_000)),
        number: n % 1_000,
        ticket_type: code("SEAT"),
        kind: SeatKind::Standard,
        kept: if n.is_multiple_of(7) { Kept::Blocked } else { Kept::Free },
    };
    hall.seats = (0..20_000).map(seat).collect();
    let inventory = other.event(event).await.inventory;
    let request = Request { identity: None, command: Command::Configure(Box::new(hall.clone())) };
    inventory.ask(request).await.expect("configured");
    until("who has changed it sees it", async || *inventory.configuration() == hall).await;
    let seats = inventory.seats().await.expect("answered");
    assert_eq!(seats, owner.event(event).await.inventory.seats().await.expect("answered"));
    assert_eq!(seats.len(), 20_000);
    until("the view follows", async || inventory.view().version == 2).await;
    assert_eq!(inventory.view().seats_revision, owner.event(event).await.inventory.view().seats_revision);
    let ahead = inventory.clock().now().0.abs_diff(owner.event(event).await.inventory.clock().now().0);
    assert!(ahead < 2_000, "{ahead} ms between the clocks");
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_another_node_has_is_said_to_be_elsewhere_and_is_left_to_it() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let event = owner.new_event(configuration(10)).await;
    let epoch = owner.event(event).await.epoch;
    for _ in 0..3 {
        assert_eq!(other.directory.local.activate(event).await.err(), Some(DirectoryError::Elsewhere));
    }
    assert!(other.directory.local.here(event).is_none() && other.directory.local.running().is_empty());
    assert_eq!(owner.directory.local.running().len(), 1);
    let still = owner.stores.ownership.owner(event).await.expect("answers").expect("owned");
    assert_eq!(still.epoch, epoch);

    owner.directory.local.give_up(event).await;
    assert!(owner.directory.local.here(event).is_none());
    assert_eq!(owner.stores.ownership.owner(event).await.expect("answers"), None);
    let next = other.directory.local.activate(event).await.expect("nobody has it").epoch;
    assert!(next > epoch);
    assert_eq!(owner.directory.local.activate(event).await.err(), Some(DirectoryError::Elsewhere));
    // What does not run is given up too.
    owner.directory.local.give_up(event).await;
    other.directory.local.give_up(event).await;
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_reaches_the_sockets_of_other_nodes_and_is_told_once() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let mut settings = configuration(10);
    settings.queue.paused = true;
    let event = owner.new_event(settings.clone()).await;
    let mut socket = Socket::open(other, event, new_fan()).await;
    assert_eq!(socket.update(|_| true).await.notice, None);
    let texts = [("en".to_owned(), "The hall opens late.".to_owned())].into();
    let notice = Arc::new(notice::Notice { version: 2, at: EventTime(7), texts });
    settings = Configuration { version: 2, notice: Some(Arc::clone(&notice)), ..settings };
    configure(owner, event, settings.clone()).await;
    assert_eq!(socket.update(|update| update.notice.is_some()).await.notice, Some(Some(Arc::clone(&notice))));
    let mut late = Socket::open(other, event, new_fan()).await;
    assert_eq!(late.update(|_| true).await.notice, Some(Some(notice)), "with the first state");
    assert_eq!(socket.update(|_| true).await.notice, None, "somebody has come, and it is as before");
    drop(late);
    configure(owner, event, Configuration { version: 3, notice: None, ..settings }).await;
    assert_eq!(socket.update(|update| update.notice.is_some()).await.notice, Some(None));
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_carried_is_told_apart() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let event = owner.new_event(configuration(10)).await;
    let admission = owner.admitted(event, new_fan()).await;
    let inventory = other.event(event).await.inventory;
    nodes.cut_off(OWNER);
    let unknown = inventory.ask(hold_of(admission, 1)).await;
    assert_eq!(unknown, Err(AskError::Unknown), "without an identity it is not sent twice");
    nodes.close().await;
}

/// A connection without the socket.
struct Socket {
    fan: FanId,
    connection: connection::Handle,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl Socket {
    async fn open(shop: &Shop<Node>, event: EventId, fan: FanId) -> Self {
        let (sender, outgoing) = mpsc::channel(8);
        let directory = Arc::clone(&shop.directory) as Arc<dyn Directory>;
        let connection = connection::start(directory, event, fan, sender).await.expect("starts");
        Self { fan, connection, outgoing }
    }

    async fn update(&mut self, is_it: impl Fn(&Update) -> bool) -> Update {
        let updates = async {
            loop {
                match self.outgoing.recv().await {
                    Some(Outgoing::Update(update)) if is_it(&update) => return update,
                    Some(_) => {}
                    None => unreachable!("the connection ended"),
                }
            }
        };
        in_time(updates).await
    }

    async fn admission(&mut self) -> Admission {
        admitted(&self.update(|update| admitted(update).is_some()).await).expect("admitted")
    }

    /// Also if it is just attaching again.
    async fn leave(&mut self) -> Close {
        self.connection.leave();
        loop {
            match in_time(self.outgoing.recv()).await {
                Some(Outgoing::Close(why)) => return why,
                Some(Outgoing::Notice(Notice::TryAgain)) => self.connection.leave(),
                Some(_) => {}
                None => unreachable!("closed without a word"),
            }
        }
    }
}

fn admitted(update: &Update) -> Option<Admission> {
    match update.standing {
        Standing::Admitted(admission) => Some(admission),
        _ => None,
    }
}

/// As the owner publishes it.
async fn counted(shop: &Shop<Node>, event: EventId, present: usize, waiting: usize) {
    until(&format!("{present} are here and {waiting} wait"), async || {
        let Ok(handles) = shop.directory.event(event).await else { return false };
        let queue = handles.waiting_room.queue().borrow().clone();
        (queue.present, queue.ranks.total()) == (present, waiting)
    })
    .await;
}

async fn counted_here(shop: &Shop<Node>, event: EventId, present: usize) {
    until(&format!("{present} are here"), async || {
        let Ok(handles) = shop.directory.event(event).await else { return false };
        handles.waiting_room.queue().borrow().present == present
    })
    .await;
}

async fn configure(
    shop: &Shop<Node>,
    event: EventId,
    configuration: onsale::domain::inventory::configuration::Configuration,
) {
    let version = configuration.version;
    until("it is configured", async || {
        let Ok(EventHandles { inventory, .. }) = shop.directory.event(event).await else { return false };
        let command = Command::Configure(Box::new(configuration.clone()));
        match inventory.ask(Request { identity: None, command }).await {
            Ok(_) | Err(AskError::Refused(Refusal::StaleVersion { .. })) => {
                inventory.configuration().version == version
            }
            Err(_) => false,
        }
    })
    .await;
}

async fn order(shop: &Shop<Node>, event: EventId, hold: &HoldView) -> HoldView {
    eventually("the order is told", async || {
        shop.directory.event(event).await.ok()?.inventory.order(hold.order).await.ok()?
    })
    .await
}

async fn ticketed(shop: &Shop<Node>, event: EventId, hold: &HoldView) {
    until("the order is ticketed", async || {
        shop.order(event, hold.order).await.is_some_and(|order| order.state == OrderState::Ticketed)
    })
    .await;
}

/// As shown there: where the event runs at once, elsewhere within about a second.
async fn is_sold(shop: &Shop<Node>, event: EventId, count: u32) {
    let told = eventually("nothing is held any more", async || {
        let view = shop.directory.event(event).await.ok()?.inventory.view();
        (view.ticket_types[0].held == 0 && view.ticket_types[0].sold >= count).then_some(view)
    })
    .await;
    assert_eq!(told.ticket_types[0].sold, count, "what was answered is what is sold");
}

/// Each time another fan: admitted, holding, paid. Gives back what was answered.
async fn buy_until(shop: &Shop<Node>, event: EventId, over: &AtomicBool, sold: &AtomicU64) -> Vec<HoldView> {
    let mut held = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let admission = shop.admitted(event, new_fan()).await;
        let hold = shop.hold(event, admission, 2).await.expect("stock is there");
        shop.pay(event, &hold).await;
        held.push(hold);
        sold.fetch_add(1, Ordering::Relaxed);
    }
    held
}

/// The journal folds: no gap, and epochs never step back.
async fn one_writer_an_epoch(shop: &Shop<Node>, event: EventId) {
    let recovered = shop.stores.journal.recover(event).await.expect("readable");
    recovery::fold(recovered).expect("consistent");
}
