//! The installation's keys, for operators: which generations there are, what each node goes by, and one more.
//!
//! Any node answers for all: what there is lies in the store.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    acting::{self, Acting},
    app::App,
    extract::Json,
    now,
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        account::Role,
        keys::{self, NotRotated},
        time::Millis,
    },
    stores::keys::{InForce, Stored, ring::RotateError},
};

/// Who may rotate beside admins.
const ROTATORS: [Role; 1] = [Role::Operator];

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyReport {
    /// Oldest first.
    generations: Vec<GenerationRow>,
    /// Those that run, by what they said last.
    nodes: Vec<NodeRow>,
    /// The newest generation signs at every node that runs.
    settled: bool,
    #[schema(value_type = String)]
    server_now: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GenerationRow {
    generation: u32,
    state: StateName,
    #[schema(value_type = String)]
    made_at: Timestamp,
    /// Tokens are signed with it from then on; ticket codes ten minutes later.
    #[schema(value_type = String)]
    signs_at: Timestamp,
    /// When nothing that it signed can be good any more, but for ticket codes; `null` while no later one is there.
    #[schema(value_type = Option<String>)]
    believed_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Believed, and will sign.
    Waiting,
    Signing,
    /// Signs no more.
    Believed,
    /// Only ticket codes are still good.
    Retired,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NodeRow {
    node: String,
    /// The newest generation that it believes.
    believes: u32,
    signs: u32,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    reason: String,
}

/// Which generations of keys there are, and which each node goes by.
#[utoipa::path(get, path = "/keys", tag = "keys", security(("bearer" = [])),
    responses((status = 200, body = KeyReport), NotAllowed, (status = 503, description = "store_unavailable")))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<KeyReport>, Problem> {
    acting.as_one_of(&ROTATORS)?;
    report(&app).await.map(Json)
}

/// Makes a new generation of keys. Every node believes it at once; it signs when `http.keys_overlap` has passed.
#[utoipa::path(post, path = "/keys/rotate", tag = "keys", security(("bearer" = [])), request_body = Rotation, responses(
    (status = 200, description = "begun; read on until it is settled", body = KeyReport),
    NotAllowed,
    (status = 409, description = "rotation_running: one at a time; too_many_keys"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "store_unavailable or outcome_unknown: read before you try again"),
))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    acting: Acting,
    Json(body): Json<Rotation>,
) -> Result<Json<KeyReport>, Problem> {
    let role = acting.as_one_of(&ROTATORS)?;
    Wrong::reason(&body.reason)?;
    // First: what cannot be recorded is not done.
    acting::record(&app, &acting.act(role, "keys.rotate", "keys", &body.reason)).await?;
    app.keys.rotate(Millis::seconds(app.config.keys_overlap), app.tokens.lives().longest()).await?;
    report(&app).await.map(Json)
}

async fn report(app: &App) -> Result<KeyReport, Problem> {
    let Stored { schedule, nodes, .. } = app.keys.status().await?;
    let (now, life) = (now(), app.tokens.lives().longest());
    let newest = schedule.newest().generation;
    let generations = schedule.iter().map(|listed| GenerationRow {
        generation: listed.generation.0,
        state: schedule.state(listed.generation, life, now).into(),
        made_at: listed.made_ms.into(),
        signs_at: listed.signs_ms.into(),
        believed_until: schedule.believed_until(listed.generation, life).map(Timestamp::from),
    });
    let row =
        |(node, InForce { believes, signs }): (String, InForce)| NodeRow { node, believes: believes.0, signs: signs.0 };
    Ok(KeyReport {
        generations: generations.collect(),
        settled: nodes.iter().all(|(_, in_force)| in_force.signs == newest),
        nodes: nodes.into_iter().map(row).collect(),
        server_now: now.into(),
    })
}

impl From<keys::State> for StateName {
    fn from(state: keys::State) -> Self {
        match state {
            keys::State::Waiting => Self::Waiting,
            keys::State::Signing => Self::Signing,
            keys::State::Believed => Self::Believed,
            keys::State::Retired => Self::Retired,
        }
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Store(error) => error.into(),
            RotateError::Refused(refused) => Self::new(match refused {
                NotRotated::Waiting(_) => Code::RotationRunning,
                NotRotated::TooManyBelieved | NotRotated::UsedUp => Code::TooManyKeys,
            })
            .detail(refused.to_string()),
        }
    }
}
