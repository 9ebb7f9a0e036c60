//! Registering and logging in.

use std::sync::Arc;

use axum::extract::State;
use email_address::EmailAddress;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Account, Client, SignedInAs, TokenPair, access_token, start_family, verify};
use crate::{
    domain::{account::Role, claims::Confirmation, id::FanId},
    http::{
        app::App,
        extract::{ClientAddress, Json},
        limits::Left,
        now,
        password::{Checked, Password},
        problem::{Code, Problem},
        proof::session_key,
        tokens::unix_now,
    },
    stores::{database::accounts, error::StoreError},
};

const MAX_EMAIL_BYTES: usize = 254;
const MAX_NAME_CHARS: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub email: String,
    /// 8 to 256 characters.
    #[schema(value_type = String)]
    pub password: Password,
    pub name: String,
    /// Such as `en` or `pt-BR`.
    pub language: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub email: String,
    #[schema(value_type = String)]
    pub password: Password,
}

/// Makes a fan's account and signs it in.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = Registration, responses(
    (status = 201, description = "Made, and signed in.", body = SignedInAs),
    (status = 409, description = "`email_taken`."),
    (status = 422, description = "`invalid_body` or `weak_password`."),
    (status = 429, description = "`rate_limited` or `password_queue_full`."),
))]
pub async fn register(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Json(body): Json<Registration>,
) -> Result<(StatusCode, Left, Json<SignedInAs>), Problem> {
    let left = app.limits.register.check(address)?;
    let key = session_key(&headers)?;
    let email = email(&body.email)?;
    let name = name(&body.name)?;
    let language = language(&body.language)?;
    body.password.check_strength()?;
    if accounts::by_email(&app.database, &email).await?.is_some() {
        return Err(Problem::new(Code::EmailTaken).rate(left));
    }
    let password_hash = app.passwords.hash(body.password).await?;
    let now = now();
    let account = accounts::Account {
        id: FanId::from_uuid(uuid::Uuid::now_v7()),
        email,
        name,
        language,
        password_hash,
        roles: vec![Role::Fan],
        status: accounts::Status::Active,
        session_version: 1,
        created_at: now,
        updated_at: now,
    };
    let client = Client { address, headers: &headers };
    let mut write = app.database.begin().await?;
    match accounts::create(&mut write, &account).await {
        // Registered twice at the same moment.
        Err(StoreError::Conflict(_)) => return Err(Problem::new(Code::EmailTaken).rate(left)),
        created => created?,
    }
    let refresh_token = start_family(&mut write, &app.config, account.id, &client).await?;
    if app.config.verify_mail {
        verify::ask(&mut write, account.id, now).await?;
    }
    write.commit().await?;
    Ok((StatusCode::CREATED, left, Json(signed_in(&app, account, key, refresh_token))))
}

/// Signs in. An unknown address and a wrong password get the same answer after the same work.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = Login, responses(
    (status = 200, description = "Signed in.", body = SignedInAs),
    (status = 401, description = "`wrong_credentials`."),
    (status = 403, description = "`account_disabled`, to whoever knows the password."),
    (status = 429, description = "`rate_limited` or `password_queue_full`."),
))]
pub async fn login(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Json(body): Json<Login>,
) -> Result<(Left, Json<SignedInAs>), Problem> {
    let left = app.limits.login.check(address)?;
    let key = session_key(&headers)?;
    // What cannot be an address is nobody's.
    let email = email(&body.email).map_err(|_| Problem::new(Code::WrongCredentials).rate(left))?;
    let account = verified(&app, &email, body.password).await.map_err(|problem| problem.rate(left))?;
    let client = Client { address, headers: &headers };
    let mut write = app.database.begin().await?;
    let refresh_token = start_family(&mut write, &app.config, account.id, &client).await?;
    write.commit().await?;
    Ok((left, Json(signed_in(&app, account, key, refresh_token))))
}

/// The account of this address and password, after the delay that guessing has earned.
async fn verified(app: &App, email: &str, password: Password) -> Result<accounts::Account, Problem> {
    tokio::time::sleep(app.limits.guessing_delay(email)).await;
    let account = accounts::by_email(&app.database, email).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let checked = app.passwords.check(password, stored).await?;
    let (Some(account), true) = (account, checked != Checked::Wrong) else {
        app.limits.guessed_wrong(email);
        return Err(Code::WrongCredentials.into());
    };
    app.limits.guessed_right(email);
    if account.status != accounts::Status::Active {
        return Err(Code::AccountDisabled.into());
    }
    if let Checked::Rehashed(hash) = checked {
        let mut write = app.database.begin().await?;
        // Changed meanwhile, it stays as it was changed.
        if accounts::replace_hash(&mut write, account.id, &account.password_hash, &hash, now()).await? {
            write.commit().await?;
        }
    }
    Ok(account)
}

fn signed_in(app: &App, account: accounts::Account, key: Option<Confirmation>, refresh_token: String) -> SignedInAs {
    let access_token = access_token(app, &account, key, Some(unix_now()));
    let tokens = TokenPair { access_token, refresh_token, expires_in: app.config.access_ttl };
    SignedInAs { account: Account::from(account), tokens }
}

/// An address as it is stored: lower case, so that one mailbox is one account.
pub fn email(text: &str) -> Result<String, Problem> {
    let email = text.trim().to_lowercase();
    if email.len() <= MAX_EMAIL_BYTES && email.is_ascii() && EmailAddress::is_valid(&email) {
        return Ok(email);
    }
    Err(Problem::new(Code::InvalidBody).detail("email: an e-mail address is expected"))
}

fn name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Problem::new(Code::InvalidBody).detail("name: 1 to 100 characters are expected"))
}

/// A language, and perhaps a region.
fn language(text: &str) -> Result<String, Problem> {
    let (language, region) = text.split_once('-').unwrap_or((text, "XX"));
    let good = (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.len() == 2
        && region.bytes().all(|byte| byte.is_ascii_uppercase());
    if good {
        Ok(text.to_owned())
    } else {
        Err(Problem::new(Code::InvalidBody).detail("language: such as en or pt-BR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_account() {
        assert_eq!(email(" Ann@Example.ORG ").expect("good"), "ann@example.org");
        let long = format!("{}@example.org", "a".repeat(250));
        for wrong in ["", "ann", "@example.org", "a@b@c", "ann@exa mple.org", "ann@example.org\nbcc:x@y.z", &long] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_languages_have_a_form() {
        for (text, good) in [("Ann", true), ("  ", false), ("a\u{0}b", false), (&*"x".repeat(101), false)] {
            assert_eq!(name(text).is_ok(), good, "{text:?}");
        }
        for (text, good) in [("en", true), ("pt-BR", true), ("EN", false), ("e", false), ("en-us", false), ("", false)]
        {
            assert_eq!(language(text).is_ok(), good, "{text:?}");
        }
    }
}
