//! Signs and verifies every kind of token (HS256), one key for each kind.
//!
//! Owns the form; what a token says is `domain::claims`, what it allows is decided where it is used.
//!
//! We issue all tokens that we take, so the header of a good one is known to the last byte: anything else (another `alg`,
//! `jku`, `crit`, a `kid` of somebody's own, a field twice) is refused.
//!
//! `kid` names the generation of keys. One that is not known here, of a token with a good signature all the same, was made at
//! another node a moment ago: the store is asked, and what it does not know is refused.

pub mod lives;
mod rings;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

pub use self::lives::Lives;
use self::{
    rings::{Key, Ring, Rings},
    seen::Seen,
};
use super::problem::{Code, Problem};
use crate::{
    domain::{
        claims::{
            Access, AdmissionClaim, ChallengeClaim, Claims, DeviceClaim, Kind, QueueTicketClaim, ResumeClaim,
            SocketClaim,
        },
        id::FanId,
        keys::Generation,
        time::EventTime,
    },
    stores::keys::ring::{KeyRing, NotLooked},
};

/// Longer ones are refused unread; ours have about 400 bytes.
pub const MAX_BYTES: usize = 2_048;
/// Nodes' clocks may differ by so much. None for admission: a slot is given on when the token ends.
const LEEWAY_S: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not a token of this kind")]
    Invalid,
    #[error("expired")]
    Expired,
    /// Signed by one of us, with keys that are not known here.
    #[error("signed with keys of a generation that is not known")]
    Unknown(Generation),
    /// The same, and whether there are such keys could not be asked: so nobody is told to sign in again.
    #[error("keys cannot be looked up now")]
    Unsure,
}

impl Refused {
    /// Whether another look will say the same.
    pub fn is_certain(self) -> bool {
        self != Self::Unsure
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(match refused {
            Refused::Invalid | Refused::Unknown(_) => Code::InvalidToken,
            Refused::Expired => Code::TokenExpired,
            Refused::Unsure => Code::StoreUnavailable,
        })
    }
}

/// All keys of all kinds. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    issuer: String,
    lives: Lives,
    keys: Arc<KeyRing>,
    rings: ArcSwap<Rings>,
}

impl Tokens {
    pub fn new(keys: Arc<KeyRing>, issuer: &str, lives: Lives) -> Self {
        let rings = Rings::new(Arc::clone(&keys.load()), keys.secret(), issuer, lives);
        Self(Arc::new(Inner { issuer: issuer.to_owned(), lives, keys, rings: ArcSwap::from_pointee(rings) }))
    }

    pub fn lives(&self) -> Lives {
        self.0.lives
    }

    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Signs with the generation whose turn it is. `ttl_s` from now on.
    pub fn sign<T: Serialize>(&self, kind: Kind, sub: FanId, ttl_s: u64, about: T) -> String {
        let now = unix_now();
        self.sign_until(kind, sub, now, now + ttl_s, about)
    }

    /// Signs with given times, in seconds since 1970: an admission ends when the journal says so.
    pub fn sign_until<T: Serialize>(&self, kind: Kind, sub: FanId, now: u64, exp: u64, about: T) -> String {
        let claims = Claims {
            iss: self.0.issuer.clone(),
            aud: kind.audience().to_owned(),
            sub,
            jti: new_id(),
            iat: now,
            nbf: now,
            exp,
            about,
        };
        let rings = self.rings();
        let key = rings.of_kind(kind).signing(super::now());
        jsonwebtoken::encode(&key.header, &claims, &key.encoding)
            .expect("claims are plain values and the key is for HMAC")
    }

    pub async fn verify_access(&self, token: &str) -> Result<Arc<Claims<Access>>, Refused> {
        self.verify_again(Kind::Access, token, |rings| &rings.seen_access).await
    }

    pub async fn verify_admission(&self, token: &str) -> Result<Arc<Claims<AdmissionClaim>>, Refused> {
        self.verify_again(Kind::Admission, token, |rings| &rings.seen_admission).await
    }

    pub async fn verify_socket(&self, token: &str) -> Result<Claims<SocketClaim>, Refused> {
        self.verify(Kind::Socket, token).await
    }

    pub async fn verify_queue_ticket(&self, token: &str) -> Result<Claims<QueueTicketClaim>, Refused> {
        self.verify(Kind::QueueTicket, token).await
    }

    pub async fn verify_resume(&self, token: &str) -> Result<Claims<ResumeClaim>, Refused> {
        self.verify(Kind::Resume, token).await
    }

