//! What the inventory is asked about admissions, and what it answers.

use futures_util::future::join_all;
use ractor::ActorRef;

use super::{State, plain};
use crate::{
    actors::{
        beside,
        inventory::{AdmissionChange, AskError},
        waiting_room::{
            WaitError,
            message::{Caller, Message},
        },
    },
    domain::{
        id::{FanId, OrderRef},
        inventory::request::{Admission, AdmissionEnd, Admittee, Answer, Command, Refusal},
        queue::{Input, News, Outcome, Standing},
    },
};

impl State {
    pub(super) fn admit(&mut self, me: &ActorRef<Message>, mut admittees: Vec<Admittee>) {
        for admittee in &mut admittees {
            admittee.needs_more_time = self.database.needs_more_time(admittee.fan);
        }
        let inventory = self.inventory.clone();
        self.admitting = Some(beside::run(me, async move {
            Message::AdmitReturned(inventory.ask(plain(Command::Admit(admittees))).await)
        }));
    }

    pub fn admit_returned(&mut self, me: &ActorRef<Message>, returned: Result<Answer, AskError>) {
        self.admitting = None;
        match returned {
            Ok(Answer::Admitted(admissions)) => self.step(me, Input::Admitted { admissions }),
            Ok(_) | Err(_) => self.step(me, Input::AdmitFailed),
        }
    }

    pub fn changed_returned(&mut self, me: &ActorRef<Message>, caller: Caller, returned: Result<Answer, AskError>) {
        match returned {
            Ok(Answer::Claimed(admission) | Answer::AdmissionExtended(admission)) => {
                self.step(me, Input::Changed { admission });
                caller.tell(Ok(Outcome::Admitted(admission)));
            }
            Err(AskError::Refused(Refusal::NoExtension)) => caller.tell(Ok(Outcome::NoExtension)),
            // It ended meanwhile; the change that says so is on its way.
            Err(AskError::Refused(_)) => caller.tell(Ok(Outcome::NotHere)),
            Ok(_) | Err(_) => caller.tell(Err(WaitError::TryAgain)),
        }
    }

    pub fn end_returned(
        &mut self,
        me: &ActorRef<Message>,
        admission: Admission,
        caller: Caller,
        returned: Result<Answer, AskError>,
    ) {
        match returned {
            Ok(Answer::AdmissionEnded) | Err(AskError::Refused(Refusal::NotAdmitted)) => {
                self.step(me, Input::Ended { fan: admission.fan, place: admission.place });
                caller.tell(Ok(Outcome::Left));
            }
            Ok(_) | Err(_) => caller.tell(Err(WaitError::TryAgain)),
        }
    }

    pub fn changed(&mut self, me: &ActorRef<Message>, change: AdmissionChange) {
        match change {
            AdmissionChange::Changed(admission) => self.step(me, Input::Changed { admission }),
            AdmissionChange::Ended { fan, place } => self.step(me, Input::Ended { fan, place }),
            AdmissionChange::Offered { fan, order, until } => {
                let reference = OrderRef { event: self.event, order };
                self.sockets.tell(fan, News::Offered { reference, until });
            }
        }
    }

    pub(super) fn claim(&mut self, me: &ActorRef<Message>, fan: FanId, caller: Caller) {
        let admission = match self.room.standing(fan) {
            Standing::Admitted(admission) if admission.claim_by.is_some() => admission,
            Standing::Admitted(admission) => return caller.tell(self.if_sure(Outcome::Admitted(admission))),
            Standing::Waiting(place) => return caller.tell(self.if_sure(Outcome::Waiting { place })),
            Standing::NotHere => return caller.tell(self.if_sure(Outcome::NotHere)),
        };
        let needs_more_time = self.database.needs_more_time(fan);
        self.ask_for_change(me, Command::Claim { place: admission.place, fan, needs_more_time }, caller);
    }

    pub(super) fn extend(&mut self, me: &ActorRef<Message>, fan: FanId, caller: Caller) {
        match self.room.standing(fan) {
            Standing::Admitted(admission) if admission.claim_by.is_none() => {
                self.ask_for_change(me, Command::ExtendAdmission { place: admission.place, fan }, caller);
            }
            _ => caller.tell(self.if_sure(Outcome::NotHere)),
        }
    }

    fn ask_for_change(&mut self, me: &ActorRef<Message>, command: Command, caller: Caller) {
        let (me, inventory) = (me.clone(), self.inventory.clone());
        self.beside.spawn(async move {
            let returned = inventory.ask(plain(command)).await;
            let _ = me.cast(Message::ChangedReturned { caller, returned });
        });
    }

    /// The room hears of each end from the journal.
    pub(super) fn revoke(&mut self, fans: &[FanId], caller: Caller) {
        let admitted = fans.iter().filter_map(|&fan| match self.room.standing(fan) {
            Standing::Admitted(admission) => Some(admission.place),
            _ => None,
        });
        let (places, inventory) = (admitted.collect::<Vec<_>>(), self.inventory.clone());
        self.beside.spawn(async move {
            let why = AdmissionEnd::Revoked;
            let ends = places.into_iter().map(|place| inventory.ask(plain(Command::EndAdmission { place, why })));
            let ended = join_all(ends).await;
            let unknown = ended.iter().any(|end| !matches!(end, Ok(_) | Err(AskError::Refused(_))));
            let count = u32::try_from(ended.iter().filter(|end| end.is_ok()).count()).unwrap_or(u32::MAX);
            // Asked again, those that have ended have ended.
            caller.tell(if unknown { Err(WaitError::TryAgain) } else { Ok(Outcome::Removed { count }) });
        });
    }

    pub(super) fn end_admission(&mut self, me: &ActorRef<Message>, admission: Admission, caller: Caller) {
        let (me, inventory) = (me.clone(), self.inventory.clone());
        self.beside.spawn(async move {
            let command = Command::EndAdmission { place: admission.place, why: AdmissionEnd::Finished };
            let returned = inventory.ask(plain(command)).await;
            let _ = me.cast(Message::EndReturned { admission, caller, returned });
        });
    }
}
