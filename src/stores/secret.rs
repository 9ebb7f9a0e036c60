//! The root secret of an installation, and every key that follows from it.
//!
//! Owns where it is kept and how keys are derived. Does not know what tokens say, nor which generation of keys counts when.
//!
//! One secret per line, base64 or hexadecimal, at least 32 random bytes each. The first signs; the others are still believed,
//! so that a secret is replaced by adding the new one below, then putting it on top, then taking the old one away. A line
//! `retired SECRET` is believed no more: it only checks passwords that were hashed with it, until their owners sign in, and
//! names the public keys of ticket codes that are out.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    hkdf,
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::domain::keys::Generation;

/// Fewer bytes than this are guessed or weak.
pub const MIN_BYTES: usize = 32;
/// More secrets than this are a mistake.
const MOST: usize = 4;
/// Before a secret that is believed no more.
const RETIRED: &str = "retired ";
const FILE_NAME: &str = "root.secret";

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("root secret {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("root secret {0} can be read by others: its mode must be 0600 or 0400")]
    Exposed(PathBuf),
    #[error("root secret: {0}")]
    Weak(&'static str),
    #[error("no randomness from the system")]
    NoRandomness,
}

/// The secret that signs, then those that did before. Wiped when dropped, never shown.
pub struct RootSecret(Vec<Root>);

struct Root {
    bytes: Zeroizing<Vec<u8>>,
    is_retired: bool,
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootSecret({} secrets)", self.0.len())
    }
}

impl RootSecret {
    /// Reads `file`; without one, reads the data directory's, and makes that if it is not there.
    pub fn open(file: Option<&Path>, data_dir: &Path) -> Result<Self, SecretError> {
        if let Some(file) = file {
            return Self::read(file);
        }
        let path = data_dir.join(FILE_NAME);
        match Self::read(&path) {
            Err(SecretError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Self::make(&path),
            read => read,
        }
    }

    fn read(path: &Path) -> Result<Self, SecretError> {
        let io = |source| SecretError::Io { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed(path.to_owned()));
        }
        Self::parse(&Zeroizing::new(fs::read_to_string(path).map_err(io)?))
    }

    fn make(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(vec![0; MIN_BYTES]);
        SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::NoRandomness)?;
        let text = Zeroizing::new(STANDARD.encode(&*bytes) + "\n");
        let write = || -> io::Result<()> {
            // `create_new`: of two processes that make one at the same time, the second reads the first one's.
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
        };
        match write() {
            Ok(()) => Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(source) => Err(SecretError::Io { path: path.to_owned(), source }),
        }
    }

    /// The text of a file of secrets.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let roots =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(root).collect::<Result<Vec<_>, _>>()?;
        match &roots[..] {
            [] => Err(SecretError::Weak("there is none in the file")),
            [first, ..] if first.is_retired => Err(SecretError::Weak("the first one is retired, and so none signs")),
            roots if roots.len() > MOST => Err(SecretError::Weak("four at most")),
            _ => Ok(Self(roots)),
        }
    }

    /// The key for one purpose, of each secret that is believed, the one that signs first.
    pub fn keys(&self, purpose: &str) -> Vec<Zeroizing<[u8; 32]>> {
        self.0.iter().filter(|root| !root.is_retired).map(|root| derive(&root.bytes, purpose)).collect()
    }

    /// The same of one generation.
    pub fn keys_of(&self, purpose: &str, generation: Generation) -> Vec<Zeroizing<[u8; 32]>> {
        self.keys(&of_generation(purpose, generation))
    }

    /// The key for one purpose, of every secret, also of those that are retired.
    pub fn all_keys(&self, purpose: &str) -> Vec<Zeroizing<[u8; 32]>> {
        self.0.iter().map(|root| derive(&root.bytes, purpose)).collect()
    }
}

/// Another secret, in a file of its own that only its owner can read.
pub fn read(file: &Path) -> Result<Zeroizing<String>, &'static str> {
    let unreadable = |_| "cannot be read";
    let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err("can be read by others: its mode must be 0600 or 0400");
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(unreadable)?);
    match text.trim() {
        "" => Err("is empty"),
        secret => Ok(Zeroizing::new(secret.to_owned())),
    }
}

fn of_generation(purpose: &str, generation: Generation) -> String {
    format!("{purpose}, generation {generation}")
}

