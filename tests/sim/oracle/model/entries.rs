//! What each entry changes, and what it must not.

use std::collections::BTreeMap;

use onsale::domain::{
    event::Phase,
    id::OrderId,
    inventory::{
        configuration::{Configuration, Kept},
        entry::{Entry, EntryLine, SeatPlan},
        fact::FactKind,
        request::{AdmissionEnd, ConfirmRefusal, HoldState, MOST_AWAITED},
    },
    price::{Charges, Parts},
    time::{EventTime, Millis},
};

use crate::{
    oracle::model::{Admission, Checked, Model, Order, codes::code_of, require},
    orders::takes_others,
};

/// But for the seats.
fn as_good(lines: &[EntryLine]) -> impl Iterator<Item = (EntryLine, usize)> {
    lines.iter().map(|line| (EntryLine { seats: Vec::new(), ..line.clone() }, line.seats.len()))
}

impl Model {
    pub fn apply(&mut self, at: EventTime, entry: &Entry) -> Checked {
        match entry {
            Entry::Activated { term } => {
                self.staged.clear();
                (self.term, self.activated_at) = (*term, at);
                self.draw_goes_on();
                Ok(())
            }
            Entry::SeatsStaged { seats, .. } => {
                self.staged.extend(seats.iter().cloned());
                Ok(())
            }
            Entry::Configured { configuration, seats, .. } => {
                self.met.extend(match (self.phase(), configuration.phase) {
                    (Phase::Published, Phase::Paused) => Some("the sale is paused"),
                    (Phase::Paused, Phase::Published) => Some("the sale goes on"),
                    (Phase::Published, Phase::Cancelled) => Some("the event is cancelled"),
                    _ => None,
                });
                let before = self.configuration.take();
                if before.as_ref().is_some_and(|before| before.queue.mode != configuration.queue.mode) {
                    self.modes_changed = true;
                    self.met.push("the mode is changed");
                }
                let before = before.map(|configuration| configuration.seats).unwrap_or_default();
                let seats = match seats {
                    SeatPlan::Staged => std::mem::take(&mut self.staged),
                    SeatPlan::Unchanged => before,
                };
                self.configuration = Some(Configuration { seats, ..(**configuration).clone() });
                self.released_until = at;
                Ok(())
            }
            Entry::Admitted { place, fan, claim_by, until } => {
                self.must_sell(|| format!("place {place} is admitted"))?;
                self.check_drawn(*place, *fan)?;
                let again = self.admissions.contains_key(place);
                require(!again, || format!("I-23: place {place} is admitted twice"))?;
                let other = self.admissions.values().any(|admission| admission.live && admission.fan == *fan);
                require(!other, || format!("I-23: fan {fan} has two admissions"))?;
                let admission =
                    Admission { fan: *fan, claim_by: *claim_by, until: *until, extended: false, live: true };
                self.admissions.insert(*place, admission);
                self.admitted_last.push(*place);
                let (taken, slots) = (self.slots_taken(), self.slots());
                require(taken <= slots, || format!("I-22: {taken} of {slots} slots are taken"))
            }
            Entry::Claimed { place, until } => {
                let admission = self.live(*place)?;
                admission.claim_by = None;
                admission.until = *until;
                Ok(())
            }
            Entry::AdmissionExtended { place, until } => {
                let extension = self.configuration.as_ref().map_or(Millis(0), |c| c.queue.extension);
                let admission = self.live(*place)?;
                let may = admission.claim_by.is_none() && !admission.extended && at < admission.until;
                require(may, || format!("admission {place} is extended out of turn"))?;
                require(*until == admission.until + extension, || format!("admission {place} is extended to {until}"))?;
                (admission.until, admission.extended) = (*until, true);
                Ok(())
            }
            Entry::AdmissionEnded { place, why } => {
                let admission = self.live(*place)?;
                admission.live = false;
                let due = match why {
                    AdmissionEnd::Expired => admission.until,
                    AdmissionEnd::Unclaimed => admission.claim_by.unwrap_or(admission.until),
                    AdmissionEnd::Finished | AdmissionEnd::Revoked => at,
                };
                require(at >= due, || format!("I-8: admission {place} ends at {at}, before {due}"))
            }
            Entry::Held { order, fan, admission, lines, expires_at, identity, .. } => {
                self.must_sell(|| format!("{order} is held"))?;
                self.check_released(at)?;
                self.check_lines(at, *order, lines)?;
                self.check_not_past_the_list(lines)?;
                self.check_once(*order, lines)?;
                let live = self.live(*admission)?;
                let may = live.fan == *fan && live.claim_by.is_none() && at < live.until;
                require(may, || format!("I-24: {fan} holds by admission {admission}"))?;
                if let Some(identity) = identity {
                    let before = self.keys.insert(identity.key, *order);
                    require(before.is_none(), || format!("I-7: key {:x} holds {before:?} and {order}", identity.key))?;
                }
                self.fact(*order, FactKind::Created);
                let record = Order {
                    fan: *fan,
                    admission: *admission,
                    lines: lines.clone(),
                    expires_at: *expires_at,
                    state: HoldState::Held,
                    payment: None,
                    refused: BTreeMap::new(),
                    facts: vec![(self.facts, FactKind::Created)],
                    lapsed: false,
                    is_reduced: false,
                    is_awaited: false,
                    bought: 0,
                    last_move: 0,
                };
                let quantity = record.quantity();
                let before = self.orders.insert(*order, record);
                require(before.is_none(), || format!("order {order} is held twice"))?;
                self.held_last.push((*order, lines.iter().find_map(code_of)));
                self.check_uses(*fan, lines)?;
                self.check_limits(*fan, quantity)
            }
            Entry::Extended { order, expires_at, .. } => {
                self.must_not_be_cancelled(|| format!("{order} is extended"))?;
                self.fact(*order, FactKind::Extended);
                let record = self.in_state(*order, &[HoldState::Held])?;
                record.expires_at = *expires_at;
                Ok(())
            }
            Entry::PaymentAwaited { order, expires_at } => {
                self.must_not_be_cancelled(|| format!("{order} is kept for its payment"))?;
                self.fact(*order, FactKind::Extended);
                let record = self.in_state(*order, &[HoldState::Held])?;
                let more = expires_at.since(record.expires_at);
                let is_once = !std::mem::replace(&mut record.is_awaited, true);
                record.expires_at = *expires_at;
                self.met.push("a hold is kept for its payment");
                require(is_once && more <= MOST_AWAITED, || format!("I-8: {order} is kept for {more:?}, or not once"))
            }
            Entry::SeatAdded { order, number, line } => self.seat_added(*order, *number, line),
            Entry::Released { order, .. } => {
                self.fact(*order, FactKind::Released);
                let record = self.in_state(*order, &[HoldState::Held])?;
                (record.state, record.lapsed) = (HoldState::Released, true);
                Ok(())
            }
            Entry::Expired { order } => {
                self.fact(*order, FactKind::Expired);
                let record = self.in_state(*order, &[HoldState::Held])?;
                (record.state, record.lapsed) = (HoldState::Expired, true);
                let due = record.expires_at;
                require(at >= due, || format!("I-8: hold {order} ends at {at}, before {due}"))
            }
            Entry::Confirmed { order, payment, fan, taken_again } => {
                self.must_not_be_cancelled(|| format!("{order} is sold"))?;
                self.must_not_be_withdrawn(taken_again.as_deref().unwrap_or_default())?;
                self.fact(*order, FactKind::Confirmed { payment: *payment });
                let allowed = [HoldState::Held, HoldState::Released, HoldState::Expired];
                let record = self.in_state(*order, &allowed)?;
                let again = taken_again.as_ref();
                require(record.lapsed == again.is_some(), || format!("I-10: {order} is taken again, or is not"))?;
                let others = again.filter(|lines| **lines != record.lines);
                if let Some(lines) = others {
                    let is_as_good = takes_others(*order) && as_good(lines).eq(as_good(&record.lines));
                    require(is_as_good, || format!("I-16: {order} comes back as something else"))?;
                    record.lines.clone_from(lines);
                }
                require(record.fan == *fan, || format!("{order} is sold to {fan}"))?;
                let met = match (others.is_some(), again.is_some(), at + Millis(1_500) >= record.expires_at) {
                    (true, ..) => "a late payment takes other seats",
                    (_, true, _) => "the end of a hold wins against its payment, which takes the stock again",
                    (_, false, true) => "a payment wins against the end of its hold, which was near",
                    (_, false, false) => "a payment comes in time",
                };
                (record.state, record.payment) = (HoldState::Sold, Some(*payment));
                record.bought = record.quantity();
                self.met.push(met);
                match taken_again {
                    Some(lines) => self.check_uses(*fan, lines)?,
                    // One more of them may be on its way from seat to seat.
                    None if self.has_moved(*fan) => return Ok(()),
                    None => {}
                }
                self.check_limits(*fan, 0)
            }
            Entry::ConfirmRefused { order, payment, why, .. } => {
                self.fact(*order, FactKind::ConfirmRefused { payment: *payment, why: *why });
                let record = self.orders.get(order).ok_or_else(|| format!("{order} is refused, never held"))?;
                if *why == ConfirmRefusal::CodeUsedUp && record.refused.is_empty() {
                    self.check_used_up(*order, record)?;
                }
                let record = self.orders.get_mut(order).ok_or_else(|| format!("{order} is refused, never held"))?;
                let before = record.refused.insert(*payment, *why);
                require(before.is_none(), || format!("I-16: payment {payment} is refused twice"))?;
                if !matches!(record.state, HoldState::Sold | HoldState::Voided) {
                    record.state = HoldState::Refused;
                }
                Ok(())
            }
            Entry::Voided { order } => {
                self.fact(*order, FactKind::Voided);
                let record = self.in_state(*order, &[HoldState::Sold])?;
                record.state = HoldState::Voided;
                let by_code = record.lines.iter().find_map(code_of);
                self.met.extend(by_code.map(|_| "tickets held by a code are given back"));
                Ok(())
            }
            Entry::Reduced { order, back } => {
                let by_code = back.iter().find_map(code_of);
                self.met.extend(by_code.map(|_| "tickets held by a code are given back"));
                let record = self.in_state(*order, &[HoldState::Sold])?;
                record.is_reduced = true;
                for gone in back {
                    let line = record.lines.iter_mut().find(|line| line.ticket_type == gone.ticket_type);
                    let line = line.ok_or_else(|| format!("I-2: {order} gives back what it does not have"))?;
                    let seats = line.seats.len();
                    line.seats.retain(|seat| !gone.seats.contains(seat));
                    let is_there = line.quantity >= gone.quantity && seats - line.seats.len() == gone.seats.len();
                    require(is_there, || format!("I-2: {order} gives back more than it has"))?;
                    line.quantity -= gone.quantity;
                }
                require(record.quantity() > 0, || format!("I-2: nothing is left of {order}, and it is still sold"))
            }
            Entry::DrawCommitted { .. }
            | Entry::DrawStaged { .. }
            | Entry::DrawClosed { .. }
            | Entry::DrawBeacon { .. }
            | Entry::DrawRevealed { .. } => self.apply_draw(entry),
            Entry::Classified { .. } | Entry::QueueMoved { .. } => Err("nobody asks for this here".to_owned()),
            Entry::StockReleased { until } => self.stock_released(at, *until),
            Entry::CodesMade { terms, codes } => self.codes_made(terms, codes),
            Entry::CodesWithdrawn { codes } => self.codes_withdrawn(codes),
            Entry::InviteUsed { .. } | Entry::InvitesWithdrawn { .. } => Err("nobody is invited here".to_owned()),
            Entry::WaitlistJoined { .. }
            | Entry::WaitlistLeft { .. }
            | Entry::StockKept { .. }
            | Entry::StockSpared { .. }
            | Entry::Offered { .. }
            | Entry::WaitlistCleared => self.apply_waitlist(at, entry),
        }
    }

