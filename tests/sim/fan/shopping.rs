//! From an admission to an order and its payment.

use onsale::domain::{
    id::OrderId,
    inventory::{
        fact::FactKind,
        request::{BestAvailable, HoldView, Want},
    },
    order::OrderState,
    queue::Place,
};

use crate::{
    fan::{Doing, Plan, Wish},
    swarm::Fault,
    world::{GALLERY, PRESS, SEATED, STANDING, World, code, seat_id},
};

impl World {
    pub fn shop(&mut self, index: usize, admission: Place) {
        let quantity = self.rng.between(1, 3) as u32;
        let seats = self.swarm.seats;
        let want = match self.rng.below(if seats > 0 { 6 } else { 3 }) {
            0 => Want::Quantities(vec![(code(STANDING), quantity)]),
            1 => Want::Quantities(vec![(code(STANDING), 1), (code(GALLERY), quantity.min(2))]),
            2 => Want::Quantities(vec![(code(GALLERY), quantity)]),
            3 => {
                let first = self.rng.below(seats.into()) as u32;
                Want::Seats((first..(first + quantity).min(seats)).map(seat_id).collect())
            }
            4 => Want::Quantities(vec![(code(STANDING), 1)]),
            _ => Want::BestAvailable(BestAvailable {
                ticket_type: code(SEATED),
                quantity,
                zone: None,
                accessible: 0,
                together: self.rng.percent(50),
            }),
        };
        let (want, channel) = match &self.script {
            Some(script) => (script.walk.wants(index), None),
            None => (want, self.rng.percent(20).then(|| code(PRESS))),
        };
        let code = self.a_code();
        self.begin(index, Doing::Shopping(Box::new(Wish { admission, want, channel, code })));
        self.ask_again(index);
    }

    pub fn hold_on(&mut self, index: usize, view: HoldView, plan: Plan) {
        match plan {
            Plan::Pay => self.check_out(index, view),
            Plan::Lapse => {
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Lapsing { order: view.order };
                }
            }
            Plan::ExtendAndPay => {
                self.begin(index, Doing::Extending { view: Box::new(view) });
                self.ask_again(index);
            }
            Plan::Release => {
                self.begin(index, Doing::Releasing { view: Box::new(view) });
                self.ask_again(index);
            }
        }
    }

    pub fn check_out(&mut self, index: usize, view: HoldView) {
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.doing = Doing::Settling { order: view.order };
        fan.payments += 1;
        if self.script.is_some() {
            return self.walk_payments(index, &view);
        }
        self.open_checkout(&view, 1);
        if self.strikes(Fault::PaymentTwice) {
            self.open_checkout(&view, 2);
        }
    }

    pub fn await_order(&mut self, index: usize, order: OrderId) {
        let Some(row) = self.database.orders.get(&order) else { return };
        if !matches!(row.known.state(), OrderState::Ticketed | OrderState::Cancelled | OrderState::Refunded) {
            return;
        }
        let decided = self.model.orders.get(&order).is_some_and(|order| {
            order.facts.iter().any(|(_, what)| matches!(what, FactKind::Confirmed { .. })) || order.refused.is_empty()
        });
        if decided || row.known.state() == OrderState::Refunded {
            self.next_round(index);
        }
    }
}
