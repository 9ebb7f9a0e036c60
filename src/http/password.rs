//! Passwords: how they are hashed and checked.
//!
//! bcrypt reads 72 bytes at most and stops at a NUL, so it never sees the password: it sees base64 of
//! HMAC-SHA-384(pepper, password), 64 characters. Stored as `$v2$<pepper id>$<bcrypt>`; the pepper follows from the root
//! secret. One hash costs a core 190 ms at cost 12: a few workers compute, a bounded number wait, more are refused.

use std::{fmt, sync::Arc};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::sync::Semaphore;

use super::{
    config::Config,
    hex::hex,
    problem::{Code, Problem},
};
use crate::stores::secret::RootSecret;

/// In characters, and not too many bytes either.
const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 256;
/// Of a request that waits for a worker: the client is told to come back after about as long as the queue lasts.
const RETRY_AFTER_S: u32 = 5;

/// Never shown or logged.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Password {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// For a comparison in constant time.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As long as a new one must be. Nothing is trimmed or folded.
    pub fn check_strength(&self) -> Result<(), Problem> {
        if (MIN_CHARS..=MAX_CHARS).contains(&self.0.chars().count()) {
            Ok(())
        } else {
            Err(Problem::new(Code::WeakPassword))
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    Wrong,
    Right,
    /// Right, and stored under an old cost or pepper: store this instead.
    Rehashed(String),
}

pub struct Passwords(Arc<Inner>);

struct Inner {
    peppers: Vec<Pepper>,
    cost: u32,
    workers: Semaphore,
    /// Those who compute and those who wait.
    places: Semaphore,
    /// Checked when the account is unknown, so that the answer takes as long.
    dummy: String,
}

struct Pepper {
    id: String,
    key: hmac::Key,
}

impl Pepper {
    fn new(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA384, secret);
        let tag = hmac::sign(&key, b"onsale pepper id");
        let id = hex(tag.as_ref().get(..4).unwrap_or_default());
        Self { id, key }
    }

    /// 64 characters, none of them NUL.
    fn apply(&self, password: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&self.key, password))
    }
}

impl Passwords {
    /// Costs one hash.
    pub fn new(secret: &RootSecret, config: &Config) -> Self {
        let peppers: Vec<_> = secret.all_keys("password pepper").iter().map(|key| Pepper::new(&key[..])).collect();
        let workers = config.bcrypt_workers.max(1);
        let mut inner = Inner {
            peppers,
            cost: config.bcrypt_cost,
            workers: Semaphore::new(workers),
            places: Semaphore::new(workers + config.bcrypt_queue),
            dummy: String::new(),
        };
        inner.dummy = inner.hash(b"the password of nobody");
        Self(Arc::new(inner))
    }

