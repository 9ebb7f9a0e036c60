//! Whether an access token's session still stands: a small cache of accounts before the database.
//!
//! Owns how old an answer may be (`account_cache_ttl`, 60 s at most), so that a disabled account, a changed role or a
//! changed password is in force within that time on every node, and a hold needs no database.

use std::{sync::Arc, time::Duration};

use super::{
    config::Config,
    problem::{Code, Problem},
};
use crate::{
    domain::{account::Role, id::FanId},
    stores::database::{Database, accounts},
};

/// Accounts kept in memory at most.
const MAX_CACHED: u64 = 200_000;

/// What the edge needs to know of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub roles: Vec<Role>,
    pub active: bool,
    /// Raised to end every session.
    pub version: u32,
}

pub struct Sessions {
    cache: moka::sync::Cache<FanId, Arc<Session>>,
}

impl Sessions {
    pub fn new(config: &Config) -> Self {
        let ttl = Duration::from_secs(config.account_cache_ttl);
        Self { cache: moka::sync::Cache::builder().max_capacity(MAX_CACHED).time_to_live(ttl).build() }
    }

    /// The account's session if `version` is the current one; at most the cache's time old.
    pub async fn current(&self, database: &Database, account: FanId, version: u32) -> Result<Arc<Session>, Problem> {
        match self.cache.get(&account) {
            // A newer token than the cached answer: the answer is old.
            Some(session) if version <= session.version => check(session, version),
            _ => self.fresh(database, account, version).await,
        }
    }

    /// The same, from the database now.
    pub async fn fresh(&self, database: &Database, account: FanId, version: u32) -> Result<Arc<Session>, Problem> {
        let session = load(database, account).await?;
        self.cache.insert(account, session.clone());
        check(session, version)
    }

    /// This node knows that the account has changed.
    pub fn forget(&self, account: FanId) {
        self.cache.invalidate(&account);
    }
}

fn check(session: Arc<Session>, version: u32) -> Result<Arc<Session>, Problem> {
    if !session.active {
        return Err(Problem::new(Code::AccountDisabled));
    }
    if session.version != version {
        return Err(Problem::new(Code::TokenExpired).detail("the session has ended; sign in again"));
    }
    Ok(session)
}

async fn load(database: &Database, account: FanId) -> Result<Arc<Session>, Problem> {
    let Some(account) = accounts::by_id(database, account).await? else {
        return Err(Problem::new(Code::InvalidToken));
    };
    Ok(Arc::new(Session {
        roles: account.roles,
        active: account.status == accounts::Status::Active,
        version: account.session_version,
    }))
}
