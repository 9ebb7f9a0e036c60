//! Payments whose provider is still to be asked: to open a session, to have the money taken, to say how it stands.
//!
//! The queue of that work is the table. One of several workers takes the next step by moving the moment at which it is due, so
//! that a step whose worker died comes up again by itself.

use std::collections::HashMap;

use super::{COLUMNS, Payment, of_row};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        time::{EventTime, Millis},
    },
    stores::{
        crash_point::Step,
        database::{
            Database, Query, Write,
            many::{Many, ROWS, Texts},
            row::{Row, json, millis, millis_if_any},
            statement,
            together::Work,
        },
        error::StoreError,
        provider::{Opened, SessionRequest},
    },
};

/// A payment with what its provider is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    pub payment: Payment,
    /// `None`: begun before requests were kept.
    pub request: Option<SessionRequest>,
    /// What the provider gave the fan for the shop; empty until then.
    pub token: String,
    pub look_at: EventTime,
    /// Made so far.
    pub looks: u32,
}

const MORE: &str = ", request, token, look_at, looks";

fn select(which: &'static str) -> Query {
    statement(["SELECT ", COLUMNS, MORE, " FROM payments ", which])
}

/// Writes the order's open payment with what its provider will be asked, unless the order has an open one: the answer is the one
/// that is open now. Durable when it returns. [`StoreError::Conflict`] if the order is paid already.
pub async fn begin(
    database: &Database,
    payment: Payment,
    request: SessionRequest,
    look_at: EventTime,
) -> Result<Outstanding, StoreError> {
    database.inner.desks.payments.bring(database, Begin { payment, request, look_at }).await
}

pub(in crate::stores::database) struct Begin {
    payment: Payment,
    request: SessionRequest,
    look_at: EventTime,
}

static BEGIN: Many = Many::new(|| {
    Texts::rows(
        "INSERT INTO payments (id, order_reference, provider, provider_session, amount_minor, currency, state, url, \
         created_at, updated_at, request, look_at) SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, \
         'open', v.column7, v.column8, v.column8, v.column9, v.column10 FROM (VALUES ",
        10,
        // As in `Texts::updates`.
        ") AS v WHERE NOT EXISTS (SELECT 1 FROM payments WHERE order_reference BETWEEN v.column2 AND v.column2 \
         AND state = 'captured') ON CONFLICT DO NOTHING",
    )
});
static OPEN_OF: Many = Many::new(|| {
    let before = ["SELECT ", COLUMNS, MORE, " FROM payments WHERE state = 'open' AND order_reference IN "].concat();
    Texts::list(&before, "")
});

impl Work for Begin {
    type Done = Outstanding;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Outstanding>>, StoreError> {
        let mut by_order: Vec<&Self> = all.iter().collect();
        by_order.sort_by_key(|one| one.payment.reference);
        let (mut write, mut open) = (database.begin().await?, HashMap::new());
        write.is_step(Step::PaymentOpened);
        for some in by_order.chunks(ROWS) {
            let insert = BEGIN.bound(write.backend(), some, |query, Self { payment, request, look_at }| {
                query
                    .bind(payment.id.to_string())
                    .bind(payment.reference.to_string())
                    .bind(payment.provider.clone())
                    .bind(payment.provider_session.clone())
                    .bind(payment.amount.minor)
                    .bind(payment.amount.currency.to_string())
                    .bind(payment.url.clone())
                    .bind(millis(payment.created_at))
                    .bind(json(request))
                    .bind(millis(*look_at))
            });
            write.execute(insert).await?;
            let select =
                OPEN_OF.bound(write.backend(), some, |query, one| query.bind(one.payment.reference.to_string()));
            for row in write.fetch_all(select).await? {
                let outstanding = of_outstanding(&row)?;
                open.insert(outstanding.payment.reference, outstanding);
            }
        }
        write.commit().await?;
        Ok(all.iter().map(|one| open.get(&one.payment.reference).cloned()).collect())
    }

    async fn alone(self, database: &Database) -> Result<Outstanding, StoreError> {
        let Self { payment, request, look_at } = self;
        let mut write = database.begin().await?;
        let open = super::open(&mut write, &payment).await?;
        if open.id == payment.id {
            keep_request(&mut write, &request, look_at).await?;
        }
        let row = write.fetch_optional(select("WHERE id = $1").bind(open.id.to_string())).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("a payment that was just read is gone".into()))?;
        let outstanding = of_outstanding(&row)?;
        write.commit().await?;
        Ok(outstanding)
    }
}

/// An earlier request of it stays.
async fn keep_request(write: &mut Write, request: &SessionRequest, look_at: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE payments SET request = $2, look_at = $3 WHERE id = $1 AND request = ''");
    write.execute(update.bind(request.key.to_string()).bind(json(request)).bind(millis(look_at))).await.map(|_| ())
}

