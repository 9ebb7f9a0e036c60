//! What fans hear, and what they do then.

use onsale::domain::{
    id::FanId,
    inventory::request::{Admission, Answer, Refusal},
    queue::{News, Outcome, Place, Standing},
};

use crate::{
    fan::{Attempt, Doing, Plan},
    swarm::Fault,
    world::{Told, ToldByRoom, World},
};

impl World {
    pub fn answered_by_room(&mut self, attempt: usize, told: ToldByRoom) {
        let Some(Attempt { fan: index, operation, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation) = (*index, *operation);
        let Some(fan) = self.fans.get_mut(index) else { return };
        let id = fan.id;
        if fan.operation != operation {
            return;
        }
        let joining = matches!(fan.doing, Doing::Joining);
        let leaving = matches!(fan.doing, Doing::Leaving);
        match told {
            ToldByRoom::Outcome(Outcome::Waiting { place }) if joining => {
                // The places of a wish: the journal may call any of them.
                fan.doing = Doing::Waiting;
                fan.waiting_since = self.now;
                fan.ticket = Some(place).filter(|_| !index.is_multiple_of(4));
                self.place_told(place, id);
            }
            ToldByRoom::Outcome(Outcome::Admitted(admission)) if joining => self.admission(index, admission),
            ToldByRoom::Outcome(Outcome::Admitted(_) | Outcome::Left | Outcome::NotHere) if leaving => {
                self.next_round(index);
            }
            ToldByRoom::Outcome(Outcome::Left) if joining => fan.doing = Doing::Nothing,
            ToldByRoom::Standing(Standing::Admitted(admission)) => self.admission(index, admission),
            ToldByRoom::Standing(Standing::NotHere) if matches!(fan.doing, Doing::Waiting) => {
                self.check_not_here(id);
                self.saw("a fan comes back and has no place");
                self.begin(index, Doing::Joining);
                self.ask_again(index);
            }
            _ => {}
        }
    }

    pub fn news(&mut self, id: FanId, news: News) {
        let Some(index) = self.fans.iter().position(|fan| fan.id == id && fan.socket.is_some()) else { return };
        let waiting = self.fans.get(index).is_some_and(|fan| fan.doing == Doing::Waiting);
        match news {
            News::Turn(admission) | News::Admitted(admission) if waiting => self.admission(index, admission),
            News::Removed if waiting => {
                self.saw("a fan hears of being removed");
                self.begin(index, Doing::Joining);
                self.ask_again(index);
            }
            _ => {}
        }
    }

    pub fn admission(&mut self, index: usize, admission: Admission) {
        let Some(fan) = self.fans.get(index) else { return };
        if !matches!(fan.doing, Doing::Waiting | Doing::Joining) {
            return;
        }
        if admission.claim_by.is_some() {
            self.saw("a fan is called and claims");
            self.begin(index, Doing::Claiming(admission.place));
            return self.ask_again(index);
        }
        let mut place = admission.place;
        if self.strikes(Fault::ClientForges) {
            place = Place::new(place.term(), Place::ARRIVALS + self.rng.between(1, 20) as u32);
        }
        self.shop(index, place);
    }
    pub fn answered(&mut self, attempt: usize, told: Told) {
        let Some(Attempt { fan: index, operation, seq, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation, seq) = (*index, *operation, *seq);
        if let Told::Read { left, seq: as_of } = told {
            return self.check_read(left, as_of, seq);
        }
        if let Told::Answer(Answer::Held(view)) = &told {
            self.check_whole(attempt, view);
        }
        let Some(fan) = self.fans.get(index) else { return };
        if fan.operation != operation {
            return;
        }
        match (fan.doing.clone(), told) {
            (Doing::Claiming(_), Told::Answer(Answer::Claimed(admission))) => self.shop(index, admission.place),
            (Doing::Claiming(_), Told::Refused(_)) => {
                self.saw("a fan claims too late");
                self.next_round(index);
            }
            (Doing::Shopping(_), Told::Answer(Answer::Held(view))) => {
                let plans = [Plan::Pay, Plan::Pay, Plan::Pay, Plan::ExtendAndPay, Plan::Release, Plan::Lapse];
                let plan = match &self.script {
                    Some(script) => script.walk.plan(),
                    None => self.rng.pick(&plans),
                };
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Holding { view, plan };
                }
            }
            (Doing::Shopping(_), Told::Refused(Refusal::OrdersLagging)) => {}
            (Doing::Shopping(_), Told::Refused(refusal)) => {
                if matches!(refusal, Refusal::SoldOut { .. } | Refusal::NoSuchSeats { .. } | Refusal::SeatTaken(_)) {
                    self.saw("a fan finds nothing left");
                    if self.goes_on_the_list(index) {
                        return;
                    }
                }
                self.begin(index, Doing::Leaving);
                self.ask_again(index);
            }
            (Doing::Listed(listed), told) => self.heard_of_the_list(index, *listed, told),
            (Doing::Extending { .. }, Told::Answer(Answer::Held(view))) => self.check_out(index, *view),
            (Doing::Extending { view }, Told::Refused(_)) => self.check_out(index, *view),
            (Doing::Releasing { .. }, Told::Answer(_) | Told::Refused(_)) => self.next_round(index),
            _ => {}
        }
    }
}
