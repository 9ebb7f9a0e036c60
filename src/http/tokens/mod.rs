//! Signs and verifies every kind of token (HS256), one key for each kind.
//!
//! Owns the form; what a token says is `domain::claims`, what it allows is decided where it is used.
//!
//! We issue all tokens that we take, so the header of a good one is known to the last byte: anything else (another `alg`,
//! `jku`, `crit`, a `kid` of somebody's own, a field twice) is refused before anything is decoded.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Serialize, de::DeserializeOwned};

use super::problem::{Code, Problem};
use crate::{
    domain::{
        claims::{Access, AdmissionClaim, Claims, Kind, QueueTicketClaim, SocketClaim},
        id::FanId,
    },
    stores::secret::RootSecret,
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
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(match refused {
            Refused::Invalid => Code::InvalidToken,
            Refused::Expired => Code::TokenExpired,
        })
    }
}

/// All keys of all kinds. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    issuer: String,
    kinds: [Ring; Kind::ALL.len()],
}

/// One kind's keys, newest first.
struct Ring {
    kind: Kind,
    validation: Validation,
    keys: Vec<Key>,
}

struct Key {
    header: Header,
    /// The header as it stands in a token, with the dot after it.
    prefix: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Tokens {
    pub fn new(secret: &RootSecret, issuer: &str) -> Self {
        let kinds = Kind::ALL.map(|kind| Ring::new(kind, secret, issuer));
        Self(Arc::new(Inner { issuer: issuer.to_owned(), kinds }))
    }

    /// Signs with the newest key. `ttl_s` from now on.
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
        let key = self.ring(kind).keys.first().expect("a root secret has a generation");
        jsonwebtoken::encode(&key.header, &claims, &key.encoding)
            .expect("claims are plain values and the key is for HMAC")
    }

    pub fn verify_access(&self, token: &str) -> Result<Claims<Access>, Refused> {
        self.verify(Kind::Access, token)
    }

    pub fn verify_admission(&self, token: &str) -> Result<Claims<AdmissionClaim>, Refused> {
        self.verify(Kind::Admission, token)
    }

    pub fn verify_socket(&self, token: &str) -> Result<Claims<SocketClaim>, Refused> {
        self.verify(Kind::Socket, token)
    }

    pub fn verify_queue_ticket(&self, token: &str) -> Result<Claims<QueueTicketClaim>, Refused> {
        self.verify(Kind::QueueTicket, token)
    }

    pub fn verify_resume(&self, token: &str) -> Result<Claims<QueueTicketClaim>, Refused> {
        self.verify(Kind::Resume, token)
    }

    fn verify<T: DeserializeOwned>(&self, kind: Kind, token: &str) -> Result<Claims<T>, Refused> {
        if token.len() > MAX_BYTES {
            return Err(Refused::Invalid);
        }
        let ring = self.ring(kind);
        let key = ring.keys.iter().find(|key| token.starts_with(&key.prefix)).ok_or(Refused::Invalid)?;
        let claims = match jsonwebtoken::decode::<Claims<T>>(token, &key.decoding, &ring.validation) {
            Ok(data) => data.claims,
            Err(error) => {
                return Err(match error.kind() {
                    jsonwebtoken::errors::ErrorKind::ExpiredSignature => Refused::Expired,
                    _ => Refused::Invalid,
                });
            }
        };
        // The library takes a token in its last second, and does not look at `iat`.
        let now = unix_now();
        if claims.exp.saturating_add(ring.validation.leeway) <= now {
            return Err(Refused::Expired);
        }
        if claims.iat > now + LEEWAY_S || claims.jti.is_empty() {
            return Err(Refused::Invalid);
        }
        Ok(claims)
    }

    fn ring(&self, kind: Kind) -> &Ring {
        // Five kinds: a walk is as quick as an index and cannot miss.
        self.0.kinds.iter().find(|ring| ring.kind == kind).expect("made of Kind::ALL")
    }
}

impl Ring {
    fn new(kind: Kind, secret: &RootSecret, issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = if kind == Kind::Admission { 0 } else { LEEWAY_S };
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_audience(&[kind.audience()]);
        validation.set_issuer(&[issuer]);
        let keys = secret.keys(&format!("token {}", kind.typ())).iter().map(|key| Key::new(kind, &key[..])).collect();
        Self { kind, validation, keys }
    }
}

impl Key {
    fn new(kind: Kind, secret: &[u8]) -> Self {
        let header =
            Header { typ: Some(kind.typ().to_owned()), kid: Some(key_id(secret)), ..Header::new(Algorithm::HS256) };
        let encoding = EncodingKey::from_secret(secret);
        let json = serde_json::to_vec(&header).expect("a header is plain values");
        let prefix = URL_SAFE_NO_PAD.encode(json) + ".";
        Self { header, prefix, encoding, decoding: DecodingKey::from_secret(secret) }
    }
}

/// Names a key without telling it: 8 bytes of a hash over it.
fn key_id(secret: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"onsale key id");
    context.update(secret);
    URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..8).unwrap_or_default())
}

/// 128 random bits as text.
pub fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    super::now().0 / 1000
}
