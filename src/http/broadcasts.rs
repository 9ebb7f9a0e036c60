//! What an organizer tells all who have tickets for an event, and how far that has come.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    acting::Acting,
    admin_queue::STEERERS,
    app::App,
    events::steered,
    extract::{IdempotencyKey, Json, Path, Query},
    idempotency::{Attempt, Finished, once},
    now,
    page::{Page, PageQuery},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        id::EventId,
        inventory::notice::{MAX_LANGUAGES, is_language},
        message::Kind,
        time::Millis,
    },
    stores::database::{
        audit::{self, Act},
        mailings::{self, Asked, Mailing, Said},
    },
};

/// To one event within a day.
const MOST_A_DAY: u64 = 3;
const MAX_SUBJECT: usize = 150;
const MAX_TEXT: usize = 4_000;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Broadcast {
    /// By language, such as `en` or `pt-BR`, 20 at most. Whose language is not among them gets English, or the first.
    texts: BTreeMap<String, BroadcastText>,
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastText {
    /// One line; the event's title stands before it.
    #[schema(min_length = 1, max_length = 150)]
    subject: String,
    /// Lines, with an empty one between paragraphs.
    #[schema(min_length = 1, max_length = 4_000)]
    text: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MailingReport {
    id: String,
    #[schema(example = "broadcast")]
    kind: &'static str,
    texts: BTreeMap<String, BroadcastText>,
    reason: String,
    asked_at: Timestamp,
    /// Fans who have it.
    told: u64,
    done_at: Option<Timestamp>,
}

/// Tells all who have tickets, in the app and by mail as each wants it; each once.
#[utoipa::path(post, path = "/events/{event}/broadcasts", tag = "admin", request_body = Broadcast,
    params(("event" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 202, body = MailingReport),
    NotAllowed,
    (status = 400, description = "idempotency_key_missing or idempotency_key_invalid"),
    (status = 409, description = "request_running"),
    (status = 422, description = "invalid_body or idempotency_key_reused"),
    (status = 429, description = "too_many_broadcasts: three a day for one event"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    key: IdempotencyKey,
    Json(body): Json<Broadcast>,
) -> Result<Response, Problem> {
    check(&body)?;
    let (_, role) = steered(&app, &acting, event, &STEERERS).await?;
    let languages: Vec<&str> = body.texts.keys().map(String::as_str).collect();
    let act = acting.act(role, "event.broadcast", event, &format!("{}: {}", languages.join(", "), body.reason));
    let route = format!("/events/{event}/broadcasts");
    let work = {
        let (app, body) = (app.clone(), body.clone());
        move |attempt| begin(app, event, body, act, attempt)
    };
    once(&app, acting.signed_in.account, &route, &key, &body, work).await
}

async fn begin(
    app: Arc<App>,
    event: EventId,
    body: Broadcast,
    act: Act,
    attempt: Attempt,
) -> Result<Finished, Problem> {
    let now = now();
    // Two at the same moment may make one too many.
    if mailings::broadcasts_since(&app.database, event, now - Millis::minutes(24 * 60)).await? >= MOST_A_DAY {
        return Err(Code::TooManyBroadcasts.into());
    }
    let said = |text: BroadcastText| Said { subject: text.subject, text: text.text };
    let texts = body.texts.clone().into_iter().map(|(language, text)| (language, said(text))).collect();
    let by = act.account.ok_or(Code::Internal)?;
    let asked = Asked { event, kind: Kind::Broadcast, texts: &texts, reason: &body.reason, by };
    let mut write = app.database.begin().await?;
    let id = mailings::ask(&mut write, &asked, now).await?;
    audit::append(&mut write, &act).await?;
    let report = MailingReport {
        id: id.simple().to_string(),
        kind: Kind::Broadcast.name(),
        texts: body.texts,
        reason: body.reason,
        asked_at: now.into(),
        told: 0,
        done_at: None,
    };
    attempt.finish(write, StatusCode::ACCEPTED, &report).await
}

/// What ticket holders were told, by a broadcast or because the event has changed; newest first.
#[utoipa::path(get, path = "/events/{event}/broadcasts", tag = "admin", params(("event" = String, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = Page<MailingReport>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<MailingReport>>, Problem> {
    steered(&app, &acting, event, &STEERERS).await?;
    let (cursor, limit) = query.checked()?;
    Ok(Json(Page::of(mailings::list(&app.database, event, cursor.as_ref(), limit).await?, MailingReport::from)))
}

/// One of them, and how far it has come.
#[utoipa::path(get, path = "/events/{event}/broadcasts/{broadcast}", tag = "admin",
    params(("event" = String, Path), ("broadcast" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = MailingReport), NotAllowed))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((event, id)): Path<(EventId, Uuid)>,
) -> Result<Json<MailingReport>, Problem> {
    steered(&app, &acting, event, &STEERERS).await?;
    let mailing = mailings::by_id(&app.database, id).await?.filter(|mailing| mailing.event == event);
    Ok(Json(mailing.ok_or(Code::NotFound)?.into()))
}

fn check(body: &Broadcast) -> Result<(), Problem> {
    let mut wrong = Wrong::default();
    wrong.add_reason(&body.reason);
    if !(1..=MAX_LANGUAGES).contains(&body.texts.len()) {
        wrong.add("texts", format!("1 to {MAX_LANGUAGES} languages are expected"));
    }
    for (language, text) in &body.texts {
        if !is_language(language) {
            wrong.add("texts", "a language is such as en or pt-BR");
            continue;
        }
        wrong.text(&format!("texts.{language}.subject"), &text.subject, 1..=MAX_SUBJECT, false);
        wrong.text(&format!("texts.{language}.text"), &text.text, 1..=MAX_TEXT, true);
    }
    Ok(wrong.or(())?)
}

impl From<Mailing> for MailingReport {
    fn from(mailing: Mailing) -> Self {
        let text = |said: Said| BroadcastText { subject: said.subject, text: said.text };
        Self {
            id: mailing.id.simple().to_string(),
            kind: mailing.kind.name(),
            texts: mailing.texts.into_iter().map(|(language, said)| (language, text(said))).collect(),
            reason: mailing.reason,
            asked_at: mailing.asked_at.into(),
            told: mailing.told,
            done_at: mailing.done_at.map(Timestamp::from),
        }
    }
}
