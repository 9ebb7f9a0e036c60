//! What a signed-in account may ask about itself.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Account;
use crate::{
    domain::{
        account::Role,
        claims::{Kind, SocketClaim},
    },
    http::{
        acting::Acting,
        app::App,
        extract::{Fan, Json, SignedIn},
        now,
        password::{Checked, Password},
        problem::{Code, Problem},
        tokens::lives::SOCKET_S,
    },
    stores::database::{accounts, audit, sessions},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(value_type = String)]
    pub current_password: Password,
    /// 8 to 256 characters.
    #[schema(value_type = String)]
    pub new_password: Password,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SocketTicket {
    pub ticket: String,
    pub expires_in: u64,
}

/// The account of the access token.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "The account.", body = Account),
    (status = 401, description = "`unauthenticated`, `invalid_token` or `token_expired`."),
))]
pub async fn me(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Account>, Problem> {
    let account = accounts::by_id(&app.database, signed_in.account).await?.ok_or(Code::InvalidToken)?;
    Ok(Json(account.into()))
}

/// Changes the password and ends every session, this one too.
#[utoipa::path(put, path = "/auth/password", tag = "auth", security(("bearer" = [])), request_body = PasswordChange,
    responses(
        (status = 204, description = "Changed; sign in again."),
        (status = 401, description = "`wrong_credentials`, or not signed in."),
        (status = 422, description = "`weak_password`."),
        (status = 429, description = "`password_queue_full`."),
    ))]
pub async fn change_password(
    State(app): State<Arc<App>>,
    acting: Acting,
    Json(body): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    body.new_password.check_strength()?;
    let id = acting.signed_in.account;
    let account = accounts::by_id(&app.database, id).await?.ok_or(Code::InvalidToken)?;
    // A stolen access token must not be good for guessing the password.
    tokio::time::sleep(app.limits.guessing_delay(&account.email)).await;
    if app.passwords.check(body.current_password, Some(account.password_hash)).await? == Checked::Wrong {
        app.limits.guessed_wrong(&account.email);
        return Err(Code::WrongCredentials.into());
    }
    let hash = app.passwords.hash(body.new_password).await?;
    let now = now();
    let mut write = app.database.begin().await?;
    let ended = accounts::set_password(&mut write, id, &hash, now).await?;
    sessions::revoke_all(&mut write, id, None, now).await?;
    audit::append(&mut write, &acting.act(Role::Fan, "account.password", id, "")).await?;
    write.commit().await?;
    app.sessions.end(ended);
    Ok(StatusCode::NO_CONTENT)
}

/// A ticket that opens one socket, bound to the page's origin if there is one: browsers cannot send an Authorization header
/// with a socket, and no token belongs into a URL.
#[utoipa::path(post, path = "/auth/socket-ticket", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "Use it at once.", body = SocketTicket),
    (status = 403, description = "`origin_not_allowed`."),
))]
pub async fn socket_ticket(
    State(app): State<Arc<App>>,
    fan: Fan,
    headers: HeaderMap,
) -> Result<Json<SocketTicket>, Problem> {
    let claim = SocketClaim { org: app.origins.check(&headers)?, end: fan.expires_at, sv: fan.sv };
    let ticket = app.tokens.sign(Kind::Socket, fan.id, SOCKET_S, claim);
    Ok(Json(SocketTicket { ticket, expires_in: SOCKET_S }))
}
