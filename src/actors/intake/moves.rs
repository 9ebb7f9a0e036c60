//! Tickets that were to move to other seats: once that is over, done or not, the inventory is told what their orders have, so that
//! the seat that is left, or was not taken, is free.
//!
//! The queue of work is the table, as with refunds; it may be said any number of times.

use std::{sync::Weak, time::Duration};

use super::{places, rounds::rounds};
use crate::{
    actors::{clock::wall, directory::Directory, foundation::Foundation},
    domain::time::Millis,
    stores::{
        database::seat_moves::{self, SeatMove},
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_millis(500);
const BATCH: u32 = 16;
const LEASE: Millis = Millis::seconds(30);
const FIRST_REST: Millis = Millis::seconds(1);
const LONGEST_REST: Millis = Millis::minutes(10);

pub(super) async fn run(on: Foundation, directory: Weak<dyn Directory>) {
    rounds("moves of tickets", EVERY, || round(&on, &directory)).await;
}

/// Whether there may be more.
async fn round(on: &Foundation, directory: &Weak<dyn Directory>) -> Result<bool, StoreError> {
    let due = seat_moves::due(&on.database, wall(), BATCH).await?;
    for one in &due {
        step(on, directory, one).await?;
    }
    Ok(due.len() >= BATCH as usize)
}

async fn step(on: &Foundation, directory: &Weak<dyn Directory>, one: &SeatMove) -> Result<(), StoreError> {
    let database = &on.database;
    let Some(taken) = seat_moves::take_up(database, one, wall(), LEASE).await? else { return Ok(()) };
    let Err(why) = places::keep(on, directory, one.reference, Some(one.number)).await else {
        return seat_moves::done(database, &taken, wall()).await;
    };
    tracing::warn!(reference = %one.reference, number = one.number, attempts = taken.attempts, %why, "a move waits");
    let rest = FIRST_REST.doubled(taken.attempts, LONGEST_REST);
    let mut write = database.begin().await?;
    seat_moves::put(&mut write, &taken, wall() + rest).await?;
    write.commit().await
}
