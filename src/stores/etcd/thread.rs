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

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        time::{Duration, Instant},
    };

    use super::*;

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_was_spawned_there_goes_on_while_this_thread_is_busy_and_ends_with_the_handle() {
        let turns = Arc::new(AtomicU32::new(0));
        let work = {
            let turns = Arc::clone(&turns);
            async move {
                tokio::spawn(async move {
                    loop {
                        turns.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
                7
            }
        };
        let (thread, made) = Thread::start("test", work).await.expect("a thread");
        assert_eq!(made, 7);
        let before = turns.load(Ordering::Relaxed);
        // This test's runtime has one thread, and that one waits here.
        until("it goes on", || turns.load(Ordering::Relaxed) > before + 2);
        drop(thread);
        until("it ends", || Arc::strong_count(&turns) == 1);
    }

    #[tokio::test]
    async fn work_that_dies_is_an_error() {
        #[expect(clippy::panic, reason = "this work is there to panic")]
        async fn dies() {
            panic!("planned")
        }
        assert!(Thread::start("test", dies()).await.is_err());
    }
}
