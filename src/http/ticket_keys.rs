//! The public keys of ticket codes, so that a door can check them with no network.

use std::sync::Arc;

use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, header::CACHE_CONTROL};
use serde::Serialize;
use utoipa::ToSchema;

use super::{app::App, extract::Json};

/// A JSON Web Key Set (RFC 7517, 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct KeySet {
    pub keys: Vec<PublicKey>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: &'static str,
    /// Of ticket codes the key id byte, in decimal. Where two keys have the same, a code is good if one of them says so.
    kid: String,
    x: String,
}

impl PublicKey {
    pub fn new(kid: String, x: String) -> Self {
        Self { kty: "OKP", crv: "Ed25519", purpose: "sig", alg: "EdDSA", kid, x }
    }
}

/// How long the keys may be kept: half as long as they are published before they sign.
pub const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// The keys that ticket codes are signed with, newest first: all that ever signed, and one that will soon.
#[utoipa::path(get, path = "/ticket-keys", tag = "tickets", responses((status = 200, description = "JWKS.", body = KeySet)))]
pub async fn get(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], Json<KeySet>) {
    let known = app.keys.load();
    let keys =
        known.ticket_keys().map(|key| PublicKey::new(key.id().to_string(), URL_SAFE_NO_PAD.encode(key.public())));
    (CACHED, Json(KeySet { keys: keys.collect() }))
}
