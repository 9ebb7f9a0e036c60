//! Places that come back by signed tickets, after the store has lost them.

use super::{Effect, News, Outcome, Place, Standing, WaitingRoom};
use crate::domain::{
    id::FanId,
    inventory::draw::DrawStage,
    queue::{Class, Loss, joins::Joining, loss::Lost},
    time::EventTime,
};

impl<Reply> WaitingRoom<Reply> {
    /// Some of the places of former terms are missing from what the store gave back.
    pub fn with_loss(mut self, now: EventTime, loss: Loss) -> Self {
        self.lost = Some(Lost::new(now, loss));
        self
    }

    /// Whether fans are to show their tickets, and nobody is called.
    pub fn is_rebuilding(&self, now: EventTime) -> bool {
        self.lost.as_ref().is_some_and(|lost| !lost.is_rebuilt(now))
    }

    /// A place that was not lost, or is used up, is as good as none: the fan stands where everybody stands who comes.
    pub(super) fn restore(
        &mut self,
        now: EventTime,
        fan: FanId,
        (place, class): (Place, Class),
        reply: Reply,
        effects: &mut Vec<Effect<Reply>>,
    ) {
        let Some(place) = self.restorable(fan, place) else { return self.join(now, fan, class, reply, effects) };
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            // Whoever has been moved since stays where that was.
            Standing::Waiting(own) if own <= place || own.class() != place.class() || self.is_fixed(own) => {
                self.presence.heard(now, fan);
                Outcome::Waiting { place: own }
            }
            _ if self.ties.account_of(fan).is_some() => Outcome::DeviceTied,
            _ if self.ties.wait_for(fan) || self.is_being_drawn_at(place, fan) => Outcome::TryAgain,
            Standing::NotHere if self.is_full() => Outcome::Full,
            Standing::Waiting(_) | Standing::NotHere => match self.joins.restore(place, fan, reply) {
                Ok(()) => return,
                Err(again) => return effects.push(Effect::Reply { reply: again, outcome: Outcome::TryAgain }),
            },
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    /// Where the fan stands by the ticket's place, if that was lost.
    fn restorable(&self, fan: FanId, place: Place) -> Option<Place> {
        let lost = self.lost.as_ref().filter(|lost| lost.concerns(place))?;
        if self.drawing.was_entry(&self.room, place) && !fan.is_device() {
            return lost.drawn_for(fan).map(|drawn| drawn.in_class(place.class()));
        }
        (lost.has(place) && self.line.get(place).is_none_or(|whose| whose == fan)).then_some(place)
    }

    /// Whether the place may be an entry of a draw that is being made: who is not in it must not stand among those who are, and who
    /// is in it the order will say.
    fn is_being_drawn_at(&self, place: Place, fan: FanId) -> bool {
        let is_entry = match self.room.draw {
            DrawStage::Closed { last, .. } | DrawStage::Revealed { last } => place.arrival() <= last,
            DrawStage::None | DrawStage::Committed => true,
        };
        is_entry && !fan.is_device() && self.is_being_drawn()
    }

    /// Whose part in the draw the journal knows needs no ticket.
    pub(super) fn drawn_and_lost(&self, fan: FanId) -> Option<Place> {
        self.lost.as_ref()?.drawn_for(fan)
    }

    /// The store has it.
    pub(super) fn restored(
        &mut self,
        now: EventTime,
        place: Place,
        joining: Joining<Reply>,
        effects: &mut Vec<Effect<Reply>>,
    ) {
        let Joining { fan, replies, left, .. } = joining;
        let own = self.presence.place(fan);
        let outcome = match self.standing(fan) {
            _ if left => Outcome::Left,
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            // Called meanwhile, by the place that this one was to replace.
            Standing::Waiting(own) if self.is_fixed(own) => Outcome::Waiting { place: own },
            Standing::Waiting(_) | Standing::NotHere => Outcome::Waiting { place },
        };
        if outcome != (Outcome::Waiting { place }) {
            self.used_up.push(place);
        } else if self.line.get(place).is_some_and(|whose| whose != fan) {
            effects.extend(replies.into_iter().map(|reply| Effect::Reply { reply, outcome: Outcome::TryAgain }));
            return;
        } else {
            if let Some(own) = own {
                self.give_up(now, own);
                effects.push(Effect::Tell { fan, news: News::Placed(place) });
            }
            let is_late = !self.is_rebuilding(now);
            self.line.insert(place, fan);
            if is_late {
                self.line.leave_uncounted(place);
            }
            self.presence.set_place(now, fan, Some(place));
            self.presence.heard(now, fan);
            if let Some(lost) = &mut self.lost {
                lost.came_back(fan);
            }
        }
        effects.extend(replies.into_iter().map(|reply| Effect::Reply { reply, outcome: outcome.clone() }));
    }

    /// Who is drawn and not here may come back.
    pub(super) fn miss(&mut self, place: Place, fan: FanId) {
        let DrawStage::Revealed { last } = self.room.draw else { return };
        if let Some(lost) = self.lost.as_mut().filter(|lost| lost.concerns(last)) {
            lost.add_drawn(place, fan);
        }
    }

    /// Whoever had it gave it up, after the loss.
    pub(super) fn is_spent(&self, place: Place) -> bool {
        self.lost.as_ref().is_some_and(|lost| !lost.has(place))
    }

    /// The draw's entries may be among what was lost.
    pub(super) fn has_lost_entries(&self, last: Place) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.concerns(last))
    }
}
