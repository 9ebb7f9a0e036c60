//! Refresh tokens, as hashes, in families: a family is one login, and each use of a token makes its one successor.

use super::{Database, Write, fault, row::millis};
use crate::{
    domain::{
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

/// A rotation that is under way holds its token's row, so revoking waits for it, but does not see the successor that it
/// wrote: it looks again until there is nothing left.
const ROUNDS: usize = 16;

/// The first token of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFamily {
    /// Names the login; random.
    pub family: String,
    pub account: FanId,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// Of the client, hexadecimal.
    pub fingerprint: String,
    /// Unused until here, the token is void.
    pub expires_at: EventTime,
    /// Nothing of the family outlives this.
    pub family_expires_at: EventTime,
}

/// A token is presented for its successor, which whoever asks has derived from it: always the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented<'a> {
    pub hash: &'a str,
    pub successor_hash: &'a str,
    pub fingerprint: &'a str,
    /// Of the successor, unless the family ends before.
    pub idle_ttl: Millis,
    /// How long after its use a token still gives the same successor to the same client.
    pub grace: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The successor is now the family's token.
    Rotated {
        account: FanId,
        family: String,
        expires_at: EventTime,
    },
    /// It was used a moment ago by the same client: here is the same successor.
    SameSuccessor {
        account: FanId,
        family: String,
        expires_at: EventTime,
    },
    /// It was used before: stolen, or the client is confused. The whole family is revoked now.
    Reused {
        account: FanId,
        family: String,
    },
    Unknown,
    Expired,
    Revoked,
}

pub async fn start(write: &mut Write, family: &NewFamily, now: EventTime) -> Result<(), StoreError> {
    let token = Token {
        hash: &family.hash,
        family: &family.family,
        account: family.account,
        fingerprint: &family.fingerprint,
        expires_at: family.expires_at.min(family.family_expires_at),
        family_expires_at: family.family_expires_at,
    };
    insert(write, &token, now).await
}

/// Of any number at once, one rotates.
pub async fn rotate(database: &Database, presented: &Presented<'_>, now: EventTime) -> Result<Rotation, StoreError> {
    let mut write = database.begin().await?;
    let take = sqlx::query(
        "UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND revoked_at IS NULL \
         AND expires_at > $2 RETURNING family, account_id, family_expires_at",
    );
    let taken = write.fetch_optional(take.bind(presented.hash.to_owned()).bind(millis(now))).await?;
    let rotation = match taken {
        Some(row) => {
            let family_expires_at = row.time("family_expires_at")?;
            let token = Token {
                hash: presented.successor_hash,
                family: row.text("family")?,
                account: row.parsed("account_id")?,
                fingerprint: presented.fingerprint,
                expires_at: family_expires_at.min(now + presented.idle_ttl),
                family_expires_at,
            };
            insert(&mut write, &token, now).await?;
            Rotation::Rotated { account: token.account, family: token.family.into(), expires_at: token.expires_at }
        }
        None => refused(&mut write, presented, now).await?,
    };
    write.commit().await?;
    Ok(rotation)
}

/// Why the token could not be taken; revokes its family if it was used before.
async fn refused(write: &mut Write, presented: &Presented<'_>, now: EventTime) -> Result<Rotation, StoreError> {
    let select = sqlx::query(
        "SELECT t.family, t.account_id, t.used_at, t.revoked_at, s.fingerprint AS used_by, \
         s.expires_at AS successor_expires_at \
         FROM refresh_tokens t LEFT JOIN refresh_tokens s ON s.hash = $2 AND s.family = t.family WHERE t.hash = $1",
    );
    let select = select.bind(presented.hash.to_owned()).bind(presented.successor_hash.to_owned());
    let Some(row) = write.fetch_optional(select).await? else { return Ok(Rotation::Unknown) };
    if row.time_if_any("revoked_at")?.is_some() {
        return Ok(Rotation::Revoked);
    }
    let Some(used_at) = row.time_if_any("used_at")? else { return Ok(Rotation::Expired) };
    let account = row.parsed("account_id")?;
    let family = row.string("family")?;
    let is_repeat = presented.grace.0 > 0
        && now <= used_at + presented.grace
        && row.text_if_any("used_by")? == Some(presented.fingerprint);
    if let (true, Some(expires_at)) = (is_repeat, row.time_if_any("successor_expires_at")?) {
        return Ok(Rotation::SameSuccessor { account, family, expires_at });
    }
    revoke_family(write, &family, now).await?;
    Ok(Rotation::Reused { account, family })
}

/// Revokes the family of this token, if there is one; the answer is whose.
pub async fn revoke(write: &mut Write, hash: &str, now: EventTime) -> Result<Option<FanId>, StoreError> {
    let select = sqlx::query("SELECT family, account_id FROM refresh_tokens WHERE hash = $1");
    let Some(row) = write.fetch_optional(select.bind(hash.to_owned())).await? else { return Ok(None) };
    revoke_family(write, row.text("family")?, now).await?;
    row.parsed("account_id").map(Some)
}

/// Revokes all of an account, but one family if named.
pub async fn revoke_all(
    write: &mut Write,
    account: FanId,
    but_family: Option<&str>,
    now: EventTime,
) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        let update = sqlx::query(
            "UPDATE refresh_tokens SET revoked_at = $3 WHERE account_id = $1 AND family <> $2 AND revoked_at IS NULL",
        );
        let update = update.bind(account.to_string()).bind(but_family.unwrap_or_default().to_owned()).bind(millis(now));
        if write.execute(update).await? == 0 {
            return Ok(());
        }
    }
    Err(fault::contended())
}

/// Forgets tokens that ended before `before`; says how many.
pub async fn purge(database: &Database, before: EventTime) -> Result<u64, StoreError> {
    let delete = sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < $1");
    let mut write = database.begin().await?;
    let count = write.execute(delete.bind(millis(before))).await?;
    write.commit().await?;
    Ok(count)
}

struct Token<'a> {
    hash: &'a str,
    family: &'a str,
    account: FanId,
    fingerprint: &'a str,
    expires_at: EventTime,
    family_expires_at: EventTime,
}

async fn insert(write: &mut Write, token: &Token<'_>, now: EventTime) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO refresh_tokens (hash, family, account_id, fingerprint, issued_at, expires_at, family_expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(token.hash.to_owned())
    .bind(token.family.to_owned())
    .bind(token.account.to_string())
    .bind(token.fingerprint.to_owned())
    .bind(millis(now))
    .bind(millis(token.expires_at))
    .bind(millis(token.family_expires_at));
    write.execute(insert).await.map(|_| ())
}

async fn revoke_family(write: &mut Write, family: &str, now: EventTime) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        let update = sqlx::query("UPDATE refresh_tokens SET revoked_at = $2 WHERE family = $1 AND revoked_at IS NULL");
        if write.execute(update.bind(family.to_owned()).bind(millis(now))).await? == 0 {
            return Ok(());
        }
    }
    Err(fault::contended())
}
