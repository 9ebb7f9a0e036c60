//! What may be done: each command's rules. Nothing here changes anything.

mod admission;
mod choice;
mod configure;
mod confirm;
mod hold;
mod offer;
mod rates;
mod reduce;
mod seat;
mod waitlist;

use super::{
    Decision, Inventory,
    entry::Entry,
    outcomes::Done,
    request::{Answer, Command, HoldState, Identity, Refusal, Request},
};
use crate::domain::{
    id::{FanId, OrderId},
    time::EventTime,
};

impl Decision {
    /// Nothing needs to be done for this answer to be true.
    pub(super) fn already(answer: Answer) -> Self {
        Self { entries: Vec::new(), answer }
    }

    pub(super) fn one(entry: Entry, answer: Answer) -> Self {
        Self { entries: vec![entry], answer }
    }
}

impl Inventory {
    /// Decides without changing anything.
    pub fn decide(&self, now: EventTime, request: &Request) -> Result<Decision, Refusal> {
        if let Some(first) = self.first_answer(now, request.identity)? {
            return Ok(Decision::already(first));
        }
        let identity = request.identity;
        match &request.command {
            Command::Configure(configuration) => self.decide_configure(now, configuration, identity),
            Command::Admit(admittees) => Ok(self.decide_admit(now, admittees)),
            Command::Claim { place, fan, needs_more_time } => self.decide_claim(now, *place, *fan, *needs_more_time),
            Command::ExtendAdmission { place, fan } => self.decide_extend_admission(now, *place, *fan),
            Command::EndAdmission { place, why } => self.decide_end_admission(*place, *why),
            Command::Hold(hold) => self.decide_hold(now, hold, identity),
            Command::Extend { fan, order } => self.decide_extend(now, *fan, *order, identity),
            Command::Release { fan, order } => self.decide_release(*fan, *order, identity),
            Command::Confirm(confirm) => self.decide_confirm(confirm),
            Command::ConfirmOrOthers(confirm) => self.decide_confirm_or_others(confirm),
            Command::RefuseInstrument(confirm) => self.decide_refuse_instrument(confirm),
            Command::AwaitPayment { order, fan, more } => self.decide_await_payment(now, *order, *fan, *more),
            Command::AddSeat { order, number, ticket_type, rate, seat } => {
                self.decide_add_seat((*order, *number), (ticket_type, rate.as_ref()), seat)
            }
            Command::Void { order } => self.decide_void(*order),
            Command::Reduce { order, to } => self.decide_reduce(*order, 0, to),
            Command::Keep { order, number, to } => self.decide_reduce(*order, *number, to),
            Command::Draw(command) => self.decide_draw(now, command),
            Command::Classify { fans, class } => self.decide_classify(fans, class.as_ref()),
            Command::CountMoves(moves) => Ok(Self::decide_count_moves(moves)),
            Command::UseInvite { invite, fan } => self.decide_use_invite(*invite, *fan),
            Command::WithdrawInvites(invites) => self.decide_withdraw_invites(invites),
            Command::Waitlist(command) => self.decide_waitlist(now, command),
            Command::MakeCodes { terms, codes } => self.decide_make_codes(terms, codes),
            Command::WithdrawCodes(codes) => self.decide_withdraw_codes(codes),
            Command::ListCodes { from, limit } => Ok(self.decide_list_codes(*from, *limit)),
        }
    }

    /// What the request was answered when it was done, within the time for which that is remembered.
    fn first_answer(&self, now: EventTime, identity: Option<Identity>) -> Result<Option<Answer>, Refusal> {
        let Some(Identity { key, body }) = identity else { return Ok(None) };
        let Some((first_body, done)) = self.outcomes.get(key, now) else { return Ok(None) };
        if body != first_body {
            return Err(Refusal::KeyReused);
        }
        let (order, expires_at, extended) = match done {
            Done::Configured { version } => return Ok(Some(Answer::Configured { version })),
            Done::Released => return Ok(Some(Answer::Released)),
            Done::Held { order, expires_at } => (order, expires_at, false),
            Done::Extended { order, expires_at } => (order, expires_at, true),
        };
        // As it was then, whatever has become of it.
        let record = self.orders.at(order).ok_or(Refusal::UnknownOrder)?;
        let mut view = self.hold_view(record, self.orders.orphans(record.id));
        view.state = HoldState::Held;
        view.expires_at = expires_at;
        view.extended = extended;
        Ok(Some(Answer::Held(Box::new(view))))
    }

    /// The order, to its own fan only: others are not told that it exists.
    fn own_order(&self, fan: FanId, order: OrderId) -> Result<&super::orders::Order, Refusal> {
        self.orders.get(order).filter(|record| record.fan == fan).ok_or(Refusal::UnknownOrder)
    }
}
