//! A draw of an event that another node runs: entries, the revealed order and proofs are the owner's, wherever they are asked for.

use onsale::{
    actors::directory::Directory,
    domain::{
        draw::{Lots, Tree, entry},
        inventory::configuration::{Configuration, Mode, QueueSettings},
        queue::{Outcome, Standing},
        time::Millis,
    },
    http::now,
};

use crate::{
    harness::eventually,
    shop::{configuration, new_fan},
    two_nodes::{Faults, TwoNodes},
};

const FANS: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_at_another_node_enter_are_drawn_and_have_their_proofs_there() {
    let Some(nodes) = TwoNodes::open(Faults::default()).await else { return };
    let [owner, other] = &nodes.shops;
    let plain = configuration(10);
    let queue = QueueSettings { mode: Mode::Draw, paused: true, ..plain.queue };
    let event = owner.new_event(Configuration { on_sale_at: now() + Millis::seconds(4), queue, ..plain }).await;
    owner.event(event).await;
    let fans: Vec<_> = (0..FANS).map(|_| new_fan()).collect();
    for fan in &fans {
        // Until the seed is committed to nobody enters.
        eventually("an entry", async || {
            let joined = other.directory.event(event).await.ok()?.waiting_room.join(*fan).await;
            matches!(joined, Ok(Outcome::Waiting { .. })).then_some(())
        })
        .await;
    }
    let (here, there) = (owner.event(event).await, other.event(event).await);
    assert_eq!(there.waiting_room.proof(fans[0]).await, Ok(None), "nothing is drawn yet");
    for fan in &fans {
        let proof =
            async |at: &onsale::actors::directory::EventHandles| at.waiting_room.proof(*fan).await.ok().flatten();
        let told = eventually("a proof at the other node", async || proof(&there).await).await;
        assert_eq!(Some(&told), proof(&here).await.as_ref());
    }
    let draw = eventually("the other node shows it", async || {
        there.inventory.view().draw.clone().filter(|draw| draw.seed.is_some())
    })
    .await;
    let entrants = there.inventory.entrants().await.expect("told");
    assert_eq!(entrants, here.inventory.entrants().await.expect("told"));
    // What is exported there holds by itself.
    let entries: Vec<_> = entrants.iter().map(|&fan| entry(event, fan)).collect();
    let closed = draw.closed.expect("closed");
    assert_eq!(Tree::new(&entries).root(), closed.root);
    let ranks = Lots { seed: draw.seed.expect("told"), root: closed.root, beacon: "" }.ranks(&entries);
    for (fan, rank) in entrants.iter().zip(ranks) {
        let Standing::Waiting(place) = other.standing(event, *fan).await else { unreachable!("nobody is let in") };
        assert!(place.is_drawn());
        assert_eq!(place.0 as u32, rank);
    }
    assert_eq!(there.waiting_room.proof(new_fan()).await, Ok(None), "who took no part");
    nodes.close().await;
}
