//! The one actor of a node that others can send to. It reads what arrives and passes it to the node's [`Inbox`].
//!
//! Owns the vocabulary between nodes, and the answer to what cannot be read. Decides nothing and never waits. Every message
//! that an actor of ours could take from another node is mirrored there at a cost, so there is this one only.
//!
//! There are two kinds of messages, and whatever is added later is a variant of what they carry: a name that the library
//! does not know it drops, so that the asker would learn nothing.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use ractor_cluster::RactorClusterMessage;
use serde::{Deserialize, Serialize};

use super::{
    measures,
    wire::{Opaque, Wire},
};
use crate::{domain::id::EventId, stores::membership::Incarnation};

#[derive(RactorClusterMessage)]
pub enum Message {
    #[rpc]
    Ask(Wire<Question>, RpcReplyPort<Wire<Answer>>),
    Tell(Wire<Notice>),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Run this event now; if it runs elsewhere, its owner is about to give it up.
    Take(EventId),
    /// What runs on the asked node?
    Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Taken(Taken),
    /// Encoded by those who ask and answer.
    Status(Opaque),
    /// This node cannot read the question, or cannot answer it: nothing was done.
    Incompatible,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// The event runs on the asked node.
    Here,
    UnknownEvent,
    /// Another node has it still, or it cannot run just now.
    NotNow,
}

/// What is not answered, or answered by a notice of its own. Under 256 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The sender lives.
    Beat,
    /// To an event's owner: who is connected at the sender.
    Attendance { from: Incarnation, event: EventId, body: Opaque },
    /// From an event's owner: what changed.
    Bulletin { from: Incarnation, event: EventId, body: Opaque },
    /// To an event's owner, as the sender believes: parcels, or pieces of them.
    Errands { from: Incarnation, pieces: Vec<Piece> },
    /// What became of parcels.
    Reports { from: Incarnation, pieces: Vec<Piece> },
    /// The attendance came to a node that does not run the event.
    NotHere { from: Incarnation, event: EventId },
}

/// Of what does not go into one notice; those of one parcel come in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The sender's for a parcel; its report comes back under the same.
    pub id: u64,
    pub more: bool,
    /// Joined: an encoded [`Parcel`] or [`Fate`].
    pub bytes: Opaque,
}

/// A request to an event's actors that run, as the asker believes, on the asked node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    pub event: EventId,
    /// Milliseconds until the asker waits no longer.
    pub left_ms: u32,
    /// Encoded on its own: where it cannot be read, it can still be answered.
    pub errand: Opaque,
}

/// What became of a parcel. Only [`Fate::Done`] has done anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// With the encoded report.
    Done(Opaque),
    /// The event does not run here; perhaps there.
    NotOwner {
        hint: Option<String>,
    },
    Overloaded,
    Incompatible,
}

/// What a node does with what other nodes send. Both must return at once.
pub trait Inbox: Send + Sync + 'static {
    fn asked(&self, question: Question, reply: Reply);
    fn told(&self, notice: Notice);
}

/// Who waits for an answer. Dropped, the asker waits until its deadline and knows nothing.
pub struct Reply(RpcReplyPort<Wire<Answer>>);

impl Reply {
    pub fn send(self, answer: Answer) {
        // The asker may have gone.
        let _ = self.0.send(answer.into());
    }
}

/// Of a node that runs no event for others.
pub struct NothingHere;

impl Inbox for NothingHere {
    fn asked(&self, question: Question, reply: Reply) {
        reply.send(match question {
            Question::Take(_) => Answer::Taken(Taken::NotNow),
            Question::Status => Answer::Incompatible,
        });
    }

    fn told(&self, _: Notice) {}
}

pub(super) struct Gateway;

impl Actor for Gateway {
    type Msg = Message;
    type State = Arc<dyn Inbox>;
    type Arguments = Arc<dyn Inbox>;

    async fn pre_start(&self, _: ActorRef<Message>, inbox: Arc<dyn Inbox>) -> Result<Self::State, ActorProcessingErr> {
        Ok(inbox)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        inbox: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ask(Wire(Ok(question)), reply) => inbox.asked(question, Reply(reply)),
            Message::Ask(Wire(Err(error)), reply) => {
                measures::unreadable();
                tracing::debug!(%error, "a question that cannot be read");
                Reply(reply).send(Answer::Incompatible);
            }
            Message::Tell(Wire(Ok(Notice::Beat))) => {}
            Message::Tell(Wire(Ok(notice))) => inbox.told(notice),
            Message::Tell(Wire(Err(error))) => {
                measures::unreadable();
                tracing::debug!(%error, "a notice that cannot be read");
            }
        }
        Ok(())
    }
}

/// The way to another node's gateway, while the link to it is up. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Remote {
    pub peer: Incarnation,
    gateway: ActorRef<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// Certainly nothing was done.
    #[error("the question was not sent")]
    NotSent,
    /// It may have been done, or may be yet.
    #[error("no answer came")]
    Unknown,
}

impl Remote {
    pub(super) fn new(peer: Incarnation, gateway: ActorRef<Message>) -> Self {
        Self { peer, gateway }
    }