    pub async fn verify_device(&self, token: &str) -> Result<Claims<DeviceClaim>, Refused> {
        self.verify(Kind::Device, token).await
    }

    pub async fn verify_challenge(&self, token: &str) -> Result<Claims<ChallengeClaim>, Refused> {
        self.verify(Kind::Challenge, token).await
    }

    /// Of a kind that is sent again and again.
    async fn verify_again<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        kind: Kind,
        token: &str,
        seen: fn(&Rings) -> &Seen<T>,
    ) -> Result<Arc<Claims<T>>, Refused> {
        if let Some(known) = self.known_to_be_good(kind, token, seen) {
            return known;
        }
        let claims = Arc::new(self.verify(kind, token).await?);
        // If its key has been taken away meanwhile, it is not found good by these.
        seen(&self.rings()).add(token, &claims);
        Ok(claims)
    }

    fn known_to_be_good<T: Send + Sync + 'static>(
        &self,
        kind: Kind,
        token: &str,
        seen: fn(&Rings) -> &Seen<T>,
    ) -> Option<Result<Arc<Claims<T>>, Refused>> {
        let rings = self.rings();
        let claims = seen(&rings).get(token)?;
        let ring = rings.of_kind(kind);
        let key = ring.named_by(token)?;
        Some(check_times(ring, key, &claims).map(|()| claims))
    }

    /// Waits for nothing unless the token's keys are to be looked for.
    async fn verify<T: DeserializeOwned>(&self, kind: Kind, token: &str) -> Result<Claims<T>, Refused> {
        let generation = match self.verify_known(kind, token) {
            Err(Refused::Unknown(generation)) => generation,
            verified => return verified,
        };
        match self.0.keys.look_for(generation).await {
            Ok(_) => self.verify_known(kind, token),
            Err(NotLooked::TooSoon) => Err(Refused::Unsure),
            Err(NotLooked::Store(error)) => {
                tracing::warn!(%error, %generation, "a token's keys cannot be looked up");
                Err(Refused::Unsure)
            }
        }
    }

    /// By what is known.
    fn verify_known<T: DeserializeOwned>(&self, kind: Kind, token: &str) -> Result<Claims<T>, Refused> {
        if token.len() > MAX_BYTES {
            return Err(Refused::Invalid);
        }
        let rings = self.rings();
        let ring = rings.of_kind(kind);
        let Some(key) = ring.named_by(token) else {
            let unknown = rings::unknown(kind, token, &rings.of, self.0.keys.secret());
            let (generation, key) = unknown.ok_or(Refused::Invalid)?;
            check::<T>(ring, &key, token)?;
            return Err(Refused::Unknown(generation));
        };
        check(ring, key, token)
    }

    /// The keys as they are now: made anew when something has changed.
    fn rings(&self) -> arc_swap::Guard<Arc<Rings>> {
        let (keys, rings) = (self.0.keys.load(), self.0.rings.load());
        if Arc::ptr_eq(&rings.of, &keys) {
            return rings;
        }
        let made = Rings::new(Arc::clone(&keys), self.0.keys.secret(), &self.0.issuer, self.0.lives);
        self.0.rings.store(Arc::new(made));
        self.0.rings.load()
    }
}

fn check<T: DeserializeOwned>(ring: &Ring, key: &Key, token: &str) -> Result<Claims<T>, Refused> {
    let claims = match jsonwebtoken::decode::<Claims<T>>(token, &key.decoding, &ring.validation) {
        Ok(data) => data.claims,
        Err(error) => {
            return Err(match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Refused::Expired,
                _ => Refused::Invalid,
            });
        }
    };
    if claims.jti.is_empty() {
        return Err(Refused::Invalid);
    }
    check_times(ring, key, &claims)?;
    Ok(claims)
}

/// The library takes a token in its last second, and does not look at `iat`.
fn check_times<T>(ring: &Ring, key: &Key, claims: &Claims<T>) -> Result<(), Refused> {
    let now_ms = super::now();
    let now = seconds(now_ms);
    if key.is_over(now_ms) || claims.exp.saturating_add(ring.validation.leeway) <= now {
        return Err(Refused::Expired);
    }
    if claims.iat > now + LEEWAY_S || claims.nbf > now + ring.validation.leeway {
        return Err(Refused::Invalid);
    }
    Ok(())
}

/// 128 random bits as text.
pub fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    seconds(super::now())
}

fn seconds(time: EventTime) -> u64 {
    time.0 / 1000
}
