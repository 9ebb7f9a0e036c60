//! What the orders actor is told.

use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use super::{PaymentFact, SettleError, publisher::Round};
use crate::{actors::gate::Permit, stores::journal::AppendError};

#[derive(RactorMessage)]
pub(super) enum Message {
    Settle {
        fact: PaymentFact,
        reply: oneshot::Sender<Result<(), SettleError>>,
        permit: Permit,
    },
    Published(Round),
    /// The journal's cursor stands at this number, or could not be moved.
    Marked(Result<u64, AppendError>),
    /// About twice a second.
    Pulse,
    /// Publish what is left, say so, end.
    Drain {
        reply: oneshot::Sender<()>,
    },
}
