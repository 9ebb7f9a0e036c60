//! Messages of payment providers, each taken in once for ever, together with what follows from it.

use std::collections::HashSet;

use super::{
    Database, Write,
    many::{Many, ROWS, Texts},
    orders, outbox,
    row::millis,
    together::Work,
};
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
    let receive = Receive {
        provider: provider.to_owned(),
        id: id.to_owned(),
        routing_key: routing_key.to_owned(),
        body: body.to_owned(),
        captured,
        now,
    };
    database.inner.desks.webhooks.bring(database, receive).await
}

pub(super) struct Receive {
    provider: String,
    id: String,
    routing_key: String,
    body: String,
    captured: Option<(OrderRef, PaymentId)>,
    now: EventTime,
}

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO webhooks (provider, id, received_at) VALUES ";
    Texts::rows(before, 3, " ON CONFLICT DO NOTHING RETURNING provider, id")
});

impl Work for Receive {
    type Done = Received;

    /// The first message that tells of an order's money, and what tells of none.
    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Received>>, StoreError> {
        let mut write = database.begin().await?;
        write.is_step(Step::WebhookStored);
        let told: Vec<_> = all.iter().filter_map(|one| one.captured).collect();
        let mut unpaid = orders::Unpaid::read(&mut write, &told).await?;
        let (mut plain, mut seen) = (Vec::new(), HashSet::new());
        for (at, one) in all.iter().enumerate() {
            let captured = match one.captured {
                Some((reference, payment)) => unpaid.take(reference, payment, one.now).map(Some),
                None => Some(None),
            };
            if let Some(captured) = captured
                && seen.insert(one.name())
            {
                plain.push((at, one, captured));
            }
        }
        plain.sort_by_key(|(_, one, _)| one.name());
        let new = remember_many(&mut write, &plain.iter().map(|(_, one, _)| *one).collect::<Vec<_>>()).await?;
        let mut done = vec![None; all.len()];
        let (mut messages, mut money) = (Vec::new(), Vec::new());
        for (at, one, captured) in plain {
            let is_new = new.contains(&(one.provider.clone(), one.id.clone()));
            if is_new {
                messages.push((one.routing_key.as_str(), one.body.as_str(), one.now));
                money.extend(captured);
            }
            if let Some(done) = done.get_mut(at) {
                *done = Some(if is_new { Received::Now } else { Received::Already });
            }
        }
        if !orders::captured_many(&mut write, money).await? {
            return Ok(vec![None; all.len()]);
        }
        outbox::push_many(&mut write, &messages).await?;
        write.commit().await?;
        Ok(done)
    }

    async fn alone(self, database: &Database) -> Result<Received, StoreError> {
        let mut write = database.begin().await?;
        write.is_step(Step::WebhookStored);
        // The order first, as everywhere: who has it may write what belongs to it.
        if let Some((reference, payment)) = self.captured {
            orders::captured(&mut write, reference, payment, self.now).await?;
        }
        if remember(&mut write, (&self.provider, &self.id), self.now).await? == Received::Already {
            return Ok(Received::Already);
        }
        outbox::push(&mut write, &self.routing_key, &self.body, self.now).await?;
        write.commit().await?;
        Ok(Received::Now)
    }
}

impl Receive {
    fn name(&self) -> (&str, &str) {
        (&self.provider, &self.id)
    }
}

/// Those that are new, of different ones.
async fn remember_many(write: &mut Write, messages: &[&Receive]) -> Result<HashSet<(String, String)>, StoreError> {
    let mut new = HashSet::new();
    for some in messages.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), some, |query, one| {
            query.bind(one.provider.clone()).bind(one.id.clone()).bind(millis(one.now))
        });
        for row in write.fetch_all(insert).await? {
            new.insert((row.string("provider")?, row.string("id")?));
        }
    }
    Ok(new)
}

/// Counts when the transaction does.
pub async fn remember(write: &mut Write, (provider, id): (&str, &str), now: EventTime) -> Result<Received, StoreError> {
    let insert =
        sqlx::query("INSERT INTO webhooks (provider, id, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    let insert = insert.bind(provider.to_owned()).bind(id.to_owned()).bind(millis(now));
    Ok(if write.execute(insert).await? == 0 { Received::Already } else { Received::Now })
}