    /// Returns after `within` at the latest.
    pub async fn ask(&self, question: Question, within: Duration) -> Result<Answer, NotAnswered> {
        let asked = self.gateway.call(|reply| Message::Ask(question.into(), reply), Some(within)).await;
        match asked {
            Ok(CallResult::Success(Wire(Ok(answer)))) => Ok(answer),
            // Of the last two either comes when the time is up, as it happens.
            Ok(CallResult::Success(Wire(Err(_))) | CallResult::Timeout | CallResult::SenderError) => {
                Err(NotAnswered::Unknown)
            }
            Err(_) => Err(NotAnswered::NotSent),
        }
    }

    /// Whether both go by the very same connection.
    pub fn is_same_link(&self, other: &Self) -> bool {
        self.peer == other.peer && self.gateway.get_id() == other.gateway.get_id()
    }

    /// Says whether it was sent; whether it arrives nobody knows.
    pub fn tell(&self, notice: Notice) -> bool {
        self.gateway.cast(Message::Tell(notice.into())).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ractor::BytesConvertable as _;

    use super::*;
    use crate::{cluster::wire::Unreadable, stores::membership::Boot};

    fn incarnation() -> Incarnation {
        Incarnation { node: "n1".into(), boot: Boot::random() }
    }

    fn crossed<T: Serialize + serde::de::DeserializeOwned>(sent: T) -> Option<T> {
        Wire::<T>::from_bytes(Wire::from(sent).into_bytes()).0.ok()
    }

    #[test]
    fn every_message_crosses_unchanged() {
        let event = EventId::from_u128(7);
        for question in [Question::Take(event), Question::Status] {
            assert_eq!(crossed(question.clone()), Some(question));
        }
        for answer in [
            Answer::Taken(Taken::Here),
            Answer::Taken(Taken::UnknownEvent),
            Answer::Taken(Taken::NotNow),
            Answer::Status(Opaque(vec![7])),
            Answer::Incompatible,
        ] {
            assert_eq!(crossed(answer.clone()), Some(answer));
        }
        let pieces = vec![
            Piece { id: 1, more: true, bytes: Opaque(vec![1, 2, 3]) },
            Piece { id: u64::MAX, more: false, bytes: Opaque(Vec::new()) },
        ];
        for notice in [
            Notice::Beat,
            Notice::Attendance { from: incarnation(), event, body: Opaque(vec![1]) },
            Notice::Bulletin { from: incarnation(), event, body: Opaque(vec![2]) },
            Notice::Errands { from: incarnation(), pieces: pieces.clone() },
            Notice::Reports { from: incarnation(), pieces },
            Notice::NotHere { from: incarnation(), event },
        ] {
            assert_eq!(crossed(notice.clone()), Some(notice));
        }
        let parcel = Parcel { event, left_ms: 1_500, errand: Opaque(vec![1, 2, 3]) };
        assert_eq!(crossed(parcel.clone()), Some(parcel));
        for fate in [
            Fate::Done(Opaque(vec![9])),
            Fate::NotOwner { hint: Some("n2".into()) },
            Fate::NotOwner { hint: None },
            Fate::Overloaded,
            Fate::Incompatible,
        ] {
            assert_eq!(crossed(fate.clone()), Some(fate));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_answered_and_the_gateway_goes_on() {
        let (gateway, _) = Actor::spawn(None, Gateway, Arc::new(NothingHere) as Arc<dyn Inbox>).await.expect("spawned");
        let remote = Remote::new(incarnation(), gateway.clone());
        let within = Some(Duration::from_secs(5));
        let asked = gateway.call(|reply| Message::Ask(Wire(Err(Unreadable::Version(9))), reply), within).await;
        let Ok(CallResult::Success(Wire(Ok(answer)))) = asked else { unreachable!("no answer") };
        assert_eq!(answer, Answer::Incompatible);
        gateway.cast(Message::Tell(Wire(Err(Unreadable::Empty)))).expect("sent");
        let event = EventId::from_u128(7);
        assert_eq!(remote.ask(Question::Take(event), Duration::from_secs(5)).await, Ok(Answer::Taken(Taken::NotNow)));
        gateway.stop(None);
    }

    /// Takes questions and never answers.
    struct Silent(std::sync::Mutex<Vec<Reply>>);

    impl Inbox for Silent {
        fn asked(&self, _: Question, reply: Reply) {
            self.0.lock().expect("not poisoned").push(reply);
        }
        fn told(&self, _: Notice) {}
    }

    #[tokio::test]
    async fn an_asker_is_let_go_at_its_deadline_and_knows_what_it_may_conclude() {
        let silent: Arc<dyn Inbox> = Arc::new(Silent(std::sync::Mutex::default()));
        let (gateway, ended) = Actor::spawn(None, Gateway, silent).await.expect("spawned");
        let remote = Remote::new(incarnation(), gateway.clone());
        let within = Duration::from_millis(700);
        let began = tokio::time::Instant::now();
        let asked = remote.ask(Question::Take(EventId::from_u128(7)), within).await;
        assert_eq!(asked, Err(NotAnswered::Unknown));
        assert!(began.elapsed() >= within);
        gateway.stop(None);
        ended.await.expect("no panic");
        let asked = remote.ask(Question::Take(EventId::from_u128(7)), within).await;
        assert_eq!(asked, Err(NotAnswered::NotSent));
        assert!(!remote.tell(Notice::Beat));
    }
}
