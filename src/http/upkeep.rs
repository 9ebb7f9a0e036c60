//! Forgets what is over: ended sessions, and answers of requests that nobody will repeat. Puts into the audit log who joined too
//! fast.

use std::{sync::Arc, time::Duration};

use super::{app::App, now};
use crate::{
    domain::time::{EventTime, Millis},
    stores::{
        database::{
            account_codes,
            audit::{self, Act},
            idempotency, sessions,
        },
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_secs(10 * 60);
/// An ended family is kept for so long, to recognise its tokens when they are used again.
const ENDED_SESSIONS_KEPT: Millis = Millis::minutes(7 * 24 * 60);

/// Codes of accounts, which are good for minutes, and counted for an hour.
const CODES_KEPT: Millis = Millis::minutes(24 * 60);

/// How often it is told which addresses were refused.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs for as long as the server; several nodes may do so at once.
pub async fn run(app: Arc<App>) {
    tokio::join!(forget_often(&app), tell_often(&app));
}

async fn tell_often(app: &App) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        if let Err(error) = tell(app).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "who joined too fast is not in the audit log");
        }
    }
}

/// A row for each address.
async fn tell(app: &App) -> Result<(), StoreError> {
    let refused = app.limits.refused.take();
    if refused.is_empty() {
        return Ok(());
    }
    let mut write = app.database.begin().await?;
    for (network, count) in refused {
        let act = Act {
            at: now(),
            account: None,
            role: String::new(),
            address: network.to_string(),
            action: "queue.velocity".into(),
            object: String::new(),
            reason: format!("{count} joins refused within {} s", TELL_EVERY.as_secs()),
            request_id: String::new(),
        };
        audit::append(&mut write, &act).await?;
    }
    write.commit().await
}

async fn forget_often(app: &App) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = forget(app, now()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old sessions and keys not forgotten; again later"
            );
        }
    }
}

async fn forget(app: &App, now: EventTime) -> Result<(), StoreError> {
    let sessions = sessions::purge(&app.database, now - ENDED_SESSIONS_KEPT).await?;
    let keys = idempotency::purge(&app.database, now).await?;
    account_codes::forget(&app.database, now - CODES_KEPT).await?;
    tracing::debug!(sessions, keys, "forgotten");
    Ok(())
}
