//! Messages to all who have tickets for an event, some fans at a time. Gives way to a sale.

use std::time::Duration;

use super::rounds::rounds;
use crate::{
    actors::{clock::wall, foundation::Foundation},
    stores::{
        database::{mailings, messages},
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_millis(500);
/// Looked at together; so many nodes may be at different ones.
const BATCH: u32 = 16;
/// In one transaction.
const FANS: u32 = 100;
/// Rounds between two looks for what is too old.
const FORGET_EVERY: u32 = 1_200;
const FORGOTTEN: u32 = 500;

pub(super) async fn run(on: Foundation) {
    let mut count = 0;
    let round = || {
        let forgets = count % FORGET_EVERY == 0;
        count += 1;
        round(&on, forgets)
    };
    rounds("messages to ticket holders", EVERY, round).await;
}

/// Whether there is more to do.
async fn round(on: &Foundation, forgets: bool) -> Result<bool, StoreError> {
    if forgets {
        while messages::forget(&on.database, wall() - messages::KEPT_FOR, FORGOTTEN).await? == u64::from(FORGOTTEN) {}
    }
    let mut is_more = false;
    for mailing in mailings::due(&on.database, wall(), BATCH).await? {
        let breather = on.sale.breather();
        is_more |= !mailings::step(&on.database, &mailing, FANS, wall()).await?;
        breather.rest().await;
    }
    Ok(is_more)
}
