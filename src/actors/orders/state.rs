//! What the orders actor keeps, and how each message changes it.

use std::sync::Arc;

use ractor::ActorRef;
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Arguments, PaymentFact, SettleError,
    message::Message,
    publisher::{Publisher, Round},
    settle::Settler,
};
use crate::{
    actors::{beside, gate::Permit, inventory, measures::Share},
    domain::id::EventId,
    stores::{
        crash_point::{self, Step},
        journal::{AppendError, Epoch, InventoryJournal},
    },
};

pub(super) struct State {
    event: EventId,
    epoch: Epoch,
    inventory: inventory::Handle,
    journal: Arc<dyn InventoryJournal>,
    settler: Settler,
    settling: JoinSet<()>,
    /// `None` once the inventory has ended and everything is published.
    publishing: Option<AbortOnDropHandle<()>>,
    /// Ends the publisher's rests.
    hurry: CancellationToken,
    /// The broker has everything up to this number,
    confirmed: u64,
    /// and the journal's cursor stands here.
    marked: u64,
    marking: Option<AbortOnDropHandle<()>>,
    draining: Option<oneshot::Sender<()>>,
    lag: Share,
}

impl State {
    pub fn new(me: &ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { event, epoch, inventory, journal, bus, database, keys, providers, sale, outbox_limit, facts } =
            arguments;
        let hurry_above = usize::try_from(outbox_limit / 2).unwrap_or(usize::MAX);
        let hurry = CancellationToken::new();
        let publisher = Publisher::new(event, bus, sale, hurry_above, hurry.clone(), facts);
        Self {
            event,
            epoch,
            settler: Settler { inventory: inventory.clone(), database, keys, providers },
            inventory,
            journal,
            settling: JoinSet::new(),
            publishing: Some(begin_round(me, publisher)),
            hurry,
            confirmed: 0,
            marked: 0,
            marking: None,
            draining: None,
            lag: Share::of_outbox_lag(),
        }
    }

    pub fn settle(&mut self, fact: PaymentFact, reply: oneshot::Sender<Result<(), SettleError>>, permit: Permit) {
        while self.settling.try_join_next().is_some() {}
        if self.draining.is_some() {
            let _ = reply.send(Err(SettleError::Later("the event is moving".into())));
            return;
        }
        let settler = self.settler.clone();
        self.settling.spawn(async move {
            let settled = settler.settle(&fact).await;
            // Whoever asked may have given up; the payment comes again and finds it settled.
            let _ = reply.send(settled);
            drop(permit);
        });
    }

    pub fn published(&mut self, me: &ActorRef<Message>, round: Round) {
        match round {
            Round::Published { up_to, publisher } => {
                self.confirmed = self.confirmed.max(up_to);
                self.inventory.published(self.confirmed);
                self.publishing = Some(begin_round(me, publisher));
            }
            Round::Finished => {
                self.publishing = None;
                self.mark(me);
            }
        }
    }

    pub fn marked(&mut self, me: &ActorRef<Message>, marked: Result<u64, AppendError>) {
        self.marking = None;
        match marked {
            Ok(number) => {
                self.marked = self.marked.max(number);
                // While draining there may be no other occasion.
                if self.publishing.is_none() {
                    self.mark(me);
                }
            }
            // Harmless: from an older cursor more is published again. A lost ownership shows in the next commit.
            Err(error) => tracing::warn!(event = %self.event, %error, "the cursor of published facts was not moved"),
        }
    }

    pub fn pulse(&mut self, me: &ActorRef<Message>) {
        self.lag.set(self.inventory.view().outbox);
        self.mark(me);
    }

    pub fn drain(&mut self, me: &ActorRef<Message>, reply: oneshot::Sender<()>) {
        self.draining = Some(reply);
        self.hurry.cancel();
        self.mark(me);
    }

    pub fn end_if_drained(&mut self, me: &ActorRef<Message>) {
        while self.settling.try_join_next().is_some() {}
        if self.publishing.is_some() || self.marking.is_some() || !self.settling.is_empty() {
            return;
        }
        if let Some(reply) = self.draining.take() {
            let _ = reply.send(());
            me.stop(Some("drained".into()));
        }
    }

    /// Moves the journal's cursor up to what the broker has confirmed.
    fn mark(&mut self, me: &ActorRef<Message>) {
        if self.marking.is_some() || self.confirmed <= self.marked {
            return;
        }
        let (journal, event, epoch, number) = (Arc::clone(&self.journal), self.event, self.epoch, self.confirmed);
        self.marking = Some(beside::run(me, async move {
            crash_point::before(Step::CursorMoved);
            let marked = journal.mark_published(event, epoch, number).await;
            crash_point::after(Step::CursorMoved);
            Message::Marked(marked.map(|()| number))
        }));
    }
}

fn begin_round(me: &ActorRef<Message>, publisher: Publisher) -> AbortOnDropHandle<()> {
    beside::run(me, async move { Message::Published(publisher.round().await) })
}
