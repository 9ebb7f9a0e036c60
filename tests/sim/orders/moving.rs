//! Tickets that move to other seats. Written first, then the order has both seats, then the ticket is another one, and then the
//! inventory is told what the order has, so that what is left over is free: whether the ticket has got there or not.

use onsale::domain::{
    code::SeatId,
    id::{OrderId, PaymentId},
    inventory::request::{Answer, Command, Line, Refusal, Request},
    order::OrderState,
    refund::kept,
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    saga::Step,
    stores::database::SeatMove,
    swarm::Fault,
    world::{Event, SEATED, Told, World, code, seat_id},
};

/// A move that nobody goes on with is given up after so long: longer than the inventory may take to answer.
const GIVEN_UP_AFTER_MS: u64 = 20_000;
/// By the script: whoever asked for one and hears nothing asks again after so long.
const PATIENCE_MS: u64 = 3_000;
/// Whoever looks after one has it for so long.
const TAKEN_UP_MS: u64 = 3_000;

impl World {
    /// Once a second, perhaps: a ticket is to move, or some are given back.
    pub fn move_something(&mut self) {
        if !self.extras.moves || self.healed() || !self.rng.percent(40) {
            return;
        }
        let orders = self.database.orders.iter().filter(|(_, row)| row.known.state() == OrderState::Ticketed);
        let seated: Vec<(OrderId, u32)> = orders
            .flat_map(|(&order, _)| self.database.live(order).map(move |position| (order, position)))
            .filter(|ticket| self.database.seat_of(*ticket).is_some())
            .collect();
        if seated.is_empty() {
            return;
        }
        let (order, position) = self.rng.pick(&seated);
        if self.rng.percent(80) {
            let to = seat_id(self.rng.below(self.swarm.seats.into()) as u32);
            self.begin_move((order, position), to);
        }
        if self.rng.percent(25) {
            self.give_some_back(order);
        }
    }

    /// By the script: asked for again and again, until a ticket is there. Says whether one is, and nobody waits for an answer.
    pub fn move_one(&mut self, order: OrderId, to: SeatId) -> bool {
        if let Some(last) = self.database.moves.get(&(order, self.last_move(order))) {
            let asks_again_at = last.begun_until - GIVEN_UP_AFTER_MS + PATIENCE_MS;
            if last.next_at == last.begun_until && self.now < asks_again_at {
                return false;
            }
            if self.database.is_for(&to) {
                return true;
            }
        }
        let first = self.database.live(order).next();
        if let Some(position) = first {
            self.begin_move((order, position), to);
        }
        false
    }

    fn begin_move(&mut self, (order, position): (OrderId, u32), to: SeatId) {
        let database = self.transaction();
        let until = self.now + GIVEN_UP_AFTER_MS;
        let row = SeatMove { position, to: to.clone(), next_at: until, begun_until: until, is_done: false };
        let mut number = 0;
        let begun = self.transact(Step::MoveBegun, database, |world| {
            number = 1 + world.last_move(order);
            world.database.moves.insert((order, number), row.clone());
        });
        self.trace.note(self.now, "move", &[order.as_u128() as u64, number.into(), begun.heard.into()]);
        if !begun.heard || self.strikes(Fault::NetworkLoses) {
            return;
        }
        let command = Command::AddSeat { order, number, ticket_type: code(SEATED), rate: None, seat: to };
        let request = Request { identity: None, command };
        let node = self.a_node();
        let carried = self.carry(Step::SeatAsked);
        let caller = if carried.heard { Caller::Move(order, number) } else { Caller::Nobody };
        for late in carried.arrivals {
            let (delay, request) = (late + self.short_delay(), request.clone());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
        }
    }

    fn give_some_back(&mut self, order: OrderId) {
        let payment = self.paid_by(order);
        let count = self.tickets_to_refund(order);
        let database = self.transaction();
        if let (Some(payment), true) = (payment, database.done) {
            self.refund_tickets(payment, order, count, true);
        }
    }

    fn last_move(&self, order: OrderId) -> u32 {
        let of_order = self.database.moves.range((order, 0)..=(order, u32::MAX));
        of_order.last().map_or(0, |((_, number), _)| *number)
    }

    pub fn move_answered(&mut self, order: OrderId, number: u32, told: Told) {
        match told {
            Told::Answer(Answer::SeatAdded) => {
                let (database, mut may) = (self.transaction(), true);
                let replace = |world: &mut Self| may = world.replace(order, number);
                let replaced = self.transact(Step::TicketReplaced, database, replace);
                let is_known = may && replaced.heard;
                if !replaced.crashed && !is_known {
                    self.give_up(order, number);
                }
            }
            Told::Refused(refusal) => {
                self.saw(match refusal {
                    Refusal::SeatTaken(_) => "a ticket is to move to a seat that is taken",
                    Refusal::NotSold { .. } => "a ticket is to move whose order is undone",
                    _ => "a move comes too late",
                });
                self.give_up(order, number);
            }
            // It may come about yet: its time has to be up first.
            _ => {}
        }
    }