    /// For storing. `PasswordQueueFull` when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        self.run(move |inner| inner.hash(password.0.as_bytes())).await
    }

    /// `stored` is `None` for an unknown account, which takes as long and is `Wrong`.
    pub async fn check(&self, password: Password, stored: Option<String>) -> Result<Checked, Problem> {
        self.run(move |inner| inner.check(password.0.as_bytes(), stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Result<T, Problem> {
        let full = || Problem::new(Code::PasswordQueueFull).retry_after(RETRY_AFTER_S);
        let _place = self.0.places.try_acquire().map_err(|_| full())?;
        let _worker = self.0.workers.acquire().await.map_err(|_| full())?;
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|error| {
            tracing::error!(%error, "password worker failed");
            Problem::new(Code::Internal)
        })
    }
}

impl Inner {
    fn hash(&self, password: &[u8]) -> String {
        let pepper = self.peppers.first().expect("a root secret has a generation");
        let hash = bcrypt::hash(pepper.apply(password), self.cost).expect("the cost was checked at start");
        format!("$v2${}{hash}", pepper.id)
    }

    fn check(&self, password: &[u8], stored: Option<&str>) -> Checked {
        let known = stored.and_then(|stored| self.parse(stored));
        let Some((pepper, hash)) = known else {
            if let Some((pepper, hash)) = self.parse(&self.dummy) {
                let _ = bcrypt::verify(pepper.apply(password), hash);
            }
            return Checked::Wrong;
        };
        // An unreadable hash is nobody's password.
        if !bcrypt::verify(pepper.apply(password), hash).unwrap_or(false) {
            return Checked::Wrong;
        }
        let newest = self.peppers.first().is_some_and(|newest| newest.id == pepper.id);
        let same_cost = hash.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() == self.cost);
        if newest && same_cost { Checked::Right } else { Checked::Rehashed(self.hash(password)) }
    }

    /// `$v2$<id>$2b$…` as its pepper and the bcrypt part.
    fn parse<'a>(&self, stored: &'a str) -> Option<(&Pepper, &'a str)> {
        let rest = stored.strip_prefix("$v2$")?;
        let (id, _) = rest.split_once('$')?;
        let pepper = self.peppers.iter().find(|pepper| pepper.id == id)?;
        Some((pepper, rest.get(id.len()..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";
    const FRESH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn passwords(secret: &str, cost: u32) -> Passwords {
        let config = Config { bcrypt_cost: cost, bcrypt_workers: 1, bcrypt_queue: 1, ..Config::default() };
        Passwords::new(&RootSecret::parse(secret).expect("good"), &config)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn s_10_no_byte_of_a_password_is_left_out() {
        let passwords = passwords(SECRET, 4);
        let base = "x".repeat(72);
        let table = [
            (format!("{base}12345678"), format!("{base}87654321")),
            (base.clone(), format!("{base}x")),
            ("aaaaaaaa".to_owned(), "aaaaaaaa\0aaaaaaaa".to_owned()),
            ("a".to_owned(), "a\0a".to_owned()),
            ("\0".to_owned(), String::new()),
            ("pässwörd".to_owned(), "passwort".to_owned()),
            (" spaced ".to_owned(), "spaced".to_owned()),
        ];
        for (right, wrong) in table {
            let stored = passwords.hash(password(&right)).await.expect("hashed");
            let check =
                async |text: &str| passwords.check(password(text), Some(stored.clone())).await.expect("checked");
            assert_eq!(check(&right).await, Checked::Right, "{right:?}");
            assert_eq!(check(&wrong).await, Checked::Wrong, "{wrong:?} for {right:?}");
        }
    }

    #[tokio::test]
    async fn s_10_a_hash_that_cannot_be_read_is_nobodys_password() {
        let passwords = passwords(SECRET, 4);
        for stored in ["", "x", "$v2$", "$v2$00000000$2b$04$", "$2b$04$abc", "$v2$é$é", "pässwörd", "$v2$$$$$"] {
            let checked = passwords.check(password("password"), Some(stored.to_owned())).await.expect("checked");
            assert_eq!(checked, Checked::Wrong, "{stored}");
        }
    }

    #[tokio::test]
    async fn a_changed_cost_or_pepper_makes_a_new_hash_at_the_next_login() {
        let old = passwords(SECRET, 4);
        let stored = old.hash(password("password")).await.expect("hashed");
        let costlier = passwords(SECRET, 5);
        let rotated = passwords(&format!("{FRESH}\n{SECRET}"), 4);
        for now in [costlier, rotated] {
            let checked = now.check(password("password"), Some(stored.clone())).await.expect("checked");
            let Checked::Rehashed(fresh) = checked else { unreachable!("{checked:?}") };
            assert_eq!(now.check(password("password"), Some(fresh)).await.expect("checked"), Checked::Right);
        }
        let without = passwords(FRESH, 4);
        assert_eq!(without.check(password("password"), Some(stored)).await.expect("checked"), Checked::Wrong);
    }

    #[tokio::test]
    async fn s_11_more_than_the_queue_holds_are_refused_at_once() {
        let passwords = passwords(SECRET, 8);
        let jobs = (0..8).map(|_| passwords.hash(password("password")));
        let outcomes = futures_util::future::join_all(jobs).await;
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
        assert!(refused.into_iter().all(|problem| problem.code() == Code::PasswordQueueFull));
    }

    #[tokio::test]
    async fn s_11_an_unknown_account_costs_as_much_as_a_wrong_password() {
        let passwords = passwords(SECRET, 8);
        let stored = passwords.hash(password("password")).await.expect("hashed");
        let time = async |stored: Option<String>| {
            let began = std::time::Instant::now();
            passwords.check(password("wrong password"), stored).await.expect("checked");
            began.elapsed().as_secs_f64()
        };
        // Whatever else runs here only makes a check longer, so the shortest of each is what counts, and more tries bring
        // the two together if they are equal.
        let (mut known, mut unknown) = (f64::MAX, f64::MAX);
        for _ in 0..100 {
            known = known.min(time(Some(stored.clone())).await);
            unknown = unknown.min(time(None).await);
            if (known - unknown).abs() < 0.1 * known {
                return;
            }
        }
        unreachable!("known {known} s, unknown {unknown} s");
    }

    #[test]
    fn s_10_passwords_have_8_to_256_characters() {
        for (text, good) in
            [("1234567", false), ("12345678", true), (&*"é".repeat(256), true), (&*"x".repeat(257), false)]
        {
            assert_eq!(password(text).check_strength().is_ok(), good, "{}", text.len());
        }
        assert_eq!(format!("{:?}", password("hunter22")), "Password(…)");
    }
}
