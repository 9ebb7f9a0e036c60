//! Texts of messages in the place of our own: an organizer's for their events, an operator's for the whole shop.
//!
//! Owns what a text may be. One that names what its kind does not have is refused, so that none fails when it goes out.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    acting::Acting,
    app::App,
    extract::{Json, Path},
    now,
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        account::Role,
        id::FanId,
        message::{Kind, LANGUAGES},
    },
    stores::database::{
        audit,
        templates::{self, Template},
    },
};

const MAX_SUBJECT: usize = 150;
const MAX_TEXT: usize = 4_000;
/// Without these the kind's texts say nothing.
const NEEDED: [(Kind, &str); 3] =
    [(Kind::Verification, "{link}"), (Kind::Reset, "{code}"), (Kind::Broadcast, "{text}")];
/// What they say is about the account and not about an event.
const SHOPS_OWN: [Kind; 2] = [Kind::Verification, Kind::Reset];

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TemplateAnswer {
    #[schema(example = "refund_done")]
    kind: &'static str,
    language: String,
    subject: String,
    text: String,
    updated_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateBody {
    /// One line. `{event}` and the like are places; which ones a kind has: `docs/messages.md`.
    #[schema(min_length = 1, max_length = 150)]
    subject: String,
    /// Lines, with an empty one between paragraphs. A greeting stands before it.
    #[schema(min_length = 1, max_length = 4_000)]
    text: String,
}

/// Your texts.
#[utoipa::path(get, path = "/templates", tag = "messages", security(("bearer" = [])), responses(
    (status = 200, body = Vec<TemplateAnswer>), NotAllowed))]
pub async fn list(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<Vec<TemplateAnswer>>, Problem> {
    acting.as_one_of(&[Role::Organizer])?;
    all(&app, Some(acting.signed_in.account)).await
}

/// Sets your text of a kind of message in a language (`en`, `hr` or `ko`), for all your events.
#[utoipa::path(put, path = "/templates/{kind}/{language}", tag = "messages", request_body = TemplateBody,
    params(("kind" = String, Path), ("language" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = TemplateAnswer),
    NotAllowed,
    (status = 422, description = "invalid_body: among others, a place that the kind does not have"),
))]
pub async fn set(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((kind, language)): Path<(String, String)>,
    Json(body): Json<TemplateBody>,
) -> Result<Json<TemplateAnswer>, Problem> {
    let role = acting.as_one_of(&[Role::Organizer])?;
    let (kind, language) = known(&kind, &language)?;
    if SHOPS_OWN.contains(&kind) {
        return Err(Code::NotFound.into());
    }
    put(&app, &acting, role, Some(acting.signed_in.account), (kind, language), body).await
}

/// Takes your text away: the shop's is used again.
#[utoipa::path(delete, path = "/templates/{kind}/{language}", tag = "messages",
    params(("kind" = String, Path), ("language" = String, Path)), security(("bearer" = [])),
    responses((status = 204, description = "there is none any more"), NotAllowed))]
pub async fn remove(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((kind, language)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let role = acting.as_one_of(&[Role::Organizer])?;
    let to = known(&kind, &language)?;
    take_away(&app, &acting, role, Some(acting.signed_in.account), to).await
}

/// The shop's texts in the place of the built-in ones.
#[utoipa::path(get, path = "/templates", tag = "admin", security(("bearer" = [])), responses(
    (status = 200, body = Vec<TemplateAnswer>), NotAllowed))]
pub async fn list_shops(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<Vec<TemplateAnswer>>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    all(&app, None).await
}

/// Sets the shop's text of a kind of message in a language.
#[utoipa::path(put, path = "/templates/{kind}/{language}", tag = "admin", request_body = TemplateBody,
    params(("kind" = String, Path), ("language" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = TemplateAnswer),
    NotAllowed,
    (status = 422, description = "invalid_body: among others, a place that the kind does not have"),
))]
pub async fn set_shops(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((kind, language)): Path<(String, String)>,
    Json(body): Json<TemplateBody>,
) -> Result<Json<TemplateAnswer>, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    let to = known(&kind, &language)?;
    put(&app, &acting, role, None, to, body).await
}

/// Takes the shop's text away: the built-in one is used again.
#[utoipa::path(delete, path = "/templates/{kind}/{language}", tag = "admin",
    params(("kind" = String, Path), ("language" = String, Path)), security(("bearer" = [])),
    responses((status = 204, description = "there is none any more"), NotAllowed))]
pub async fn remove_shops(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((kind, language)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    let to = known(&kind, &language)?;
    take_away(&app, &acting, role, None, to).await
}

fn known<'a>(kind: &str, language: &'a str) -> Result<(Kind, &'a str), Problem> {
    let kind = Kind::by_name(kind).ok_or(Code::NotFound)?;
    if LANGUAGES.contains(&language) { Ok((kind, language)) } else { Err(Code::NotFound.into()) }
}

async fn all(app: &App, organizer: Option<FanId>) -> Result<Json<Vec<TemplateAnswer>>, Problem> {
    let templates = templates::list(&app.database, organizer).await?;
    Ok(Json(templates.into_iter().map(TemplateAnswer::from).collect()))
}

async fn put(
    app: &App,
    acting: &Acting,
    role: Role,
    organizer: Option<FanId>,
    (kind, language): (Kind, &str),
    body: TemplateBody,
) -> Result<Json<TemplateAnswer>, Problem> {
    let mut wrong = Wrong::default();
    wrong.text("subject", &body.subject, 1..=MAX_SUBJECT, false);
    wrong.text("text", &body.text, 1..=MAX_TEXT, true);
    for (field, text) in [("subject", &body.subject), ("text", &body.text)] {
        if let Err(error) = kind.check(text) {
            wrong.add(field, error.to_string());
        }
    }
    if let Some((_, place)) = NEEDED.iter().find(|(of, place)| *of == kind && !body.text.contains(place)) {
        wrong.add("text", format!("{place} must be in it"));
    }
    wrong.or(())?;
    let (language, updated_at) = (language.to_owned(), now());
    let template = Template { organizer, kind, language, subject: body.subject, body: body.text, updated_at };
    let mut write = app.database.begin().await?;
    templates::set(&mut write, &template).await?;
    let object = format!("{} {}", kind.name(), template.language);
    audit::append(&mut write, &acting.act(role, "template.set", object, "")).await?;
    write.commit().await?;
    app.letters.notes().changed();
    Ok(Json(template.into()))
}

async fn take_away(
    app: &App,
    acting: &Acting,
    role: Role,
    organizer: Option<FanId>,
    (kind, language): (Kind, &str),
) -> Result<StatusCode, Problem> {
    let mut write = app.database.begin().await?;
    if templates::remove(&mut write, organizer, kind, language).await? {
        let object = format!("{} {language}", kind.name());
        audit::append(&mut write, &acting.act(role, "template.remove", object, "")).await?;
        write.commit().await?;
        app.letters.notes().changed();
    }
    Ok(StatusCode::NO_CONTENT)
}

impl From<Template> for TemplateAnswer {
    fn from(template: Template) -> Self {
        Self {
            kind: template.kind.name(),
            language: template.language,
            subject: template.subject,
            text: template.body,
            updated_at: template.updated_at.into(),
        }
    }
}