    /// The order has both seats. One transaction: another ticket takes the ticket's place, if it may.
    fn replace(&mut self, order: OrderId, number: u32) -> bool {
        let Some(SeatMove { position, to, next_at, begun_until, .. }) =
            self.database.moves.get(&(order, number)).cloned()
        else {
            return true;
        };
        let live: Vec<u32> = self.database.live(order).collect();
        let Some(from) = self.database.seat_of((order, position)).cloned() else { return true };
        // The database has one ticket that is good for each seat.
        let is_another = self.database.is_for(&to);
        let Some(row) = self.database.orders.get_mut(&order) else { return true };
        let is_there = live.contains(&position) && row.known.state() == OrderState::Ticketed;
        if !is_there || is_another || next_at != begun_until {
            return false;
        }
        let seats = row.lines.iter_mut().flat_map(|line| &mut line.seats);
        if let Some(seat) = seats.into_iter().find(|seat| seat.as_str() == from) {
            seat.clone_from(&to);
        }
        let of_order = self.database.tickets.range((order, 0)..=(order, u32::MAX));
        let last = of_order.last().map_or(0, |((_, position), _)| *position);
        self.database.voided.insert((order, position));
        self.database.tickets.insert((order, last + 1), Some(to.as_str().to_owned()));
        if let Some(row) = self.database.moves.get_mut(&(order, number)) {
            // From here on the old seat is what is left over.
            row.next_at = self.now;
        }
        self.saw("a ticket moves to another seat");
        let has = self.model.seats_of_order(order).contains(&to);
        self.require(has, || format!("I-6: a ticket of {order} is for {to}, which is not the order's"));
        self.check_one_ticket_a_seat();
        true
    }

    /// The new seat is what is left over, unless the ticket has got there after all.
    fn give_up(&mut self, order: OrderId, number: u32) {
        let (database, now) = (self.transaction(), self.now);
        self.transact(Step::MoveGivenUp, database, |world| {
            if let Some(row) = world.database.moves.get_mut(&(order, number))
                && row.next_at == row.begun_until
            {
                row.next_at = now;
                world.saw("a move is given up");
            }
        });
    }

    /// Moves that are over, one way or the other.
    pub fn moves_due(&mut self) {
        let now = self.now;
        let due = self.database.moves.iter().filter(|(_, row)| !row.is_done && row.next_at <= now);
        let due: Vec<(OrderId, u32)> = due.map(|(id, _)| *id).collect();
        for (order, number) in due {
            let database = self.transaction();
            if let Some(row) = self.database.moves.get_mut(&(order, number)).filter(|_| database.done) {
                row.next_at = now + TAKEN_UP_MS;
                row.is_done = self.bug == Some(Bug::LeaveBothSeats);
            }
            if database.heard && self.bug != Some(Bug::LeaveBothSeats) {
                self.tell_what_is_left(order, number);
            }
        }
    }

    fn tell_what_is_left(&mut self, order: OrderId, number: u32) {
        let (to, as_of) = self.places(order, Some(number));
        let request = Request { identity: None, command: Command::Keep { order, number: as_of, to } };
        let node = self.lease.0;
        let carried = self.carry(Step::KeepAsked);
        let caller = if carried.heard { Caller::Keep(order, number) } else { Caller::Nobody };
        for late in carried.arrivals {
            let (delay, request) = (late + self.short_delay() + self.late_by_bug(), request.clone());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
        }
    }

    /// What must not matter comes late where it does.
    pub fn late_by_bug(&mut self) -> u64 {
        if self.bug == Some(Bug::FreeTheSeatTaken) { self.rng.below(4_000) } else { 0 }
    }

    pub fn kept(&mut self, order: OrderId, number: u32, told: Told) {
        if !matches!(told, Told::Answer(Answer::Reduced)) {
            if matches!(told, Told::Refused(Refusal::OrderMoved)) {
                self.saw("what a move leaves over is worked out anew");
            }
            return;
        }
        let database = self.transaction();
        self.transact(Step::MoveDone, database, |world| {
            if let Some(row) = world.database.moves.get_mut(&(order, number)) {
                row.is_done = true;
            }
        });
    }

    /// What the order has, and the last move that this knows of: its lines without what goes back to stock, and the seats of moves
    /// that are under way, but for the one that is over.
    pub fn places(&self, order: OrderId, without: Option<u32>) -> (Vec<Line>, u32) {
        let Some(row) = self.database.orders.get(&order) else { return (Vec::new(), 0) };
        let refunds = self.database.refunds.iter().filter(|row| row.order == order);
        let given_back: Vec<_> = refunds.flat_map(|row| row.given_back.clone()).collect();
        let mut lines = kept(&row.lines, &given_back);
        for ((_, number), row) in self.database.moves.range((order, 0)..=(order, u32::MAX)) {
            let line = lines.iter_mut().find(|line| line.ticket_type == code(SEATED));
            if let Some(line) = line.filter(|line| !line.seats.contains(&row.to))
                && !row.is_done
                && Some(*number) != without
            {
                line.seats.push(row.to.clone());
                line.quantity += 1;
            }
        }
        (lines, self.last_move(order))
    }

    /// The payment by which the order's tickets were bought.
    pub fn paid_by(&self, order: OrderId) -> Option<PaymentId> {
        self.model.orders.get(&order)?.payment
    }
}
