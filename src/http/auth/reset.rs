//! A new password for who has forgotten the old one: a code goes by mail, and comes back with the new password.
//!
//! Nobody learns here whose address is known: the answer to a request is there before anybody looks, and a wrong code, one that is too
//! old and an address that nobody has are one refusal, after the same work.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::email;
use crate::{
    domain::{account::Role, id::FanId, message::Kind},
    http::{
        app::App,
        extract::{ClientAddress, Json, RequestId},
        limits::Left,
        now,
        password::Password,
        problem::{Code, Problem},
    },
    stores::{
        database::{
            account_codes::{self, Purpose},
            accounts::{self, Status},
            audit::{self, Act},
            messages::{self, Details, New},
            sessions,
        },
        error::StoreError,
    },
};

/// A refusal, after the question: later than hashing and looking take.
const ANSWERED_AFTER: Duration = Duration::from_millis(500);
/// Codes an hour for one account; each ends the one of before.
const MOST_AN_HOUR: u32 = 3;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    email: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    email: String,
    /// Eight digits, from the mail.
    #[schema(value_type = String)]
    code: Password,
    /// 8 to 256 characters.
    #[schema(value_type = String)]
    new_password: Password,
}

/// Sends a code to the address, if an account has it. It is good for ten minutes, once.
#[utoipa::path(post, path = "/auth/reset", tag = "auth", request_body = Forgotten, responses(
    (status = 202, description = "Whether anybody has the address is not told."),
    (status = 422, description = "`invalid_body`."),
    (status = 429, description = "`rate_limited`."),
))]
pub async fn forgotten(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<Forgotten>,
) -> Result<(StatusCode, Left, ()), Problem> {
    let left = app.limits.reset.check(address)?;
    let email = email(&body.email)?;
    // Beside: how long it takes tells whether there is such an account.
    let work = app.clone();
    app.tasks.spawn(async move {
        if let Err(error) = send(&work, &email).await {
            tracing::warn!(%error, "a code for a new password was not sent");
        }
    });
    Ok((StatusCode::ACCEPTED, left, ()))
}

async fn send(app: &App, email: &str) -> Result<(), StoreError> {
    let account = accounts::by_email(&app.database, email).await?;
    let Some(account) = account.filter(|account| account.status == Status::Active) else { return Ok(()) };
    let mut write = app.database.begin().await?;
    let Some(code) = account_codes::make(&mut write, account.id, Purpose::Reset, MOST_AN_HOUR, now()).await? else {
        return Ok(());
    };
    let message = New {
        account: account.id,
        kind: Kind::Reset,
        about: code.simple().to_string(),
        event: None,
        details: Details::new(),
    };
    messages::write(&mut write, &[message], now()).await?;
    write.commit().await
}

/// Sets a new password by the code, and ends every session.
#[utoipa::path(post, path = "/auth/reset/confirm", tag = "auth", request_body = Reset, responses(
    (status = 204, description = "Set; sign in."),
    (status = 400, description = "`invalid_code`: wrong, too old, used, or tried five times."),
    (status = 422, description = "`weak_password` or `invalid_body`."),
    (status = 429, description = "`rate_limited` or `password_queue_full`."),
))]
pub async fn reset(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    RequestId(request): RequestId,
    Json(body): Json<Reset>,
) -> Result<(StatusCode, Left, ()), Problem> {
    let left = app.limits.reset.check(address)?;
    let email = email(&body.email)?;
    body.new_password.check_strength()?;
    let answer = Instant::now() + ANSWERED_AFTER;
    let hash = app.passwords.hash(body.new_password).await?;
    let Some(id) = right(&app, &email, &body.code).await? else {
        // Looking for a code costs a write where there is one.
        tokio::time::sleep_until(answer).await;
        return Err(Problem::new(Code::InvalidCode).rate(left));
    };
    let act = Act {
        at: now(),
        account: Some(id),
        role: Role::Fan.to_string(),
        address: address.to_string(),
        action: "account.reset".into(),
        object: id.to_string(),
        reason: String::new(),
        request_id: request.to_string(),
    };
    set(&app, id, &hash, &act).await?;
    app.limits.guessed_right(&email);
    Ok((StatusCode::NO_CONTENT, left, ()))
}

/// Whose code this is; it is used up by that.
async fn right(app: &App, email: &str, code: &Password) -> Result<Option<FanId>, StoreError> {
    let account = accounts::by_email(&app.database, email).await?;
    let account = account.filter(|account| account.status == Status::Active).map_or(NOBODY, |account| account.id);
    let tried = account_codes::try_one(&app.database, account, Purpose::Reset, now()).await?;
    let Some(tried) = tried.filter(|tried| app.letters.notes().codes().is_code(tried.id, code.text())) else {
        return Ok(None);
    };
    let mut write = app.database.begin().await?;
    let used = account_codes::use_up(&mut write, tried.id, Purpose::Reset, now()).await?;
    write.commit().await?;
    Ok(used.map(|used| used.account))
}

async fn set(app: &App, id: FanId, hash: &str, act: &Act) -> Result<(), StoreError> {
    let mut write = app.database.begin().await?;
    let ended = accounts::set_password(&mut write, id, hash, act.at).await?;
    sessions::revoke_all(&mut write, id, None, act.at).await?;
    // Who has read the mail has the mailbox.
    account_codes::verified(&mut write, id, act.at).await?;
    audit::append(&mut write, act).await?;
    write.commit().await?;
    app.sessions.end(ended);
    Ok(())
}

/// Has no code.
const NOBODY: FanId = FanId::from_u128(0);
