//! Operating the nodes: by operators and admins.
//!
//! Owns who may, and the audit row, which is written first: an act that cannot be recorded is not done. What is asked for is
//! noted and then takes its time, so it is answered 202 with how things stand; the next status tells how far it has come.

pub mod body;

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use utoipa::IntoResponses;

use self::body::{ClusterReport, MoveBody};
use super::{
    acting::{self, Acting},
    admin_queue::body::Reason,
    app::App,
    extract::{Json, Path},
    problem::{Code, Problem},
    shapes::Wrong,
};
use crate::{
    domain::{account::Role, id::EventId},
    stores::membership::is_node_name,
};

/// By every act.
#[derive(IntoResponses)]
pub enum Refused {
    #[response(status = 401, description = "unauthenticated, invalid_token or token_expired")]
    Unauthenticated,
    #[response(status = 403, description = "forbidden")]
    Forbidden,
    #[response(status = 404, description = "unknown_node, or not_found: no such event")]
    Unknown,
    #[response(status = 409, description = "no_cluster, or node_not_up")]
    NotHere,
    #[response(status = 422, description = "invalid_body")]
    Body,
    #[response(status = 503, description = "store_unavailable, outcome_unknown or read_only")]
    NotNow,
}

type Accepted = (StatusCode, Json<ClusterReport>);

/// The nodes, and what each of them runs.
#[utoipa::path(get, path = "/cluster", tag = "cluster", security(("bearer" = [])), responses(
    (status = 200, body = ClusterReport),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "forbidden"),
))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<ClusterReport>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    Ok(Json(app.operations.status().await.into()))
}

/// The node gives its events to the others and takes none, until it is undrained.
#[utoipa::path(post, path = "/cluster/nodes/{node}/drain", tag = "cluster", params(("node" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses((status = 202, body = ClusterReport), Refused))]
pub async fn drain(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(node): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Accepted, Problem> {
    let node = record(&app, &acting, "cluster.drain", node, &body.reason).await?;
    app.operations.drain(&node).await?;
    accepted(&app).await
}

/// The node may run events again. Also for one that is down.
#[utoipa::path(post, path = "/cluster/nodes/{node}/undrain", tag = "cluster", params(("node" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses((status = 202, body = ClusterReport), Refused))]
pub async fn undrain(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(node): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Accepted, Problem> {
    let node = record(&app, &acting, "cluster.undrain", node, &body.reason).await?;
    app.operations.undrain(&node).await?;
    accepted(&app).await
}

/// The event runs on this node from now on, or again wherever placement has it.
#[utoipa::path(post, path = "/cluster/events/{event}/move", tag = "cluster", params(("event" = String, Path)),
    request_body = MoveBody, security(("bearer" = [])), responses((status = 202, body = ClusterReport), Refused))]
pub async fn move_event(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Json(body): Json<MoveBody>,
) -> Result<Accepted, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    Wrong::reason(&body.reason)?;
    let to = body.to.map(known_form).transpose()?;
    let reason = format!("to {}: {}", to.as_deref().unwrap_or("any node"), body.reason);
    acting::record(&app, &acting.act(role, "cluster.move", event, &reason)).await?;
    app.operations.move_event(event, to.as_deref()).await?;
    accepted(&app).await
}

/// Allowed and recorded: the node's name.
async fn record(app: &App, acting: &Acting, action: &str, node: String, reason: &str) -> Result<String, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    Wrong::reason(reason)?;
    let node = known_form(node)?;
    acting::record(app, &acting.act(role, action, &node, reason)).await?;
    Ok(node)
}

/// What no node can be called need not be asked for, and is no text for the audit.
fn known_form(node: String) -> Result<String, Problem> {
    if is_node_name(&node) { Ok(node) } else { Err(Code::UnknownNode.into()) }
}

async fn accepted(app: &App) -> Result<Accepted, Problem> {
    Ok((StatusCode::ACCEPTED, Json(app.operations.status().await.into())))
}