pub async fn by_id(database: &Database, id: PaymentId) -> Result<Option<Outstanding>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_outstanding(&row)).transpose()
}

/// The provider has answered. Any number of times.
pub async fn opened(database: &Database, id: PaymentId, opened: &Opened) -> Result<(), StoreError> {
    database.inner.desks.payments_opened.bring(database, Answered { id, opened: opened.clone() }).await
}

pub(in crate::stores::database) struct Answered {
    id: PaymentId,
    opened: Opened,
}

static ANSWERED: Many = Many::new(|| {
    let before = "UPDATE payments SET provider_session = v.column2, url = v.column3";
    Texts::updates(before, 3, "payments.id", " AND payments.url = ''")
});

impl Work for Answered {
    type Done = ();

    /// Of two answers of one payment either may be written: they are the same.
    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<()>>, StoreError> {
        let mut by_id: Vec<&Self> = all.iter().collect();
        by_id.sort_by_key(|one| one.id);
        let mut write = database.begin().await?;
        for some in by_id.chunks(ROWS) {
            let update = ANSWERED.bound(write.backend(), some, |query, Self { id, opened }| {
                query.bind(id.to_string()).bind(opened.session.clone()).bind(opened.url.clone())
            });
            write.execute(update).await?;
        }
        write.commit().await?;
        Ok(all.iter().map(|_| Some(())).collect())
    }

    async fn alone(self, database: &Database) -> Result<(), StoreError> {
        let mut write = database.begin().await?;
        let update = sqlx::query("UPDATE payments SET provider_session = $2, url = $3 WHERE id = $1 AND url = ''");
        let update = update.bind(self.id.to_string()).bind(self.opened.session).bind(self.opened.url);
        write.execute(update).await?;
        write.commit().await
    }
}

/// The fan has come back with this; whoever has brought it takes the next step until `look_at`.
pub async fn agreed(
    database: &Database,
    id: PaymentId,
    token: &str,
    look_at: EventTime,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE payments SET token = $2, look_at = $3, updated_at = $4 WHERE id = $1 AND state IN ('open', 'declined')",
    );
    let update = update.bind(id.to_string()).bind(token.to_owned()).bind(millis(look_at)).bind(millis(now));
    write.execute(update).await?;
    write.commit().await
}

/// Something is new at the provider: asked at once.
pub async fn look_now(database: &Database, id: PaymentId, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE payments SET look_at = $2 WHERE id = $1 AND state IN ('open', 'declined')");
    write.execute(update.bind(id.to_string()).bind(millis(now))).await?;
    write.commit().await
}

/// The order has ended, or is paid by another: what is open for it is closed at once. Counts when the transaction does.
pub async fn close_now(write: &mut Write, reference: OrderRef, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE payments SET look_at = $2 WHERE order_reference = $1 AND state = 'open'");
    write.execute(update.bind(reference.to_string()).bind(millis(now))).await.map(|_| ())
}

/// Those to ask about now, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Outstanding>, StoreError> {
    let select = select("WHERE look_at <= $1 AND state IN ('open', 'declined') ORDER BY look_at LIMIT $2");
    let rows = database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?;
    rows.iter().map(of_outstanding).collect()
}

/// Takes the next step for this worker alone, until `lease` has passed; `false` if another was faster.
pub async fn take_up(
    database: &Database,
    due: &Outstanding,
    now: EventTime,
    lease: Millis,
) -> Result<bool, StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE payments SET look_at = $3, looks = looks + 1 WHERE id = $1 AND look_at = $2 AND state IN ('open', 'declined')",
    );
    let update = update.bind(due.payment.id.to_string()).bind(millis(due.look_at)).bind(millis(now + lease));
    let taken = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(taken)
}

/// Asked again from then on; `None`: never. Not if a message has called for it meanwhile.
pub async fn put_off(
    database: &Database,
    id: PaymentId,
    leased: EventTime,
    look_at: Option<EventTime>,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE payments SET look_at = $3 WHERE id = $1 AND look_at = $2");
    let update = update.bind(id.to_string()).bind(millis(leased)).bind(millis_if_any(look_at));
    write.execute(update).await?;
    write.commit().await
}

fn of_outstanding(row: &Row) -> Result<Outstanding, StoreError> {
    let request = row.string("request")?;
    let is_kept = !request.is_empty();
    Ok(Outstanding {
        payment: of_row(row)?,
        request: if is_kept { Some(row.json("request")?) } else { None },
        token: row.string("token")?,
        look_at: row.time_if_any("look_at")?.unwrap_or_default(),
        looks: row.number("looks")?,
    })
}
