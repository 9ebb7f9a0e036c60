//! The walks: what an order's fan, the others and the organizer do, and how the order ends if nothing goes wrong.

use std::collections::BTreeMap;

use onsale::domain::{
    event::Phase,
    id::FanId,
    inventory::{
        configuration::Mode,
        request::{HoldView, Want},
        waitlist::Wish,
    },
    order::OrderState,
};

use crate::{
    extras::Extras,
    fan::{Fan, Plan},
    orders::{self, Transaction},
    saga::Step,
    stores::database::PaymentState,
    swarm::{List, Swarm},
    world::{Event, STANDING, World, code, seat_id},
};

const HOLD_MS: u64 = 10_000;
/// The payment comes when the hold has lapsed, and whoever else wants its stock has had time to buy it.
const LATE_MS: u64 = 30_000;
/// It comes when the hold would have lapsed, and nobody else has had time to buy anything.
const SLOW_MS: u64 = 14_000;
const SECOND_FAN_MS: u64 = 16_000;
/// What the organizer looks for is looked for so often.
const LOOK_MS: u64 = 500;
/// Of one order: mostly all there are.
const TICKETS: u32 = 2;
const SEATS: u32 = 4;
const LAST_SEAT: u32 = SEATS - 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Walk {
    InTime,
    DeclinedThenPaid,
    LateStockFree,
    LateStockGone,
    LateOtherSeats,
    PaidTwice,
    /// Slowly.
    Awaited,
    /// By two fans with one card, and the other one is faster.
    Limited,
    RefundedInPart,
    RefundedWhole,
    /// Paid when the event is cancelled.
    CancelledUnpaid,
    CancelledSold,
    NeverPaid,
    /// One of two tickets to another seat,
    Moved,
    /// to the other ticket's seat,
    MovedInVain,
    /// or while one of them is given back.
    MovedAndRefunded,
    /// One of two tickets to a fan who came too late for any.
    Returned,
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
    Move {
        to: u32,
    },
    /// By the order's fan, when somebody waits.
    GiveBack,
}

impl Walk {
    pub const ALL: [(Self, &'static str, OrderState); 17] = [
        (Self::InTime, "paid in time", OrderState::Ticketed),
        (Self::DeclinedThenPaid, "declined, then paid", OrderState::Ticketed),
        (Self::LateStockFree, "paid late, stock free", OrderState::Ticketed),
        (Self::LateStockGone, "paid late, stock gone", OrderState::Refunded),
        (Self::LateOtherSeats, "paid late, other seats", OrderState::Ticketed),
        (Self::PaidTwice, "paid twice", OrderState::Ticketed),
        (Self::Awaited, "payment under way", OrderState::Ticketed),
        (Self::Limited, "beyond the card's limit", OrderState::Refunded),
        (Self::RefundedInPart, "refunded in part", OrderState::Ticketed),
        (Self::RefundedWhole, "refunded as a whole", OrderState::Refunded),
        (Self::CancelledUnpaid, "event cancelled, then paid", OrderState::Refunded),
        (Self::CancelledSold, "event cancelled after the sale", OrderState::Refunded),
        (Self::NeverPaid, "never paid", OrderState::Cancelled),
        (Self::Moved, "moved to another seat", OrderState::Ticketed),
        (Self::MovedInVain, "moved to a seat that is taken", OrderState::Ticketed),
        (Self::MovedAndRefunded, "moved, and refunded in part", OrderState::Ticketed),
        (Self::Returned, "back to who waits", OrderState::Ticketed),
    ];

    fn is_seated(self) -> bool {
        self == Self::LateOtherSeats || self.moves()
    }

    fn moves(self) -> bool {
        matches!(self, Self::Moved | Self::MovedInVain | Self::MovedAndRefunded)
    }

    pub fn takes_others(self) -> bool {
        self == Self::LateOtherSeats
    }

    pub fn swarm(self) -> Swarm {
        Swarm {
            faults: BTreeMap::new(),
            fans: match self {
                Self::LateStockGone | Self::LateOtherSeats | Self::Limited | Self::Returned => 2,
                _ => 1,
            },
            rounds: 1,
            standing: if self == Self::Limited { 2 * TICKETS } else { TICKETS },
            gallery: 0,
            seats: if self.is_seated() { SEATS } else { 0 },
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
            list: (self == Self::Returned).then_some(List { offer_ms: HOLD_MS, gather_ms: 0, entries: 1 }),
        }
    }

    pub fn extras(self) -> Extras {
        let per_card = match self {
            Self::Limited => Some(TICKETS as u16),
            // Enough, and the part that is claimed in vain is let go.
            Self::LateStockGone => Some(2 * TICKETS as u16),
            _ => None,
        };
        Extras::of_walk(self.moves(), per_card, self == Self::Returned)
    }

    pub fn begins_at(self, fan: usize) -> u64 {
        if self == Self::Limited { 0 } else { fan as u64 * SECOND_FAN_MS }
    }

    /// Where there are seats, one of each fan's is the next one's too.
    pub fn wants(self, fan: usize) -> Want {
        if self.is_seated() {
            let first = fan as u32;
            return Want::Seats((first..first + TICKETS).map(seat_id).collect());
        }
        Want::Quantities(vec![(code(STANDING), TICKETS)])
    }

    /// Of whoever found nothing left.
    pub fn waits_for() -> (Vec<&'static str>, Wish) {
        (vec![STANDING], Wish { quantity: 1, any_seat: false, fewer: false })
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
            Self::LateStockFree | Self::LateStockGone | Self::LateOtherSeats => &[(1, LATE_MS, true)],
            Self::Awaited => &[(1, SLOW_MS, true)],
            Self::Limited => &[(1, 2_500, true)],
            Self::CancelledUnpaid => &[(1, 5_000, true)],
            _ => &[(1, 300, true)],
        }
    }

    pub fn acts(self) -> &'static [Act] {
        match self {
            Self::RefundedInPart => &[Act::Refund { tickets: 1, restock: true }],
            Self::RefundedWhole => &[Act::Refund { tickets: TICKETS as usize, restock: true }],
            Self::CancelledUnpaid => &[Act::Cancel],
            Self::CancelledSold => &[Act::CancelSold],
            Self::Moved => &[Act::Move { to: LAST_SEAT }],
            Self::MovedInVain => &[Act::Move { to: 1 }],
            Self::MovedAndRefunded => &[Act::Move { to: LAST_SEAT }, Act::Refund { tickets: 1, restock: true }],
            Self::Returned => &[Act::GiveBack],
            _ => &[],
        }
    }
}

impl World {
    /// Opens the walk's payments, and pays them when it is time for each.
    pub fn walk_payments(&mut self, index: usize, view: &HoldView) {
        let Some(walk) = self.script.as_ref().map(|script| script.walk) else { return };
        let payments = if index == 0 { walk.payments() } else { Walk::InTime.payments() };
        for &(number, after, captured) in payments {
            let check_out = Event::CheckOut { view: Box::new(view.clone()), number, after, captured };
            self.later(1, check_out);
        }
        if walk == Walk::Awaited {
            self.later(orders::LOOK_MS, Event::Look(Box::new(view.clone())));
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
        let others_are_done = self.fans.iter().skip(1).all(Fan::is_done);
        match act {
            // Nobody waits, or nobody does any more.
            Act::GiveBack if others_are_done => true,
            Act::GiveBack if state != OrderState::Ticketed || self.model.waitlist.joined.is_empty() => false,
            Act::GiveBack => self.put_up_one(order),
            Act::Move { to } => state == OrderState::Ticketed && self.move_one(order, seat_id(to)),
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
