//! Whether an access token's session still stands: known from the token and a list of what has ended, without asking.
//!
//! A token says what its account was when it was signed, and whatever ends an account's sessions raises the account's version.
//! So a node only has to know which versions were raised within the life of a token. It reads those from the database again
//! and again; nobody who joins or holds costs a query.
//!
//! Owns that list and how old it may be (`ended_sessions_max_age`, 60 s at most), so that a disabled account, a changed role or
//! a changed password is in force within that time on every node. While the list is older, the database is asked about each
//! token.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use super::{
    app::App,
    config::Config,
    now,
    problem::{Code, Problem},
};
use crate::{
    domain::{
        account::Role,
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            Database,
            accounts::{self, Ended, Status},
        },
        error::StoreError,
    },
};

/// What one reading looks back beyond the last: clocks of nodes differ, and a transaction shows only once it is committed.
const OVERLAP: Millis = Millis::minutes(5);
/// Rows of one query.
const PAGE: u32 = 5_000;
/// Readings within the age that the list may have: one that fails is not noticed.
const READINGS: u32 = 4;
/// Between two of them at least.
const SHORTEST: Duration = Duration::from_millis(100);

pub struct Sessions {
    list: RwLock<List>,
    max_age: Duration,
    access_life: Millis,
}

#[derive(Default)]
struct List {
    /// When the last reading began.
    read: Option<(Instant, EventTime)>,
    /// Of each account the last time, as long as tokens of before may be about.
    ended: HashMap<FanId, Ended>,
}

impl Sessions {
    pub fn new(config: &Config) -> Self {
        Self {
            list: RwLock::default(),
            max_age: Duration::from_secs(config.ended_sessions_max_age),
            access_life: Millis(config.access_ttl.saturating_mul(1_000)),
        }
    }

    /// Refuses a token of this version whose session has ended, at most the list's age ago.
    pub async fn stands(&self, database: &Database, account: FanId, version: u32) -> Result<(), Problem> {
        match self.known(account, version) {
            Some(known) => known,
            None => self.roles(database, account, version).await.map(drop),
        }
    }

    /// The same from the database now, and which roles the account has.
    pub async fn roles(&self, database: &Database, account: FanId, version: u32) -> Result<Vec<Role>, Problem> {
        let account = accounts::by_id(database, account).await?.ok_or(Code::InvalidToken)?;
        if account.status != Status::Active {
            return Err(Code::AccountDisabled.into());
        }
        if account.session_version != version {
            return Err(over());
        }
        Ok(account.roles)
    }

    /// This node need not wait until it reads it.
    pub fn end(&self, ended: Ended) {
        self.write().add(ended);
    }

    /// `None` without a list that is new enough.
    fn known(&self, account: FanId, version: u32) -> Option<Result<(), Problem>> {
        let list = self.lock();
        list.read.filter(|(began, _)| began.elapsed() <= self.max_age)?;
        Some(list.ended.get(&account).map_or(Ok(()), |ended| check(ended, version)))
    }

    async fn read(&self, database: &Database) -> Result<(), StoreError> {
        let (began, now) = (Instant::now(), now());
        let oldest = now - self.access_life - OVERLAP;
        let since = self.lock().read.map_or(oldest, |(_, last)| last - OVERLAP);
        let mut after = None;
        loop {
            let page = accounts::ended_since(database, since, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|ended| (ended.at, ended.account));
            let mut list = self.write();
            page.into_iter().for_each(|ended| list.add(ended));
            if is_last {
                list.read = Some((began, now));
                list.ended.retain(|_, ended| ended.at >= oldest);
                return Ok(());
            }
        }
    }

    fn lock(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn add(&mut self, ended: Ended) {
        match self.ended.entry(ended.account) {
            Entry::Vacant(entry) => drop(entry.insert(ended)),
            Entry::Occupied(mut entry) if entry.get().version < ended.version => drop(entry.insert(ended)),
            Entry::Occupied(_) => {}
        }
    }
}

fn check(ended: &Ended, version: u32) -> Result<(), Problem> {
    match ended.status {
        // Signed after it.
        _ if version > ended.version => Ok(()),
        Status::Disabled => Err(Code::AccountDisabled.into()),
        Status::Active if version == ended.version => Ok(()),
        Status::Active => Err(over()),
    }
}

fn over() -> Problem {
    Problem::new(Code::TokenExpired).detail("the session has ended; sign in again")
}

/// Keeps the list new, for as long as the server runs.
pub async fn follow(app: Arc<App>) {
    let mut tick = tokio::time::interval((app.sessions.max_age / READINGS).max(SHORTEST));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = app.sessions.read(&app.database).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "ended sessions not read; again soon");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(version: u32, status: Status) -> Ended {
        Ended { account: FanId::from_u128(1), version, status, at: EventTime(1) }
    }

    #[test]
    fn s_04_a_token_from_before_the_end_is_refused_and_one_from_after_it_stands() {
        let code = |ended: Ended, version| check(&ended, version).map_err(|problem| problem.code());
        assert_eq!(code(ended(2, Status::Active), 1), Err(Code::TokenExpired));
        assert_eq!(code(ended(2, Status::Active), 2), Ok(()));
        assert_eq!(code(ended(2, Status::Disabled), 1), Err(Code::AccountDisabled));
        assert_eq!(code(ended(2, Status::Disabled), 2), Err(Code::AccountDisabled));
        assert_eq!(code(ended(2, Status::Disabled), 3), Ok(()), "let in again");
    }

    #[test]
    fn s_04_an_older_end_read_later_does_not_hide_a_newer_one() {
        let mut list = List::default();
        for (version, status) in [(3, Status::Disabled), (2, Status::Active)] {
            list.add(ended(version, status));
        }
        assert_eq!(list.ended[&FanId::from_u128(1)], ended(3, Status::Disabled));
    }

    #[test]
    fn s_04_without_a_new_list_nothing_is_known() {
        let sessions = Sessions::new(&Config::default());
        let fan = FanId::from_u128(1);
        assert!(sessions.known(fan, 1).is_none());
        sessions.write().read = Some((Instant::now(), EventTime(1)));
        assert!(sessions.known(fan, 1).expect("known").is_ok());
        sessions.end(ended(2, Status::Active));
        assert!(sessions.known(fan, 1).expect("known").is_err());
        let old = Sessions { max_age: Duration::ZERO, ..sessions };
        assert!(old.known(fan, 1).is_none());
    }
}
