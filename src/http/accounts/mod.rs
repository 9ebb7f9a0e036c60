//! Accounts and the audit, for admins. Every change leaves a row in the audit, in its own transaction.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    app::App,
    asked::{page, reason, search},
    extract::{Json, Path, Query},
    now,
    problem::{Code, Problem},
    shapes::Timestamp,
};
use crate::{
    domain::{account::Role, id::FanId},
    stores::{
        database::{
            accounts::{self, Status},
            audit::{self, Act},
            sessions,
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

#[derive(Debug, Serialize, ToSchema)]
pub struct AccountPage {
    items: Vec<AccountRow>,
    next_cursor: Option<String>,
}

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

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    items: Vec<AuditRow>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AccountsQuery {
    /// Part of the address or the name.
    #[serde(default)]
    q: String,
    cursor: Option<String>,
    /// 1 to 200.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    cursor: Option<String>,
    /// 1 to 200.
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
    responses((status = 200, description = "A page.", body = AccountPage)))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<AccountPage>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let page = accounts::list(&app.database, search(&query.q)?, cursor.as_ref(), limit).await?;
    Ok(Json(AccountPage {
        items: page.items.into_iter().map(AccountRow::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// One account.
#[utoipa::path(get, path = "/accounts/{account}", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), responses((status = 200, description = "The account.", body = AccountRow)))]
pub async fn get(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
) -> Result<Json<AccountRow>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    Ok(Json(read(&app, id).await?))
}

/// Sets an account's roles. In force on every node within a minute; its access tokens end.
#[utoipa::path(put, path = "/accounts/{account}/roles", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), request_body = RolesChange,
    responses((status = 200, description = "The account.", body = AccountRow)))]
pub async fn set_roles(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
    Json(body): Json<RolesChange>,
) -> Result<Json<AccountRow>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    let reason = reason(&body.reason)?;
    let mut roles = body.roles;
    roles.sort_unstable();
    roles.dedup();
    if id == acting.signed_in.account && !roles.contains(&Role::Admin) {
        // So that an installation cannot lose its last admin by one wrong call.
        return Err(Problem::new(Code::Forbidden).detail("another admin must take away your own admin role"));
    }
    let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let act = acting.act(role, "account.roles", id, &format!("{}: {reason}", names.join(" ")));
    let mut write = app.database.begin().await?;
    known(accounts::set_roles(&mut write, id, &roles, now()).await)?;
    audit::append(&mut write, &act).await?;
    write.commit().await?;
    app.sessions.forget(id);
    Ok(Json(read(&app, id).await?))
}

/// Disables an account and ends its sessions, or lets it in again.
#[utoipa::path(put, path = "/accounts/{account}/status", tag = "accounts", security(("bearer" = [])),
    params(("account" = String, Path)), request_body = StatusChange,
    responses((status = 200, description = "The account.", body = AccountRow)))]
pub async fn set_status(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<FanId>,
    Json(body): Json<StatusChange>,
) -> Result<Json<AccountRow>, Problem> {
    let role = acting.as_one_of(&[Role::Admin])?;
    let reason = reason(&body.reason)?;
    let (status, action) = match body.status {
        NewStatus::Active => (Status::Active, "account.enable"),
        NewStatus::Disabled => (Status::Disabled, "account.disable"),
    };
    if id == acting.signed_in.account {
        return Err(Problem::new(Code::Forbidden).detail("another admin must change your own status"));
    }
    let now = now();
    let mut write = app.database.begin().await?;
    known(accounts::set_status(&mut write, id, status, now).await)?;
    if status == Status::Disabled {
        sessions::revoke_all(&mut write, id, None, now).await?;
    }
    audit::append(&mut write, &acting.act(role, action, id, reason)).await?;
    write.commit().await?;
    app.sessions.forget(id);
    Ok(Json(read(&app, id).await?))
}

/// What was done by whom, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", security(("bearer" = [])), params(PageQuery),
    responses((status = 200, description = "A page.", body = AuditPage)))]
pub async fn audit_list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<PageQuery>,
) -> Result<Json<AuditPage>, Problem> {
    acting.as_one_of(&[Role::Admin])?;
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let page = audit::list(&app.database, cursor.as_ref(), limit).await?;
    Ok(Json(AuditPage {
        items: page.items.into_iter().map(AuditRow::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
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
