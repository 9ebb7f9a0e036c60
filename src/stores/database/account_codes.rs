//! Codes and links that prove whose mailbox it is: which are out, how often one was tried, and whether an address is proven.
//!
//! What they say is nowhere here: it follows from the root secret and the id.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Write,
    row::{Row, millis},
};
use crate::{
    domain::{
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

/// Of one code.
pub const MOST_TRIES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A new password.
    Reset,
    /// The address is the account's.
    Verify,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
        }
    }

    pub const fn life(self) -> Millis {
        match self {
            Self::Reset => Millis::minutes(10),
            Self::Verify => Millis::minutes(15),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCode {
    /// Ascending.
    pub id: Uuid,
    pub account: FanId,
    pub purpose: Purpose,
}

/// A new one; those of before are good no more. `None` if the account had `most` within the last hour.
pub async fn make(
    write: &mut Write,
    account: FanId,
    purpose: Purpose,
    most: u32,
    now: EventTime,
) -> Result<Option<Uuid>, StoreError> {
    let count = sqlx::query(
        "SELECT COUNT(*) AS count FROM account_codes WHERE account_id = $1 AND purpose = $2 AND created_at > $3",
    )
    .bind(account.to_string())
    .bind(purpose.as_str())
    .bind(millis(now - Millis::minutes(60)));
    let row = write.fetch_optional(count).await?.ok_or_else(|| StoreError::Corrupt("a count gave no row".into()))?;
    if row.number::<u32>("count")? >= most {
        return Ok(None);
    }
    let end = sqlx::query(
        "UPDATE account_codes SET expires_at = $3 WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3",
    );
    write.execute(end.bind(account.to_string()).bind(purpose.as_str()).bind(millis(now))).await?;
    let id = Uuid::now_v7();
    let insert = sqlx::query(
        "INSERT INTO account_codes (id, account_id, purpose, tries, created_at, expires_at) VALUES ($1, $2, $3, 0, $4, $5)",
    )
    .bind(id.simple().to_string())
    .bind(account.to_string())
    .bind(purpose.as_str())
    .bind(millis(now))
    .bind(millis(now + purpose.life()));
    write.execute(insert).await?;
    Ok(Some(id))
}

/// Counts a try at the account's newest one; `None` if there is none that may be tried. Durable when it returns.
pub async fn try_one(
    database: &Database,
    account: FanId,
    purpose: Purpose,
    now: EventTime,
) -> Result<Option<AccountCode>, StoreError> {
    let update = sqlx::query(
        "UPDATE account_codes SET tries = tries + 1 WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL \
         AND expires_at > $3 AND tries < $4 RETURNING id, account_id, purpose",
    )
    .bind(account.to_string())
    .bind(purpose.as_str())
    .bind(millis(now))
    .bind(i64::from(MOST_TRIES));
    let mut write = database.begin().await?;
    let code = write.fetch_optional(update).await?.map(|row| of_row(&row)).transpose()?;
    write.commit().await?;
    Ok(code)
}

/// It is used up by this; `None` if it was already, or is too old.
pub async fn use_up(
    write: &mut Write,
    id: Uuid,
    purpose: Purpose,
    now: EventTime,
) -> Result<Option<AccountCode>, StoreError> {
    let update = sqlx::query(
        "UPDATE account_codes SET used_at = $3 WHERE id = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3 \
         RETURNING id, account_id, purpose",
    );
    let update = update.bind(id.simple().to_string()).bind(purpose.as_str()).bind(millis(now));
    write.fetch_optional(update).await?.map(|row| of_row(&row)).transpose()
}

/// The mailbox is the account's.
pub async fn verified(write: &mut Write, account: FanId, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE accounts SET verified_at = $2 WHERE id = $1 AND verified_at IS NULL");
    write.execute(update.bind(account.to_string()).bind(millis(now))).await.map(|_| ())
}

pub async fn is_verified(database: &Database, account: FanId) -> Result<bool, StoreError> {
    let count = "SELECT COUNT(*) AS count FROM accounts WHERE id = $1 AND verified_at IS NOT NULL";
    Ok(database.count(sqlx::query(count).bind(account.to_string())).await? > 0)
}

/// Those from before.
pub async fn forget(database: &Database, before: EventTime) -> Result<u64, StoreError> {
    let mut write = database.begin().await?;
    let delete = sqlx::query("DELETE FROM account_codes WHERE created_at < $1");
    let forgotten = write.execute(delete.bind(millis(before))).await?;
    write.commit().await?;
    Ok(forgotten)
}

fn of_row(row: &Row) -> Result<AccountCode, StoreError> {
    Ok(AccountCode { id: row.parsed("id")?, account: row.parsed("account_id")?, purpose: row.named("purpose")? })
}
