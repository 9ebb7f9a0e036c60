//! The waiting room of one event: who waits, in which order, who is called next. A deterministic state machine.
//!
//! Owns places and presence. Does not own admissions (the journal does) and does no I/O: joins become visible only after
//! the store has them, and nobody is told of an admission before the journal has it.

mod change;
mod joins;
mod line;
mod loss;
mod message;
mod moves;
mod outflow;
mod pace;
mod pick;
mod place;
mod presence;
mod rank;
mod room;
mod schedule;
#[cfg(test)]
mod tests;
mod ties;

pub use self::{
    change::QueueChange,
    loss::Loss,
    message::{Conditions, DrawStep, Effect, Entries, Hours, Input, News, Outcome, Queue, Room, Standing, Tickets},
    moves::Move,
    outflow::{Outflow, Wait},
    place::{Class, Place},
    rank::Ranks,
    room::WaitingRoom,
    schedule::{MAX_WEIGHT, Precedence, Shares},
    ties::Tie,
};
