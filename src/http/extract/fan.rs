//! Who waits: a signed-in account, or a device whose person has not signed in yet.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::signed_in::{SignedIn, bearer};
use crate::{
    domain::{claims::Confirmation, id::FanId},
    http::{
        app::App,
        problem::{Code, Problem},
        proof::session_key,
        tokens::Refused,
    },
};

/// By access token, or by device key.
#[derive(Debug, Clone)]
pub struct Fan {
    pub id: FanId,
    /// When that token ends, in seconds since 1970: a socket ends with it.
    pub expires_at: u64,
    /// Of the account's session; a device has none.
    pub sv: u32,
    /// To which an admission token is bound that it is given.
    pub key: Option<Confirmation>,
}

impl From<SignedIn> for Fan {
    fn from(SignedIn { account, access, expires_at, key }: SignedIn) -> Self {
        Self { id: account, expires_at, sv: access.sv, key }
    }
}

impl FromRequestParts<Arc<App>> for Fan {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
        match app.tokens.verify_device(token).await {
            Ok(claims) => {
                let key = session_key(&parts.headers)?;
                Ok(Self { id: claims.sub, expires_at: claims.exp, sv: 0, key })
            }
            Err(Refused::Invalid) => {
                let signed_in = <SignedIn as FromRequestParts<_>>::from_request_parts(parts, app).await?;
                Ok(signed_in.into())
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

/// Nobody is fine; a wrong token is not.
impl OptionalFromRequestParts<Arc<App>> for Fan {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Option<Self>, Problem> {
        if bearer(&parts.headers)?.is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<_>>::from_request_parts(parts, app).await.map(Some)
    }
}
