//! Work beside the actors that a node does once: started with it, begun again if it breaks off, ended with it.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Before it starts again after a panic.
const PAUSE: Duration = Duration::from_secs(1);

pub struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    /// Runs until it is told to stop. That it ends before, by a panic, only a mistake of ours makes it do.
    pub fn start<R>(what: &'static str, run: impl Fn(CancellationToken) -> R + Send + 'static) -> Self
    where
        R: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let told = stop.clone();
        let task = tokio::spawn(async move {
            while AssertUnwindSafe(run(told.clone())).catch_unwind().await.is_err() {
                tracing::error!(what, "starts again");
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { stop, task }
    }

    /// Takes nothing new; what is under way may end within the time, and is done again later otherwise.
    pub async fn stop(self, within: Duration) {
        self.stop.cancel();
        let mut task = self.task;
        if timeout(within, &mut task).await.is_err() {
            task.abort();
            // Ended by us, which is no news.
            let _ = task.await;
        }
    }
}
