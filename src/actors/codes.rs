//! What codes and links of accounts say. It follows from the root secret and an id, so that no table has it, and a mail that waits can
//! be written at any time.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::stores::secret::RootSecret;

/// Typed by people: 5 tries of 100 million.
const DIGITS: u64 = 100_000_000;
const ID_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

pub struct Codes {
    /// Of each root secret that is believed, that of the one that signs first.
    keys: Vec<hmac::Key>,
}

impl Codes {
    pub fn new(secret: &RootSecret) -> Self {
        let keys = secret.keys("account code");
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())).collect() }
    }

    /// Eight digits.
    pub fn code(&self, id: Uuid) -> String {
        self.keys.first().map(|key| digits(key, id)).unwrap_or_default()
    }

    pub fn is_code(&self, id: Uuid, code: &str) -> bool {
        self.keys.iter().any(|key| verify_slices_are_equal(digits(key, id).as_bytes(), code.as_bytes()).is_ok())
    }

    /// For a link: the id, and what proves that we made it.
    pub fn token(&self, id: Uuid) -> String {
        let proof = self.keys.first().map(|key| tag(key, b"link", id)).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &proof].concat())
    }

    pub fn of_token(&self, token: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, proof) = bytes.split_first_chunk::<ID_BYTES>()?;
        let id = Uuid::from_bytes(*id);
        let good = self.keys.iter().any(|key| verify_slices_are_equal(&tag(key, b"link", id), proof).is_ok());
        good.then_some(id)
    }
}

fn digits(key: &hmac::Key, id: Uuid) -> String {
    let tag = tag(key, b"code", id);
    let number = tag.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:08}", number % DIGITS)
}

fn tag(key: &hmac::Key, purpose: &[u8], id: Uuid) -> Vec<u8> {
    let tag = hmac::sign(key, &[purpose, id.as_bytes()].concat());
    tag.as_ref().iter().copied().take(TAG_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_links_hold_for_their_id_and_secret_only() {
        let root = |text: &str| Codes::new(&RootSecret::parse(text).expect("good"));
        let codes = root("mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=");
        let other = root("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (code, token) = (codes.code(one), codes.token(one));
        assert_eq!((code.len(), token.len()), (8, 43));
        assert!(code.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(codes.is_code(one, &code) && !codes.is_code(two, &code) && !other.is_code(one, &code));
        assert!(!codes.is_code(one, "") && !codes.is_code(one, &code[..7]));
        assert_eq!((codes.of_token(&token), other.of_token(&token)), (Some(one), None));
        for wrong in ["", "x", &token[..42], &token.replacen('A', "B", 1), &format!("{token}A")] {
            assert_eq!(codes.of_token(wrong), None, "{wrong}");
        }
        let replaced = root(
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nmSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=",
        );
        assert!(replaced.is_code(one, &code) && replaced.of_token(&token) == Some(one));
    }
}
