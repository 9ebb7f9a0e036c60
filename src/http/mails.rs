//! The mails that went out or wait, for admins: what became of each, what it says, and sending it again.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    acting::{self, Acting},
    app::App,
    extract::{Json, Path, Query},
    now,
    page::{self, Page},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        account::Role,
        id::{FanId, OrderRef},
    },
    stores::{
        database::{
            audit,
            mails::{self, About, Attempt, Mail, State as StoredState},
        },
        error::StoreError,
    },
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MailRow {
    id: String,
    /// `tickets`, or `message`.
    kind: &'static str,
    /// Of tickets.
    #[schema(value_type = Option<String>)]
    order: Option<OrderRef>,
    /// Of a message.
    message: Option<String>,
    /// Whom it is for. The address is the account's.
    #[schema(value_type = String)]
    account: FanId,
    state: MailState,
    attempts: u32,
    created_at: Timestamp,
    /// Of the next attempt, while it waits.
    next_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
    last_outcome: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    Waiting,
    Sent,
    /// Refused for good, or tried for three days.
    Failed,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MailLog {
    #[serde(flatten)]
    mail: MailRow,
    /// The first 200 attempts.
    log: Vec<AttemptRow>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptRow {
    number: u32,
    at: Timestamp,
    outcome: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MailsQuery {
    state: Option<MailState>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendAgain {
    reason: String,
}

/// Mails, newest first.
#[utoipa::path(get, path = "/mails", tag = "mails", security(("bearer" = [])), params(MailsQuery),
    responses((status = 200, body = Page<MailRow>), (status = 400, description = "invalid_query"), NotAllowed))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<MailsQuery>,
) -> Result<Json<Page<MailRow>>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let state = query.state.map(StoredState::from);
    Ok(Json(Page::of(mails::list(&app.database, state, cursor.as_ref(), limit).await?, MailRow::from)))
}

/// One mail, and what became of each attempt to send it.
#[utoipa::path(get, path = "/mails/{mail}", tag = "mails", security(("bearer" = [])), params(("mail" = String, Path)),
    responses((status = 200, body = MailLog), NotAllowed))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting, Path(id): Path<Uuid>) -> Result<Json<MailLog>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    let mail = known(&app, id).await?.into();
    let log = mails::attempts(&app.database, id).await?.into_iter().map(AttemptRow::from).collect();
    Ok(Json(MailLog { mail, log }))
}

/// The mail as it would go out now, tickets and all; leaves an audit row.
#[utoipa::path(get, path = "/mails/{mail}/message", tag = "mails", security(("bearer" = [])),
    params(("mail" = String, Path)), responses(
    (status = 200, description = "RFC 5322", content_type = "message/rfc822", body = String),
    NotAllowed,
    (status = 409, description = "mail_not_written: the order has no tickets any more, or it has what opens the account"),
    (status = 503, description = "overloaded"),
))]
pub async fn message(State(app): State<Arc<App>>, acting: Acting, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    let mail = known(&app, id).await?;
    if app.letters.is_secret(&mail).await? {
        return Err(
            Problem::new(Code::MailNotWritten).detail("it has what opens the account: only its mailbox sees it")
        );
    }
    acting::record(&app, &acting.act(role, "mail.read", mail.id.simple(), "")).await?;
    let written = app.letters.write(&mail).await?;
    Ok(([(CONTENT_TYPE, "message/rfc822")], written.message).into_response())
}

/// Sends a mail again, also one that was sent: it waits, and is tried for another three days.
#[utoipa::path(post, path = "/mails/{mail}/send", tag = "mails", security(("bearer" = [])),
    params(("mail" = String, Path)), request_body = SendAgain,
    responses((status = 202, body = MailRow), NotAllowed, (status = 422, description = "invalid_body")))]
pub async fn send(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<Uuid>,
    Json(body): Json<SendAgain>,
) -> Result<(StatusCode, Json<MailRow>), Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    Wrong::reason(&body.reason)?;
    let mut write = app.database.begin().await?;
    match mails::send_again(&mut write, id, now()).await {
        Err(StoreError::Conflict(_)) => return Err(Code::NotFound.into()),
        done => done?,
    }
    audit::append(&mut write, &acting.act(role, "mail.send", id.simple(), &body.reason)).await?;
    write.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(known(&app, id).await?.into())))
}

async fn known(app: &App, id: Uuid) -> Result<Mail, Problem> {
    Ok(mails::by_id(&app.database, id).await?.ok_or(Code::NotFound)?)
}

impl From<Mail> for MailRow {
    fn from(mail: Mail) -> Self {
        let (order, message) = match mail.about {
            About::Tickets(reference) => (Some(reference), None),
            About::Message(id) => (None, Some(id.simple().to_string())),
        };
        Self {
            id: mail.id.simple().to_string(),
            kind: mail.about.kind().as_str(),
            order,
            message,
            account: mail.account,
            state: match mail.state {
                StoredState::Waiting => MailState::Waiting,
                StoredState::Sent => MailState::Sent,
                StoredState::Failed => MailState::Failed,
            },
            attempts: mail.attempts,
            created_at: mail.created_at.into(),
            next_at: (mail.state == StoredState::Waiting).then(|| mail.next_at.into()),
            sent_at: mail.sent_at.map(Timestamp::from),
            last_outcome: mail.last_outcome,
        }
    }
}

impl From<MailState> for StoredState {
    fn from(state: MailState) -> Self {
        match state {
            MailState::Waiting => Self::Waiting,
            MailState::Sent => Self::Sent,
            MailState::Failed => Self::Failed,
        }
    }
}

impl From<Attempt> for AttemptRow {
    fn from(Attempt { number, at, outcome }: Attempt) -> Self {
        Self { number, at: at.into(), outcome }
    }
}