fn root(line: &str) -> Result<Root, SecretError> {
    let (is_retired, line) = match line.strip_prefix(RETIRED) {
        Some(line) => (true, line.trim_start()),
        None => (false, line),
    };
    let bytes = Zeroizing::new(decode(line).ok_or(SecretError::Weak("neither base64 nor hexadecimal"))?);
    if bytes.len() < MIN_BYTES {
        return Err(SecretError::Weak("at least 32 bytes are needed"));
    }
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    // 32 random bytes hold 30 different ones on average, fewer than 16 about never. Text that was typed is printable.
    if seen.iter().filter(|seen| **seen).count() < 16 {
        return Err(SecretError::Weak("it is not random"));
    }
    if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Err(SecretError::Weak("it is text, not random bytes"));
    }
    Ok(Root { bytes, is_retired })
}

fn decode(line: &str) -> Option<Vec<u8>> {
    let hexadecimal = line.len().is_multiple_of(2) && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal {
        return STANDARD.decode(line).ok();
    }
    line.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn derive(secret: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"onsale.v1")
        .extract(secret)
        .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(key.as_mut_slice()))
        .expect("32 bytes are within what HKDF-SHA256 can give");
    key
}

/// Signs ticket codes (Ed25519). One of each secret and generation; the byte names it within a code, if not for sure: two may
/// have the same.
pub struct TicketKey {
    id: u8,
    pair: Ed25519KeyPair,
}

impl TicketKey {
    /// Of each secret, retired ones too: the first signs, all are published.
    pub fn of(secret: &RootSecret, generation: Generation) -> Vec<Self> {
        secret
            .all_keys(&of_generation("ticket", generation))
            .iter()
            .map(|seed| {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("any 32 bytes are a seed");
                // Of the public key, so that it stays the same when secrets come and go.
                let id = pair.public_key().as_ref().first().copied().unwrap_or_default();
                Self { id, pair }
            })
            .collect()
    }

    pub fn id(&self) -> u8 {
        self.id
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }

    pub fn public(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        bytes
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, self.public()).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";

    #[test]
    fn a_missing_secret_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().expect("dir");
        let first = RootSecret::open(None, dir.path()).expect("made");
        let again = RootSecret::open(None, dir.path()).expect("read");
        assert_eq!(*first.keys("x")[0], *again.keys("x")[0]);
        let mode = fs::metadata(dir.path().join(FILE_NAME)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn s_53_a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("secret");
        fs::write(&path, GOOD).expect("written");
        for (mode, refused) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
            assert_eq!(RootSecret::open(Some(&path), dir.path()).is_err(), refused, "{mode:o}");
        }
    }

    #[test]
    fn s_02_a_short_or_default_like_secret_is_refused() {
        let text = STANDARD.encode("changeme-changeme-changeme-changeme-0123456789");
        let zeros = "00".repeat(32);
        let short = "a1b2c3d4".repeat(4);
        for wrong in ["", "changeme", "not base64 at all!", &text, &zeros, &short] {
            assert!(RootSecret::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(RootSecret::parse(GOOD).is_ok());
        assert!(RootSecret::parse(&[GOOD; 5].join("\n")).is_err());
        assert!(RootSecret::parse(&format!("retired {GOOD}")).is_err());
        assert!(RootSecret::parse(&format!("{GOOD}\nretired changeme")).is_err());
    }

    #[test]
    fn keys_of_two_purposes_or_generations_differ_and_a_replaced_secret_keeps_the_old_ones() {
        let old = RootSecret::parse(GOOD).expect("good");
        let fresh = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let rotated = RootSecret::parse(&format!("{fresh}\n{GOOD}\n")).expect("good");
        assert_ne!(*old.keys("a")[0], *old.keys("b")[0]);
        assert_ne!(*old.keys_of("a", Generation(1))[0], *old.keys_of("a", Generation(2))[0]);
        assert_eq!(*rotated.keys("a")[1], *old.keys("a")[0]);
        let retired = RootSecret::parse(&format!("{fresh}\nretired {GOOD}\n")).expect("good");
        assert_eq!((retired.keys("a").len(), retired.keys_of("a", Generation(1)).len()), (1, 1), "not believed");
        assert_eq!(*retired.all_keys("a")[1], *old.keys("a")[0], "passwords");
        let public = |secret: &RootSecret, at: usize| TicketKey::of(secret, Generation(1))[at].public();
        assert_eq!((public(&rotated, 1), public(&retired, 1)), (public(&old, 0), public(&old, 0)), "tickets");
    }

    #[test]
    fn a_ticket_signature_holds_for_its_message_only() {
        let secret = RootSecret::parse(GOOD).expect("good");
        let keys = TicketKey::of(&secret, Generation::FIRST);
        let signature = keys[0].sign(b"ticket");
        assert!(keys[0].verify(b"ticket", &signature));
        assert!(!keys[0].verify(b"other", &signature));
        assert!(!format!("{secret:?}").contains(GOOD));
    }
}
