//! Proof of possession (DPoP, RFC 9449): whoever sends a token that is bound to a key shows that the key is there too.
//!
//! Owns how a client names its key, what a proof must say, and which proofs were used. What is bound is decided where tokens are
//! signed. A proof is known as used at the node that saw it; it is good for a minute.

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use axum::extract::{FromRequestParts, OriginalUri};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Uri, header::HOST, request::Parts};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    app::App,
    config::Config,
    problem::{Code, Problem},
    tokens::{MAX_BYTES, unix_now},
};
use crate::domain::claims::Confirmation;

/// Names the client's key: its thumbprint (RFC 7638, SHA-256).
pub const KEY_HEADER: &str = "onsale-session-key";
/// Carries a proof.
pub const HEADER: &str = "dpop";
const TYP: &str = "dpop+jwt";
/// Seconds in which a proof must arrive,
const LIFE_S: u64 = 60;
/// and by which a client's clock may be ahead.
const AHEAD_S: u64 = 5;
/// A proof is good for no longer than this after it was seen.
const SPAN_S: u64 = LIFE_S + AHEAD_S + 1;
/// Of so many each span is remembered which were used; above, nothing is taken that needs a proof.
const MOST: usize = 500_000;
const MAX_JTI: usize = 128;

/// The key that the client names, if it names one.
pub fn session_key(headers: &HeaderMap) -> Result<Option<Confirmation>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| values.next().is_none() && is_32_bytes(text));
    let jkt = text.ok_or(Code::InvalidSessionKey)?;
    Ok(Some(Confirmation { jkt: jkt.into() }))
}

/// What was asked, as the client wrote it.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    uri: Uri,
}

impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        Ok(Self { method: parts.method.clone(), uri: uri.clone() })
    }
}

pub struct Proofs {
    /// How the outside reaches us; without one, what the request says of itself.
    public_url: Option<Uri>,
    used: Mutex<Used>,
}

/// By hash, of this span and of the one before it.
#[derive(Default)]
struct Used {
    since_s: u64,
    now: HashSet<u128>,
    before: HashSet<u128>,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: Algorithm,
    jwk: Key,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    /// A private key is for nobody else.
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    htm: String,
    htu: String,
    iat: u64,
    jti: String,
    ath: String,
}

impl Proofs {
    pub fn new(config: &Config) -> Self {
        Self { public_url: config.public_url.parse().ok(), used: Mutex::default() }
    }

    /// Refuses a token that is bound to a key, unless there is one good proof for this request and it was not used before.
    pub fn check(&self, bound: &Confirmation, token: &str, asked: &Asked, headers: &HeaderMap) -> Result<(), Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Err(Code::ProofNeeded.into()) };
        if values.next().is_some() {
            return Err(invalid("one proof is expected"));
        }
        let proof = value.to_str().map_err(|_| invalid("it is not a token"))?;
        let (thumbprint, claims) = read(proof)?;
        if thumbprint != *bound.jkt {
            return Err(invalid("the token is bound to another key"));
        }
        if claims.ath != sha256(token.as_bytes()) {
            return Err(invalid("ath: it is for another token"));
        }
        if claims.htm != asked.method.as_str() || !self.is_for(&claims.htu, &asked.uri, headers) {
            return Err(invalid("htm, htu: it is for another request"));
        }
        let now = unix_now();
        if claims.iat > now + AHEAD_S || claims.iat + LIFE_S < now {
            return Err(invalid("iat: it is not from within the last minute"));
        }
        if !(1..=MAX_JTI).contains(&claims.jti.len()) {
            return Err(invalid("jti: 1 to 128 bytes are expected"));
        }
        let id = hash(&[thumbprint.as_bytes(), b".", claims.jti.as_bytes()].concat());
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.is_new(id, now) {
            Some(true) => Ok(()),
            Some(false) => Err(invalid("jti: it was used before")),
            None => Err(Code::Overloaded.into()),
        }
    }

    /// Without query and fragment. Where the configuration does not say how we are reached, the host that the client asked
    /// counts, by either scheme: a proxy may have taken TLS off.
    fn is_for(&self, htu: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        let Ok(htu) = htu.parse::<Uri>() else { return false };
        let (Some(scheme), Some(authority)) = (htu.scheme_str(), authority(&htu)) else { return false };
        match &self.public_url {
            Some(public) => {
                let base = public.path().trim_end_matches('/');
                let is_path = htu.path().strip_prefix(base) == Some(uri.path());
                is_path && public.scheme_str() == Some(scheme) && self::authority(public) == Some(authority)
            }
            None => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                let host = uri.authority().map(|authority| authority.as_str()).or(host);
                let asked = host.and_then(|host| format!("{scheme}://{host}").parse().ok());
                matches!(scheme, "http" | "https")
                    && htu.path() == uri.path()
                    && asked.is_some_and(|asked| self::authority(&asked) == Some(authority))
            }
        }
    }
}

