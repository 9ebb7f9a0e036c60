//! What each entry changes. Recovery and live decisions go through here alike, so every entry is checked: a journal that
//! contradicts itself must stop the event rather than sell a seat twice.

use std::sync::Arc;

use super::{
    Corrupt, Inventory,
    configuration::Configuration,
    entry::{Entry, EntryLine, SeatPlan},
    fact::{FactKind, OrderFact},
    orders::{CompactLine, Lines, Order},
    outcomes::Done,
    request::{Admission, ConfirmRefusal, HoldState, Identity, Line},
    seats::Use,
    stock::{Move, Portion},
};
use crate::domain::{
    id::{FanId, OrderId, PaymentId},
    queue::Place,
    time::EventTime,
};

impl Inventory {
    /// Applies an entry; recovery and live decisions go through here alike. The order fact it makes, if any, joins the
    /// outbox.
    pub fn apply(&mut self, at: EventTime, entry: &Entry) -> Result<(), Corrupt> {
        if at < self.last_at {
            return Err(Corrupt(format!("time runs back from {} to {at}", self.last_at)));
        }
        self.last_at = at;
        self.outcomes.forget(at);
        self.orders.forget(at);
        match entry {
            Entry::Activated { term } => self.activated(*term),
            Entry::SeatsStaged { version, seats } => {
                self.next_version(*version)?;
                self.staged.extend_from_slice(seats);
                Ok(())
            }
            Entry::Configured { configuration, seats, identity } => {
                self.configured(configuration, *seats)?;
                self.remember(at, *identity, Done::Configured { version: configuration.version });
                Ok(())
            }
            Entry::Admitted { place, fan, claim_by, until } => {
                let (place, fan, claim_by, until) = (*place, *fan, *claim_by, *until);
                let admission = Admission { place, fan, claim_by, until, extended: false };
                self.admitted(admission)
            }
            Entry::Claimed { place, until } => self.admissions.claim(*place, *until),
            Entry::AdmissionExtended { place, until } => self.admissions.extend(*place, *until),
            Entry::AdmissionEnded { place, why: _ } => {
                let fan = self.admissions.end(*place)?;
                self.fans.set_admission(fan, None);
                Ok(())
            }
            Entry::Held { order, fan, admission, lines, expires_at, orphans, identity } => {
                let order = self.new_order(*order, *fan, *admission, lines, *expires_at)?;
                self.held(at, order, orphans, *identity)
            }
            Entry::Extended { order, expires_at, identity } => self.extended(at, *order, *expires_at, *identity),
            Entry::Released { order, identity } => {
                self.lapsed(at, *order, HoldState::Released)?;
                self.remember(at, *identity, Done::Released);
                Ok(())
            }
            Entry::Expired { order } => self.lapsed(at, *order, HoldState::Expired),
            Entry::Confirmed { order, payment, fan, taken_again: None } => self.sold(at, *order, *payment, *fan),
            Entry::Confirmed { order, payment, fan, taken_again: Some(lines) } => {
                self.taken_again(at, *order, *payment, *fan, lines)
            }
            Entry::ConfirmRefused { order, payment, fan, lines, why } => {
                self.refused(at, (*order, *payment), *fan, lines, *why)
            }
            Entry::Voided { order } => self.voided(at, *order),
            Entry::Reduced { order, back } => self.reduced(*order, back),
            Entry::PaymentAwaited { order, expires_at } => {
                self.prolonged(at, *order, *expires_at, |record| record.awaited = true).map(drop)
            }
            Entry::SeatAdded { order, number, line } => self.seat_added(*order, *number, line),
            Entry::DrawCommitted { commitment, beacon_name } => self.draw_committed(*commitment, beacon_name),
            Entry::DrawStaged { fans } => self.draw_staged(fans),
            Entry::DrawClosed { root, count, last } => self.draw_closed(*root, *count, *last),
            Entry::DrawBeacon { value } => self.draw_beacon(value),
            Entry::DrawRevealed { seed } => self.draw_revealed(*seed),
            Entry::Classified { fans, class } => self.classified(fans, *class),
            Entry::QueueMoved { .. } => self.queue_moved(),
            Entry::InviteUsed { invite, fan } => self.invite_used(*invite, *fan),
            Entry::StockReleased { until } => self.stock_released(at, *until),
            Entry::CodesMade { terms, codes } => self.codes_made(terms, codes),
            Entry::CodesWithdrawn { codes } => self.codes_withdrawn(codes),
            Entry::InvitesWithdrawn { invites } => {
                self.invites_withdrawn(invites);
                Ok(())
            }
            Entry::WaitlistJoined { .. }
            | Entry::WaitlistLeft { .. }
            | Entry::StockKept { .. }
            | Entry::StockSpared { .. }
            | Entry::Offered { .. }
            | Entry::WaitlistCleared => self.waitlist_changed(at, entry),
        }
    }

