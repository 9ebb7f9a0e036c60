//! Refunds on their way: each that is due takes its next step. Its places go back to stock, and its money to the fan.
//!
//! The queue of work is the table, so a crash anywhere leaves it as it is: what was taken up and not finished is due again after
//! its lease. Every step may be repeated: the provider gives back once under one key, and the inventory is told what is to be
//! left, not what to take.

use std::{sync::Weak, time::Duration};

use futures_util::StreamExt;

use super::{
    places::{self, NotYet},
    rounds::rounds,
};
use crate::{
    actors::{clock::wall, directory::Directory, foundation::Foundation, measures},
    domain::{
        refund::RefundState,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            orders::advance_refund,
            payments,
            refunds::{self, Refund, Stock},
        },
        error::StoreError,
        provider::{RefundAnswer, RefundRequest},
    },
};

const EVERY: Duration = Duration::from_millis(200);
const BATCH: u32 = 64;
const AT_ONCE: usize = 8;
/// Whoever has taken up a step has it for so long; longer than a step's own deadlines. Begun within a minute, even if the first
/// worker dies.
const LEASE: Millis = Millis::seconds(30);
/// Until it is tried again: doubled each time.
const FIRST_REST: Millis = Millis::seconds(1);
const LONGEST_REST: Millis = Millis::minutes(10);

pub(super) async fn run(on: Foundation, directory: Weak<dyn Directory>) {
    rounds("refunds", EVERY, || round(&on, &directory)).await;
}

/// Whether there may be more.
async fn round(on: &Foundation, directory: &Weak<dyn Directory>) -> Result<bool, StoreError> {
    let due = refunds::due(&on.database, wall(), BATCH).await?;
    let more = due.len() >= BATCH as usize;
    let mut steps = futures_util::stream::iter(due)
        .map(|refund| async move { step(on, directory, &refund).await })
        .buffer_unordered(AT_ONCE);
    while let Some(outcome) = steps.next().await {
        outcome?;
    }
    Ok(more)
}

async fn step(on: &Foundation, directory: &Weak<dyn Directory>, refund: &Refund) -> Result<(), StoreError> {
    let database = &on.database;
    let Some(taken) = refunds::take_up(database, refund, wall(), LEASE).await? else { return Ok(()) };
    // Neither waits for the other: an event that cannot be reached must not keep a fan's money.
    let (money, stock) = tokio::join!(give_back(on, refund), restock(on, directory, refund));
    let left = match (money, stock) {
        (Ok(true), Ok(())) => return Ok(()),
        (Ok(false), Ok(())) => String::new(),
        (Err(error), _) | (_, Err(error)) => error.to_string(),
    };
    if !left.is_empty() {
        tracing::warn!(refund = %refund.id, reference = %refund.reference, attempts = refund.attempts, why = left, "a refund waits");
    }
    refunds::put_off(database, &taken, &left, rest(wall(), refund.attempts)).await
}

fn rest(now: EventTime, attempts: u32) -> EventTime {
    now + FIRST_REST.doubled(attempts, LONGEST_REST)
}

/// `false`: the provider has not finished; it will say so, and is asked again in case that gets lost.
async fn give_back(on: &Foundation, refund: &Refund) -> Result<bool, NotYet> {
    if !matches!(refund.state, RefundState::Begun | RefundState::Asked) {
        return Ok(true);
    }
    let payment = payments::by_id(&on.database, refund.payment).await?;
    let payment = payment.ok_or_else(|| StoreError::Corrupt("a refund without its payment".into()))?;
    let Some(provider) = on.providers.by_name(&payment.provider) else {
        let unknown = format!("there is no provider {:?} here", payment.provider);
        advance(on, refund, RefundState::Failed, &unknown).await?;
        return Ok(true);
    };
    let request = RefundRequest { key: refund.key(), session: payment.provider_session, amount: refund.amount };
    let answer = match provider.refund(&request).await {
        Err(StoreError::Invalid(why)) => RefundAnswer::Refused(why.to_string()),
        answer => answer?,
    };
    match answer {
        RefundAnswer::Done => {
            advance(on, refund, RefundState::Done, "").await?;
            Ok(true)
        }
        RefundAnswer::Pending => {
            advance(on, refund, RefundState::Asked, "").await?;
            Ok(false)
        }
        RefundAnswer::Refused(why) => {
            advance(on, refund, RefundState::Failed, &why).await?;
            Ok(true)
        }
    }
}

async fn advance(on: &Foundation, refund: &Refund, to: RefundState, failure: &str) -> Result<(), StoreError> {
    let mut write = on.database.begin().await?;
    if advance_refund(&mut write, refund.key(), to, failure, wall()).await?.is_none() {
        // Its message was faster, and maybe whoever had it asked anew, too.
        return Ok(());
    }
    write.commit().await?;
    measures::refund(to);
    match to {
        RefundState::Failed => {
            tracing::error!(refund = %refund.id, reference = %refund.reference, failure, "a person must look at this refund");
        }
        _ => tracing::info!(refund = %refund.id, reference = %refund.reference, ?to, "refund"),
    }
    Ok(())
}

/// Tells the inventory what is left of the order.
async fn restock(on: &Foundation, directory: &Weak<dyn Directory>, refund: &Refund) -> Result<(), NotYet> {
    if refund.stock != Stock::Wanted {
        return Ok(());
    }
    places::keep(on, directory, refund.reference, None).await?;
    Ok(refunds::stock_is_back(&on.database, refund.id, wall()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_up_to_ten_minutes_and_never_end() {
        let rests = [0, 1, 2, 9, 10, u32::MAX].map(|attempts| rest(EventTime(0), attempts).0);
        assert_eq!(rests, [1_000, 2_000, 4_000, 512_000, LONGEST_REST.0, LONGEST_REST.0]);
    }
}
