//! What a fan is told in the app: the list, what was read, what was deleted, and what the fan wants at all.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use futures_util::future::try_join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    app::App,
    extract::{Json, Path, Query, SignedIn},
    now,
    page::{self, Page},
    problem::{Code, Problem},
    refusals::NotYours,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        id::EventId,
        message::{Kind, TABLE},
    },
    stores::database::{
        accounts::{self, Account},
        messages::{self, Message, Wanted},
    },
};

/// Named in one request.
const MOST: usize = 200;

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageAnswer {
    id: String,
    #[schema(example = "refund_done")]
    kind: &'static str,
    #[schema(value_type = Option<String>)]
    event: Option<EventId>,
    /// In the account's language, with what is true now.
    subject: String,
    text: String,
    created_at: Timestamp,
    read_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Counted {
    messages: u64,
    unread: u64,
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    /// Only those that were not read.
    #[serde(default)]
    unread: bool,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

/// Which ones: some, or all. Those that are not there, or another fan's, are passed over.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// 200 at most.
    #[schema(value_type = Option<Vec<String>>)]
    messages: Option<Vec<Uuid>>,
    #[serde(default)]
    all: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Changed {
    changed: u64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Setting {
    mail: bool,
    in_app: bool,
    /// What cannot be changed.
    fixed: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingChange {
    mail: bool,
    in_app: bool,
}

/// Your messages of the last year, newest first.
#[utoipa::path(get, path = "/me/messages", tag = "messages", params(MessagesQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<MessageAnswer>),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
))]
pub async fn list(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<Page<MessageAnswer>>, Problem> {
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let account = accounts::by_id(&app.database, signed_in.account).await?.ok_or(Code::InvalidToken)?;
    let page = messages::list(&app.database, account.id, query.unread, cursor.as_ref(), limit).await?;
    let told = try_join_all(page.items.iter().map(|message| tell(&app, message, &account))).await?;
    let mut told = told.into_iter();
    Ok(Json(Page::of(page, |_| told.next().expect("one for each message"))))
}

/// How many there are, and how many of them unread.
#[utoipa::path(get, path = "/me/messages/count", tag = "messages", security(("bearer" = [])), responses(
    (status = 200, body = Counted),
    (status = 401, description = "unauthenticated"),
))]
pub async fn count(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Counted>, Problem> {
    let (messages, unread) = messages::count(&app.database, signed_in.account).await?;
    Ok(Json(Counted { messages, unread }))
}

/// One message; it is read by that.
#[utoipa::path(get, path = "/me/messages/{message}", tag = "messages", params(("message" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = MessageAnswer), NotYours))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<Uuid>,
) -> Result<Json<MessageAnswer>, Problem> {
    let account = accounts::by_id(&app.database, signed_in.account).await?.ok_or(Code::InvalidToken)?;
    let mut write = app.database.begin().await?;
    messages::mark_read(&mut write, account.id, Some(&[id]), now()).await?;
    write.commit().await?;
    let message = messages::by_id(&app.database, id).await?;
    // Deleted, it is there for its mail only, and was read.
    let message = message.filter(|message| message.account == account.id && message.is_shown).ok_or(Code::NotFound)?;
    Ok(Json(tell(&app, &message, &account).await?))
}

/// Marks some or all as read.
#[utoipa::path(post, path = "/me/messages/read", tag = "messages", request_body = Which, security(("bearer" = [])), responses(
    (status = 200, body = Changed),
    (status = 401, description = "unauthenticated"),
    (status = 422, description = "invalid_body"),
))]
pub async fn mark_read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Json(which): Json<Which>,
) -> Result<Json<Changed>, Problem> {
    let ids = which.checked()?;
    let mut write = app.database.begin().await?;
    let changed = messages::mark_read(&mut write, signed_in.account, ids, now()).await?;
    write.commit().await?;
    Ok(Json(Changed { changed }))
}

/// Deletes some or all.
#[utoipa::path(post, path = "/me/messages/delete", tag = "messages", request_body = Which, security(("bearer" = [])), responses(
    (status = 200, body = Changed),
    (status = 401, description = "unauthenticated"),
    (status = 422, description = "invalid_body"),
))]
pub async fn delete_some(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Json(which): Json<Which>,
) -> Result<Json<Changed>, Problem> {
    let ids = which.checked()?;
    let mut write = app.database.begin().await?;
    let changed = messages::delete(&mut write, signed_in.account, ids, now()).await?;
    write.commit().await?;
    Ok(Json(Changed { changed }))
}

