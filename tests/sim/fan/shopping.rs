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
    world::World,
};

impl World {
    pub fn shop(&mut self, index: usize, admission: Place) {
        let quantity = self.rng.between(1, 3) as u32;
        let code = |text: &str| text.parse().expect("a code");
        let seats = u64::from(self.swarm.seats);
        let want = match self.rng.below(if seats > 0 { 4 } else { 1 }) {
            0 => Want::Quantities(vec![(code("STANDING"), quantity)]),
            1 => {
                let first = self.rng.below(seats);
                let seat = |number: u64| code(&format!("A-{}-{}", number / 5 + 1, number % 5 + 1));
                let numbers = first..(first + u64::from(quantity)).min(seats);
                Want::Seats(numbers.map(seat).collect())
            }
            2 => Want::Quantities(vec![(code("STANDING"), 1)]),
            _ => Want::BestAvailable(BestAvailable {
                ticket_type: code("SEAT"),
                quantity,
                zone: None,
                accessible: 0,
                together: self.rng.percent(50),
            }),
        };
        self.begin(index, Doing::Shopping(Box::new(Wish { admission, want })));
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
