//! Intake: takes from the bus what the shop's own work is, once for the node.
//!
//! Owns nothing that lasts. Order facts become rows of the database, a batch at a time; payment facts go to their event's
//! orders; the database's outbox goes to the bus; refunds that are due go to their provider, which is also
//! asked about payments that nobody has heard of, and cancelled events' orders become refunds; tickets that are offered back find
//! takers, and the inventory hears of tickets that have moved; dead letters become
//! rows for people to look at. Each message is acknowledged after its effect is durable, so a crash
//! anywhere makes it come again.
//!
//! Limits: so many unanswered deliveries of each topic; a message that can never be taken in goes to the dead letters.

mod batches;
mod dead;
mod facts;
mod hooks;
mod mailings;
mod moves;
mod payments;
mod places;
mod refunds;
mod relay;
mod returns;
mod rounds;
mod sessions;
mod tidings;

use std::sync::Weak;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio_util::task::AbortOnDropHandle;

use super::{beside, directory::Directory, foundation::Foundation};

#[derive(RactorMessage)]
enum Message {
    /// One of the workers has ended, which they do only if the bus is closed.
    Ended(&'static str),
}

pub(super) async fn start(
    on: &Foundation,
    directory: Weak<dyn Directory>,
    supervisor: ActorCell,
) -> Result<ActorCell, SpawnErr> {
    let (actor, _) = Actor::spawn_linked(None, Intake, (on.clone(), directory), supervisor).await?;
    Ok(actor.get_cell())
}

struct Intake;

/// They end with the actor.
struct Workers {
    _workers: [AbortOnDropHandle<()>; 10],
}

impl Actor for Intake {
    type Msg = Message;
    type State = Workers;
    type Arguments = (Foundation, Weak<dyn Directory>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (on, directory): Self::Arguments,
    ) -> Result<Workers, ActorProcessingErr> {
        let (facts, payments) = (facts::run(on.clone()), payments::run(on.clone(), Weak::clone(&directory)));
        let returns = returns::run(on.clone(), Weak::clone(&directory));
        let (refunds, batches) = (refunds::run(on.clone(), Weak::clone(&directory)), batches::run(on.clone()));
        let (sessions, dead) = (sessions::run(on.clone(), Weak::clone(&directory)), dead::run(on.clone()));
        let (moves, mailings) = (moves::run(on.clone(), directory), mailings::run(on.clone()));
        let relay = relay::run(on);
        let workers = [
            beside::run(&me, async move {
                facts.await;
                Message::Ended("order facts")
            }),
            beside::run(&me, async move {
                payments.await;
                Message::Ended("payments")
            }),
            beside::run(&me, async move {
                refunds.await;
                Message::Ended("refunds")
            }),
            beside::run(&me, async move {
                returns.await;
                Message::Ended("tickets that are offered back")
            }),
            beside::run(&me, async move {
                batches.await;
                Message::Ended("refunds of cancelled events")
            }),
            beside::run(&me, async move {
                sessions.await;
                Message::Ended("open payments")
            }),
            beside::run(&me, async move {
                moves.await;
                Message::Ended("moves of tickets")
            }),
            beside::run(&me, async move {
                dead.await;
                Message::Ended("dead letters")
            }),
            beside::run(&me, async move {
                mailings.await;
                Message::Ended("messages to ticket holders")
            }),
            beside::run(&me, async move {
                relay.await;
                Message::Ended("outbox")
            }),
        ];
        Ok(Workers { _workers: workers })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        Message::Ended(worker): Message,
        _: &mut Workers,
    ) -> Result<(), ActorProcessingErr> {
        Err(format!("the worker for {worker} has ended").into())
    }

    /// It has no children; nothing that ends elsewhere may end it.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut Workers,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
