//! Texts of messages in the place of our own: an organizer's for their events, or those of the whole shop.

use super::{
    Database, Query, Write,
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{id::FanId, message::Kind, time::EventTime},
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// `None`: of the whole shop.
    pub organizer: Option<FanId>,
    pub kind: Kind,
    pub language: String,
    pub subject: String,
    pub body: String,
    pub updated_at: EventTime,
}

fn select(which: &'static str) -> Query {
    statement(["SELECT organizer_id, kind, language, subject, body, updated_at FROM message_templates ", which])
}

/// The organizer's for this kind and language, else the shop's.
pub async fn find(
    database: &Database,
    organizer: Option<FanId>,
    kind: Kind,
    language: &str,
) -> Result<Option<Template>, StoreError> {
    let select =
        select("WHERE organizer_id IN ($1, '') AND kind = $2 AND language = $3 ORDER BY organizer_id DESC LIMIT 1");
    let select = select.bind(scope(organizer)).bind(kind.name()).bind(language.to_owned());
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

/// By kind and language.
pub async fn list(database: &Database, organizer: Option<FanId>) -> Result<Vec<Template>, StoreError> {
    let select = select("WHERE organizer_id = $1 ORDER BY kind, language");
    database.fetch_all(select.bind(scope(organizer))).await?.iter().map(of_row).collect()
}

pub async fn set(write: &mut Write, template: &Template) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO message_templates (organizer_id, kind, language, subject, body, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (organizer_id, kind, language) DO UPDATE SET subject = excluded.subject, body = excluded.body, \
         updated_at = excluded.updated_at",
    )
    .bind(scope(template.organizer))
    .bind(template.kind.name())
    .bind(template.language.clone())
    .bind(template.subject.clone())
    .bind(template.body.clone())
    .bind(millis(template.updated_at));
    write.execute(insert).await.map(|_| ())
}

/// `false` if there was none.
pub async fn remove(
    write: &mut Write,
    organizer: Option<FanId>,
    kind: Kind,
    language: &str,
) -> Result<bool, StoreError> {
    let delete = sqlx::query("DELETE FROM message_templates WHERE organizer_id = $1 AND kind = $2 AND language = $3");
    let delete = delete.bind(scope(organizer)).bind(kind.name()).bind(language.to_owned());
    Ok(write.execute(delete).await? == 1)
}

/// Ids are longer than the empty text, and so above it.
fn scope(organizer: Option<FanId>) -> String {
    organizer.map(|organizer| organizer.to_string()).unwrap_or_default()
}

fn of_row(row: &Row) -> Result<Template, StoreError> {
    let organizer = row.text("organizer_id")?;
    Ok(Template {
        organizer: if organizer.is_empty() { None } else { Some(row.parsed("organizer_id")?) },
        kind: row.named("kind")?,
        language: row.string("language")?,
        subject: row.string("subject")?,
        body: row.string("body")?,
        updated_at: row.time("updated_at")?,
    })
}
