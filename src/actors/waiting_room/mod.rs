//! WaitingRoom: the one actor that decides about an event's queue.
//!
//! Owns the event's [`WaitingRoom`](crate::domain::queue::WaitingRoom) machine and the sockets tied to it. Accepts what its
//! [`Handle`] offers. Records joins in the queue's store before they are answered, and admissions in the event's journal, by
//! way of the inventory, before anybody is told.
//!
//! Limits: `waiting_room_in_flight` requests inside; the machine bounds places, joins under way and proposals.
//!
//! After a restart places come back from the store and admissions from the journal; everybody counts as just gone and has
//! the grace time to attach again.

mod attachment;
mod drawing;
mod handle;
mod lanes;
mod message;
mod position;
mod refill;
mod state;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

pub use self::{
    attachment::{Attachment, Ear},
    handle::Handle,
    lanes::{Lanes, Viewer},
    position::{Position, Spot},
};
pub(super) use self::{
    attachment::{Party, Socket, Sockets},
    message::Attending,
};
use self::{message::Message, state::State};
use super::{
    clock::Clock,
    config::Config,
    halt::Halt,
    inventory::{self, AdmissionChange, Begun},
};
use crate::{
    domain::{
        draw::Digest,
        id::EventId,
        queue::{self, Queue, Room},
    },
    stores::{database::Database, journal::Epoch, ownership::Ownership, queue::QueueStore},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum WaitError {
    #[error("too many requests in flight")]
    Overloaded,
    /// The queue's store or journal does not answer; try again.
    #[error("outcome unknown, try again")]
    TryAgain,
    #[error("the event is not available now")]
    Unavailable,
}

/// What one activation starts from.
pub(super) struct Arguments {
    pub event: EventId,
    pub epoch: Epoch,
    pub clock: Clock,
    pub inventory: inventory::Handle,
    pub term: u32,
    pub store: Arc<dyn QueueStore>,
    pub ownership: Arc<dyn Ownership>,
    pub database: Database,
    pub config: Config,
    pub halt: Halt,
    pub admissions: mpsc::UnboundedReceiver<AdmissionChange>,
    /// What the draw can be made from: of each root secret, the one that signs first. Told to nobody before its time.
    pub seeds: Arc<[Digest]>,
}

/// How often the machine looks at the clock, the slots and the stock.
const PULSE: Duration = Duration::from_millis(200);

/// Begins the term that `begun` is of.
pub(super) async fn start(arguments: Arguments, begun: Begun, supervisor: ActorCell) -> Result<Handle, SpawnErr> {
    let config = arguments.config.clone();
    let configuration = arguments.inventory.configuration();
    let room = look(&arguments.inventory, &arguments.halt);
    let Begun { places, admissions, loss, .. } = begun;
    let now = arguments.clock.now();
    let mut room = queue::WaitingRoom::new(now, arguments.term, places, admissions, room);
    if let Some(loss) = loss {
        room = room.with_loss(now, loss);
    }
    let queue = room.publish(now).with_notice(configuration.notice.clone());
    let queue = queue.with_classes(&configuration.classes, arguments.inventory.view().manual_moves);
    let (publish, queue) = watch::channel(Arc::new(queue));
    let (actor, _) = Actor::spawn_linked(None, WaitingRoom, (arguments, room, publish), supervisor).await?;
    let deadline = Duration::from_millis(config.ask_deadline_ms);
    Ok(Handle::new(actor, config.waiting_room_in_flight, deadline, queue))
}

/// What the room has to know of the inventory, and of who halts it.
fn look(inventory: &inventory::Handle, halt: &Halt) -> Room {
    let room = Room::of(&inventory.view(), &inventory.configuration(), rand::random());
    Room { halted: room.halted || halt.is_on(), ..room }
}

struct WaitingRoom;

impl Actor for WaitingRoom {
    type Msg = Message;
    type State = State;
    type Arguments = (Arguments, queue::WaitingRoom<message::Caller>, watch::Sender<Arc<Queue>>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (arguments, room, publish): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        me.send_interval(PULSE, || Message::Pulse);
        Ok(State::new(&me, arguments, room, publish))
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ask { request, caller } => state.ask(&me, request, caller),
            Message::Standing { fan, poll, reply, permit: _permit } => state.tell_standing(&me, fan, poll, reply),
            Message::Attach { fan, ear, reply, permit: _permit } => state.attach(&me, fan, ear, reply),
            Message::Detach { fan, socket } => state.detach(&me, fan, socket),
            Message::Gather { reply, permit: _permit } => state.gather(&me, reply),
            Message::Attend { party, who } => state.attend(&me, party, who),
            Message::Disband { party } => state.disband(&me, party),
            Message::Members { after, limit, reply, permit: _permit } => state.tell_members(after, limit, reply),
            Message::AdmitNow { count } => state.admit_now(&me, count),
            Message::StoreReturned(returned) => state.store_returned(&me, returned)?,
            Message::TieReturned(returned) => state.tie_returned(&me, returned)?,
            Message::MoveReturned(returned) => state.move_returned(&me, returned)?,
            Message::Counted { ever, counted } => state.counted(&me, ever, counted)?,
            Message::Marked { mark, returned } => state.marked(&me, mark, returned)?,
            Message::Refilled { last, returned } => state.refilled(&me, last, returned)?,
            Message::AdmitReturned(returned) => state.admit_returned(&me, returned),
            Message::ChangedReturned { caller, returned } => state.changed_returned(&me, caller, returned),
            Message::EndReturned { admission, caller, returned } => {
                state.end_returned(&me, admission, caller, returned);
            }
            Message::DrawStepped { is_done, lacks_secret } => state.draw_stepped(&me, is_done, lacks_secret),
            Message::Drawn { places, book } => state.drawn(&me, places, book),
            Message::Proof { fan, reply, permit: _permit } => state.tell_proof(fan, reply),
            Message::Changed(change) => state.changed(&me, change),
            Message::Pulse => state.pulse(&me),
            Message::Drain { reply } => state.drain(reply),
        }
        state.end_if_drained(&me);
        Ok(())
    }

    /// It has no children; nothing that ends elsewhere may end it.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
