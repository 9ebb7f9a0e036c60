//! Who asks: the account of a valid access token whose session still stands.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderMap, header, request::Parts};

use crate::{
    domain::{
        account::Role,
        claims::{Access, Confirmation},
        id::FanId,
    },
    http::{
        app::App,
        problem::{Code, Problem},
        proof::session_key,
    },
};

/// A signed-in account. Its roles and status are at most `ended_sessions_max_age` old.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub account: FanId,
    pub access: Access,
    /// When the access token ends, in seconds since 1970: a socket ends with it.
    pub expires_at: u64,
    /// To which an admission token is bound that it is given: the session's, or what the request names.
    pub key: Option<Confirmation>,
}

impl SignedIn {
    /// Whether the account has this role; an admin has every one.
    pub fn is(&self, role: Role) -> bool {
        self.access.roles.contains(&role) || self.access.roles.contains(&Role::Admin)
    }
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
        let claims = app.tokens.verify_access(token).await?;
        app.sessions.stands(&app.database, claims.sub, claims.about.sv).await?;
        let access = claims.about.clone();
        let key = if access.cnf.is_some() { access.cnf.clone() } else { session_key(&parts.headers)? };
        Ok(Self { account: claims.sub, access, expires_at: claims.exp, key })
    }
}

/// Nobody signed in is fine; a wrong token is not.
impl OptionalFromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Option<Self>, Problem> {
        if bearer(&parts.headers)?.is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<_>>::from_request_parts(parts, app).await.map(Some)
    }
}

/// A signed-in account whose roles were read from the database for this very call: for everything on the admin listener.
#[derive(Debug, Clone)]
pub struct Privileged(pub SignedIn);

impl FromRequestParts<Arc<App>> for Privileged {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
        let claims = app.tokens.verify_access(token).await?;
        let roles = app.sessions.roles(&app.database, claims.sub, claims.about.sv).await?;
        let access = Access { roles, ..claims.about.clone() };
        let key = access.cnf.clone();
        Ok(Self(SignedIn { account: claims.sub, access, expires_at: claims.exp, key }))
    }
}

/// The bearer token, `None` without an Authorization header.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(Code::InvalidToken));
    }
    let text = value.to_str().map_err(|_| Problem::new(Code::InvalidToken))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::new(Code::Unauthenticated)),
    }
}