    fn must_sell(&self, what: impl FnOnce() -> String) -> Checked {
        let phase = self.phase();
        require(phase == Phase::Published, || format!("I-24: {} while the event is {phase}", what()))
    }

    fn must_not_be_cancelled(&self, what: impl FnOnce() -> String) -> Checked {
        require(self.phase() != Phase::Cancelled, || format!("I-16: {} though the event is cancelled", what()))
    }

    /// Seats that the organizer has withdrawn are nobody's any more, whoever has paid.
    fn must_not_be_withdrawn(&self, lines: &[EntryLine]) -> Checked {
        let withdrawn =
            lines.iter().flat_map(|line| &line.seats).find(|seat| self.kept(**seat) == Some(&Kept::Blocked));
        require(withdrawn.is_none(), || format!("I-2: seat {withdrawn:?} is withdrawn, and sold"))
    }

    fn charges(&self) -> Option<&Charges> {
        self.configuration.as_ref().map(|configuration| &configuration.charges)
    }

    /// What the order costs once, on its first line.
    pub fn check_once(&self, order: OrderId, lines: &[EntryLine]) -> Checked {
        let breakdowns = || lines.iter().filter_map(|line| Some((line, line.breakdown.as_ref()?)));
        let paid = |parts: &Parts| parts.face_minor - parts.discount_minor;
        let paid = breakdowns().map(|(line, breakdown)| paid(&breakdown.each) * i64::from(line.quantity)).sum();
        let price = self.charges().map(|charges| charges.of_order(paid));
        let found = breakdowns().next().map(|(_, breakdown)| breakdown.once);
        let others = breakdowns().skip(1).all(|(_, breakdown)| breakdown.once == Parts::default());
        require(others && price == found, || format!("I-20: {order} costs {found:?} once, the list says {price:?}"))
    }

    /// Prices of the list in force, and no seat that is withdrawn; who may have those kept for a channel is asked outside.
    pub fn check_lines(&mut self, at: EventTime, order: OrderId, lines: &[EntryLine]) -> Checked {
        self.must_not_be_withdrawn(lines)?;
        for line in lines {
            let discount = self.discount(at, order, line)?;
            let face = self.ticket_type(line.ticket_type).map(|ticket_type| ticket_type.price_minor);
            let price = face.zip(self.charges()).map(|(face, charges)| charges.of_ticket(face, discount));
            let found = line.breakdown.as_ref().map(|breakdown| breakdown.each);
            require(price == found, || format!("I-20: {order} costs {found:?} each, the list says {price:?}"))?;
            let (total, unit) = (price.map(|parts| parts.total_minor()), line.unit_price_minor);
            require(total == Some(unit), || format!("I-20: {order} costs {unit} each, the parts say {total:?}"))?;
            for seat in &line.seats {
                if let Some(Kept::For(channel)) = self.kept(*seat).cloned() {
                    self.kept_last.push((order, channel));
                }
            }
        }
        Ok(())
    }
}
