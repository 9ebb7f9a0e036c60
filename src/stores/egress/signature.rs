//! How webhooks are signed: `t=SECONDS,v1=HEX`, one `v1` for each secret that is in force, HMAC-SHA-256 of `t.body` under the secret's
//! text, as the provider's webhooks that come in.
//!
//! Secrets follow from the root secret, the endpoint and a version, and are kept nowhere.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::stores::secret::RootSecret;

pub const HEADER: &str = "onsale-signature";

/// Of this version; one for each root secret that is believed, that of the one that signs first.
pub fn secrets(root: &RootSecret, endpoint: Uuid, version: u32) -> Vec<Zeroizing<String>> {
    let keys = root.keys(&format!("webhook {} {version}", endpoint.simple()));
    keys.iter().map(|key| Zeroizing::new(format!("whsec_{}", URL_SAFE_NO_PAD.encode(key.as_slice())))).collect()
}

pub fn sign(secrets: &[Zeroizing<String>], at_s: u64, body: &[u8]) -> String {
    let message = [format!("{at_s}.").as_bytes(), body].concat();
    secrets.iter().fold(format!("t={at_s}"), |signature, secret| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &message);
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{signature},v1={digits}")
    })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn each_endpoint_and_version_has_a_secret_of_its_own_and_each_secret_signs() {
        let root = RootSecret::parse("mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=").expect("good");
        let of = |endpoint: u128, version| secrets(&root, Uuid::from_u128(endpoint), version)[0].to_string();
        assert!(of(1, 1).starts_with("whsec_") && of(1, 1).len() == 49);
        assert!(of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2));
        // RFC 4231's second case has this key; the message is ours.
        let known = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"Jefe"), b"1800000000.{}");
        let hex: String = known.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let jefe = Zeroizing::new("Jefe".to_owned());
        assert_eq!(sign(slice::from_ref(&jefe), 1_800_000_000, b"{}"), format!("t=1800000000,v1={hex}"));
        assert_eq!(sign(&[jefe.clone(), jefe], 1_800_000_000, b"{}").matches(&hex).count(), 2);
    }
}
