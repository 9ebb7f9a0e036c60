//! What the queue's store is told, and what it has lost.

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};

use super::{super::message::Message, State};
use crate::{
    actors::beside,
    domain::{
        id::FanId,
        queue::{Input, Place, Tie},
    },
    stores::{
        error::StoreError,
        queue::{Counted, Mark},
    },
};

/// Places that are written again at once: some milliseconds of Redis.
const REFILL_AT_ONCE: usize = 4_096;

impl State {
    pub(super) fn store(&mut self, me: &ActorRef<Message>, joins: Vec<(Place, FanId)>) {
        if self.storing.is_some() {
            self.next_store = Some(joins);
            return;
        }
        let (store, event, term) = (Arc::clone(&self.store), self.event, self.term);
        self.storing =
            Some(beside::run(me, async move { Message::StoreReturned(store.join(event, term, &joins).await) }));
    }

    pub(super) fn tie(&mut self, me: &ActorRef<Message>, ties: Vec<Tie>) {
        let (store, event, term) = (Arc::clone(&self.store), self.event, self.term);
        self.tying = Some(beside::run(me, async move { Message::TieReturned(store.tie(event, term, &ties).await) }));
    }

    pub fn tie_returned(
        &mut self,
        me: &ActorRef<Message>,
        returned: Result<(), StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        self.tying = None;
        match returned {
            Ok(()) => {
                self.step(me, Input::Tied);
                self.tick(me);
            }
            Err(error @ StoreError::Conflict(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(event = %self.event, %error, "ties not stored; their fans are told to try again");
                self.step(me, Input::TieFailed);
            }
        }
        Ok(())
    }

    /// Redis loses what it has acknowledged, and is sometimes emptied: what it has is counted now and then.
    pub(super) fn look_after_store(&mut self, me: &ActorRef<Message>) {
        let waiting = self.room.waiting();
        // A store that has lost everything counts as whole when fans have had their time to come back, not before.
        let may_look = self.drained.is_none() && self.ownership.is_sure(self.epoch);
        if !may_look || self.room.is_rebuilding(self.clock.now()) || !self.refill.may_look(waiting > 0) {
            return;
        }
        let ever = self.refill.ever(waiting);
        let (me, store, event, term) = (me.clone(), Arc::clone(&self.store), self.event, self.term);
        self.beside.spawn(async move {
            let counted = store.count(event, term).await;
            let _ = me.cast(Message::Counted { ever, counted });
        });
    }

    pub fn counted(
        &mut self,
        me: &ActorRef<Message>,
        ever: usize,
        counted: Result<Counted, StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        let known = self.refill.left_of(ever);
        match counted {
            Ok(Counted { places, is_whole }) if places < known || !is_whole => {
                tracing::warn!(event = %self.event, places, known, is_whole, "the queue's store has or may have lost places, writing all again");
                self.mark(me, Mark::Filling);
            }
            Ok(_) => {}
            Err(error @ StoreError::Conflict(_)) => return Err(error.into()),
            // The next look is soon; joins tell their fans.
            Err(error) => tracing::debug!(event = %self.event, %error, "places not counted"),
        }
        Ok(())
    }

    /// The next part, unless something is being stored: it is its turn then.
    fn refill(&mut self, me: &ActorRef<Message>) {
        let Some(after) = self.refill.next().filter(|_| self.storing.is_none()) else { return };
        let mut places = self.room.members(after, REFILL_AT_ONCE);
        let Some(&(last, _)) = places.last() else {
            tracing::info!(event = %self.event, "the queue's store has all places again");
            self.refill.end();
            return self.mark(me, Mark::Whole);
        };
        places.iter_mut().for_each(|(place, _)| *place = self.room.stored_as(*place));
        let (store, event, term) = (Arc::clone(&self.store), self.event, self.term);
        self.refill.writes();
        self.storing = Some(beside::run(me, async move {
            Message::Refilled { last, returned: store.join(event, term, &places).await }
        }));
    }

    /// What fails is found and done again at the next look.
    fn mark(&mut self, me: &ActorRef<Message>, mark: Mark) {
        let (me, store, event, term) = (me.clone(), Arc::clone(&self.store), self.event, self.term);
        self.beside.spawn(async move {
            let returned = store.mark(event, term, mark).await;
            let _ = me.cast(Message::Marked { mark, returned });
        });
    }

    pub fn marked(
        &mut self,
        me: &ActorRef<Message>,
        mark: Mark,
        returned: Result<(), StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        match returned {
            Ok(()) => {
                if mark == Mark::Filling && self.drained.is_none() {
                    self.refill.begin();
                    self.refill(me);
                }
                Ok(())
            }
            Err(error @ StoreError::Conflict(_)) => Err(error.into()),
            Err(error) => {
                tracing::debug!(event = %self.event, %error, "the queue's store is not known to be whole yet");
                Ok(())
            }
        }
    }

    pub fn refilled(
        &mut self,
        me: &ActorRef<Message>,
        last: Place,
        returned: Result<(), StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        self.storing = None;
        let late = self.refill.has_written();
        self.forget(late);
        match returned {
            Ok(()) => self.refill.done(last),
            Err(error @ StoreError::Conflict(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(event = %self.event, %error, "places not written again; they will be counted again");
                self.refill.end();
            }
        }
        self.store_next(me);
        Ok(())
    }

    /// Joins first: their fans wait for an answer.
    fn store_next(&mut self, me: &ActorRef<Message>) {
        match self.next_store.take() {
            Some(joins) => self.store(me, joins),
            None => self.refill(me),
        }
    }

    pub fn store_returned(
        &mut self,
        me: &ActorRef<Message>,
        returned: Result<(), StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        self.storing = None;
        // By turns, so that a rush of joins does not hold it up.
        self.refill(me);
        match returned {
            Ok(()) => {
                self.room.step(self.clock.now(), Input::Stored, &mut self.effects);
                if self.has_burnt {
                    // In this order: whoever is told the place finds it in the queue.
                    self.publish();
                }
                self.carry_out(me);
                // Whoever finds free slots need not wait for the next pulse.
                self.tick(me);
            }
            // A younger term has begun: somebody else runs this event.
            Err(error @ StoreError::Conflict(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(event = %self.event, %error, "joins not stored; their fans are told to try again");
                self.has_burnt = true;
                self.step(me, Input::StoreFailed);
            }
        }
        Ok(())
    }

    /// A place that is not forgotten is dropped at the next activation if it was admitted, or given up again after the
    /// grace time: no harm.
    pub(super) fn forget(&mut self, places: Vec<Place>) {
        if places.is_empty() {
            return;
        }
        let (store, event, term) = (Arc::clone(&self.store), self.event, self.term);
        self.beside.spawn(async move {
            if let Err(error) = store.forget(event, term, &places).await {
                tracing::debug!(%event, %error, count = places.len(), "used places stay in the queue's store");
            }
        });
    }
}
