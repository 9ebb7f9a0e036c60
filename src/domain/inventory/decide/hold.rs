//! Taking stock for some minutes, prolonging that once, giving it up.

use super::super::{
    Decision, Inventory,
    configuration::Limits,
    entry::{Entry, EntryLine},
    orders::Order,
    request::{Answer, BestAvailable, Hold, HoldState, Identity, MOST_AWAITED, Refusal, Want},
};
use crate::domain::{
    event::Phase,
    id::{FanId, OrderId},
    price::{Charges, Per},
    time::{EventTime, Millis},
};

impl Inventory {
    pub(super) fn decide_hold(
        &self,
        now: EventTime,
        hold: &Hold,
        identity: Option<Identity>,
    ) -> Result<Decision, Refusal> {
        let configuration = self.configuration.as_ref().ok_or(Refusal::NotOnSale)?;
        if !self.is_selling(now) {
            return Err(Refusal::NotOnSale);
        }
        if self.is_halted() {
            return Err(Refusal::Halted);
        }
        if !self.may_hold(now, hold.admission, hold.fan) {
            return Err(Refusal::NotAdmitted);
        }
        if hold.seen_version.is_some_and(|seen| seen < self.terms_version) {
            return Err(Refusal::EventChanged { version: configuration.version });
        }
        if self.orders.get(hold.order).is_some() {
            return Err(Refusal::KeyReused);
        }
        let quantity = quantity_wanted(&hold.want, configuration.limits)?;
        self.within_fan_limit(hold.fan, quantity, configuration.limits)?;
        let mut choice = self.choose(hold, configuration.orphan_rule)?;
        self.at_rates(&hold.rates, &mut choice.lines, configuration)?;
        self.not_past_the_list(&choice.lines)?;
        self.priced_by_code(now, (hold.fan, hold.code.as_ref()), &mut choice.lines, configuration)?;
        charge_order(&mut choice.lines, &configuration.charges);

        let expires_at = now + configuration.limits.hold_ttl;
        let order = Order::held(hold.order, hold.fan, hold.admission, &choice.lines, expires_at, configuration.version);
        let view = self.hold_view(&order, &choice.orphans);
        let entry = Entry::Held {
            order: hold.order,
            fan: hold.fan,
            admission: hold.admission,
            lines: choice.lines,
            expires_at,
            orphans: choice.orphans,
            identity,
        };
        Ok(Decision::one(entry, Answer::Held(Box::new(view))))
    }

    pub(super) fn within_fan_limit(&self, fan: FanId, quantity: u32, limits: Limits) -> Result<(), Refusal> {
        let allowed = u32::from(limits.per_fan).saturating_sub(self.fans.taken(fan));
        if quantity > allowed {
            return Err(Refusal::FanLimit { allowed });
        }
        Ok(())
    }

    /// Whether what was paid for can still be the fan's without breaking the limit.
    pub(super) fn may_have_again(&self, fan: FanId, lines: &[EntryLine], limits: Limits) -> bool {
        let quantity = lines.iter().map(|line| line.quantity).fold(0, u32::saturating_add);
        self.within_fan_limit(fan, quantity, limits).is_ok()
    }

    pub(super) fn decide_extend(
        &self,
        now: EventTime,
        fan: FanId,
        order: OrderId,
        identity: Option<Identity>,
    ) -> Result<Decision, Refusal> {
        let record = self.own_order(fan, order)?;
        if record.state != HoldState::Held {
            return Err(Refusal::HoldEnded { state: record.state });
        }
        if now >= record.expires_at {
            return Err(Refusal::HoldEnded { state: HoldState::Expired });
        }
        if record.extended {
            return Err(Refusal::AlreadyExtended);
        }
        let configuration = self.configuration.as_ref().ok_or(Refusal::NotOnSale)?;
        if configuration.phase == Phase::Cancelled {
            return Err(Refusal::NotOnSale);
        }
        let expires_at = record.expires_at + configuration.limits.hold_extension;
        let mut view = self.hold_view(record, self.orders.orphans(order));
        view.expires_at = expires_at;
        view.extended = true;
        Ok(Decision::one(Entry::Extended { order, expires_at, identity }, Answer::Held(Box::new(view))))
    }

    /// Not the fan's own extension, which stays as it is.
    pub(super) fn decide_await_payment(
        &self,
        now: EventTime,
        order: OrderId,
        fan: FanId,
        more: Millis,
    ) -> Result<Decision, Refusal> {
        let record = self.own_order(fan, order)?;
        if record.state != HoldState::Held {
            return Err(Refusal::HoldEnded { state: record.state });
        }
        let mut view = self.hold_view(record, self.orders.orphans(order));
        if record.awaited {
            return Ok(Decision::already(Answer::Held(Box::new(view))));
        }
        if now >= record.expires_at {
            return Err(Refusal::HoldEnded { state: HoldState::Expired });
        }
        if self.configuration.as_ref().is_none_or(|configuration| configuration.phase == Phase::Cancelled) {
            return Err(Refusal::NotOnSale);
        }
        view.expires_at = record.expires_at + more.min(MOST_AWAITED);
        let entry = Entry::PaymentAwaited { order, expires_at: view.expires_at };
        Ok(Decision::one(entry, Answer::Held(Box::new(view))))
    }

    pub(super) fn decide_release(
        &self,
        fan: FanId,
        order: OrderId,
        identity: Option<Identity>,
    ) -> Result<Decision, Refusal> {
        match self.own_order(fan, order)?.state {
            HoldState::Held => Ok(Decision::one(Entry::Released { order, identity }, Answer::Released)),
            // Given up already: what was asked for is so.
            HoldState::Released => Ok(Decision::already(Answer::Released)),
            state => Err(Refusal::HoldEnded { state }),
        }
    }
}

/// What the order costs as a whole, on its first line.
pub(super) fn charge_order(lines: &mut [EntryLine], charges: &Charges) {
    if charges.fees.iter().all(|fee| fee.per != Per::Order) {
        return;
    }
    let paid = |line: &EntryLine| {
        let each = line.each();
        (each.face_minor - each.discount_minor) * i64::from(line.quantity)
    };
    let once = charges.of_order(lines.iter().map(paid).sum());
    if let Some(first) = lines.first_mut() {
        first.carry(once);
    }
}

/// How many tickets, if an order may have so many.
fn quantity_wanted(want: &Want, limits: Limits) -> Result<u32, Refusal> {
    let max = u32::from(limits.per_order);
    let refused = Refusal::Quantity { max };
    let total = match want {
        Want::Quantities(quantities) if quantities.iter().any(|(_, quantity)| *quantity == 0) => return Err(refused),
        Want::Quantities(quantities) => quantities.iter().map(|(_, quantity)| u64::from(*quantity)).sum(),
        Want::Seats(seats) => seats.len() as u64,
        Want::BestAvailable(BestAvailable { quantity, .. }) => u64::from(*quantity),
    };
    match u32::try_from(total) {
        Ok(total) if (1..=max).contains(&total) => Ok(total),
        _ => Err(refused),
    }
}
