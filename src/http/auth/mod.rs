//! Signing in: accounts make themselves, prove who they are, and keep sessions.
//!
//! Owns what the answers say. Passwords are `password`'s, access tokens `tokens`', refresh tokens [`refresh`]'s.

mod account;
mod profile;
mod refresh;
mod reset;
mod sign_in;
pub mod verify;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::{account::*, profile::*, refresh::*, reset::*, sign_in::*};
use super::app::App;
use crate::{
    domain::{
        account::Role,
        claims::{Access, Confirmation, Kind},
        id::FanId,
    },
    stores::database::accounts,
};

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[schema(value_type = String)]
    pub id: FanId,
    pub email: String,
    pub name: String,
    pub language: String,
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
}

/// The same, and whether its address is confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    pub account: Account,
    pub verified: bool,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        let accounts::Account { id, email, name, language, roles, .. } = account;
        Self { id, email, name, language, roles }
    }
}

/// What signing in gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInAs {
    pub account: Account,
    #[serde(flatten)]
    pub tokens: TokenPair,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenPair {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds that the access token lives.
    pub expires_in: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokenBody {
    pub refresh_token: String,
}

/// Where the client names a key, what it gets for this token is bound to that. `auth_time`: when the password was given, if it
/// was for this token.
fn access_token(app: &App, account: &accounts::Account, key: Option<Confirmation>, auth_time: Option<u64>) -> String {
    let access = Access { sv: account.session_version, roles: account.roles.clone(), auth_time, cnf: key };
    app.tokens.sign(Kind::Access, account.id, app.config.access_ttl, access)
}