/// Deletes one.
#[utoipa::path(delete, path = "/me/messages/{message}", tag = "messages", params(("message" = String, Path)),
    security(("bearer" = [])), responses((status = 204, description = "deleted"), NotYours))]
pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let mut write = app.database.begin().await?;
    let changed = messages::delete(&mut write, signed_in.account, Some(&[id]), now()).await?;
    write.commit().await?;
    if changed == 1 { Ok(StatusCode::NO_CONTENT) } else { Err(Code::NotFound.into()) }
}

/// On which ways each kind of message comes.
#[utoipa::path(get, path = "/me/message-settings", tag = "messages", security(("bearer" = [])), responses(
    (status = 200, body = BTreeMap<String, Setting>),
    (status = 401, description = "unauthenticated"),
))]
pub async fn settings(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> Result<Json<BTreeMap<&'static str, Setting>>, Problem> {
    let wanted = messages::settings(&app.database, signed_in.account).await?;
    let setting = |row: &'static crate::domain::message::Row| {
        let wanted = wanted.get(&row.kind);
        let fixed = [("mail", row.mail), ("in_app", row.in_app)].into_iter().filter(|(_, way)| way.is_fixed());
        let setting = Setting {
            mail: row.mail.is_on(wanted.map(|wanted| wanted.mail)),
            in_app: row.in_app.is_on(wanted.map(|wanted| wanted.in_app)),
            fixed: fixed.map(|(name, _)| name).collect(),
        };
        (row.name, setting)
    };
    Ok(Json(TABLE.iter().map(setting).collect()))
}

/// Changes it for some kinds, from the next message on.
#[utoipa::path(put, path = "/me/message-settings", tag = "messages", request_body = BTreeMap<String, SettingChange>,
    security(("bearer" = [])), responses(
    (status = 200, body = BTreeMap<String, Setting>),
    (status = 401, description = "unauthenticated"),
    (status = 422, description = "invalid_body: there is no such kind, or it cannot be switched so"),
))]
pub async fn set(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Json(changes): Json<BTreeMap<String, SettingChange>>,
) -> Result<Json<BTreeMap<&'static str, Setting>>, Problem> {
    let mut wrong = Wrong::default();
    let mut wanted = Vec::with_capacity(changes.len());
    for (name, change) in changes {
        let Some(kind) = Kind::by_name(&name) else {
            wrong.add(name, "is no kind of message");
            continue;
        };
        for (way, fixed, on) in [("mail", kind.row().mail, change.mail), ("in_app", kind.row().in_app, change.in_app)] {
            if fixed.is_on(Some(on)) != on {
                wrong.add(format!("{name}.{way}"), "cannot be switched");
            }
        }
        wanted.push((kind, Wanted { mail: change.mail, in_app: change.in_app }));
    }
    wrong.or(())?;
    let mut write = app.database.begin().await?;
    for (kind, wanted) in wanted {
        messages::want(&mut write, signed_in.account, kind, wanted).await?;
    }
    write.commit().await?;
    settings(State(app), signed_in).await
}

impl Which {
    /// `None`: all.
    fn checked(&self) -> Result<Option<&[Uuid]>, Problem> {
        let mut wrong = Wrong::default();
        match (&self.messages, self.all) {
            (None, true) => return Ok(None),
            (Some(ids), false) if (1..=MOST).contains(&ids.len()) => return Ok(Some(ids)),
            _ => wrong.add("messages", format!("1 to {MOST} of them are expected, or `all`")),
        }
        Ok(wrong.or(None)?)
    }
}

async fn tell(app: &App, message: &Message, account: &Account) -> Result<MessageAnswer, Problem> {
    let note = app.letters.notes().of(message, account).await?;
    Ok(MessageAnswer {
        id: message.id.simple().to_string(),
        kind: message.kind.name(),
        event: message.event,
        subject: note.subject,
        text: note.text,
        created_at: message.created_at.into(),
        read_at: message.read_at.map(Timestamp::from),
    })
}
