//! Messages of payment providers, each taken in once for ever, together with what follows from it.

use super::{Database, outbox, row::millis};
use crate::{domain::time::EventTime, stores::error::StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Now,
    /// A repeat: nothing was done.
    Already,
}

/// Remembers the message and puts what follows into the outbox, in one transaction.
pub async fn receive(
    database: &Database,
    provider: &str,
    id: &str,
    routing_key: &str,
    body: &str,
    now: EventTime,
) -> Result<Received, StoreError> {
    let mut write = database.begin().await?;
    let insert =
        sqlx::query("INSERT INTO webhooks (provider, id, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    let insert = insert.bind(provider.to_owned()).bind(id.to_owned()).bind(millis(now));
    if write.execute(insert).await? == 0 {
        return Ok(Received::Already);
    }
    outbox::push(&mut write, routing_key, body, now).await?;
    write.commit().await?;
    Ok(Received::Now)
}
