//! Passes for Google's wallet: a link that carries the pass, signed by the operator's service account.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    NotPacked,
    config::{Config, InvalidConfig},
};
use crate::stores::secret;

const SAVE: &str = "https://pay.google.com/gp/v/save/";

pub struct Google {
    pub issuer: String,
    pub organization: String,
    account: String,
    key: EncodingKey,
}

/// The part of the file that counts.
#[derive(Deserialize)]
struct Account {
    client_email: String,
    private_key: String,
}

impl Google {
    pub(super) fn open(config: &Config) -> Result<Option<Self>, InvalidConfig> {
        if config.google_issuer.is_empty() {
            return Ok(None);
        }
        let wrong = |why: &str| InvalidConfig::new("google_account_file", why);
        let file = config.google_account_file.as_ref().ok_or_else(|| wrong("is needed with google_issuer"))?;
        let text = secret::read(file).map_err(wrong)?;
        let account: Account =
            serde_json::from_str(&text).map_err(|_| wrong("is not a service account's key (JSON)"))?;
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes()).map_err(|_| wrong("has no RSA key"))?;
        Ok(Some(Self {
            issuer: config.google_issuer.clone(),
            organization: config.organization.clone(),
            account: account.client_email,
            key,
        }))
    }

    /// Where a telephone saves it. `now` in seconds since 1970.
    pub fn link(&self, payload: &Value, now: u64) -> Result<String, NotPacked> {
        let claims =
            json!({"iss": self.account, "aud": "google", "typ": "savetowallet", "iat": now, "payload": payload});
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        Ok(format!("{SAVE}{}", token.map_err(NotPacked::because)?))
    }
}
