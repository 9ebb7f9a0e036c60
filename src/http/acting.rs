//! Who does an admin or money act, and the audit row that it leaves.

use std::{fmt, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{
    app::App,
    extract::{ClientAddress, Privileged, RequestId, SignedIn},
    now,
    problem::{Code, Problem},
    tokens::unix_now,
};
use crate::{
    domain::{account::Role, claims::Access},
    stores::{
        database::audit::{self, Act},
        error::StoreError,
    },
};

/// Seconds in which a password that was given counts for acts of weight.
const STEP_UP_S: u64 = 10 * 60;

/// A signed-in account with its roles as of now, and where the request came from.
#[derive(Debug, Clone)]
pub struct Acting {
    pub signed_in: SignedIn,
    address: ClientAddress,
    request_id: RequestId,
}

impl FromRequestParts<Arc<App>> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Privileged(signed_in) = Privileged::from_request_parts(parts, app).await?;
        let address = ClientAddress::from_request_parts(parts, app).await?;
        let request_id = RequestId::from_request_parts(parts, app).await?;
        Ok(Self { signed_in, address, request_id })
    }
}

impl Acting {
    /// The first of these roles that the account really has; an admin may do everything.
    pub fn as_one_of(&self, roles: &[Role]) -> Result<Role, Problem> {
        let has = |role: &Role| self.signed_in.access.roles.contains(role);
        roles.iter().chain(&[Role::Admin]).copied().find(has).ok_or_else(|| Code::Forbidden.into())
    }

    /// For acts of weight: refused unless the password was given for this token, not long ago.
    pub fn with_password(&self) -> Result<(), Problem> {
        match self.signed_in.access.auth_time {
            Some(at) if at + STEP_UP_S > unix_now() => Ok(()),
            _ => Err(Problem::new(Code::StepUpNeeded).detail(
                "this needs the password, given within the last ten minutes: POST /api/v1/auth/step-up gives an access token for it",
            )),
        }
    }

    /// The same with its roles as of now; refused once its token has expired or its session has ended.
    pub async fn renewed(&self, app: &App) -> Result<Self, Problem> {
        let SignedIn { account, access, expires_at, key: _ } = &self.signed_in;
        if *expires_at <= unix_now() {
            return Err(Code::TokenExpired.into());
        }
        let roles = app.sessions.roles(&app.database, *account, access.sv).await?;
        let signed_in = SignedIn { access: Access { roles, ..access.clone() }, ..self.signed_in.clone() };
        Ok(Self { signed_in, ..self.clone() })
    }

    /// The row for one act, such as `queue.clear` of an event.
    pub fn act(&self, role: Role, action: &str, object: impl fmt::Display, reason: &str) -> Act {
        Act {
            at: now(),
            account: Some(self.signed_in.account),
            role: role.to_string(),
            address: self.address.0.to_string(),
            action: action.to_owned(),
            object: object.to_string(),
            reason: reason.to_owned(),
            request_id: self.request_id.0.to_string(),
        }
    }
}

/// For an act whose effect is not in the database, or is there already: the row is a transaction of its own.
pub async fn record(app: &App, act: &Act) -> Result<(), StoreError> {
    let mut write = app.database.begin().await?;
    audit::append(&mut write, act).await?;
    write.commit().await
}
