//! The keys of each kind of token, made from the generations that are known.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;

use std::sync::Arc;

use super::{LEEWAY_S, lives::Lives, seen::Seen};
use crate::{
    domain::{
        claims::{Access, AdmissionClaim, Kind},
        keys::{Generation, Listed},
        time::EventTime,
    },
    stores::{keys::ring::Keys, secret::RootSecret},
};

/// Longer headers are not ours: none has 90 characters.
const MAX_HEADER: usize = 128;
/// So far ahead of what is known here another node cannot be.
const MOST_AHEAD: u32 = 1_000;

pub(super) struct Rings {
    /// What they were made from.
    pub of: Arc<Keys>,
    kinds: [Ring; Kind::ALL.len()],
    /// Good by these keys.
    pub seen_access: Seen<Access>,
    pub seen_admission: Seen<AdmissionClaim>,
}

/// One kind's keys, newest generation first; within one, of the secret that signs first.
pub(super) struct Ring {
    pub kind: Kind,
    pub validation: Validation,
    pub keys: Vec<Key>,
}

pub(super) struct Key {
    pub header: Header,
    /// The header as it stands in a token, with the dot after it.
    pub prefix: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    signs_ms: EventTime,
    /// When nothing that it signed can be good any more.
    believed_until_ms: Option<EventTime>,
}

impl Rings {
    pub fn new(of: Arc<Keys>, secret: &RootSecret, issuer: &str, lives: Lives) -> Self {
        let kinds = Kind::ALL.map(|kind| Ring::new(kind, &of, secret, issuer, lives));
        Self { of, kinds, seen_access: Seen::new(), seen_admission: Seen::new() }
    }

    pub fn of_kind(&self, kind: Kind) -> &Ring {
        // Five kinds: a walk is as quick as an index and cannot miss.
        self.kinds.iter().find(|ring| ring.kind == kind).expect("made of Kind::ALL")
    }
}

impl Ring {
    fn new(kind: Kind, of: &Keys, secret: &RootSecret, issuer: &str, lives: Lives) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = if kind == Kind::Admission { 0 } else { LEEWAY_S };
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_audience(&[kind.audience()]);
        validation.set_issuer(&[issuer]);
        let made = of.schedule.iter().rev().flat_map(|listed| {
            let until = of.schedule.believed_until(listed.generation, lives.of(kind));
            Key::all(kind, secret, *listed, until)
        });
        Self { kind, keys: made.collect(), validation }
    }

    /// The one that signs.
    pub fn signing(&self, now: EventTime) -> &Key {
        let signs = self.keys.iter().find(|key| key.signs_ms <= now);
        signs.or(self.keys.first()).expect("there is a generation, and a secret")
    }

    /// The one that the token names.
    pub fn named_by(&self, token: &str) -> Option<&Key> {
        self.keys.iter().find(|key| token.starts_with(&key.prefix))
    }
}

impl Key {
    /// Of each secret that is believed.
    fn all(kind: Kind, secret: &RootSecret, listed: Listed, until: Option<EventTime>) -> Vec<Self> {
        let secrets = secret.keys_of(&purpose(kind), listed.generation);
        secrets.iter().map(|secret| Self::new(kind, &secret[..], listed, until)).collect()
    }

    fn new(kind: Kind, secret: &[u8], listed: Listed, believed_until_ms: Option<EventTime>) -> Self {
        let kid = Some(format!("{}.{}", listed.generation, fingerprint(secret)));
        let header = Header { typ: Some(kind.typ().to_owned()), kid, ..Header::new(Algorithm::HS256) };
        let json = serde_json::to_vec(&header).expect("a header is plain values");
        Self {
            header,
            prefix: URL_SAFE_NO_PAD.encode(json) + ".",
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            signs_ms: listed.signs_ms,
            believed_until_ms,
        }
    }

    pub fn is_over(&self, now: EventTime) -> bool {
        self.believed_until_ms.is_some_and(|until| until < now)
    }
}

pub(super) fn purpose(kind: Kind) -> String {
    format!("token {}", kind.typ())
}

/// Names a key without telling it: 8 bytes of a hash over it.
fn fingerprint(secret: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"onsale key id");
    context.update(secret);
    URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..8).unwrap_or_default())
}

/// As far as it is looked at.
#[derive(Deserialize)]
struct Named {
    kid: String,
}

/// The key that the token names, if it is of a later generation than is known here. Made for this token alone.
pub(super) fn unknown(kind: Kind, token: &str, known: &Keys, secret: &RootSecret) -> Option<(Generation, Key)> {
    let (header, _) = token.split_once('.').filter(|(header, _)| header.len() <= MAX_HEADER)?;
    let named: Named = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let generation = Generation(named.kid.split_once('.')?.0.parse().ok()?);
    let newest = known.schedule.newest().generation;
    if generation <= newest || generation.0 - newest.0 > MOST_AHEAD {
        return None;
    }
    let listed = Listed { generation, made_ms: EventTime(0), signs_ms: EventTime(0) };
    let key = Key::all(kind, secret, listed, None).into_iter().find(|key| token.starts_with(&key.prefix))?;
    Some((generation, key))
}