    fn activated(&mut self, term: u32) -> Result<(), Corrupt> {
        if term <= self.term {
            return Err(Corrupt(format!("term {term} follows term {}", self.term)));
        }
        if term > Place::MAX_TERM {
            return Err(Corrupt(format!("term {term} has no places: the event was activated too often")));
        }
        self.term = term;
        // An owner that was lost amid a large plan never said `Configured`.
        self.staged.clear();
        self.forget_staged_entrants();
        Ok(())
    }

    fn next_version(&self, version: u32) -> Result<(), Corrupt> {
        let current = self.configuration.as_ref().map_or(0, |current| current.version);
        if Some(version) != current.checked_add(1) {
            return Err(Corrupt(format!("configuration {version} follows {current}")));
        }
        Ok(())
    }

    fn configured(&mut self, configuration: &Configuration, plan: SeatPlan) -> Result<(), Corrupt> {
        self.next_version(configuration.version)?;
        let staged = std::mem::take(&mut self.staged);
        let seats = match plan {
            SeatPlan::Staged => staged,
            SeatPlan::Unchanged => self.configuration.as_ref().map_or(Vec::new(), |current| current.seats.clone()),
        };
        let configuration = Configuration { seats, ..configuration.clone() };
        let kept = self.kept();
        let changed = self.reconfigured(self.last_at, &configuration, plan);
        let changed = changed.map_err(|refusal| Corrupt(format!("configuration does not fit: {refusal}")))?;
        self.stock = changed.stock;
        if let Some(seats) = changed.seats {
            self.seats = seats;
            self.seats_revision += 1;
        }
        if Self::changes_terms(self.configuration.as_ref(), &configuration) {
            self.terms_version = configuration.version;
        }
        self.next_release = configuration.next_release(self.last_at);
        self.configuration = Some(Arc::new(configuration));
        self.waitlist.stir();
        self.freed_since(&kept);
        Ok(())
    }

    fn stock_released(&mut self, at: EventTime, until: EventTime) -> Result<(), Corrupt> {
        let configuration = self.configuration.clone().filter(|_| self.next_release.is_some_and(|next| next <= until));
        let configuration = configuration.filter(|_| until <= at);
        let configuration = configuration.ok_or_else(|| Corrupt(format!("no stock is to be released by {until}")))?;
        let kept = self.kept();
        if configuration.seat_releases().next().is_some() {
            let taken = |seat| Corrupt(format!("seat {seat} is taken before its release"));
            let changed = self.seats.withhold(&configuration, until).map_err(taken)?;
            self.seats_revision += u64::from(changed);
        }
        self.stock.release(&configuration, until, &self.seats);
        self.next_release = configuration.next_release(until);
        self.waitlist.stir();
        self.freed_since(&kept);
        Ok(())
    }

    fn remember(&mut self, at: EventTime, identity: Option<Identity>, done: Done) {
        if let Some(identity) = identity {
            self.outcomes.remember(identity, at, done);
        }
    }

    fn admitted(&mut self, admission: Admission) -> Result<(), Corrupt> {
        if self.fans.admission(admission.fan).is_some() {
            return Err(Corrupt(format!("fan {} is admitted twice", admission.fan)));
        }
        self.admissions.admit(admission)?;
        self.fans.set_admission(admission.fan, Some(admission.place));
        Ok(())
    }

    pub(super) fn new_order(
        &self,
        order: OrderId,
        fan: FanId,
        admission: Place,
        lines: &[EntryLine],
        expires_at: EventTime,
    ) -> Result<Order, Corrupt> {
        if self.orders.get(order).is_some() {
            return Err(Corrupt(format!("order {order} is made twice")));
        }
        let configuration = self.configuration.as_ref();
        let version = configuration.ok_or_else(|| Corrupt("an order before any configuration".into()))?.version;
        Ok(Order::held(order, fan, admission, lines, expires_at, version))
    }

    fn held(
        &mut self,
        at: EventTime,
        order: Order,
        orphans: &[u32],
        identity: Option<Identity>,
    ) -> Result<(), Corrupt> {
        self.admissions.hold_taken(order.admission)?;
        self.move_lines(order.fan, &order.lines, Move::Hold)?;
        self.fans.take(order.fan, order.lines.quantity());
        self.push_fact(at, &order, FactKind::Created);
        let expires_at = order.expires_at;
        let order = self.orders.hold(order, orphans);
        self.remember(at, identity, Done::Held { order, expires_at });
        Ok(())
    }

