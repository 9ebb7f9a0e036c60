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
        let compared = compared.map_err(|error| format!("{}: {error}", provider.name()))?;
        let Some(Comparison { payments, sessions, differences }) = compared else {
            println!("{}: gives no list of its records, not compared", provider.name());
            continue;
        };
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
) -> Result<Option<Comparison>, StoreError> {
    let Some(first) = compare(database, provider, now()).await? else { return Ok(None) };
    if first.differences.is_empty() {
        return Ok(Some(first));
    }
    tokio::time::sleep(settle).await;
    let Some(mut second) = compare(database, provider, now()).await? else { return Ok(None) };
    second.differences.retain(|difference| first.differences.contains(difference));
    Ok(Some(second))
}
