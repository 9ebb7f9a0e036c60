//! A thread that does nothing but serve connections: what arrives there does not wait behind the requests of thousands of fans.

use std::io;

use tokio::sync::oneshot;

/// Ends when this is dropped, and with it what was spawned there.
pub struct Thread {
    _end: oneshot::Sender<()>,
}

impl Thread {
    /// Starts it with `work`. What that spawns stays there.
    pub async fn start<T: Send + 'static>(
        name: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<(Self, T)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let (reply, made) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                // Nobody waits for it any more: then nobody waits for the end either.
                let _ = reply.send(work.await);
                let _ = ended.await;
            });
        })?;
        Ok((Self { _end: end }, made.await.map_err(io::Error::other)?))
    }
}