    fn extended(
        &mut self,
        at: EventTime,
        order: OrderId,
        expires_at: EventTime,
        identity: Option<Identity>,
    ) -> Result<(), Corrupt> {
        let order = self.prolonged(at, order, expires_at, |record| record.extended = true)?;
        self.remember(at, identity, Done::Extended { order, expires_at });
        Ok(())
    }

    /// Returns its slot.
    fn prolonged(
        &mut self,
        at: EventTime,
        order: OrderId,
        expires_at: EventTime,
        note: fn(&mut Order),
    ) -> Result<u32, Corrupt> {
        self.in_state(order, &[HoldState::Held])?;
        let unknown = || Corrupt(format!("order {order} is not known"));
        let slot = self.orders.prolong(order, expires_at, note).ok_or_else(unknown)?;
        let record = self.orders.at(slot).cloned().ok_or_else(unknown)?;
        self.push_fact(at, &record, FactKind::Extended);
        Ok(slot)
    }

    fn lapsed(&mut self, at: EventTime, order: OrderId, state: HoldState) -> Result<(), Corrupt> {
        let record = self.in_state(order, &[HoldState::Held])?.clone();
        self.give_up(&record)?;
        self.waitlist.lapsed(record.fan, order);
        self.orders.end(order, state, at);
        let what = if state == HoldState::Released { FactKind::Released } else { FactKind::Expired };
        self.push_fact(at, &record, what);
        Ok(())
    }

    /// Stock, limit and slot of a hold that ends unsold.
    fn give_up(&mut self, record: &Order) -> Result<(), Corrupt> {
        self.move_lines(record.fan, &record.lines, Move::GiveUp)?;
        self.fans.give_back(record.fan, record.lines.quantity())?;
        self.admissions.hold_settled(record.admission)
    }

    fn sold(&mut self, at: EventTime, order: OrderId, payment: PaymentId, fan: FanId) -> Result<(), Corrupt> {
        let record = self.in_state(order, &[HoldState::Held])?.clone();
        if record.fan != fan {
            return Err(Corrupt(format!("order {order} is not of fan {fan}")));
        }
        self.move_lines(fan, &record.lines, Move::Sell)?;
        self.admissions.hold_settled(record.admission)?;
        self.waitlist.sold(fan, order, false);
        self.orders.sell(order, payment);
        self.push_fact(at, &record, FactKind::Confirmed { payment });
        Ok(())
    }

    fn taken_again(
        &mut self,
        at: EventTime,
        order: OrderId,
        payment: PaymentId,
        fan: FanId,
        lines: &[EntryLine],
    ) -> Result<(), Corrupt> {
        let known = self.orders.get(order).cloned();
        let record = match &known {
            Some(_) => self.in_state(order, &[HoldState::Released, HoldState::Expired])?.clone().with(lines),
            None => self.new_order(order, fan, Place(0), lines, at)?,
        };
        if record.fan != fan {
            return Err(Corrupt(format!("order {order} is not of fan {fan}")));
        }
        self.move_lines(fan, &record.lines, Move::SellAtOnce)?;
        self.fans.take(fan, record.lines.quantity());
        self.waitlist.sold(fan, order, true);
        self.push_fact(at, &record, FactKind::Confirmed { payment });
        match known {
            Some(_) => {
                self.orders.keep(order, record.lines);
                self.orders.sell(order, payment);
            }
            None => self.orders.insert_sold(record, payment),
        }
        Ok(())
    }

    fn refused(
        &mut self,
        at: EventTime,
        (order, payment): (OrderId, PaymentId),
        fan: FanId,
        lines: &[Line],
        why: ConfirmRefusal,
    ) -> Result<(), Corrupt> {
        let known = self.orders.get(order).cloned();
        if let Some(record) = &known
            && record.state == HoldState::Held
        {
            self.give_up(record)?;
            self.waitlist.lapsed(fan, order);
        }
        if known.as_ref().is_some_and(|record| record.payment().is_none()) {
            self.orders.end(order, HoldState::Refused, at);
        }
        self.orders.refuse(order, payment, why);
        let what = FactKind::ConfirmRefused { payment, why };
        match known {
            Some(record) => self.push_fact(at, &record, what),
            None => {
                let record = self.new_order(order, fan, Place(0), &[], at)?;
                self.push_fact_with(at, &record, lines.to_vec(), what);
            }
        }
        Ok(())
    }

    fn voided(&mut self, at: EventTime, order: OrderId) -> Result<(), Corrupt> {
        let record = self.in_state(order, &[HoldState::Sold])?.clone();
        self.move_lines(record.fan, &record.lines, Move::TakeBack)?;
        self.fans.give_back(record.fan, record.lines.quantity())?;
        self.orders.void(order);
        self.push_fact(at, &record, FactKind::Voided);
        Ok(())
    }

