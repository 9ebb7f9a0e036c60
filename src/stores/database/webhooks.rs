//! Messages of payment providers, each taken in once for ever, together with what follows from it.

use super::{Database, Write, orders, outbox, row::millis};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Now,
    /// A repeat: nothing was done.
    Already,
}

/// Remembers the message and puts what follows into the outbox, in one transaction; with it the money of this order's payment,
/// if the message says that it is here.
pub async fn receive(
    database: &Database,
    (provider, id): (&str, &str),
    (routing_key, body): (&str, &str),
    captured: Option<(OrderRef, PaymentId)>,
    now: EventTime,
) -> Result<Received, StoreError> {
    let mut write = database.begin().await?;
    if remember(&mut write, (provider, id), now).await? == Received::Already {
        return Ok(Received::Already);
    }
    if let Some((reference, payment)) = captured {
        orders::captured(&mut write, reference, payment, now).await?;
    }
    outbox::push(&mut write, routing_key, body, now).await?;
    write.is_step(Step::WebhookStored);
    write.commit().await?;
    Ok(Received::Now)
}

/// Counts when the transaction does.
pub async fn remember(write: &mut Write, (provider, id): (&str, &str), now: EventTime) -> Result<Received, StoreError> {
    let insert =
        sqlx::query("INSERT INTO webhooks (provider, id, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    let insert = insert.bind(provider.to_owned()).bind(id.to_owned()).bind(millis(now));
    Ok(if write.execute(insert).await? == 0 { Received::Already } else { Received::Now })
}
