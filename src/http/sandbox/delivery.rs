//! Delivers the sandbox's webhooks: again and again, each time later, until the shop says 2xx.
//!
//! Several nodes may deliver the same one; the shop takes each in once.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;

use crate::{
    domain::time::{EventTime, Millis},
    http::{app::App, now, payments::signature, tokens::unix_now},
    stores::{
        database::sandbox::{self as books, Webhook},
        error::StoreError,
    },
};

/// How often the books are looked through.
const EVERY: Duration = Duration::from_millis(100);
/// While they cannot be read.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// Their signs of delivery are written together.
const AT_ONCE: usize = 64;
const BATCH: u32 = 512;
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest time between two attempts.
const LONGEST_MS: u64 = 60 * 60 * 1000;

pub async fn run(app: Arc<App>, shop: SocketAddr) {
    let Some(post) = Post::new(&app, shop) else { return };
    let mut wait = EVERY;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match round(&app, &post).await {
            // There may be more.
            Ok(BATCH) => Duration::ZERO,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "sandbox webhooks cannot be read");
                AFTER_ERROR
            }
        };
    }
}

/// Says how many were due.
async fn round(app: &App, post: &Post) -> Result<u32, StoreError> {
    let due = books::due(&app.database, now(), BATCH).await?;
    let count = u32::try_from(due.len()).unwrap_or(BATCH);
    let attempts = futures_util::stream::iter(due).map(|webhook| async move {
        if post.send(&webhook).await {
            books::delivered(&app.database, &webhook.id, now()).await
        } else {
            books::deliver_later(&app.database, &webhook.id, next_attempt(now(), webhook.attempts)).await
        }
    });
    let mut attempts = attempts.buffer_unordered(AT_ONCE);
    while let Some(outcome) = attempts.next().await {
        outcome?;
    }
    Ok(count)
}

/// Half a second, then twice as long each time, up to an hour.
fn next_attempt(now: EventTime, attempts: u32) -> EventTime {
    now + Millis((500_u64 << attempts.min(20)).min(LONGEST_MS))
}

struct Post {
    client: reqwest::Client,
    url: String,
    key: Vec<u8>,
}

impl Post {
    fn new(app: &App, shop: SocketAddr) -> Option<Self> {
        let tls = app.config.tls_self_signed || app.config.tls_cert.is_some();
        let ip = if shop.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { shop.ip() };
        let scheme = if tls { "https" } else { "http" };
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // It calls this very process by address, for which no certificate is made; the message is signed.
            .danger_accept_invalid_certs(tls)
            .build();
        let key = app.webhook_keys.first()?.to_vec();
        match client {
            Ok(client) => {
                let shop = SocketAddr::new(ip, shop.port());
                Some(Self { client, url: format!("{scheme}://{shop}/api/v1/payments/sandbox/webhook"), key })
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the sandbox provider cannot deliver");
                None
            }
        }
    }

    async fn send(&self, webhook: &Webhook) -> bool {
        let signature = signature::sign(&self.key, unix_now(), webhook.body.as_bytes());
        let request = self
            .client
            .post(&self.url)
            .header(signature::HEADER, signature)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(webhook.body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => true,
            Ok(response) => {
                tracing::warn!(id = webhook.id, status = response.status().as_u16(), "sandbox webhook refused");
                false
            }
            Err(error) => {
                tracing::warn!(
                    id = webhook.id,
                    error = &error as &dyn std::error::Error,
                    "sandbox webhook not delivered"
                );
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_grow_apart_up_to_an_hour_and_never_end() {
        let waits = [0, 1, 2, 10, 13, 40, u32::MAX].map(|attempts| next_attempt(EventTime(0), attempts).0);
        assert_eq!(waits, [500, 1_000, 2_000, 512_000, LONGEST_MS, LONGEST_MS, LONGEST_MS]);
    }
}
