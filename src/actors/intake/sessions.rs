//! Payments that nobody has heard of: each is asked about at its provider, and closed there once its order has ended unpaid.
//!
//! So a message that is lost, or came to a process that died, costs time and nothing else. The queue of work is the table, as
//! with refunds; whatever a provider is asked for may be asked for again.

use std::{sync::Weak, time::Duration};

use futures_util::StreamExt;

use super::rounds::rounds;
use crate::{
    actors::{
        clock::wall,
        directory::Directory,
        foundation::Foundation,
        payments::{Desk, FIRST_LOOK, LEASE, PaymentError},
    },
    domain::{
        inventory::request::{Command, Request},
        order::OrderState,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            orders::{self, Order},
            payments::{
                State,
                outstanding::{self, Outstanding},
            },
        },
        error::StoreError,
        provider::Standing,
    },
};

const EVERY: Duration = Duration::from_millis(200);
const BATCH: u32 = 64;
const AT_ONCE: usize = 8;
/// Until a provider that has not answered is asked again, and one that says "processing": doubled each time.
const FIRST_REST: Millis = Millis::seconds(2);
const LONGEST_REST: Millis = Millis::minutes(10);
/// Whoever took the fan's word may still be having the money taken.
const CONFIRMING: Millis = Millis::seconds(60);
/// When a payment is looked at once more before its hold ends.
const BEFORE_THE_END: Millis = Millis::seconds(15);

/// Who works at it.
struct Worker {
    desk: Desk,
    directory: Weak<dyn Directory>,
    awaits: Millis,
}

pub(super) async fn run(on: Foundation, directory: Weak<dyn Directory>) {
    let awaits = on.providers.awaits();
    let worker = Worker { desk: Desk { database: on.database, providers: on.providers }, directory, awaits };
    rounds("open payments", EVERY, || round(&worker)).await;
}

/// Whether there may be more.
async fn round(worker: &Worker) -> Result<bool, StoreError> {
    let due = outstanding::due(&worker.desk.database, wall(), BATCH).await?;
    let more = due.len() >= BATCH as usize;
    let mut steps = futures_util::stream::iter(due).map(|due| step(worker, due)).buffer_unordered(AT_ONCE);
    while let Some(outcome) = steps.next().await {
        outcome?;
    }
    Ok(more)
}

async fn step(worker: &Worker, due: Outstanding) -> Result<(), StoreError> {
    let (now, database) = (wall(), &worker.desk.database);
    if !outstanding::take_up(database, &due, now, LEASE).await? {
        return Ok(());
    }
    let (id, looks, is_open) = (due.payment.id, due.looks, due.payment.state == State::Open);
    let next = match ask(worker, due, now).await {
        Ok(next) => next,
        Err(PaymentError::Store(error)) => return Err(error),
        Err(error @ (PaymentError::Provider(_) | PaymentError::NoProvider(_))) => {
            tracing::warn!(payment = %id, looks, %error, "an open payment waits");
            Some(rest(FIRST_REST, looks))
        }
        Err(error @ (PaymentError::Refused(_) | PaymentError::Mismatch)) => {
            tracing::error!(payment = %id, looks, %error, "an open payment cannot be asked about");
            is_open.then_some(LONGEST_REST)
        }
    };
    outstanding::put_off(database, id, now + LEASE, next.map(|rest| wall() + rest)).await
}

/// When to ask again, if at all.
async fn ask(worker: &Worker, due: Outstanding, now: EventTime) -> Result<Option<Millis>, PaymentError> {
    let (desk, looks) = (&worker.desk, due.looks);
    if due.payment.state == State::Declined {
        // Given up by us: only a hint makes it looked at, and only money changes anything.
        let standing = desk.look(&due.payment, now).await?;
        return Ok((standing == Standing::Processing).then(|| rest(FIRST_REST, looks)));
    }
    let order = orders::by_reference(&desk.database, due.payment.reference).await?;
    let order = order.ok_or_else(|| StoreError::Corrupt("a payment without its order".into()))?;
    let is_payable = matches!(order.state, OrderState::Pending | OrderState::Paying);
    let standing = if is_payable {
        let payment = desk.open(&due).await?;
        if due.token.is_empty() {
            desk.look(&payment, now).await?
        } else {
            desk.confirm(&payment, &due.token, now).await?
        }
    } else {
        if !due.token.is_empty() && now.since(due.payment.updated_at) < CONFIRMING {
            return Ok(Some(CONFIRMING));
        }
        desk.close(due, now).await?
    };
    if standing == Standing::Processing && is_payable {
        worker.keep_hold(&order).await;
    }
    Ok(match standing {
        Standing::Open => Some(rest(FIRST_LOOK, looks).min(last_look(order.expires_at, wall()))),
        Standing::Processing => Some(rest(FIRST_REST, looks)),
        Standing::Paid(_) | Standing::Ended => None,
    })
}

/// Until shortly before the hold ends, so that a payment under way is seen in time; for ever if that is over.
fn last_look(expires_at: EventTime, now: EventTime) -> Millis {
    match expires_at.since(now).0.checked_sub(BEFORE_THE_END.0) {
        Some(rest) if rest > 0 => Millis(rest),
        _ => LONGEST_REST,
    }
}

impl Worker {
    /// The provider has the fan's word: the hold stays while the money is under way, bounded, and once. Where that cannot be
    /// arranged now, it is at the next look; money that comes too late has its own way.
    async fn keep_hold(&self, order: &Order) {
        let reference = order.reference;
        let Some(directory) = self.directory.upgrade() else { return };
        let command = Command::AwaitPayment { order: reference.order, fan: order.fan, more: self.awaits };
        let asked = match directory.event(reference.event).await {
            Ok(event) => {
                event.inventory.ask(Request { identity: None, command }).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(_) => tracing::debug!(%reference, "the hold stays while its payment is under way"),
            Err(why) => tracing::warn!(%reference, why, "a hold is not kept for its payment"),
        }
    }
}

fn rest(first: Millis, looks: u32) -> Millis {
    first.doubled(looks, LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_grow_apart_up_to_ten_minutes() {
        let rests = [0, 1, 3, 4, u32::MAX].map(|looks| rest(FIRST_LOOK, looks).0);
        assert_eq!(rests, [60_000, 120_000, 480_000, LONGEST_REST.0, LONGEST_REST.0]);
    }

    #[test]
    fn the_last_look_is_before_the_end_of_the_hold() {
        let looks = [100, 16, 15, 0].map(|left| last_look(EventTime(1_000_000 + left * 1_000), EventTime(1_000_000)));
        assert_eq!(looks, [Millis::seconds(85), Millis::seconds(1), LONGEST_REST, LONGEST_REST]);
        assert_eq!(last_look(EventTime(0), EventTime(1_000_000)), LONGEST_REST);
    }
}
