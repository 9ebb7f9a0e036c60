//! Messages of the broker that could not be taken in, for operators: what they say, sending them again, dropping them.

use std::{slice, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    app::App,
    extract::{Json, Path, Query},
    now,
    page::{self, Page},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::account::Role,
    stores::{
        database::{
            audit,
            dead_letters::{self, DeadLetter, State as StoredState},
        },
        error::StoreError,
        order_bus::Topic,
    },
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterRow {
    id: String,
    #[schema(example = "order.payment-success")]
    routing_key: String,
    /// As on the broker.
    message_id: String,
    /// How often it could not be taken in; told twice by the broker it counts twice.
    deaths: u64,
    state: DeadLetterState,
    /// The last time.
    died_at: Timestamp,
    settled_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    Waiting,
    /// Sent again; it waits anew if it dies again.
    Redriven,
    Dropped,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterWhole {
    #[serde(flatten)]
    row: DeadLetterRow,
    /// What is not UTF-8 in it is replaced.
    body: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLettersQuery {
    state: Option<DeadLetterState>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleDeadLetter {
    reason: String,
}

/// Dead letters, the last that died first.
#[utoipa::path(get, path = "/dead-letters", tag = "dead letters", security(("bearer" = [])), params(DeadLettersQuery),
    responses((status = 200, body = Page<DeadLetterRow>), (status = 400, description = "invalid_query"), NotAllowed))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Json<Page<DeadLetterRow>>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let state = query.state.map(StoredState::from);
    let page = dead_letters::list(&app.database, state, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, DeadLetterRow::from)))
}

/// One of them, with its body.
#[utoipa::path(get, path = "/dead-letters/{letter}", tag = "dead letters", security(("bearer" = [])),
    params(("letter" = String, Path)), responses((status = 200, body = DeadLetterWhole), NotAllowed))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterWhole>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    let letter = known(&app, &id).await?;
    let body = String::from_utf8_lossy(&letter.message.body).into_owned();
    Ok(Json(DeadLetterWhole { row: letter.into(), body }))
}

/// Sends it again to the queue that it came from, as a new message. Harmless for what was done already.
#[utoipa::path(post, path = "/dead-letters/{letter}/redrive", tag = "dead letters", security(("bearer" = [])),
    params(("letter" = String, Path)), request_body = SettleDeadLetter, responses(
    (status = 200, body = DeadLetterRow),
    NotAllowed,
    (status = 409, description = "dead_letter_state: it does not wait, or its routing key leads nowhere"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "store_unavailable or outcome_unknown: it may have been sent, and still waits"),
))]
pub async fn redrive(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<String>,
    Json(body): Json<SettleDeadLetter>,
) -> Result<Json<DeadLetterRow>, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    Wrong::reason(&body.reason)?;
    let letter = waiting(&app, &id).await?;
    let topic = Topic::of_key(&letter.message.routing_key)
        .ok_or_else(|| Problem::new(Code::DeadLetterState).detail("its routing key leads to no queue of ours"))?;
    // First the bus: between the two it may die again, and then it waits.
    app.bus.publish(topic, slice::from_ref(&letter.message)).await?;
    settle(&app, &letter, StoredState::Redriven, &acting.act(role, "dead_letter.redrive", &letter.id, &body.reason))
        .await
}

/// Nobody will look at it any more. It stays readable.
#[utoipa::path(post, path = "/dead-letters/{letter}/drop", tag = "dead letters", security(("bearer" = [])),
    params(("letter" = String, Path)), request_body = SettleDeadLetter, responses(
    (status = 200, body = DeadLetterRow),
    NotAllowed,
    (status = 409, description = "dead_letter_state: it does not wait"),
    (status = 422, description = "invalid_body"),
))]
pub async fn drop(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<String>,
    Json(body): Json<SettleDeadLetter>,
) -> Result<Json<DeadLetterRow>, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    Wrong::reason(&body.reason)?;
    let letter = waiting(&app, &id).await?;
    settle(&app, &letter, StoredState::Dropped, &acting.act(role, "dead_letter.drop", &letter.id, &body.reason)).await
}

async fn settle(
    app: &App,
    letter: &DeadLetter,
    to: StoredState,
    act: &audit::Act,
) -> Result<Json<DeadLetterRow>, Problem> {
    let mut write = app.database.begin().await?;
    match dead_letters::settle(&mut write, letter, to, now()).await {
        // Somebody else was first, or it has died again.
        Err(StoreError::Conflict(_)) => return Err(Code::DeadLetterState.into()),
        settled => settled?,
    }
    audit::append(&mut write, act).await?;
    write.commit().await?;
    Ok(Json(known(app, &letter.id).await?.into()))
}

async fn known(app: &App, id: &str) -> Result<DeadLetter, Problem> {
    let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let letter = if is_id { dead_letters::by_id(&app.database, id).await? } else { None };
    letter.ok_or_else(|| Code::NotFound.into())
}

async fn waiting(app: &App, id: &str) -> Result<DeadLetter, Problem> {
    let letter = known(app, id).await?;
    if letter.state != StoredState::Waiting {
        return Err(Code::DeadLetterState.into());
    }
    Ok(letter)
}

impl From<DeadLetter> for DeadLetterRow {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            routing_key: letter.message.routing_key,
            message_id: letter.message.id,
            deaths: letter.deaths,
            state: match letter.state {
                StoredState::Waiting => DeadLetterState::Waiting,
                StoredState::Redriven => DeadLetterState::Redriven,
                StoredState::Dropped => DeadLetterState::Dropped,
            },
            died_at: letter.died_at.into(),
            settled_at: letter.settled_at.map(Timestamp::from),
        }
    }
}

impl From<DeadLetterState> for StoredState {
    fn from(state: DeadLetterState) -> Self {
        match state {
            DeadLetterState::Waiting => Self::Waiting,
            DeadLetterState::Redriven => Self::Redriven,
            DeadLetterState::Dropped => Self::Dropped,
        }
    }
}
