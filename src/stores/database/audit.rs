//! Who did what: each admin and money act leaves a row. Rows are added, never changed.

use uuid::Uuid;

use super::{
    Database, Write,
    page::{self, Cursor, Page},
    row::{Row, millis},
};
use crate::{
    domain::{id::FanId, time::EventTime},
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: EventTime,
    /// `None`: the command line, or the shop itself.
    pub account: Option<FanId>,
    /// As which it was allowed.
    pub role: String,
    pub address: String,
    /// Such as `account.roles`, `queue.clear`, `order.refund`.
    pub action: String,
    pub object: String,
    pub reason: String,
    pub request_id: String,
}

/// Counts when the transaction does.
pub async fn append(write: &mut Write, act: &Act) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO audit (id, at, account_id, role, address, action, object, reason, request_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(millis(act.at))
    .bind(act.account.map(|account| account.to_string()))
    .bind(act.role.clone())
    .bind(act.address.clone())
    .bind(act.action.clone())
    .bind(act.object.clone())
    .bind(act.reason.clone())
    .bind(act.request_id.clone());
    write.execute(insert).await.map(|_| ())
}

/// Newest first.
pub async fn list(database: &Database, cursor: Option<&Cursor>, limit: u32) -> Result<Page<Act>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = sqlx::query(
        "SELECT id, at, account_id, role, address, action, object, reason, request_id FROM audit \
         WHERE (at, id) < ($1, $2) ORDER BY at DESC, id DESC LIMIT $3",
    );
    let rows = database.fetch_all(select.bind(at).bind(id).bind(page::rows_and_one(limit))).await?;
    let acts = rows.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    let page = Page::of(acts, limit, |(id, act)| (act.at, id.clone()));
    Ok(Page { items: page.items.into_iter().map(|(_, act)| act).collect(), next: page.next })
}

fn of_row(row: &Row) -> Result<(String, Act), StoreError> {
    let act = Act {
        at: row.time("at")?,
        account: row.parsed_if_any("account_id")?,
        role: row.string("role")?,
        address: row.string("address")?,
        action: row.string("action")?,
        object: row.string("object")?,
        reason: row.string("reason")?,
        request_id: row.string("request_id")?,
    };
    Ok((row.string("id")?, act))
}
