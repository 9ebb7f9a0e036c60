//! What the state looks like from outside: views, orders as their fans see them.

use super::{
    Inventory, QuotaView, TypeView, View,
    configuration::{Configuration, Release, Stock, TicketType},
    orders::{CompactLine, Lines, Order},
    request::{HoldView, Line},
    stock::QuotaStock,
};
use crate::domain::{
    code::{Code, SeatId},
    event::Status,
    money::Currency,
    price::Parts,
    time::EventTime,
};

impl Line {
    /// All that is paid for it. Saturates: lines that somebody paid for come from outside.
    pub fn total_minor(&self) -> i64 {
        self.unit_price_minor.saturating_mul(i64::from(self.quantity)).saturating_add(self.once().total_minor())
    }

    /// Of each ticket.
    pub fn each(&self) -> Parts {
        self.breakdown.as_ref().map_or(Parts::face(self.unit_price_minor), |breakdown| breakdown.each)
    }

    pub fn rate(&self) -> Option<&Code> {
        self.breakdown.as_ref().and_then(|breakdown| breakdown.rate.as_ref())
    }

    /// What it carries of the order as a whole.
    pub fn once(&self) -> Parts {
        self.breakdown.as_ref().map_or(Parts::default(), |breakdown| breakdown.once)
    }
}

impl Inventory {
    pub(super) fn status(&self, now: EventTime) -> Status {
        let Some(configuration) = &self.configuration else { return Status::Draft };
        let (opens, ends) = (configuration.on_sale_at, configuration.sale_ends_at);
        Status::of(configuration.phase, now, opens, ends, self.all_for_sale())
    }

    /// What whoever comes can have of one type, as far as nobody waits for it.
    pub(super) fn for_sale(&self, ticket_type: u16) -> u32 {
        if self.is_kept(ticket_type) { 0 } else { self.stock.available(ticket_type) }
    }

    fn all_for_sale(&self) -> u64 {
        self.stock.available_in_all(|ticket_type| self.is_kept(ticket_type))
    }

    /// Whether holds and admissions are given out: phase and schedule only, whatever is left.
    pub(super) fn is_selling(&self, now: EventTime) -> bool {
        let selling = |c: &Configuration| Status::of(c.phase, now, c.on_sale_at, c.sale_ends_at, 1) == Status::OnSale;
        self.configuration.as_deref().is_some_and(selling)
    }

    pub fn view(&self, now: EventTime) -> View {
        let configuration = self.configuration.as_deref();
        View {
            seq: 0,
            at: now,
            status: self.status(now),
            version: configuration.map_or(0, |c| c.version),
            terms_version: self.terms_version,
            available: self.all_for_sale(),
            ticket_types: self.type_views(),
            quotas: self.quota_views(),
            slots_taken: self.admissions.slots_taken(),
            slots: configuration.map_or(0, |c| c.queue.slots),
            outbox: self.outbox.len() as u64,
            holds: self.orders.held() as u32,
            seats_revision: self.seats_revision,
            draw: self.draw.clone(),
            manual_moves: self.manual_moves,
            class_members: self.class_members.clone(),
            waitlist: self.waitlist.tally(),
        }
    }

    fn type_views(&self) -> Vec<TypeView> {
        let ticket_types = self.configuration.iter().flat_map(|c| &c.ticket_types);
        let view = |ticket_type: &TicketType| {
            let (index, stock) = self.stock.offered(&ticket_type.code)?;
            Some(TypeView {
                code: ticket_type.code.clone(),
                name: ticket_type.name.clone(),
                parts: stock.parts(),
                opens_at: stock.opens_at,
                needs_code: stock.needs_code,
                seated: stock.seated,
                capacity: stock.capacity,
                free: stock.free(),
                available: self.for_sale(index),
                held: stock.held,
                sold: stock.sold,
                blocked: stock.blocked.saturating_add(stock.withheld),
                next_release: self.next_release_of(ticket_type, index),
            })
        };
        ticket_types.filter_map(view).collect()
    }

    /// Those at or after the first that is to come are to come.
    fn next_release_of(&self, ticket_type: &TicketType, index: u16) -> Option<Release> {
        let first = self.next_release?;
        if ticket_type.stock == Stock::Seats {
            return self.seats.withheld(index).map(|withheld| withheld.next);
        }
        ticket_type.releases.iter().find(|release| release.at >= first).copied()
    }

    fn quota_views(&self) -> Vec<QuotaView> {
        let quotas = self.stock.quotas.iter();
        let view = |quota: &QuotaStock| {
            Some(QuotaView { code: quota.code.clone(), capacity: quota.capacity?, taken: quota.taken })
        };
        quotas.filter_map(view).collect()
    }

    pub(super) fn hold_view(&self, order: &Order, orphans: &[u32]) -> HoldView {
        let lines = self.public_lines(&order.lines);
        HoldView {
            order: order.id,
            fan: order.fan,
            state: order.state,
            total_minor: lines.iter().map(Line::total_minor).fold(0, i64::saturating_add),
            lines,
            // Orders exist only under a configuration, and it keeps its currency then.
            currency: self.configuration.as_ref().map_or(Currency::EUR, |c| c.currency),
            expires_at: order.expires_at,
            extended: order.extended,
            version: order.version,
            orphans: self.seat_ids(orphans),
        }
    }

    pub(super) fn public_lines(&self, lines: &Lines) -> Vec<Line> {
        let public = |line: &CompactLine| {
            let stock = self.stock.get(line.ticket_type)?;
            Some(Line {
                ticket_type: stock.code.clone(),
                quantity: line.quantity,
                unit_price_minor: line.unit_price_minor,
                breakdown: line.breakdown.clone(),
                seats: self.seat_ids(&line.seats),
            })
        };
        lines.as_slice().iter().filter_map(public).collect()
    }

    fn seat_ids(&self, seats: &[u32]) -> Vec<SeatId> {
        seats.iter().filter_map(|&seat| self.seats.get(seat)).map(|record| record.id.clone()).collect()
    }
}
