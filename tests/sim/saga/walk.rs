//! The walks: what an order's fan, the others and the organizer do, and how the order ends if nothing goes wrong.

use std::collections::BTreeMap;

use onsale::domain::{
    event::Phase,
    id::FanId,
    inventory::{
        configuration::Mode,
        request::{HoldView, Want},
    },
    order::OrderState,
};

use crate::{
    fan::Plan,
    orders::Transaction,
    saga::Step,
    stores::database::PaymentState,
    swarm::Swarm,
    world::{Event, STANDING, World, code},
};

const HOLD_MS: u64 = 10_000;
/// The payment comes when the hold has lapsed, and whoever else wants its stock has had time to buy it.
const LATE_MS: u64 = 30_000;
const SECOND_FAN_MS: u64 = 16_000;
/// What the organizer looks for is looked for so often.
const LOOK_MS: u64 = 500;
/// Of one order: two are all there are.
const TICKETS: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Walk {
    InTime,
    DeclinedThenPaid,
    LateStockFree,
    LateStockGone,
    PaidTwice,
    RefundedInPart,
    RefundedWhole,
    /// Paid when the event is cancelled.
    CancelledUnpaid,
    CancelledSold,
    NeverPaid,
}

/// What the organizer does, once it can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// When somebody pays.
    Cancel,
    /// When the order has tickets.
    CancelSold,
    Refund {
        tickets: usize,
        restock: bool,
    },
}

impl Walk {
    pub const ALL: [(Self, &'static str, OrderState); 10] = [
        (Self::InTime, "paid in time", OrderState::Ticketed),
        (Self::DeclinedThenPaid, "declined, then paid", OrderState::Ticketed),
        (Self::LateStockFree, "paid late, stock free", OrderState::Ticketed),
        (Self::LateStockGone, "paid late, stock gone", OrderState::Refunded),
        (Self::PaidTwice, "paid twice", OrderState::Ticketed),
        (Self::RefundedInPart, "refunded in part", OrderState::Ticketed),
        (Self::RefundedWhole, "refunded as a whole", OrderState::Refunded),
        (Self::CancelledUnpaid, "event cancelled, then paid", OrderState::Refunded),
        (Self::CancelledSold, "event cancelled after the sale", OrderState::Refunded),
        (Self::NeverPaid, "never paid", OrderState::Cancelled),
    ];

    pub fn swarm(self) -> Swarm {
        Swarm {
            faults: BTreeMap::new(),
            fans: if self == Self::LateStockGone { 2 } else { 1 },
            rounds: 1,
            standing: TICKETS,
            gallery: 0,
            seats: 0,
            press: 0,
            hall: None,
            hall_holds_seats: false,
            slots: 4,
            rate_per_minute: 6_000,
            per_fan: 4,
            hold_ttl_ms: HOLD_MS,
            session_ms: 60_000,
            claim_window_ms: 6_000,
            grace_ms: 15_000,
            chaos_ms: 0,
            mode: Mode::Fifo,
            opens_ms: 0,
            beacon: false,
            weights: vec![1],
            strict: false,
            list: None,
        }
    }

    pub fn begins_at(fan: usize) -> u64 {
        fan as u64 * SECOND_FAN_MS
    }

    pub fn wants() -> Want {
        Want::Quantities(vec![(code(STANDING), TICKETS)])
    }

    pub fn plan(self) -> Plan {
        if self == Self::NeverPaid { Plan::Lapse } else { Plan::Pay }
    }

    /// Number of the payment, after how long, whether there is money.
    fn payments(self) -> &'static [(u128, u64, bool)] {
        match self {
            Self::NeverPaid => &[],
            Self::DeclinedThenPaid => &[(1, 300, false), (2, 2_500, true)],
            Self::PaidTwice => &[(1, 300, true), (2, 350, true)],
            Self::LateStockFree | Self::LateStockGone => &[(1, LATE_MS, true)],
            Self::CancelledUnpaid => &[(1, 5_000, true)],
            _ => &[(1, 300, true)],
        }
    }

    pub fn acts(self) -> Option<Act> {
        match self {
            Self::RefundedInPart => Some(Act::Refund { tickets: 1, restock: true }),
            Self::RefundedWhole => Some(Act::Refund { tickets: TICKETS as usize, restock: true }),
            Self::CancelledUnpaid => Some(Act::Cancel),
            Self::CancelledSold => Some(Act::CancelSold),
            _ => None,
        }
    }
}

impl World {
    /// Opens the walk's payments, and pays them when it is time for each.
    pub fn walk_payments(&mut self, index: usize, view: &HoldView) {
        let Some(script) = &self.script else { return };
        let payments = if index == 0 { script.walk.payments() } else { Walk::InTime.payments() };
        for &(number, after, captured) in payments {
            let check_out = Event::CheckOut { view: Box::new(view.clone()), number, after, captured };
            self.later(1, check_out);
        }
    }

    /// Again and again, until it is done and the organizer knows.
    pub fn act(&mut self, act: Act) {
        if !self.is_done(act) {
            self.later(LOOK_MS, Event::Act(act));
        }
        if let Some(script) = &mut self.script {
            script.stirred_at = self.now;
        }
    }

    fn is_done(&mut self, act: Act) -> bool {
        let (first, cancelled) = (FanId::from_u128(1), self.is_cancelled());
        let row = self.database.orders.iter().find(|(_, row)| row.fan == first);
        let Some((order, state)) = row.map(|(order, row)| (*order, row.known.state())) else { return false };
        match act {
            Act::Cancel if !cancelled => {
                if state == OrderState::Paying {
                    self.cancel();
                }
                false
            }
            Act::Cancel => true,
            Act::CancelSold => {
                if cancelled {
                    self.later(1, Event::Act(Act::Refund { tickets: TICKETS as usize, restock: false }));
                } else if state == OrderState::Ticketed {
                    self.cancel();
                }
                cancelled
            }
            // Begun, and the answer was lost: the same request again gets it.
            Act::Refund { .. } if self.database.refunds.iter().any(|refund| refund.by_organizer()) => true,
            Act::Refund { .. } if state != OrderState::Ticketed => false,
            Act::Refund { tickets, restock } => {
                let mut of_order = self.database.payments.iter().filter(|(_, row)| row.order == order);
                let paid = of_order.find(|(_, row)| row.state == PaymentState::Captured);
                let Some((&payment, _)) = paid else { return false };
                let refund = |world: &mut Self| world.refund_tickets(payment, order, tickets, restock);
                self.transact(Step::RefundBegun, Transaction::GOOD, refund).heard
            }
        }
    }

    fn cancel(&mut self) {
        let Some(mut changed) = self.model.configuration.clone() else { return };
        changed.phase = Phase::Cancelled;
        self.reconfigure(changed);
    }
}
