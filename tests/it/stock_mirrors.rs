//! The stock of an event of one node, watched at another: the same changes by the same numbers, over a link that loses, delays and
//! repeats.

use onsale::{
    actors::directory::Directory,
    domain::{
        id::EventId,
        inventory::{
            SeatState,
            configuration::{Configuration, Kept, Seat, SeatKind, Stock, TicketType},
            request::{Answer, Command, Hold, Request, Want},
        },
        stock::{Layout, Map, Mark, Update},
        time::Millis,
    },
};

use crate::{
    harness::until,
    shop::{Shop, configuration, hold_of, new_fan},
    two_nodes::{Faults, Node, TwoNodes},
};

const BAD: Faults = Faults { lost: 4, repeated: 10, longest_delay_ms: 5 };
const OWNER: usize = 0;
const OTHER: usize = 1;
const SEATS: u16 = 2_000;

/// Three zones, whose seats come in turns.
fn hall() -> Configuration {
    let mut hall = configuration(10);
    let code = |text: &str| text.parse().expect("a code");
    hall.limits.hold_ttl = Millis::seconds(2);
    hall.ticket_types.push(TicketType { code: code("SEAT"), stock: Stock::Seats, ..hall.ticket_types[0].clone() });
    let seat = |n: u16| Seat {
        id: code(&format!("S{n}")),
        zone: code(&format!("Z{}", n % 3)),
        row: code("1"),
        number: n,
        ticket_type: code("SEAT"),
        kind: SeatKind::Standard,
        kept: if n.is_multiple_of(7) { Kept::Blocked } else { Kept::Free },
    };
    hall.seats = (0..SEATS).map(seat).collect();
    hall
}

/// What somebody knows who watches at one node.
#[derive(Default)]
struct Viewer {
    mark: Option<Mark>,
    map: Map,
    wholes: u32,
}

impl Viewer {
    async fn look(&mut self, shop: &Shop<Node>, event: EventId) {
        let Ok(handles) = shop.directory.event(event).await else { return };
        match handles.stock.since(self.mark).await {
            Ok(Update::Whole { mark, map, .. }) => {
                (self.mark, self.map) = (Some(mark), map);
                self.wholes += 1;
            }
            Ok(Update::Since(deltas)) => {
                let mark = self.mark.as_mut().expect("all was told before");
                for delta in deltas {
                    assert_eq!(delta.seq, mark.seq + 1);
                    self.map.apply(&delta.change).expect("it fits");
                    mark.seq = delta.seq;
                }
            }
            Err(_) => {}
        }
    }

    async fn sees(&mut self, what: &str, [owner, at]: [&Shop<Node>; 2], event: EventId) {
        until(what, async || {
            self.look(at, event).await;
            self.map == real(owner, event).await
        })
        .await;
    }
}

/// Made of what the owner tells of each seat.
async fn real(owner: &Shop<Node>, event: EventId) -> Map {
    let inventory = owner.event(event).await.inventory;
    let Ok(seats) = inventory.seats().await else { return Map::default() };
    let (view, configuration) = (inventory.view(), inventory.configuration());
    let unseated = view.ticket_types.iter().filter(|one| !one.seated);
    let counts = unseated.map(|one| (one.code.clone(), one.available)).collect();
    let free = seats.iter().map(|(_, state)| *state == SeatState::Free);
    Layout::of(configuration.version, &configuration.seats).map(free, counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_at_another_node_are_told_what_those_at_the_events_own_are_by_the_same_numbers() {
    for faults in [Faults::default(), BAD] {
        let Some(nodes) = TwoNodes::open(faults).await else { return };
        let [owner, other] = &nodes.shops;
        let event = owner.new_event(hall()).await;
        let admission = owner.admitted(event, new_fan()).await;
        let (mut here, mut there) = (Viewer::default(), Viewer::default());
        here.sees("all, here", [owner, owner], event).await;
        there.sees("all, there", [owner, other], event).await;

        let ask = async |shop: &Shop<Node>, want: Want| {
            let Request { identity, command: Command::Hold(hold) } = hold_of(admission, 1) else { unreachable!() };
            let command = Command::Hold(Hold { want, ..hold });
            match shop.event(event).await.inventory.ask(Request { identity, command }).await {
                Ok(Answer::Held(hold)) => hold,
                // Over a bad link nobody may know; the seats say what became of it.
                other => unreachable!("{other:?}"),
            }
        };
        let seats = |numbers: &[u16]| {
            Want::Seats(numbers.iter().map(|number| format!("S{number}").parse().expect("a code")).collect())
        };
        ask(owner, seats(&[1, 2, 1_999])).await;
        ask(owner, Want::Quantities(vec![("GA".parse().expect("a code"), 1)])).await;
        there.sees("holds, there", [owner, other], event).await;
        here.sees("holds, here", [owner, owner], event).await;
        // Both lapse.
        until("the holds lapse", async || owner.event(event).await.inventory.view().holds == 0).await;
        here.sees("expiry, here", [owner, owner], event).await;
        there.sees("expiry, there", [owner, other], event).await;
        assert_eq!((here.mark, here.wholes, there.wholes), (there.mark, 1, 1), "the rest came as changes");

        let mut grown = hall();
        grown.version = 2;
        grown.seats.truncate(1_000);
        let command = Command::Configure(Box::new(grown));
        owner.event(event).await.inventory.ask(Request { identity: None, command }).await.expect("configured");
        there.sees("another plan, there", [owner, other], event).await;
        here.sees("another plan, here", [owner, owner], event).await;
        assert_eq!((here.mark, here.wholes, there.wholes), (there.mark, 2, 2));

        nodes.set_faults(Faults::default());
        nodes.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_move_viewers_are_told_all_of_it_by_the_new_activations_numbers() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let event = owner.new_event(hall()).await;
    let (mut here, mut there) = (Viewer::default(), Viewer::default());
    here.sees("all, here", [owner, owner], event).await;
    there.sees("all, there", [owner, other], event).await;
    let before = here.mark.expect("seen");
    nodes.move_to(event, OTHER).await;
    for viewer in [(&mut here, OWNER), (&mut there, OTHER)] {
        let (viewer, at) = viewer;
        until("the new activation's", async || {
            viewer.look(&nodes.shops[at], event).await;
            viewer.mark.is_some_and(|mark| mark.epoch > before.epoch)
        })
        .await;
        viewer.sees("all, after the move", [other, &nodes.shops[at]], event).await;
        assert_eq!(viewer.wholes, 2);
    }
    assert_eq!(here.mark, there.mark);
    nodes.close().await;
}
