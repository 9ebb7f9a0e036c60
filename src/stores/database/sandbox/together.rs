//! What many fans do at the sandbox at the same time.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Card, Said, Session, State, create, decide_alone, delivered_alone, of_row};
use crate::{
    domain::time::EventTime,
    stores::{
        crash_point::Step,
        database::{
            Database,
            many::{Many, ROWS, Texts},
            row::millis,
            together::Work,
        },
        error::StoreError,
    },
};

pub(in crate::stores::database) struct Create(pub Session);

static CREATE: Many = Many::new(|| {
    let before = "INSERT INTO sandbox_sessions (id, order_reference, amount_minor, currency, state, return_url, created_at, \
                  updated_at) VALUES ";
    Texts::rows(before, 8, " ON CONFLICT DO NOTHING")
});

impl Work for Create {
    type Done = ();

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<()>>, StoreError> {
        let mut by_id: Vec<&Self> = all.iter().collect();
        by_id.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        let mut write = database.begin().await?;
        for some in by_id.chunks(ROWS) {
            let insert = CREATE.bound(write.backend(), some, |query, Self(session)| {
                query
                    .bind(session.id.clone())
                    .bind(session.reference.to_string())
                    .bind(session.amount.minor)
                    .bind(session.amount.currency.to_string())
                    .bind(session.state.as_str())
                    .bind(session.return_url.clone())
                    .bind(millis(session.created_at))
                    .bind(millis(session.updated_at))
            });
            write.execute(insert).await?;
        }
        write.commit().await?;
        Ok(all.iter().map(|_| Some(())).collect())
    }

    async fn alone(self, database: &Database) -> Result<(), StoreError> {
        let mut write = database.begin().await?;
        create(&mut write, &self.0).await?;
        write.commit().await
    }
}

pub(in crate::stores::database) struct ById(pub String);

static SELECT: Many = Many::new(|| {
    let before = "SELECT id, order_reference, amount_minor, currency, state, card, return_url, created_at, updated_at \
                  FROM sandbox_sessions WHERE id IN ";
    Texts::list(before, "")
});

impl Work for ById {
    type Done = Option<Session>;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Option<Session>>>, StoreError> {
        let mut found = HashMap::new();
        for some in all.chunks(ROWS) {
            for row in database
                .fetch_all(SELECT.bound(database.backend(), some, |query, Self(id)| query.bind(id.clone())))
                .await?
            {
                let session = of_row(&row)?;
                found.insert(session.id.clone(), session);
            }
        }
        Ok(all.iter().map(|Self(id)| Some(found.get(id).cloned())).collect())
    }

    async fn alone(self, database: &Database) -> Result<Option<Session>, StoreError> {
        let only = [self];
        let select = SELECT.bound(database.backend(), &only, |query, Self(id)| query.bind(id.clone()));
        database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
    }
}

/// [`super::decide`] of one session.
pub(in crate::stores::database) struct Decide {
    pub(super) id: String,
    pub(super) to: State,
    pub(super) card: Card,
    pub(super) says: Vec<Said>,
    pub(super) now: EventTime,
}

static DECIDE: Many = Many::new(|| {
    let before = "UPDATE sandbox_sessions SET state = v.column2, card = v.column3, updated_at = v.column4";
    Texts::updates(before, 4, "sandbox_sessions.id", " AND sandbox_sessions.state = 'open' RETURNING id")
});
static SAY: Many = Many::new(|| {
    let before = "INSERT INTO sandbox_webhooks (id, body, attempts, next_at) VALUES ";
    Texts::rows(before, 4, " ON CONFLICT DO NOTHING")
});

impl Work for Decide {
    type Done = bool;

    /// Sessions that are open, once each.
    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<bool>>, StoreError> {
        let (mut seen, mut moved) = (HashSet::new(), HashSet::new());
        let is_first: Vec<bool> = all.iter().map(|one| seen.insert(&one.id)).collect();
        let firsts = || all.iter().zip(&is_first).filter(|(_, is_first)| **is_first).map(|(one, _)| one);
        let mut by_id: Vec<&Self> = firsts().collect();
        by_id.sort_by_key(|one| &one.id);
        let mut write = database.begin().await?;
        write.is_step(Step::Captured);
        for some in by_id.chunks(ROWS) {
            let update = DECIDE.bound(write.backend(), some, |query, one| {
                query.bind(one.id.clone()).bind(one.to.as_str()).bind(one.card.as_str()).bind(millis(one.now))
            });
            for row in write.fetch_all(update).await? {
                moved.insert(row.string("id")?);
            }
        }
        let says = firsts().filter(|one| moved.contains(&one.id)).flat_map(|one| &one.says);
        let says: Vec<_> = says.map(|said| (Uuid::now_v7().to_string(), said)).collect();
        for some in says.chunks(ROWS) {
            let insert = SAY.bound(write.backend(), some, |query, (id, Said { body, at })| {
                query.bind(id.clone()).bind(body.clone()).bind(0_i64).bind(millis(*at))
            });
            write.execute(insert).await?;
        }
        write.commit().await?;
        let done = all.iter().zip(&is_first).map(|(one, is_first)| *is_first && moved.contains(&one.id));
        Ok(done.map(|is_done| is_done.then_some(true)).collect())
    }

    async fn alone(self, database: &Database) -> Result<bool, StoreError> {
        decide_alone(database, self).await
    }
}

/// [`super::delivered`] of one webhook.
pub(in crate::stores::database) struct Deliver {
    pub(super) id: String,
    pub(super) now: EventTime,
}

static DELIVERED: Many = Many::new(|| {
    let before = "UPDATE sandbox_webhooks SET delivered_at = v.column2, attempts = sandbox_webhooks.attempts + 1";
    Texts::updates(before, 2, "sandbox_webhooks.id", " AND COALESCE(sandbox_webhooks.delivered_at, 0) = 0")
});

impl Work for Deliver {
    type Done = ();

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<()>>, StoreError> {
        let mut write = database.begin().await?;
        write.is_step(Step::WebhookDelivered);
        for some in all.chunks(ROWS) {
            let update =
                DELIVERED.bound(write.backend(), some, |query, one| query.bind(one.id.clone()).bind(millis(one.now)));
            write.execute(update).await?;
        }
        write.commit().await?;
        Ok(all.iter().map(|_| Some(())).collect())
    }

    async fn alone(self, database: &Database) -> Result<(), StoreError> {
        delivered_alone(database, self.id, self.now).await
    }
}
