//! Work that an actor must not wait for, run beside it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use ractor::{ActorRef, Message};
use tokio_util::task::AbortOnDropHandle;

/// Runs `work` and sends the actor its result. Ends with the handle, so that nothing outlives the actor that keeps it; if the
/// work panics the actor is killed, for it would wait for ever.
#[must_use = "dropping it ends the work"]
pub(super) fn run<M: Message>(
    me: &ActorRef<M>,
    work: impl Future<Output = M> + Send + 'static,
) -> AbortOnDropHandle<()> {
    let me = me.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        match AssertUnwindSafe(work).catch_unwind().await {
            // An actor that is gone needs no result.
            Ok(message) => drop(me.cast(message)),
            Err(_) => me.kill(),
        }
    }))
}
