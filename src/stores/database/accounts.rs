//! Accounts: who may sign in, and as what. Password hashes come and go as text; nothing here can check one.

use std::{fmt, str::FromStr};

use super::{
    Database, Query, Write,
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{account::Role, id::FanId, time::EventTime},
    stores::error::StoreError,
};

#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub id: FanId,
    /// Lower case.
    pub email: String,
    pub name: String,
    pub language: String,
    pub password_hash: String,
    pub roles: Vec<Role>,
    pub status: Status,
    /// Access tokens with another one are void.
    pub session_version: u32,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

/// That an account's sessions have ended, for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub account: FanId,
    /// Tokens of earlier ones are void.
    pub version: u32,
    pub status: Status,
    pub at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Disabled,
}

/// [`Account`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str =
        "id, email, name, language, password_hash, roles, status, session_version, created_at, updated_at";
    statement(["SELECT ", COLUMNS, " FROM accounts ", which])
}

/// [`StoreError::Conflict`] if the address is taken.
pub async fn create(write: &mut Write, account: &Account) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO accounts (id, email, name, language, password_hash, roles, status, session_version, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(account.id.to_string())
    .bind(account.email.clone())
    .bind(account.name.clone())
    .bind(account.language.clone())
    .bind(account.password_hash.clone())
    .bind(roles_text(&account.roles))
    .bind(account.status.as_str())
    .bind(i64::from(account.session_version))
    .bind(millis(account.created_at))
    .bind(millis(account.updated_at));
    write.execute(insert).await.map(|_| ())
}

/// All of them in one transaction, or none.
pub async fn create_many(database: &Database, accounts: &[Account]) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    for account in accounts {
        create(&mut write, account).await?;
    }
    write.commit().await
}

pub async fn by_email(database: &Database, email: &str) -> Result<Option<Account>, StoreError> {
    let select = select("WHERE email = $1");
    database.fetch_optional(select.bind(email.to_owned())).await?.map(|row| of_row(&row)).transpose()
}

pub async fn by_id(database: &Database, id: FanId) -> Result<Option<Account>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Ends every access token. [`StoreError::Conflict`] if there is no such account.
pub async fn set_password(write: &mut Write, id: FanId, hash: &str, now: EventTime) -> Result<Ended, StoreError> {
    end_with("password_hash = $3, ", write, id, now, |update| update.bind(hash.to_owned())).await
}

/// As [`set_password`].
pub async fn set_roles(write: &mut Write, id: FanId, roles: &[Role], now: EventTime) -> Result<Ended, StoreError> {
    end_with("roles = $3, ", write, id, now, |update| update.bind(roles_text(roles))).await
}

/// As [`set_password`].
pub async fn set_status(write: &mut Write, id: FanId, status: Status, now: EventTime) -> Result<Ended, StoreError> {
    end_with("status = $3, ", write, id, now, |update| update.bind(status.as_str())).await
}

/// Puts another hash of the same password in the place of `old`; `false` if that is not there any more. Sessions stay.
pub async fn replace_hash(
    write: &mut Write,
    id: FanId,
    old: &str,
    new: &str,
    now: EventTime,
) -> Result<bool, StoreError> {
    let update =
        sqlx::query("UPDATE accounts SET password_hash = $3, updated_at = $4 WHERE id = $1 AND password_hash = $2")
            .bind(id.to_string())
            .bind(old.to_owned())
            .bind(new.to_owned())
            .bind(millis(now));
    write.execute(update).await.map(|rows| rows == 1)
}

/// Ends every access token, and changes nothing else. As [`set_password`].
pub async fn end_access(write: &mut Write, id: FanId, now: EventTime) -> Result<Ended, StoreError> {
    end_with("", write, id, now, |update| update).await
}

/// Sets this too, with what is bound as $3.
async fn end_with(
    set: &'static str,
    write: &mut Write,
    id: FanId,
    now: EventTime,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Ended, StoreError> {
    let update = statement([
        "UPDATE accounts SET ",
        set,
        "session_version = session_version + 1, sessions_ended_at = $2, updated_at = $2 WHERE id = $1 \
         RETURNING id, session_version, status, sessions_ended_at",
    ]);
    let update = bind(update.bind(id.to_string()).bind(millis(now)));
    let row = write.fetch_optional(update).await?.ok_or(StoreError::Conflict("there is no such account"))?;
    ended_of(&row)
}

/// Whose sessions have ended since then, oldest first; of those the ones after a former page's last.
pub async fn ended_since(
    database: &Database,
    since: EventTime,
    after: Option<(EventTime, FanId)>,
    limit: u32,
) -> Result<Vec<Ended>, StoreError> {
    // Lower than every id.
    let (at, id) = after.map_or((since, String::new()), |(at, id)| (at, id.to_string()));
    let select = sqlx::query(
        "SELECT id, session_version, status, sessions_ended_at FROM accounts \
         WHERE sessions_ended_at > 0 AND (sessions_ended_at, id) > ($1, $2) ORDER BY sessions_ended_at, id LIMIT $3",
    );
    let rows = database.fetch_all(select.bind(millis(at)).bind(id).bind(i64::from(limit))).await?;
    rows.iter().map(ended_of).collect()
}

/// Those whose address or name contains `q`, newest first.
pub async fn list(
    database: &Database,
    q: &str,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Account>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select(
        "WHERE (email LIKE $1 ESCAPE '!' OR LOWER(name) LIKE $1 ESCAPE '!') \
         AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(page::containing(q))
    .bind(at)
    .bind(id)
    .bind(page::rows_and_one(limit));
    let accounts = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(accounts, limit, |account| (account.created_at, account.id.to_string())))
}

fn ended_of(row: &Row) -> Result<Ended, StoreError> {
    Ok(Ended {
        account: row.parsed("id")?,
        version: row.number("session_version")?,
        status: row.parsed("status")?,
        at: row.time("sessions_ended_at")?,
    })
}

fn of_row(row: &Row) -> Result<Account, StoreError> {
    let roles = row.text("roles")?.split_whitespace().map(str::parse).collect::<Result<Vec<Role>, _>>();
    Ok(Account {
        id: row.parsed("id")?,
        email: row.string("email")?,
        name: row.string("name")?,
        language: row.string("language")?,
        password_hash: row.string("password_hash")?,
        roles: roles.map_err(|error| StoreError::Corrupt(error.to_string()))?,
        status: row.parsed("status")?,
        session_version: row.number("session_version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn roles_text(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status: active or disabled is expected")]
pub struct NotAStatus;

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text).ok_or(NotAStatus)
    }
}

impl fmt::Debug for Account {
    /// Without the hash: an account may end up in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}
