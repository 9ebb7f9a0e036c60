//! A newer node beside older ones: what they cannot know they refuse by name, and go on.

use std::{sync::Arc, time::Duration};

use onsale::{
    cluster::{
        gateway::{Answer, Fate, Inbox, Notice, Parcel, Piece, Question, Reply, Taken},
        wire::{Opaque, Wire},
    },
    domain::id::EventId,
};
use ractor::{ActorRef, RpcReplyPort, pg, rpc::CallResult};
use ractor_cluster::RactorClusterMessage;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::fleet::Fleet;
use crate::harness::{in_time, until};

const EVENTS: usize = 12;
const WITHIN: Duration = Duration::from_secs(30);

/// As a later version may have it: variants are added at the end.
#[derive(Serialize, Deserialize)]
enum NewerQuestion {
    Take(EventId),
    Status,
    HowMany { event: EventId, of: String },
}

#[derive(RactorClusterMessage)]
enum Newer {
    #[rpc]
    Ask(Wire<NewerQuestion>, RpcReplyPort<Wire<Answer>>),
}

/// Hears what other nodes tell.
struct Ear(mpsc::UnboundedSender<Notice>);

impl Inbox for Ear {
    fn asked(&self, _: Question, reply: Reply) {
        reply.send(Answer::Incompatible);
    }

    fn told(&self, notice: Notice) {
        // Nobody listens any more at the end of the test.
        let _ = self.0.send(notice);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_newer_node_knows_is_answered_as_incompatible_and_the_link_stays() {
    let Some(fleet) = Fleet::open(&['a', 'z']).await else { return };
    let events = fleet.events('z', EVENTS).await;
    fleet.at_home(&events, &['a', 'z']).await;
    let event = *fleet.owned_by(&events, 'z').await.first().expect("one of so many");
    let (ear, mut heard) = mpsc::unbounded_channel();
    let here = fleet.clan.here_with_inbox('m', Arc::new(Ear(ear))).await;
    let remote = here.linked(&fleet.name('z')).await;

    let group = format!("onsale.gateway.{}", remote.peer);
    let gateway = pg::get_members(&group).into_iter().next().expect("it is linked");
    let gateway: ActorRef<Newer> = gateway.into();
    let ask = async |question: NewerQuestion| {
        let asked = gateway.call(|reply| Newer::Ask(question.into(), reply), Some(WITHIN)).await;
        let Ok(CallResult::Success(Wire(Ok(answer)))) = asked else { unreachable!("no answer: {asked:?}") };
        answer
    };
    assert_eq!(ask(NewerQuestion::HowMany { event, of: "STANDING".into() }).await, Answer::Incompatible);
    assert_eq!(ask(NewerQuestion::Take(event)).await, Answer::Taken(Taken::Here), "what both know");
    assert!(matches!(ask(NewerQuestion::Status).await, Answer::Status(_)));

    // A request to an event, of a kind that its node does not know: whoever asks must not wait for it.
    let parcel = Parcel { event, left_ms: 10_000, errand: Opaque(vec![0xff, 0xff, 0xff, 0x7f]) };
    let bytes = Opaque(postcard::to_allocvec(&parcel).expect("encoded"));
    let pieces = vec![Piece { id: 7, more: false, bytes }];
    assert!(remote.tell(Notice::Errands { from: here.cluster.me().clone(), pieces }));
    let reported = async {
        loop {
            if let Notice::Reports { from, pieces } = heard.recv().await.expect("it listens") {
                return (from, pieces);
            }
        }
    };
    let (from, pieces) = in_time(reported).await;
    assert_eq!((from, pieces.len(), pieces[0].id), (remote.peer.clone(), 1, 7));
    let fate: Fate = postcard::from_bytes(&pieces[0].bytes.0).expect("decoded");
    assert_eq!(fate, Fate::Incompatible);

    until("it counts both", async || fleet.site('z').metrics().await.contains("\nonsale_cluster_unreadable_total 2\n"))
        .await;
    assert!(here.linked(&fleet.name('z')).await.is_same_link(&remote));
}
