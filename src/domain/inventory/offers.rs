//! What the entries of the waiting list change.

use super::{
    Corrupt, Inventory,
    entry::Entry,
    fact::FactKind,
    orders::Lines,
    stock::Move,
    waitlist::{Keeping, Waiting},
};
use crate::domain::{queue::Place, time::EventTime};

impl Inventory {
    pub(super) fn waitlist_changed(&mut self, at: EventTime, entry: &Entry) -> Result<(), Corrupt> {
        match entry {
            Entry::WaitlistJoined { order, fan, ticket_types, wish } => self.waitlist.join(Waiting {
                order: *order,
                fan: *fan,
                ticket_types: ticket_types.as_slice().into(),
                wish: *wish,
                joined_at: at,
            }),
            Entry::WaitlistLeft { fan, why: _ } => self.waitlist.leave(*fan).map(drop),
            Entry::StockKept { ticket_type, until } => self.waitlist.keep(*ticket_type, Keeping::Until(*until)),
            Entry::StockSpared { ticket_type } => self.waitlist.keep(*ticket_type, Keeping::Spare),
            Entry::Offered { order, fan, lines, expires_at } => {
                self.waitlist.offer(*fan, *order)?;
                let order = self.new_order(*order, *fan, Place(0), lines, *expires_at)?;
                self.move_lines(*fan, &Lines::of(lines), Move::Hold)?;
                self.fans.take(order.fan, order.lines.quantity());
                self.push_fact(at, &order, FactKind::Offered);
                self.orders.hold(order, &[]);
                Ok(())
            }
            Entry::WaitlistCleared => {
                self.waitlist.clear();
                Ok(())
            }
            other => Err(Corrupt(format!("{other:?} is not of the waiting list"))),
        }
    }

    /// Of the types of which something is kept: how much can be had.
    pub(super) fn kept(&self) -> Vec<(u16, u32)> {
        let kept = self.waitlist.kept_types().into_iter();
        kept.map(|ticket_type| (ticket_type, self.stock.available(ticket_type))).collect()
    }

    pub(super) fn freed_since(&mut self, before: &[(u16, u32)]) {
        for &(ticket_type, before) in before {
            if self.stock.available(ticket_type) > before {
                self.waitlist.freed(ticket_type, before, self.last_at);
            }
        }
    }
}
