//! The draw, as the waiting room takes part in it: when each step is due, and what the drawn order makes of the line.
//!
//! The journal says how far it is, so a step whose outcome is not known is simply asked for again. The order follows from the
//! journal too: it is worked out anew after a restart, and the queue's store keeps the places by which fans came.

use super::{Effect, Line, News, Place, Room, WaitingRoom};
use crate::domain::{
    id::FanId,
    inventory::{configuration::Mode, draw::DrawStage},
    queue::{DrawStep, Entries},
    time::{EventTime, Millis},
};

/// So long before anybody can enter the seed is committed to.
const EARLY: Millis = Millis::minutes(1);
/// No more fans than this are told their drawn places at one tick; those behind follow at the next ones.
const MAX_TOLD: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Drawing {
    under_way: bool,
    /// The entries close when every place up to this one is decided.
    until: Option<Place>,
    /// The line has the drawn order.
    is_placed: bool,
    /// Of the drawn places, by their number: under which the store has them.
    arrivals: Vec<Place>,
    /// Fans behind this one are not told their drawn places yet.
    telling: Option<Place>,
}

impl Drawing {
    pub(super) fn stepped(&mut self) {
        self.under_way = false;
    }

    /// Whether the place was an entry, whose drawn order is known here by now.
    pub(super) fn was_entry(&self, room: &Room, place: Place) -> bool {
        self.is_placed && matches!(room.draw, DrawStage::Revealed { last } if place.arrival() <= last)
    }

    /// The place as the queue's store knows it.
    pub(super) fn stored(&self, place: Place) -> Place {
        let arrival = self.arrivals.get((place.0 as u32 as usize).wrapping_sub(1)).filter(|_| place.is_drawn());
        arrival.copied().filter(|&arrival| arrival != Place::default()).unwrap_or(place)
    }
}

impl<Reply> WaitingRoom<Reply> {
    /// Asks for the step that is due, if none is under way.
    pub(super) fn draw(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        if self.drawing.under_way || self.room.settings.mode != Mode::Draw {
            return;
        }
        let hours = self.room.hours;
        let step = match self.room.draw {
            DrawStage::None if self.room.upcoming && now < hours.on_sale_at && now + EARLY >= hours.join_from => {
                DrawStep::Commit
            }
            // Whoever has lost the entry to the store has time to come back.
            DrawStage::Committed if self.room.open && !self.is_rebuilding(now) => {
                // Whoever has asked by now takes part, also if the store is slow.
                let until = *self.drawing.until.get_or_insert(self.joins.last());
                if self.joins.waits_for(until) || !self.ties.is_empty() || !self.moves.is_empty() {
                    return;
                }
                let fans = self.line.iter(None).map(|(_, fan)| fan).filter(|fan| !fan.is_device()).collect();
                DrawStep::Close { fans, last: self.newest.max(self.moves.last()) }
            }
            DrawStage::Closed { is_ready: true, .. } => DrawStep::Reveal,
            DrawStage::Revealed { .. } if !self.drawing.is_placed && self.proposal.is_none() => DrawStep::Order,
            _ => return,
        };
        self.drawing.under_way = true;
        effects.push(Effect::Draw(step));
    }

    /// Whether nobody may enter yet because the seed is not fixed.
    pub(super) fn lacks_commitment(&self, now: EventTime) -> bool {
        self.room.settings.mode == Mode::Draw && self.room.draw == DrawStage::None && now < self.room.hours.on_sale_at
    }

    /// Whether there are entries whose order nobody knows yet: until then nobody is called.
    pub(super) fn awaits_draw(&self) -> bool {
        self.room.settings.mode == Mode::Draw && self.room.draw != DrawStage::None && !self.drawing.is_placed
    }

    /// Whether the entries are fixed, or about to be, and have no order yet: nobody's place may become another's.
    pub(super) fn is_being_drawn(&self) -> bool {
        self.awaits_draw() && (self.drawing.until.is_some() || self.room.draw != DrawStage::Committed)
    }

    pub(super) fn entries(&self) -> Entries {
        match self.room.draw {
            DrawStage::Revealed { last } if self.drawing.is_placed => Entries::Drawn(last),
            _ if self.room.settings.mode != Mode::Draw => Entries::Nobodys,
            DrawStage::Revealed { last } | DrawStage::Closed { last, .. } => Entries::UpTo(last),
            DrawStage::Committed => Entries::All,
            // What is published may be a second old: whoever enters just after the commitment must not be told a number.
            DrawStage::None if self.room.upcoming => Entries::All,
            DrawStage::None => Entries::Nobodys,
        }
    }

    /// Whoever is still here of the entries moves to the drawn place, within the class that they are in: there the ranks are
    /// the order. Who stands among them and is not drawn was admitted
    /// before, or was told that the join had failed: the copy has lost that.
    pub(super) fn drawn(&mut self, now: EventTime, places: Vec<(Place, FanId)>) {
        self.drawing.under_way = false;
        let DrawStage::Revealed { last } = self.room.draw else { return };
        if self.drawing.is_placed || self.proposal.is_some() {
            return;
        }
        self.drawing.is_placed = true;
        let count = places.last().map_or(0, |(place, _)| place.0 as u32 as usize);
        self.drawing.arrivals = vec![Place::default(); count];
        // Whoever came back without a ticket has their lot all the same.
        let any_arrival = self.has_lost_entries(last);
        let mut line = Line::default();
        for (place, fan) in places {
            if any_arrival && self.is_spent(place) {
                continue;
            }
            let arrival = self.presence.place(fan).filter(|arrival| arrival.arrival() <= last || any_arrival);
            let Some(arrival) = arrival else {
                self.miss(place, fan);
                continue;
            };
            if let Some(stored) = self.drawing.arrivals.get_mut((place.0 as u32 as usize).wrapping_sub(1)) {
                *stored = arrival;
            }
            let place = place.in_class(arrival.class());
            line.insert(place, fan);
            self.presence.set_place(now, fan, Some(place));
        }
        for (place, fan) in std::mem::take(&mut self.line).iter(None) {
            // It has moved, or came back as drawn before.
            if self.presence.place(fan) != Some(place) || line.get(place) == Some(fan) {
                continue;
            }
            // A device was here before there was to be a draw.
            if place.arrival() > last || fan.is_device() {
                line.insert(place, fan);
            } else {
                self.presence.set_place(now, fan, None);
                self.used_up.push(place);
            }
        }
        self.line = line;
        self.drawing.telling = Some(Place::default());
    }

    /// From the front on, some at a time: all at once would be more than a link, or a node's sockets, can take.
    pub(super) fn tell_drawn(&mut self, effects: &mut Vec<Effect<Reply>>) {
        let Some(after) = self.drawing.telling.take() else { return };
        let drawn = self.line.iter(Some(after)).filter(|(place, _)| place.is_drawn());
        for (count, (place, fan)) in drawn.enumerate() {
            if count == MAX_TOLD {
                break;
            }
            if self.presence.is_here(fan) {
                effects.push(Effect::Tell { fan, news: News::Placed(place) });
            }
            if count + 1 == MAX_TOLD {
                self.drawing.telling = Some(place);
            }
        }
    }
}
