//! What is known without the inventory.

use super::*;

/// What the fans and the organizer know: every order ever, and what became of it.
#[derive(Default)]
pub struct Model {
    pub orders: Vec<(HoldView, HoldState)>,
    pub paid: BTreeMap<usize, u128>,
    /// Who waits, in their order.
    pub line: Vec<(FanId, Vec<Code>, Wish)>,
    pub asked: Vec<(Identity, Command, Answer, EventTime)>,
}

impl Model {
    pub fn pick(&self, pick: usize) -> Option<(usize, HoldView)> {
        let index = pick.checked_rem(self.orders.len())?;
        Some((index, self.orders[index].0.clone()))
    }

    pub fn quantity(&self, of: impl Fn(&HoldView, HoldState) -> bool, name: &str) -> u32 {
        let orders = self.orders.iter().filter(|(view, state)| of(view, *state));
        orders.flat_map(|(view, _)| &view.lines).filter(|line| line.ticket_type == code(name)).map(|l| l.quantity).sum()
    }

    pub fn is_taken(state: HoldState) -> bool {
        matches!(state, HoldState::Held | HoldState::Sold)
    }

    pub fn seats(&self) -> Vec<Code> {
        let live = self.orders.iter().filter(|(_, state)| Self::is_taken(*state));
        live.flat_map(|(view, _)| &view.lines).flat_map(|line| line.seats.clone()).collect()
    }
}

/// But for its seats.
pub fn of_line(line: &Line) -> (Code, u32, usize, i64) {
    (line.ticket_type.clone(), line.quantity, line.seats.len(), line.unit_price_minor)
}
