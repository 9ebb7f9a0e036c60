//! The way it is often done: read the counter, compare-and-swap, at most ten tries. What ours is compared to.

use std::time::{Duration, Instant};

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use sqlx::SqlitePool;

use super::{
    Mode,
    report::{Row, Tally},
    stage::Stage,
};
use crate::{failure::Failure, stores::sqlite};

const TRIES: u32 = 10;
const STOCK: i64 = 1_000_000_000;

/// The counter's store.
#[derive(Clone)]
enum Counter {
    Etcd { client: Box<Client>, key: String },
    Sqlite { pool: SqlitePool },
}

pub async fn run(stage: &Stage, callers: usize, duration: Duration) -> Result<Row, Failure> {
    let counter = Counter::open(stage).await?;
    let started = Instant::now();
    let end = started + duration;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let counter = counter.clone();
        tasks.spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < end {
                let begun = Instant::now();
                let taken = counter.clone().take_one().await?;
                tally.count(taken, begun.elapsed());
            }
            Ok::<_, Failure>(tally)
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        all.add(&tally??);
    }
    Ok(all.row(Mode::Cas, callers, started.elapsed()))
}

impl Counter {
    async fn open(stage: &Stage) -> Result<Self, Failure> {
        let config = &stage.config().stores;
        if config.etcd.is_empty() {
            const SCHEMA: &str =
                "CREATE TABLE IF NOT EXISTS counter (stock INTEGER NOT NULL, version INTEGER NOT NULL)";
            let path = config.data_dir.join("bench-cas.db");
            let pool = sqlite::open(&path, 8, SCHEMA).await?;
            let reset =
                [sqlx::query("DELETE FROM counter"), sqlx::query("INSERT INTO counter VALUES (?, 1)").bind(STOCK)];
            for query in reset {
                query.execute(&pool).await?;
            }
            return Ok(Self::Sqlite { pool });
        }
        let mut client = Client::connect(&config.etcd, None).await?;
        let key = "onsale-bench/counter".to_owned();
        client.put(key.as_str(), STOCK.to_string(), None).await?;
        Ok(Self::Etcd { client: Box::new(client), key })
    }

    /// Whether one was taken.
    async fn take_one(self) -> Result<bool, Failure> {
        for _ in 0..TRIES {
            if self.clone().try_once().await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn try_once(self) -> Result<bool, Failure> {
        match self {
            Self::Etcd { mut client, key } => {
                let read = client.get(key.as_str(), None).await?;
                let entry = read.kvs().first().ok_or("the counter is gone")?;
                let stock: i64 = entry.value_str().ok().and_then(|text| text.parse().ok()).ok_or("not a number")?;
                let unchanged = Compare::version(key.as_str(), CompareOp::Equal, entry.version());
                let put = TxnOp::put(key.as_str(), (stock - 1).to_string(), None);
                let swap = client.txn(Txn::new().when([unchanged]).and_then([put])).await?;
                Ok(swap.succeeded())
            }
            Self::Sqlite { pool } => {
                let (stock, version): (i64, i64) =
                    sqlx::query_as("SELECT stock, version FROM counter").fetch_one(&pool).await?;
                let swap = sqlx::query("UPDATE counter SET stock = ?, version = version + 1 WHERE version = ?")
                    .bind(stock - 1)
                    .bind(version)
                    .execute(&pool)
                    .await;
                match swap {
                    Ok(done) => Ok(done.rows_affected() == 1),
                    // The file was locked for longer than the busy time-out: as good as another's win.
                    Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("5") => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
