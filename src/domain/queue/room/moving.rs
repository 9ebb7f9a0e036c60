//! An admin moves a fan to another class, or before everybody else.

use super::{Effect, News, Outcome, Place, Standing, WaitingRoom};
use crate::domain::{
    id::FanId,
    queue::{Class, moves::Move},
    time::EventTime,
};

impl<Reply> WaitingRoom<Reply> {
    /// Behind everybody who is in that class by now, so that nobody's number there rises.
    pub(super) fn ask_for_move(&mut self, fan: FanId, class: Class, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            // Whose it is has to be known first.
            Standing::Waiting(_) if fan.is_device() => Outcome::AccountNeeded,
            _ if self.is_moving(fan) || self.is_being_drawn() => Outcome::TryAgain,
            Standing::Waiting(place) if self.is_proposed(place) => Outcome::TryAgain,
            Standing::NotHere => Outcome::NotHere,
            Standing::Waiting(place) if place.class() == class => Outcome::Waiting { place },
            Standing::Waiting(from) => match self.joins.reserve() {
                Some(to) => return self.moves.add(Move { fan, from, to: to.in_class(class) }, reply),
                None => Outcome::Full,
            },
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    pub(super) fn moved(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        for (Move { fan, from, to }, reply) in self.moves.take_batch().into_values() {
            if self.line.get(from) == Some(fan) {
                self.line.remove(from);
                self.line.insert(to, fan);
                self.presence.set_place(now, fan, Some(to));
                effects.push(Effect::Tell { fan, news: News::Placed(to) });
            } else {
                self.used_up.push(to);
            }
            let outcome = self.outcome(fan);
            effects.push(Effect::Reply { reply, outcome });
        }
    }

    /// The new places may be stored all the same: they are forgotten, and nobody ever gets them.
    pub(super) fn move_failed(&mut self, effects: &mut Vec<Effect<Reply>>) {
        for (one, reply) in self.moves.take_batch().into_values() {
            self.used_up.push(one.to);
            effects.push(Effect::Reply { reply, outcome: Outcome::TryAgain });
        }
    }

    /// Those who would be called next if all of them could be, front first, and who waits at each of these calls.
    pub(super) fn in_order(&self, count: usize, is_in: impl Fn(FanId) -> bool) -> Vec<(Place, u16)> {
        let lines: [_; Class::COUNT] = std::array::from_fn(|class| {
            let members = self.line.iter_class(Class(class as u8)).filter(|&(_, fan)| is_in(fan));
            members.map(|(place, _)| place)
        });
        self.by_turns(count, lines)
    }

    /// So many of these, each class's own in its order.
    pub(super) fn by_turns<I>(&self, count: usize, lines: [I; Class::COUNT]) -> Vec<(Place, u16)>
    where
        I: Iterator<Item = Place>,
    {
        let (mut schedule, mut lines) = (self.schedule, lines.map(Iterator::peekable));
        let mut next = || {
            let waits = lines.each_mut().map(|line| line.peek().is_some());
            let class = schedule.next(&waits)?;
            schedule.took(class, &waits);
            let place = lines.get_mut(class.index())?.next()?;
            Some((place, mask(&waits)))
        };
        std::iter::from_fn(&mut next).take(count).collect()
    }

    /// One has gone in, proposed when these classes waited.
    pub(super) fn went(&mut self, place: Place, waited: u16) {
        let waits = std::array::from_fn(|class| waited & 1 << class != 0);
        self.schedule.took(place.class(), &waits);
    }
}

fn mask(waits: &[bool; Class::COUNT]) -> u16 {
    waits.iter().enumerate().map(|(class, &waits)| u16::from(waits) << class).sum()
}
