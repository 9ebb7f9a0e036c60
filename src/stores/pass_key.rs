//! Signs passes for other sites (Ed25519), which have none of our secrets.
//!
//! Owns the keys and how they are named. What a pass says is not known here.

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::secret::RootSecret;
use crate::domain::keys::Generation;

/// One of each secret that is believed, and generation.
pub struct PassKey {
    id: String,
    /// Its public half, as a JSON Web Key writes it.
    x: String,
    pair: Ed25519KeyPair,
}

impl PassKey {
    /// The first signs.
    pub fn of(secret: &RootSecret, generation: Generation) -> Vec<Self> {
        let seeds = secret.keys_of("pass", generation);
        seeds.iter().map(|seed| Self::new(seed.as_slice())).collect()
    }

    fn new(seed: &[u8]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        // RFC 7638: the members that the key needs, in order, without space.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()));
        Self { id, x, pair }
    }

    /// The thumbprint of the public key (RFC 7638), so that no two have the same.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn x(&self) -> &str {
        &self.x
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_thumbprint_and_another_generation_has_another() {
        // RFC 8037, appendix A: seed, public key and thumbprint.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
        let key = PassKey::new(&seed);
        assert_eq!(key.x(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let secret = RootSecret::parse("mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=").expect("good");
        let [first, second] = [1, 2].map(|number| PassKey::of(&secret, Generation(number)).remove(0));
        assert_ne!(first.id(), second.id());
    }
}
