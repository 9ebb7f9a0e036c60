//! What an account declares about its owner, for which nobody asks a proof.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{
        app::App,
        extract::{Json, SignedIn},
        now,
        problem::{Code, Problem},
    },
    stores::{database::more_time, error::StoreError},
};

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Turns are kept, and admissions last, twice as long.
    pub needs_more_time: bool,
}

/// What the account has declared.
#[utoipa::path(get, path = "/auth/profile", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, body = Profile),
    (status = 401, description = "`unauthenticated`, `invalid_token` or `token_expired`."),
))]
pub async fn profile(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Profile>, Problem> {
    let needs_more_time = more_time::get(&app.database, signed_in.account).await?.ok_or(Code::InvalidToken)?;
    Ok(Json(Profile { needs_more_time }))
}

/// Declares it, from the next turn or admission on; on other nodes within seconds.
#[utoipa::path(put, path = "/auth/profile", tag = "auth", security(("bearer" = [])), request_body = Profile, responses(
    (status = 200, body = Profile),
    (status = 401, description = "`unauthenticated`, `invalid_token` or `token_expired`."),
    (status = 422, description = "`invalid_body`."),
))]
pub async fn set_profile(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Json(profile): Json<Profile>,
) -> Result<Json<Profile>, Problem> {
    match more_time::set(&app.database, signed_in.account, profile.needs_more_time, now()).await {
        Err(StoreError::Conflict(_)) => Err(Code::InvalidToken.into()),
        set => {
            set?;
            Ok(Json(profile))
        }
    }
}
