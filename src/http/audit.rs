//! What was done by whom, for admins to read.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    acting::Acting,
    app::App,
    extract::{Json, Query},
    page::{Page, PageQuery},
    problem::Problem,
    refusals::NotAllowed,
    shapes::Timestamp,
};
use crate::{
    domain::{account::Role, id::FanId},
    stores::database::audit::{self, Act},
};

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    #[schema(value_type = String)]
    at: Timestamp,
    /// Absent for the command line and the shop itself.
    #[schema(value_type = Option<String>)]
    account: Option<FanId>,
    role: String,
    address: String,
    action: String,
    object: String,
    reason: String,
    request_id: String,
}

impl From<Act> for AuditRow {
    fn from(act: Act) -> Self {
        let Act { at, account, role, address, action, object, reason, request_id } = act;
        Self { at: at.into(), account, role, address, action, object, reason, request_id }
    }
}

/// What was done by whom, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", security(("bearer" = [])), params(PageQuery),
    responses((status = 200, body = Page<AuditRow>), (status = 400, description = "invalid_query"), NotAllowed))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    let (cursor, limit) = query.checked()?;
    Ok(Json(Page::of(audit::list(&app.database, cursor.as_ref(), limit).await?, AuditRow::from)))
}
