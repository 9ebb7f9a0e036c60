//! A ticket moves to another seat. The row is first; whoever moves the ticket may die at any moment, and asks again; and the row is
//! worked off, so that of the order's two seats the inventory keeps the one that a ticket has.

use onsale::domain::{
    code::SeatId,
    id::OrderId,
    inventory::request::{Answer, Command, Line, Request},
    order::OrderState,
};

use crate::{
    node::{Caller, ToNode},
    orders::Transaction,
    saga::Step,
    world::{Event, SEATED, Told, World, code, seat_id},
};

/// A move that nobody goes on with is given up after so long; and a request that was cut off is taken up again. Longer than what is
/// asked of the inventory may be under way.
const GIVEN_UP_MS: u64 = 10_000;
/// Whoever works a move off has it to himself for so long.
const LEASE_MS: u64 = 6_000;
/// The first ticket's seat, and where it moves to.
const FROM: u32 = 0;
pub const TO: u32 = 4;

pub struct SeatMove {
    number: u32,
    given_up_at: u64,
    /// Another time once somebody works it off.
    next_at: u64,
    is_done: bool,
}

impl World {
    /// `true` once it has moved and the organizer knows.
    pub(super) fn move_ticket(&mut self, order: OrderId, state: OrderState) -> bool {
        let seat = seat_id(TO);
        if self.database.orders.get(&order).is_some_and(|row| row.lines.iter().any(|line| line.seats.contains(&seat))) {
            return true;
        }
        let now = self.now;
        let Some(script) = &mut self.script else { return true };
        let is_running = script.moving_since.is_some_and(|since| now < since + GIVEN_UP_MS);
        if state != OrderState::Ticketed || is_running {
            return false;
        }
        script.moving_since = Some(now);
        let mut number = 0;
        let begun = self.transact(Step::MoveBegun, Transaction::GOOD, |world| {
            let Some(script) = &mut world.script else { return };
            number = u32::try_from(script.moves.len()).expect("few") + 1;
            let given_up_at = now + GIVEN_UP_MS;
            script.moves.push(SeatMove { number, given_up_at, next_at: given_up_at, is_done: false });
        });
        if begun.heard {
            let command = Command::AddSeat { order, number, ticket_type: code(SEATED), seat };
            self.ask_of_move(Step::SeatAsked, command, Caller::AddSeat(order, number));
        }
        false
    }

    fn ask_of_move(&mut self, step: Step, command: Command, caller: Caller) {
        let (node, carried) = (self.lease.0, self.carry(step));
        let caller = if carried.heard { caller } else { Caller::Nobody };
        for late in carried.arrivals {
            let request = Request { identity: None, command: command.clone() };
            let delay = late + self.short_delay();
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
        }
    }

    fn seat_move(&mut self, number: u32) -> Option<&mut SeatMove> {
        self.script.as_mut()?.moves.iter_mut().find(|one| one.number == number)
    }

    /// The order has both seats: a new ticket takes the old one's place, unless the move was given up meanwhile.
    pub fn seat_answered(&mut self, order: OrderId, number: u32, told: Told) {
        let now = self.now;
        match told {
            Told::Answer(Answer::SeatAdded) => {}
            Told::Refused(_) => {
                self.seat_move(number).into_iter().for_each(|one| one.next_at = now);
                return self.script.iter_mut().for_each(|script| script.moving_since = None);
            }
            // It may come about yet.
            _ => return,
        }
        self.transact(Step::TicketMoved, Transaction::GOOD, |world| {
            let (from, to) = (seat_id(FROM), seat_id(TO));
            let one = world.seat_move(number).filter(|one| one.next_at == one.given_up_at);
            let Some(one) = one else { return };
            one.next_at = now;
            let Some(row) = world.database.orders.get_mut(&order) else { return };
            let seat = row.lines.iter_mut().flat_map(|line| &mut line.seats).find(|seat| **seat == from);
            // Another attempt was faster.
            let Some(seat) = seat else { return };
            seat.clone_from(&to);
            let last = world.database.tickets.range((order, 0)..=(order, u32::MAX)).count() as u32;
            world.database.voided.insert((order, 1));
            world.database.tickets.insert((order, last + 1), Some(to.as_str().to_owned()));
            world.saw("a ticket moves to another seat");
        });
    }

    /// Each that is due takes its last step.
    pub fn moves_due(&mut self) {
        let now = self.now;
        let first = self.database.orders.iter().find(|(_, row)| row.fan.as_u128() == 1).map(|(id, _)| *id);
        let (Some(script), Some(order)) = (&mut self.script, first) else { return };
        let due = script.moves.iter_mut().filter(|one| !one.is_done && one.next_at <= now);
        let mut numbers = Vec::new();
        for one in due {
            one.next_at = now + LEASE_MS;
            numbers.push(one.number);
        }
        for without in numbers {
            let (to, number) = self.places(order, without);
            let command = Command::Keep { order, number, to };
            self.ask_of_move(Step::KeepAsked, command, Caller::Keep(without));
        }
    }

    /// What the order has, with the seats of moves under way, but for one that is over; and the last move that this knows of.
    fn places(&self, order: OrderId, without: u32) -> (Vec<Line>, u32) {
        let mut lines = self.database.orders.get(&order).map(|row| row.lines.clone()).unwrap_or_default();
        let moves = self.script.as_ref().map_or(&[][..], |script| &script.moves);
        let seat: SeatId = seat_id(TO);
        let is_under_way = moves.iter().any(|one| !one.is_done && one.number != without);
        if let Some(line) = lines.first_mut().filter(|line| is_under_way && !line.seats.contains(&seat)) {
            line.seats.push(seat);
            line.quantity += 1;
        }
        (lines, moves.iter().map(|one| one.number).max().unwrap_or_default())
    }

    pub fn keep_answered(&mut self, number: u32, told: Told) {
        if !matches!(told, Told::Answer(Answer::Reduced)) {
            return;
        }
        self.transact(Step::MoveDone, Transaction::GOOD, |world| {
            world.seat_move(number).into_iter().for_each(|one| one.is_done = true);
        });
    }

    pub fn open_moves(&self) -> usize {
        self.script.iter().flat_map(|script| &script.moves).filter(|one| !one.is_done).count()
    }
}
