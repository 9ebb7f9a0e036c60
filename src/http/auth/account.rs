//! What a signed-in account may ask about itself.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Me, access_token};
use crate::{
    domain::{
        account::Role,
        claims::{Kind, SocketClaim},
        id::FanId,
    },
    http::{
        acting::{self, Acting},
        app::App,
        extract::{ClientAddress, Fan, Json, SignedIn},
        limits::Left,
        now,
        password::{Checked, Password},
        problem::{Code, Problem},
        tokens::{lives::SOCKET_S, unix_now},
    },
    stores::database::{account_codes, accounts, audit, sessions},
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

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    #[schema(value_type = String)]
    pub password: Password,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AccessToken {
    pub access_token: String,
    /// Seconds.
    pub expires_in: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SocketTicket {
    pub ticket: String,
    pub expires_in: u64,
}

/// The account of the access token.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "The account.", body = Me),
    (status = 401, description = "`unauthenticated`, `invalid_token` or `token_expired`."),
))]
pub async fn me(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Me>, Problem> {
    let account = accounts::by_id(&app.database, signed_in.account).await?.ok_or(Code::InvalidToken)?;
    let verified = account_codes::is_verified(&app.database, account.id).await?;
    Ok(Json(Me { account: account.into(), verified }))
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
    check_own(&app, id, body.current_password).await?;
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

/// The account, if this is its password.
async fn check_own(app: &App, id: FanId, password: Password) -> Result<accounts::Account, Problem> {
    let account = accounts::by_id(&app.database, id).await?.ok_or(Code::InvalidToken)?;
    // A stolen access token must not be good for guessing the password.
    tokio::time::sleep(app.limits.guessing_delay(&account.email)).await;
    if app.passwords.check(password, Some(account.password_hash.clone())).await? == Checked::Wrong {
        app.limits.guessed_wrong(&account.email);
        return Err(Code::WrongCredentials.into());
    }
    app.limits.guessed_right(&account.email);
    Ok(account)
}

/// The password once more, for an access token with which acts of weight can be done for ten minutes: prices, roles, exports.
#[utoipa::path(post, path = "/auth/step-up", tag = "auth", security(("bearer" = [])), request_body = StepUp,
    responses(
        (status = 200, description = "A new access token; the session stays as it is.", body = AccessToken),
        (status = 401, description = "`wrong_credentials`, or not signed in."),
        (status = 429, description = "`rate_limited` or `password_queue_full`."),
    ))]
pub async fn step_up(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    acting: Acting,
    Json(body): Json<StepUp>,
) -> Result<(Left, Json<AccessToken>), Problem> {
    let left = app.limits.login.check(address)?;
    let id = acting.signed_in.account;
    let account = check_own(&app, id, body.password).await?;
    acting::record(&app, &acting.act(Role::Fan, "account.step_up", id, "")).await?;
    let access_token = access_token(&app, &account, acting.signed_in.key, Some(unix_now()));
    Ok((left, Json(AccessToken { access_token, expires_in: app.config.access_ttl })))
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
    let claim = SocketClaim { org: app.origins.check(&headers)?, end: fan.expires_at, sv: fan.sv, cnf: fan.key };
    let ticket = app.tokens.sign(Kind::Socket, fan.id, SOCKET_S, claim);
    Ok(Json(SocketTicket { ticket, expires_in: SOCKET_S }))
}