    /// What is left is smaller, and still sold. The refund that this follows from is told by those who began it.
    fn reduced(&mut self, order: OrderId, back: &[EntryLine]) -> Result<(), Corrupt> {
        let record = self.in_state(order, &[HoldState::Sold])?.clone();
        let contradiction = || Corrupt(format!("order {order} does not have what it gives back"));
        let left = record.lines.without(back).ok_or_else(contradiction)?;
        let back = Lines::of(back);
        self.move_lines(record.fan, &back, Move::TakeBack)?;
        self.fans.give_back(record.fan, back.quantity())?;
        self.orders.keep(order, left);
        Ok(())
    }

    /// The order has its seat and one more, until it is told which of them stays.
    fn seat_added(&mut self, order: OrderId, number: u32, line: &EntryLine) -> Result<(), Corrupt> {
        let record = self.in_state(order, &[HoldState::Sold])?.clone();
        let lines = record.lines.with(line);
        let lines = lines.ok_or_else(|| Corrupt(format!("order {order} has no ticket of the seat's type")))?;
        let added = CompactLine::from(line);
        self.move_stock(&added, Move::SellAtOnce)?;
        self.lend_uses(record.fan, &added);
        self.fans.take(record.fan, added.quantity);
        self.orders.keep(order, lines);
        self.orders.moved(order, number);
        Ok(())
    }

    fn in_state(&self, order: OrderId, states: &[HoldState]) -> Result<&Order, Corrupt> {
        let record = self.orders.get(order).ok_or_else(|| Corrupt(format!("order {order} is not known")))?;
        if !states.contains(&record.state) {
            return Err(Corrupt(format!("order {order} is {:?}, not {states:?}", record.state)));
        }
        Ok(record)
    }

    /// Stock, and the uses of codes with it.
    pub(super) fn move_lines(&mut self, fan: FanId, lines: &Lines, step: Move) -> Result<(), Corrupt> {
        let kept = self.kept();
        for line in lines.as_slice() {
            self.move_stock(line, step)?;
            self.move_uses(fan, line, step)?;
        }
        if matches!(step, Move::GiveUp | Move::TakeBack) {
            self.waitlist.stir();
            self.freed_since(&kept);
        }
        Ok(())
    }

    fn move_stock(&mut self, line: &CompactLine, step: Move) -> Result<(), Corrupt> {
        let blocked = self.move_seats(line, step)?;
        self.stock.apply(step, Portion { ticket_type: line.ticket_type, quantity: line.quantity, blocked })
    }

    /// Returns how many of the seats are kept from the public.
    fn move_seats(&mut self, line: &CompactLine, step: Move) -> Result<u32, Corrupt> {
        let (from, to) = match step {
            Move::Hold => (Use::Free, Use::Held),
            Move::GiveUp => (Use::Held, Use::Free),
            Move::Sell => (Use::Held, Use::Sold),
            Move::SellAtOnce => (Use::Free, Use::Sold),
            Move::TakeBack => (Use::Sold, Use::Free),
        };
        let seated = self.stock.get(line.ticket_type).is_some_and(|stock| stock.seated);
        if line.seats.len() != if seated { line.quantity as usize } else { 0 } {
            return Err(Corrupt(format!("{} seats for {} tickets", line.seats.len(), line.quantity)));
        }
        let mut blocked = 0;
        for &seat in &line.seats {
            let of_type = self.seats.get(seat).is_some_and(|record| record.ticket_type == line.ticket_type);
            if !of_type {
                return Err(Corrupt(format!("seat {seat} is of another ticket type")));
            }
            blocked += u32::from(self.seats.change(seat, from, to)?);
        }
        self.seats_revision += u64::from(!line.seats.is_empty());
        Ok(blocked)
    }

    pub(super) fn push_fact(&mut self, at: EventTime, record: &Order, what: FactKind) {
        let lines = self.public_lines(&record.lines);
        self.push_fact_with(at, record, lines, what);
    }

    fn push_fact_with(&mut self, at: EventTime, record: &Order, lines: Vec<Line>, what: FactKind) {
        let Some(configuration) = &self.configuration else { return };
        let total_minor = lines.iter().map(Line::total_minor).fold(0, i64::saturating_add);
        self.outbox.push(OrderFact {
            number: self.outbox.next_number(),
            order: record.id,
            fan: record.fan,
            at,
            what,
            lines,
            total_minor,
            currency: configuration.currency,
            expires_at: record.expires_at,
            version: record.version,
        });
    }
}
