//! Payment providers as foreign servers: what of Stripe localstripe does not have, and Toss Payments, written from their
//! published APIs. They know nothing of the shop but what it tells them.

mod localstripe;
pub mod stripe;
pub mod toss;

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
    time::Duration,
};

use axum::{
    Router,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use onsale::{
    domain::time::Millis,
    http::now,
    stores::provider::{
        Over, PaymentProvider, Record,
        config::{Config, StripeConfig, TossConfig},
    },
};
use tokio::net::TcpListener;

/// What goes wrong on the way to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It answers, and does nothing.
    Down,
    /// It does what it is asked to do, and says so too late for anybody.
    LosesAnswers,
}

#[derive(Debug, Default)]
pub struct Faults {
    now: AtomicU8,
    /// Requests that came in.
    pub asked: AtomicU32,
}

/// How long a provider is waited for in these tests; a lost answer takes longer.
pub const TIMEOUT: Duration = Duration::from_millis(1_500);

impl Faults {
    pub fn set(&self, fault: Fault) {
        self.now.store(fault as u8, Ordering::SeqCst);
    }

    /// Around every request.
    async fn around(&self, method: &Method, answer: impl Future<Output = Response>) -> Response {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.now.load(Ordering::SeqCst);
        if now == Fault::Down as u8 {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let answer = answer.await;
        if now == Fault::LosesAnswers as u8 && method == Method::POST {
            tokio::time::sleep(TIMEOUT * 2).await;
        }
        answer
    }
}

/// On a free port; its URL. Ends with the test's runtime.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// One for each session, of all times and pages.
pub async fn records(provider: &dyn PaymentProvider, limit: u32) -> Vec<Record> {
    let over = Over { since: now() - Millis::minutes(60), until: now() + Millis::minutes(60) };
    let mut all: Vec<Record> = Vec::new();
    let mut after = String::new();
    loop {
        let page = provider.records(over, &after, limit).await.expect("records");
        assert!(page.records.len() <= limit as usize, "{page:?}");
        for record in page.records {
            match all.iter_mut().find(|one| one.session == record.session) {
                Some(one) => {
                    one.captured_minor += record.captured_minor;
                    one.refunded_minor += record.refunded_minor;
                }
                None => all.push(record),
            }
        }
        let Some(next) = page.next else { return all };
        after = next;
    }
}

/// A file that only its owner can read.
pub fn secret_file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).expect("made");
    file.write_all(text.as_bytes()).expect("written");
    path
}

/// Impatient, so that tests need not be patient.
pub fn config(folder: &Path, stripe: Option<&stripe::Stub>, toss: Option<&toss::Stub>) -> Config {
    let mut config = Config {
        sandbox: false,
        timeout_ms: TIMEOUT.as_millis().try_into().expect("small"),
        tries: 2,
        retry_after_ms: 50,
        breaker_calls: 4,
        breaker_open_ms: 2_000,
        ..Config::default()
    };
    if let Some(stub) = stripe {
        config.stripe = StripeConfig {
            secret_key_file: Some(secret_file(folder, "stripe.key", stripe::KEY)),
            webhook_secrets_file: Some(secret_file(folder, "stripe.webhook", &stub.secrets.join("\n"))),
            api_url: stub.url.clone(),
        };
    }
    if let Some(stub) = toss {
        config.toss = TossConfig {
            secret_key_file: Some(secret_file(folder, "toss.key", toss::KEY)),
            client_key: "test_ck_1".into(),
            api_url: stub.url.clone(),
        };
    }
    config
}
