//! Forgets what is over: ended sessions, and answers of requests that nobody will repeat.

use std::{sync::Arc, time::Duration};

use super::{app::App, now};
use crate::{
    domain::time::{EventTime, Millis},
    stores::{
        database::{idempotency, sessions},
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_secs(10 * 60);
/// An ended family is kept for so long, to recognise its tokens when they are used again.
const ENDED_SESSIONS_KEPT: Millis = Millis::minutes(7 * 24 * 60);

/// Runs for as long as the server; several nodes may do so at once.
pub async fn run(app: Arc<App>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = forget(&app, now()).await {
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
    tracing::debug!(sessions, keys, "forgotten");
    Ok(())
}
