//! `onsale reconcile`: the ledger against the payment providers' records, in the database itself. Changes nothing.

use std::time::Duration;

use super::ConfigOptions;
use crate::{
    failure::Failure,
    http::now,
    stores::{
        database::Database,
        error::StoreError,
        provider::{
            PaymentProvider, Providers,
            reconcile::{Comparison, compare},
        },
    },
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Seconds after which what differs is compared again: what was only on its way has arrived by then.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub settle: u64,
    #[command(flatten)]
    pub config: ConfigOptions,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let config = options.config.load()?;
    // Beside a running node: nothing is written.
    let database = Database::connect(&config.stores).await.map_err(|error| format!("the database: {error}"))?;
    let mut count = 0;
    for provider in Providers::open(&config.payments, &database)?.all() {
        let compared = twice(&database, provider.as_ref(), Duration::from_secs(options.settle)).await;
        let Comparison { payments, sessions, differences } =
            compared.map_err(|error| format!("{}: {error}", provider.name()))?;
        println!("{}: {payments} payments, {sessions} sessions, {} differences", provider.name(), differences.len());
        differences.iter().for_each(|difference| println!("  {difference}"));
        count += differences.len();
    }
    database.close().await;
    match count {
        0 => Ok(()),
        count => Err(format!("{count} differences between the ledger and the providers' records").into()),
    }
}

/// A difference counts that is there both times.
async fn twice(
    database: &Database,
    provider: &dyn PaymentProvider,
    settle: Duration,
) -> Result<Comparison, StoreError> {
    let first = compare(database, provider, now()).await?;
    if first.differences.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(settle).await;
    let mut second = compare(database, provider, now()).await?;
    second.differences.retain(|difference| first.differences.contains(difference));
    Ok(second)
}
