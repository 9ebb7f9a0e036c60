//! Refresh tokens: 256 random bits, stored as a hash, used once. Each has one successor, which follows from it and a key of
//! ours: so that of ten requests at once all that may have an answer get the same one, and none is stored in clear.

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::{digest, hmac};
use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header::USER_AGENT};

use super::{RefreshTokenBody, TokenPair, access_token};
use crate::{
    domain::{account::Role, id::FanId, time::Millis},
    http::{
        acting,
        app::App,
        config::Config,
        extract::{ClientAddress, Json, RequestId},
        hex::hex,
        limits::{Left, Network},
        now,
        problem::{Code, Problem},
        proof::session_key,
    },
    stores::{
        database::{
            Write, accounts,
            audit::Act,
            sessions::{self, NewFamily, Presented, Rotation},
        },
        secret::RootSecret,
    },
};

const BYTES: usize = 32;

/// The key from which successors follow.
pub struct RefreshTokens(hmac::Key);

impl RefreshTokens {
    pub fn new(secret: &RootSecret) -> Self {
        let keys = secret.keys("refresh successor");
        let key = keys.first().expect("a root secret has a generation");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..]))
    }

    fn successor(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, token.as_bytes()))
    }
}

/// Begins a family in the sign-in's own transaction; the answer is its first token.
pub async fn start_family(
    write: &mut Write,
    config: &Config,
    account: FanId,
    client: &Client<'_>,
) -> Result<String, Problem> {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>());
    let now = now();
    let family = NewFamily {
        family: uuid::Uuid::now_v7().simple().to_string(),
        account,
        hash: hash(&token),
        fingerprint: client.fingerprint(),
        expires_at: now + Millis::seconds(config.refresh_idle_ttl),
        family_expires_at: now + Millis::seconds(config.refresh_absolute_ttl),
    };
    sessions::start(write, &family, now).await?;
    Ok(token)
}

/// Exchanges a refresh token for its successor and a new access token.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = RefreshTokenBody, responses(
    (status = 200, description = "New tokens.", body = TokenPair),
    (status = 401, description = "`invalid_token`, `token_expired` or `refresh_reused`."),
    (status = 429, description = "`rate_limited`."),
))]
pub async fn refresh(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    RequestId(request_id): RequestId,
    headers: HeaderMap,
    Json(body): Json<RefreshTokenBody>,
) -> Result<(Left, Json<TokenPair>), Problem> {
    let left = app.limits.refresh.check(address)?;
    let key = session_key(&headers)?;
    let token = presented(&body.refresh_token)?;
    let successor = app.refresh_tokens.successor(token);
    let client = Client { address, headers: &headers };
    let (hash, successor_hash, fingerprint) = (hash(token), hash(&successor), client.fingerprint());
    let asked = Presented {
        hash: &hash,
        successor_hash: &successor_hash,
        fingerprint: &fingerprint,
        idle_ttl: Millis::seconds(app.config.refresh_idle_ttl),
        grace: Millis::seconds(app.config.refresh_grace),
    };
    let account = match sessions::rotate(&app.database, &asked, now()).await? {
        Rotation::Rotated { account, .. } | Rotation::SameSuccessor { account, .. } => account,
        Rotation::Reused { account, family } => {
            let act = Act {
                at: now(),
                account: Some(account),
                role: Role::Fan.to_string(),
                address: address.to_string(),
                action: "session.reuse_detected".to_owned(),
                object: family,
                reason: String::new(),
                request_id: request_id.to_string(),
            };
            acting::record(&app, &act).await?;
            return Err(Code::RefreshReused.into());
        }
        Rotation::Unknown => return Err(Code::InvalidToken.into()),
        Rotation::Expired | Rotation::Revoked => return Err(Code::TokenExpired.into()),
    };
    let account = accounts::by_id(&app.database, account).await?.ok_or(Code::InvalidToken)?;
    if account.status != accounts::Status::Active {
        return Err(Code::AccountDisabled.into());
    }
    let access_token = access_token(&app, &account, key, None);
    let pair = TokenPair { access_token, refresh_token: successor, expires_in: app.config.access_ttl };
    Ok((left, Json(pair)))
}

/// Ends the session of a refresh token. An unknown one is as good as ended.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", request_body = RefreshTokenBody, responses(
    (status = 204, description = "The session has ended; its access tokens too, within a minute."),
    (status = 429, description = "`rate_limited`."),
))]
pub async fn logout(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<RefreshTokenBody>,
) -> Result<(StatusCode, Left, ()), Problem> {
    let left = app.limits.refresh.check(address)?;
    let token = presented(&body.refresh_token)?;
    let mut write = app.database.begin().await?;
    let account = sessions::revoke(&mut write, &hash(token), now()).await?;
    let ended = match account {
        // An access token does not name its session, so all of the account's end; the other sessions refresh theirs.
        Some(account) => Some(accounts::end_access(&mut write, account, now()).await?),
        None => None,
    };
    write.commit().await?;
    if let Some(ended) = ended {
        app.sessions.end(ended);
    }
    Ok((StatusCode::NO_CONTENT, left, ()))
}

/// Who presents a token: the grace of a repeated refresh is for the same client only.
pub struct Client<'a> {
    pub address: IpAddr,
    pub headers: &'a HeaderMap,
}

impl Client<'_> {
    fn fingerprint(&self) -> String {
        let agent = self.headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
        let network = format!("{:?}", Network::from(self.address));
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(network.as_bytes());
        context.update(b"\n");
        context.update(agent);
        hex(context.finish().as_ref())
    }
}

/// Looked at before it is hashed: ours have one length.
fn presented(token: &str) -> Result<&str, Problem> {
    match URL_SAFE_NO_PAD.decode(token) {
        Ok(bytes) if bytes.len() == BYTES => Ok(token),
        _ => Err(Code::InvalidToken.into()),
    }
}

fn hash(token: &str) -> String {
    hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}