impl Used {
    /// `None`: there is no room for another one.
    fn is_new(&mut self, id: u128, now_s: u64) -> Option<bool> {
        let passed = now_s.saturating_sub(self.since_s);
        if passed >= SPAN_S {
            self.before = mem::take(&mut self.now);
            self.since_s = now_s;
        }
        if passed >= 2 * SPAN_S {
            self.before = HashSet::new();
        }
        if self.before.contains(&id) || self.now.contains(&id) {
            return Some(false);
        }
        (self.now.len() < MOST).then(|| self.now.insert(id))
    }
}

/// Whose key signed it, and what it says.
fn read(proof: &str) -> Result<(String, Claims), Problem> {
    if proof.len() > MAX_BYTES {
        return Err(invalid("it is too long"));
    }
    let header = proof.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).ok().and_then(|json| serde_json::from_slice::<Header>(&json).ok());
    let Header { typ, alg, jwk, crit } =
        header.ok_or_else(|| invalid("typ, alg and jwk are expected in its header"))?;
    if typ != TYP || crit.is_some() {
        return Err(invalid("typ: dpop+jwt is expected, and no crit"));
    }
    let (key, thumbprint) = jwk.read(alg).ok_or_else(|| invalid("jwk: a public key for ES256 or EdDSA is expected"))?;
    let mut validation = Validation::new(alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let data = jsonwebtoken::decode::<Claims>(proof, &key, &validation);
    Ok((thumbprint, data.map_err(|_| invalid("its signature or claims are not good"))?.claims))
}

impl Key {
    fn read(&self, alg: Algorithm) -> Option<(DecodingKey, String)> {
        let Self { kty, crv, x, y, d } = self;
        if d.is_some() || !is_32_bytes(x) {
            return None;
        }
        match (alg, kty.as_str(), crv.as_str(), y) {
            (Algorithm::ES256, "EC", "P-256", Some(y)) if is_32_bytes(y) => {
                let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
                Some((DecodingKey::from_ec_components(x, y).ok()?, sha256(members.as_bytes())))
            }
            (Algorithm::EdDSA, "OKP", "Ed25519", None) => {
                let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
                Some((DecodingKey::from_ed_components(x).ok()?, sha256(members.as_bytes())))
            }
            _ => None,
        }
    }
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(Code::InvalidProof).detail(detail)
}

/// In lower case, and with its port.
fn authority(uri: &Uri) -> Option<(String, u16)> {
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(port)))
}

fn is_32_bytes(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

fn hash(bytes: &[u8]) -> u128 {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().first_chunk().map_or(0, |first| u128::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprints_of_the_standards_come_out() {
        let key = |json: &str| serde_json::from_str::<Key>(json).expect("a key");
        // RFC 8037, appendix A.3, and RFC 9449, section 6.1.
        let ed = key(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#);
        let thumbprint = ed.read(Algorithm::EdDSA).map(|(_, thumbprint)| thumbprint);
        assert_eq!(thumbprint.as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        let ec = r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;
        let thumbprint = key(ec).read(Algorithm::ES256).map(|(_, thumbprint)| thumbprint);
        assert_eq!(thumbprint.as_deref(), Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
        assert!(key(ec).read(Algorithm::EdDSA).is_none());
        assert!(key(&ec.replacen('{', r#"{"d":"secret","#, 1)).read(Algorithm::ES256).is_none(), "a private key");
    }

    #[test]
    fn a_proof_is_for_one_address_however_that_is_written() {
        let asked: Uri = "/api/v1/events/7/holds".parse().expect("a path");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "Tickets.example:443".parse().expect("a value"));
        let config = |public_url: &str| Config { public_url: public_url.into(), ..Config::default() };
        for (public_url, htu, good) in [
            ("", "https://tickets.example/api/v1/events/7/holds", true),
            ("", "https://tickets.example:443/api/v1/events/7/holds?x=1", true),
            ("", "https://other.example/api/v1/events/7/holds", false),
            ("", "https://tickets.example/api/v1/events/8/holds", false),
            ("", "/api/v1/events/7/holds", false),
            ("https://shop.example/t/", "https://shop.example/t/api/v1/events/7/holds", true),
            ("https://shop.example/t/", "http://shop.example/t/api/v1/events/7/holds", false),
            ("https://shop.example/t/", "https://tickets.example/api/v1/events/7/holds", false),
        ] {
            let proofs = Proofs::new(&config(public_url));
            assert_eq!(proofs.is_for(htu, &asked, &headers), good, "{public_url} {htu}");
        }
    }

    #[test]
    fn a_proof_is_known_for_as_long_as_it_would_be_good_and_memory_has_a_bound() {
        let mut used = Used::default();
        assert_eq!(used.is_new(1, 1_000), Some(true));
        assert_eq!(used.is_new(1, 1_000 + SPAN_S - 1), Some(false));
        assert_eq!(used.is_new(2, 1_000 + SPAN_S), Some(true));
        assert_eq!(used.is_new(2, 1_000 + 2 * SPAN_S), Some(false));
        assert_eq!(used.is_new(1, 1_000 + 2 * SPAN_S), Some(true), "too old to be good again");
        used.now = (0..MOST as u128).map(|n| n + 10).collect();
        assert_eq!(used.is_new(5, 1_000 + 2 * SPAN_S), None);
    }
}
