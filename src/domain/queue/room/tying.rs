//! A device's place becomes its person's, who then has one: the earlier of the two.

use super::{Class, Effect, News, Outcome, Place, Standing, WaitingRoom};
use crate::domain::{id::FanId, queue::ties::Tie, time::EventTime};

impl<Reply> WaitingRoom<Reply> {
    pub(super) fn tie(
        &mut self,
        now: EventTime,
        device: FanId,
        account: FanId,
        reply: Reply,
        effects: &mut Vec<Effect<Reply>>,
    ) {
        let outcome = match (self.ties.account_of(device), self.standing(device)) {
            (Some(other), _) if other != account => Outcome::DeviceTied,
            // One of the two is just getting a place, or nobody may move because the draw is being made.
            _ if self.is_moving(device) || self.is_moving(account) || self.is_being_drawn() => Outcome::TryAgain,
            // The store may get it after the tie, as the later one of two.
            _ if self.joins.is_leaving(account) => Outcome::TryAgain,
            (None, Standing::Waiting(place)) => {
                if !self.keeps_own_place(account, place) {
                    return self.ties.add(Tie { place, device, account }, reply);
                }
                self.give_up(now, place);
                self.ties.remember(device, account);
                effects.push(Effect::Tell { fan: device, news: News::Tied });
                self.outcome(account)
            }
            _ => self.outcome(account),
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    pub(super) fn tied(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        for (Tie { place, device, account }, reply) in self.ties.take_batch() {
            self.ties.remember(device, account);
            effects.push(Effect::Tell { fan: device, news: News::Tied });
            if let Some(own) = self.presence.place(account) {
                self.give_up(now, own);
            }
            self.line.remove(place);
            self.presence.set_place(now, device, None);
            self.line.insert(place, account);
            self.presence.set_place(now, account, Some(place));
            self.presence.heard(now, account);
            effects.push(Effect::Tell { fan: account, news: News::Placed(place) });
            effects.push(Effect::Reply { reply, outcome: Outcome::Waiting { place } });
        }
    }

    /// What the store has now does not matter: it is the one or the other, and the next tie or the next look at it says which.
    pub(super) fn tie_failed(&mut self, effects: &mut Vec<Effect<Reply>>) {
        let failed = self.ties.take_batch();
        effects.extend(failed.map(|(_, reply)| Effect::Reply { reply, outcome: Outcome::TryAgain }));
    }

    /// Whether the fan's place is about to be another: not the time to give one, or to take it back.
    pub(super) fn is_moving(&self, fan: FanId) -> bool {
        self.joins.has(fan)
            || self.ties.wait_for(fan)
            || self.moves.wait_for(fan)
            || self.presence.place(fan).is_some_and(|place| self.ties.has(place))
    }

    /// Whether the account stands better than at the place, or is being called.
    fn keeps_own_place(&self, account: FanId, place: Place) -> bool {
        match self.standing(account) {
            Standing::Admitted(_) => true,
            Standing::Waiting(own) => own.class() != Class::DEFAULT || own < place || self.is_proposed(own),
            Standing::NotHere => false,
        }
    }

    pub(super) fn outcome(&self, fan: FanId) -> Outcome {
        match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            Standing::Waiting(place) => Outcome::Waiting { place },
            Standing::NotHere => Outcome::NotHere,
        }
    }
}
