//! Accounts: who may sign in, and as what. Password hashes come and go as text; nothing here can check one.

use super::{
    Database, Write,
    page::{Cursor, Page},
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Disabled,
}

/// [`StoreError::Conflict`] if the address is taken.
pub async fn create(_write: &mut Write, _account: &Account) -> Result<(), StoreError> {
    todo!("database helper")
}

/// All of them in one transaction, or none.
pub async fn create_many(_database: &Database, _accounts: &[Account]) -> Result<(), StoreError> {
    todo!("database helper")
}

pub async fn by_email(_database: &Database, _email: &str) -> Result<Option<Account>, StoreError> {
    todo!("database helper")
}

pub async fn by_id(_database: &Database, _id: FanId) -> Result<Option<Account>, StoreError> {
    todo!("database helper")
}

/// Ends every access token: the answer is the new session version. [`StoreError::Conflict`] if there is no such account.
pub async fn set_password(_write: &mut Write, _id: FanId, _hash: &str, _now: EventTime) -> Result<u32, StoreError> {
    todo!("database helper")
}

/// As [`set_password`].
pub async fn set_roles(_write: &mut Write, _id: FanId, _roles: &[Role], _now: EventTime) -> Result<u32, StoreError> {
    todo!("database helper")
}

/// As [`set_password`].
pub async fn set_status(_write: &mut Write, _id: FanId, _status: Status, _now: EventTime) -> Result<u32, StoreError> {
    todo!("database helper")
}

/// Those whose address or name contains `q`, newest first.
pub async fn list(
    _database: &Database,
    _q: &str,
    _cursor: Option<&Cursor>,
    _limit: u32,
) -> Result<Page<Account>, StoreError> {
    todo!("database helper")
}
