//! Accounts, for admins. Every change leaves a row in the audit, in its own transaction.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
    domain::{account::Role, id::FanId},
    stores::{
        database::{
            accounts::{self, Status},
            audit, sessions,
        },
        error::StoreError,
    },
};

/// An account as an admin sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountRow {
    #[schema(value_type = String)]
    id: FanId,
    email: String,
    name: String,
    language: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// `active` or `disabled`.
    status: &'static str,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

impl From<accounts::Account> for AccountRow {
    fn from(account: accounts::Account) -> Self {
        let accounts::Account { id, email, name, language, roles, status, created_at, updated_at, .. } = account;
        let status = match status {
            Status::Active => "active",
            Status::Disabled => "disabled",
        };
        let (created_at, updated_at) = (created_at.into(), updated_at.into());
        Self { id, email, name, language, roles, status, created_at, updated_at }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Part of the address or the name.
    q: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolesChange {
    /// All that the account shall have from now on.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    status: NewStatus,
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewStatus {
    Active,
    Disabled,
}

/// Accounts, newest first.
#[utoipa::path(get, path = "/accounts", tag = "accounts", security(("bearer" = [])), params(AccountsQuery),
    responses((status = 200, body = Page<AccountRow>), (status = 400, description = "invalid_query"), NotAllowed))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Page<AccountRow>>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let q = page::search("q", query.q)?.unwrap_or_default();
    acting::record(&app, &acting.act(role, "account.list", &q, "")).await?;
    let page = accounts::list(&app.database, &q, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, AccountRow::from)))
}

/// One account.
#[utoipa::path(get, path = "/accounts/{account}", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), responses((status = 200, body = AccountRow), NotAllowed))]
pub async fn get(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
) -> Result<Json<AccountRow>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    acting::record(&app, &acting.act(role, "account.read", id, "")).await?;
    Ok(Json(read(&app, id).await?))
}

/// Sets an account's roles. In force on every node within a minute; its access tokens end.
#[utoipa::path(put, path = "/accounts/{account}/roles", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), request_body = RolesChange,
    responses((status = 200, body = AccountRow), NotAllowed, (status = 422, description = "invalid_body")))]
pub async fn set_roles(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
    Json(body): Json<RolesChange>,
) -> Result<Json<AccountRow>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    acting.with_password()?;
    Wrong::reason(&body.reason)?;
    let mut roles = body.roles;
    roles.sort_unstable();
    roles.dedup();
    if id == acting.signed_in.account && !roles.contains(&Role::Admin) {
        // So that an installation cannot lose its last admin by one wrong call.
        return Err(Problem::new(Code::Forbidden).detail("another admin must take away your own admin role"));
    }
    let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let act = acting.act(role, "account.roles", id, &format!("{}: {}", names.join(" "), body.reason));
    let mut write = app.database.begin().await?;
    let ended = known(accounts::set_roles(&mut write, id, &roles, now()).await)?;
    audit::append(&mut write, &act).await?;
    write.commit().await?;
    app.sessions.end(ended);
    Ok(Json(read(&app, id).await?))
}

/// Disables an account and ends its sessions, or lets it in again.
#[utoipa::path(put, path = "/accounts/{account}/status", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), request_body = StatusChange,
    responses((status = 200, body = AccountRow), NotAllowed, (status = 422, description = "invalid_body")))]
pub async fn set_status(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
    Json(body): Json<StatusChange>,
) -> Result<Json<AccountRow>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    Wrong::reason(&body.reason)?;
    let (status, action) = match body.status {
        NewStatus::Active => (Status::Active, "account.enable"),
        NewStatus::Disabled => (Status::Disabled, "account.disable"),
    };
    if id == acting.signed_in.account {
        return Err(Problem::new(Code::Forbidden).detail("another admin must change your own status"));
    }
    let now = now();
    let mut write = app.database.begin().await?;
    let ended = known(accounts::set_status(&mut write, id, status, now).await)?;
    if status == Status::Disabled {
        sessions::revoke_all(&mut write, id, None, now).await?;
    }
    audit::append(&mut write, &acting.act(role, action, id, &body.reason)).await?;
    write.commit().await?;
    app.sessions.end(ended);
    Ok(Json(read(&app, id).await?))
}

async fn read(app: &App, id: FanId) -> Result<AccountRow, Problem> {
    let account = accounts::by_id(&app.database, id).await?.ok_or(Code::NotFound)?;
    Ok(account.into())
}

fn known<T>(result: Result<T, StoreError>) -> Result<T, Problem> {
    match result {
        Err(StoreError::Conflict(_)) => Err(Code::NotFound.into()),
        other => Ok(other?),
    }
}
