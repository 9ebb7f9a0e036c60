//! The captcha that is asked of newcomers, where an operator names who checks it: never, always, or while too many come at once.
//!
//! Speaks the protocol that Turnstile, hCaptcha and reCAPTCHA have in common: a form with `secret`, `response` and `remoteip`; the
//! answer's `success` counts. Owns the time and the number of calls. When nobody answers, nobody gets in.

use std::{net::IpAddr, time::Duration};

use http::HeaderMap;
use moka::sync::Cache;
use reqwest::{Client, Url, header::CONTENT_TYPE, redirect::Policy};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use zeroize::Zeroizing;

use super::{
    app::App,
    challenge::Asking,
    config::{Config, InvalidConfig},
    problem::{Code, Problem},
    websocket::protocols,
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        id::{EventId, FanId},
        queue::Standing,
    },
    stores::secret,
};

/// What the widget on the fan's page has given.
pub const HEADER: &str = "onsale-captcha";
/// The same among a socket's protocols.
const PROTOCOL_PREFIX: &str = "captcha.";
const MAX_RESPONSE: usize = 4_096;
/// Calls under way; more wait for their turn, as long as a call may take.
const AT_ONCE: usize = 64;
/// Who has passed is not asked again for so long, for one event.
const PASSED: Duration = Duration::from_secs(300);
const MOST_PASSED: u64 = 1_000_000;
const MAX_ANSWER: usize = 16 * 1024;

pub struct Captcha {
    asking: Asking,
    /// `None` where nothing is ever asked.
    verifier: Option<Verifier>,
    passed: Cache<(FanId, EventId), ()>,
}

struct Verifier {
    client: Client,
    url: Url,
    secret: Zeroizing<String>,
    patience: Duration,
    turns: Semaphore,
}

#[derive(Deserialize)]
struct Verdict {
    success: bool,
}

#[derive(Debug, thiserror::Error)]
enum Unverified {
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("no verdict in the answer")]
    Unreadable,
}

impl Captcha {
    /// Reads the secret.
    pub fn new(config: &Config) -> Result<Self, InvalidConfig> {
        let asking = config.captcha;
        let verifier = if asking == Asking::Off { None } else { Some(Verifier::new(config)?) };
        let passed = Cache::builder().max_capacity(MOST_PASSED).time_to_live(PASSED).build();
        Ok(Self { asking, verifier, passed })
    }

    pub fn asking(&self) -> Asking {
        self.asking
    }
}

impl Verifier {
    fn new(config: &Config) -> Result<Self, InvalidConfig> {
        let wrong = |key, wrong| InvalidConfig { key, wrong };
        let url = Url::parse(&config.captcha_url).map_err(|_| wrong("captcha_url", "an https URL is expected"))?;
        let is_good = url.scheme() == "https" || (url.scheme() == "http" && config.insecure_demo);
        if !is_good {
            return Err(wrong("captcha_url", "an https URL is expected (http with insecure_demo)"));
        }
        let file = config.captcha_secret_file.as_deref();
        let file = file.ok_or(wrong("captcha_secret_file", "is needed where a captcha is asked"))?;
        let secret = secret::read(file).map_err(|why| wrong("captcha_secret_file", why))?;
        let patience = Duration::from_secs(config.captcha_timeout);
        // A redirect would carry the secret elsewhere.
        let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(patience).build();
        let client = client.map_err(|_| wrong("captcha_url", "no client can be made for it"))?;
        Ok(Self { client, url, secret, patience, turns: Semaphore::new(AT_ONCE) })
    }

    async fn is_passed(&self, response: &str, address: IpAddr) -> Result<bool, Unverified> {
        let asking = async {
            let _turn = self.turns.acquire().await.map_err(|_| Unverified::Late)?;
            self.ask(response, address).await
        };
        timeout(self.patience, asking).await.unwrap_or(Err(Unverified::Late))
    }

    async fn ask(&self, response: &str, address: IpAddr) -> Result<bool, Unverified> {
        let fields = [("secret", self.secret.as_str()), ("response", response), ("remoteip", &address.to_string())];
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut answer = request.body(form(fields)).send().await?;
        if !answer.status().is_success() {
            return Err(Unverified::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(Unverified::Unreadable);
            }
        }
        let verdict: Verdict = serde_json::from_slice(&body).map_err(|_| Unverified::Unreadable)?;
        Ok(verdict.success)
    }
}

/// A URL's query has the form's encoding.
fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = Url::parse("form:").expect("a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// Lets whoever has a place pass, and who has solved one.
pub async fn pass(
    app: &App,
    handles: &EventHandles,
    event: EventId,
    (fan, address): (FanId, IpAddr),
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let Captcha { verifier: Some(verifier), passed, .. } = &app.captcha else { return Ok(()) };
    if passed.contains_key(&(fan, event)) || handles.waiting_room.standing(fan).await? != Standing::NotHere {
        return Ok(());
    }
    let response = brought(headers).ok_or(Code::CaptchaRequired)?;
    let is_passed = response.len() <= MAX_RESPONSE
        && verifier.is_passed(response, address).await.map_err(|error| {
            tracing::warn!(%error, "a captcha is not verified");
            Problem::new(Code::CaptchaUnavailable).retry_after(3)
        })?;
    if !is_passed {
        return Err(Problem::new(Code::CaptchaRequired).detail("the captcha was not solved, or was used before"));
    }
    passed.insert((fan, event), ());
    Ok(())
}

fn brought(headers: &HeaderMap) -> Option<&str> {
    let by_header = headers.get(HEADER).and_then(|value| value.to_str().ok());
    let by_protocol = || protocols(headers).find_map(|offered| offered.strip_prefix(PROTOCOL_PREFIX));
    by_header.or_else(by_protocol).filter(|response| !response.is_empty())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::OpenOptionsExt as _};

    use super::*;

    #[test]
    fn fields_are_encoded_as_a_form_has_them() {
        assert_eq!(form([("secret", "a b&c=d"), ("response", "é+/%")]), "secret=a+b%26c%3Dd&response=%C3%A9%2B%2F%25");
    }

    #[test]
    fn a_verifier_has_a_safe_address_and_a_secret_of_its_own() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = |name: &str, mode: u32, text: &str| {
            let path = folder.path().join(name);
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&path).expect("made");
            std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
            Some(path)
        };
        let good = Config {
            captcha: Asking::On,
            captcha_url: "https://captcha.example.org/siteverify".into(),
            captcha_secret_file: file("good", 0o600, "s3cret\n"),
            ..Config::default()
        };
        let verifier = Captcha::new(&good).expect("good").verifier.expect("there");
        assert_eq!(verifier.secret.as_str(), "s3cret");
        let url = |url: &str| Config { captcha_url: url.into(), ..good.clone() };
        let secret = |captcha_secret_file| Config { captcha_secret_file, ..good.clone() };
        for (key, config) in [
            ("captcha_url", url("")),
            ("captcha_url", url("http://captcha.example.org/")),
            ("captcha_url", Config { insecure_demo: true, ..url("ftp://captcha.example.org/") }),
            ("captcha_secret_file", secret(None)),
            ("captcha_secret_file", secret(Some(folder.path().join("missing")))),
            ("captcha_secret_file", secret(file("empty", 0o600, " \n"))),
            ("captcha_secret_file", secret(file("open", 0o644, "s3cret"))),
        ] {
            assert_eq!(Captcha::new(&config).err().expect(key).key, key);
            assert!(Captcha::new(&Config { captcha: Asking::Off, ..config }).is_ok(), "not needed");
        }
    }
}
