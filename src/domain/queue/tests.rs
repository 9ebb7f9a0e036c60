//! The waiting room, step by step, and under random play against what must always hold.

mod classes;
mod draw;
mod modes;
mod play;
mod properties;
mod restoring;
mod table;
mod ties;

use super::{
    joins::MAX_JOINS,
    message::{Effect, Hours, Input, News, Outcome, Room, Standing, Tickets},
    place::Place,
    room::WaitingRoom,
    schedule::{Precedence, Shares},
    ties::Tie,
};
use crate::domain::{
    id::FanId,
    inventory::{
        configuration::{Mode, QueueSettings},
        draw::DrawStage,
        request::Admission,
    },
    time::{EventTime, Millis},
};

const SETTINGS: QueueSettings = QueueSettings {
    mode: Mode::Fifo,
    prequeue: Millis(0),
    engage_above: 0,
    release_below: 0,
    slots: 100,
    rate_per_minute: 600,
    paused: false,
    session: Millis::minutes(10),
    extension: Millis::minutes(5),
    claim_window: Millis::seconds(30),
    grace: Millis::seconds(60),
    invite_only: false,
    exclusive: false,
};
const ROOM: Room = Room {
    settings: SETTINGS,
    hours: Hours { join_from: EventTime(0), on_sale_at: EventTime(0) },
    slots_free: 100,
    slots_taken: 0,
    tickets: Tickets { free: 1_000, held: 0 },
    holds: 0,
    selling: true,
    open: true,
    upcoming: false,
    draw: DrawStage::None,
    halted: false,
    dice: 7,
    shares: Shares { precedence: Precedence::Weighted, weights: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
};

const NOBODY: [u32; 0] = [];

fn fan(number: u32) -> FanId {
    FanId::from_u128(number.into())
}

fn device(number: u32) -> FanId {
    FanId::device(u128::from(number).to_be_bytes())
}

fn place(number: u32) -> Place {
    at(1, number)
}

/// The place of this join within a term.
fn at(term: u32, number: u32) -> Place {
    Place::new(term, Place::ARRIVALS + number)
}

fn admission(number: u32) -> Admission {
    Admission { place: place(number), fan: fan(number), claim_by: None, until: EventTime(1_000_000), extended: false }
}

/// A room with a clock, whose replies are numbers.
struct Bench {
    room: WaitingRoom<u32>,
    now: EventTime,
}

impl Bench {
    fn new() -> Self {
        Self::restored(1, Vec::new(), Vec::new())
    }

    fn restored(term: u32, places: Vec<(Place, FanId)>, admissions: Vec<Admission>) -> Self {
        Self::restored_in(term, places, admissions, ROOM)
    }

    fn restored_in(term: u32, places: Vec<(Place, FanId)>, admissions: Vec<Admission>, room: Room) -> Self {
        Self { room: WaitingRoom::new(EventTime(0), term, places, admissions, room), now: EventTime(0) }
    }

    /// A room where the fans 1 to `count` wait, each with a socket, at the places of the same number.
    fn with_waiting(count: u32) -> Self {
        let mut bench = Self::new();
        for number in 1..=count {
            bench.run(Input::Present { fan: fan(number) });
            bench.run(Input::Join { fan: fan(number), reply: number });
        }
        while bench.room.waiting() < count as usize {
            bench.run(Input::Stored);
        }
        bench
    }

    fn run(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        let mut effects = Vec::new();
        self.room.step(self.now, input, &mut effects);
        effects
    }

    fn run_at(&mut self, now: u64, input: Input<u32>) -> Vec<Effect<u32>> {
        self.now = EventTime(now);
        self.run(input)
    }

    fn join(&mut self, number: u32) -> Vec<Effect<u32>> {
        self.run(Input::Join { fan: fan(number), reply: number })
    }

    fn leave(&mut self, number: u32) -> Vec<Effect<u32>> {
        self.run(Input::Leave { fan: fan(number), reply: number + 1_000 })
    }

    /// The places proposed at a tick `now`.
    fn proposed(&mut self, now: u64, room: Room) -> Vec<u32> {
        self.run_at(now, Input::Tick { room }).iter().flat_map(admitted_numbers).collect()
    }
}

fn admitted_numbers(effect: &Effect<u32>) -> Vec<u32> {
    match effect {
        Effect::Admit { admittees } => {
            admittees.iter().map(|admittee| admittee.place.0 as u32 - Place::ARRIVALS).collect()
        }
        _ => Vec::new(),
    }
}

fn reply(reply: u32, outcome: Outcome) -> Effect<u32> {
    Effect::Reply { reply, outcome }
}

fn store(numbers: &[u32]) -> Effect<u32> {
    Effect::Store { joins: numbers.iter().map(|&number| (place(number), fan(number))).collect() }
}

fn forget(numbers: &[u32]) -> Effect<u32> {
    Effect::Forget { places: numbers.iter().map(|&number| place(number)).collect() }
}

fn tell(number: u32, news: News) -> Effect<u32> {
    Effect::Tell { fan: fan(number), news }
}
