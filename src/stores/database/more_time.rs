//! Who has declared to need more time: a column of the accounts, and what this process knows of it, so that nobody who is let in
//! costs a query.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Database, row::millis};
use crate::{
    domain::{
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

/// How often other nodes' changes are read.
const READ_EVERY: Duration = Duration::from_secs(2);
/// What one reading looks back beyond the last: clocks of nodes differ, and a transaction shows only once it is committed.
const OVERLAP: Millis = Millis::minutes(5);
/// Rows of one query.
const PAGE: usize = 5_000;
/// More are not known, and get the time that all get.
const MOST: usize = 1_000_000;

/// As far as this process knows.
#[derive(Default)]
pub(super) struct Known(RwLock<HashSet<FanId>>);

impl Known {
    fn learn(&self, account: FanId, needs: bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !needs {
            known.remove(&account);
        } else if known.len() < MOST {
            known.insert(account);
        }
    }
}

impl Database {
    /// As known a few seconds ago; asks nobody.
    pub fn needs_more_time(&self, account: FanId) -> bool {
        self.inner.more_time.0.read().unwrap_or_else(PoisonError::into_inner).contains(&account)
    }
}

/// Durable when it returns, and known to this process. [`StoreError::Conflict`] if there is no such account.
pub async fn set(database: &Database, account: FanId, needs: bool, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE accounts SET needs_more_time = $2, more_time_changed_at = $3 WHERE id = $1");
    let update = update.bind(account.to_string()).bind(i64::from(needs)).bind(millis(now));
    if write.execute(update).await? != 1 {
        return Err(StoreError::Conflict("there is no such account"));
    }
    write.commit().await?;
    database.inner.more_time.learn(account, needs);
    Ok(())
}

/// As stored; `None`: there is no such account.
pub async fn get(database: &Database, account: FanId) -> Result<Option<bool>, StoreError> {
    let select = sqlx::query("SELECT needs_more_time FROM accounts WHERE id = $1").bind(account.to_string());
    let row = database.fetch_optional(select).await?;
    row.map(|row| Ok(row.number::<u8>("needs_more_time")? != 0)).transpose()
}

/// Learns what was changed since then.
pub async fn read(database: &Database, since: EventTime) -> Result<(), StoreError> {
    let (mut at, mut id) = (since, String::new());
    loop {
        let select = sqlx::query(
            "SELECT id, needs_more_time, more_time_changed_at FROM accounts WHERE more_time_changed_at > 0 \
             AND (more_time_changed_at, id) > ($1, $2) ORDER BY more_time_changed_at, id LIMIT $3",
        );
        let select = select.bind(millis(at)).bind(id.clone()).bind(PAGE as i64);
        let rows = database.fetch_all(select).await?;
        for row in &rows {
            (at, id) = (row.time("more_time_changed_at")?, row.string("id")?);
            database.inner.more_time.learn(row.parsed("id")?, row.number::<u8>("needs_more_time")? != 0);
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

/// Keeps up with other nodes, for as long as it runs.
pub async fn follow(database: Database) {
    let mut since = EventTime(0);
    let mut tick = tokio::time::interval(READ_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = EventTime(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        match read(&database, since).await {
            Ok(()) => since = now - OVERLAP,
            Err(error) => tracing::warn!(%error, "who needs more time was not read; again soon"),
        }
    }
}
