//! Money that must go back, goes back: the provider first, then our books, then the audit.

use std::{sync::Arc, time::Duration};

use crate::{
    http::{acting, app::App, now},
    stores::{
        database::{
            audit::Act,
            orders,
            payments::{self, Payment},
            sandbox as books,
        },
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_millis(500);
const AFTER_ERROR: Duration = Duration::from_secs(2);
const BATCH: u32 = 100;

pub async fn run(app: Arc<App>) {
    let mut wait = EVERY;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match round(&app).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "refunds wait");
                AFTER_ERROR
            }
        };
    }
}

async fn round(app: &App) -> Result<(), StoreError> {
    for payment in payments::refunding(&app.database, BATCH).await? {
        if payment.provider != super::NAME {
            continue;
        }
        match refund(app, &payment).await {
            // One that cannot be given back must not keep the others waiting.
            Err(error) if error.is_final() => {
                tracing::error!(error = &error as &dyn std::error::Error, payment = %payment.id, "a person must refund this");
            }
            other => other?,
        }
    }
    Ok(())
}

/// Any number of times: the provider gives the same money back once.
async fn refund(app: &App, payment: &Payment) -> Result<(), StoreError> {
    let first = books::decide(&app.database, &payment.provider_session, books::State::Refunded, None, now()).await?;
    orders::refunded(&app.database, payment.reference, payment.id, now()).await?;
    if first {
        acting::record(app, &act(payment)).await?;
    }
    Ok(())
}

fn act(payment: &Payment) -> Act {
    Act {
        at: now(),
        account: None,
        role: "system".into(),
        address: String::new(),
        action: "payment.refund".into(),
        object: payment.reference.to_string(),
        reason: "the stock was gone when the money came".into(),
        request_id: payment.id.to_string(),
    }
}
