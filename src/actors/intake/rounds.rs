//! Work that is looked for again and again, for as long as the node runs.

use std::time::Duration;

use crate::{actors::backoff::Backoff, stores::error::StoreError};

const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Round after round: `every` so often, at once where a round says that there may be more, and less and less often while they fail.
pub(super) async fn rounds<R>(what: &'static str, every: Duration, mut round: impl FnMut() -> R)
where
    R: Future<Output = Result<bool, StoreError>>,
{
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    loop {
        match round().await {
            Ok(more) => {
                backoff = Backoff::up_to(LONGEST_WAIT);
                if !more {
                    tokio::time::sleep(every).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "{what} wait");
                backoff.wait().await;
            }
        }
    }
}
