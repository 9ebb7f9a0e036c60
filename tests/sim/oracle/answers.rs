//! What must be true of an answer when somebody hears it.

use onsale::domain::{
    inventory::{
        request::{Answer, HoldState, HoldView, Want},
        waitlist::{Standing, WaitlistAnswer},
    },
    queue::Place,
};

use crate::{
    fan::Attempt,
    node::Caller,
    oracle::model::{Left, Order},
    world::World,
};

impl World {
    /// I-6: what is told is durable at that moment.
    pub fn check_answer(&mut self, caller: Caller, answer: &Answer) {
        let durable = match answer {
            Answer::Held(view) => self.model.orders.get(&view.order).is_some_and(|order| order.is_as_told(view)),
            Answer::Admitted(admissions) => {
                admissions.iter().all(|admission| self.model.admissions.contains_key(&admission.place))
            }
            Answer::Claimed(admission) => self.model.admissions.contains_key(&admission.place),
            Answer::AdmissionExtended(admission) => self.model.is_extended(admission.place),
            Answer::Configured { .. } => self.model.configuration.is_some(),
            Answer::Confirmed | Answer::ConfirmedAs(_) => match caller {
                Caller::Settle(_) => self.model.orders.values().any(|order| order.payment.is_some()),
                _ => true,
            },
            Answer::ConfirmRefused(_) => self.model.orders.values().any(|order| !order.refused.is_empty()),
            Answer::Voided | Answer::Reduced => {
                let is_less = |order: &Order| order.state == HoldState::Voided || order.is_reduced;
                match caller {
                    Caller::Reduce(order, _) if !self.extras.moves => {
                        self.model.orders.get(&order).is_some_and(is_less)
                    }
                    // A move that was given up may leave nothing over; one that is not may keep what is given back for a while.
                    Caller::Keep(order, _) | Caller::Reduce(order, _) => {
                        self.model.orders.get(&order).is_some_and(|order| order.payment.is_some())
                    }
                    Caller::Nobody if self.extras.moves && self.script.is_some() => true,
                    _ => self.model.orders.values().any(is_less),
                }
            }
            Answer::SeatAdded => match caller {
                Caller::Move(order, number) => self.model.has_moved_by(order, number),
                // Whom it reached is cut off by the script alone.
                Caller::Nobody => self.script.is_some(),
                _ => false,
            },
            Answer::Waitlist(WaitlistAnswer::Standing(standing)) => match &**standing {
                Standing::Waits { order, .. } => self.model.waitlist.joined.contains(order),
                Standing::Offered(view) => self.model.orders.contains_key(&view.order),
            },
            Answer::Waitlist(WaitlistAnswer::Left | WaitlistAnswer::Wanted(_)) => true,
            Answer::AdmissionEnded | Answer::Released | Answer::Drawn => true,
            Answer::CodesMade | Answer::CodesWithdrawn { .. } => self.codes > 0,
            Answer::Codes(_) => false,
            Answer::Invited | Answer::InvitesWithdrawn { .. } | Answer::Classified | Answer::MovesCounted => false,
        };
        self.require(durable, || format!("I-6: told before it is durable: {answer:?}"));
        let extended_to = match answer {
            Answer::Held(view) if view.extended => self.model.orders.get(&view.order).map(|order| order.expires_at),
            _ => None,
        };
        if let (Some(at), Answer::Held(view)) = (extended_to, answer) {
            self.require(at == view.expires_at, || format!("I-6: {} is extended to {at}", view.order));
        }
    }

    /// I-25: nobody hears of an admission before the journal has it.
    pub fn check_admitted(&mut self, place: Place) {
        let durable = self.model.admissions.contains_key(&place);
        self.require(durable, || format!("I-25: {place} is told of an admission that is not in the journal"));
    }

    /// I-3: what is read was true at that segment, and nothing newer was durable before the read was sent; so a session never
    /// sees time go back either (I-12).
    pub fn check_read(&mut self, left: Left, as_of: u64, sent: u64) {
        let then = self.model.left_after.get(as_of as usize).copied();
        self.require(then == Some(left), || format!("I-3: segment {as_of} leaves {then:?}, a read gives {left:?}"));
        self.require(as_of >= sent, || format!("I-3: a read of segment {as_of}, when {sent} was durable before"));
    }

    /// I-4 and I-7: all that was asked for, and for each key the same answer every time.
    pub fn check_whole(&mut self, attempt: usize, view: &HoldView) {
        let Some(Attempt { fan, operation, wanted, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation) = (*fan, *operation);
        let quantity: u32 = view.lines.iter().map(|line| line.quantity).sum();
        let mut seats: Vec<_> = view.lines.iter().flat_map(|line| line.seats.clone()).collect();
        let whole = match wanted {
            None => true,
            Some(Want::Quantities(wanted)) => quantity == wanted.iter().map(|(_, quantity)| *quantity).sum::<u32>(),
            Some(Want::BestAvailable(wanted)) => quantity == wanted.quantity && seats.len() == quantity as usize,
            Some(Want::Seats(wanted)) => {
                let mut wanted = wanted.clone();
                wanted.sort();
                seats.sort();
                seats == wanted
            }
        };
        self.require(whole, || format!("I-4: a hold of a part: {view:?}"));
        if operation == 0 {
            return;
        }
        let Some(fan) = self.fans.get_mut(index) else { return };
        let first = fan.answers.entry(operation).or_insert_with(|| view.clone()).clone();
        if first != *view {
            self.require(false, || format!("I-7: one key, two answers: {first:?} and {view:?}"));
        }
    }

    /// I-24: seats kept for a channel are held only by who named it.
    pub fn check_channels(&mut self) {
        for (order, channel) in std::mem::take(&mut self.model.kept_last) {
            let attempt = self.attempts.iter().find(|attempt| attempt.order == Some(order));
            let named = attempt.and_then(|attempt| attempt.channel.clone());
            self.saw("a seat kept for a channel is held");
            self.require(named.as_ref() == Some(&channel), || format!("I-24: {order} has a seat kept for {channel}"));
        }
    }
}
