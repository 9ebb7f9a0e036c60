//! The mailer: takes mails that are due from the database, writes them and sends them, once for the node.
//!
//! Owns nothing that lasts. A mail is taken for a while, sent, and what became of it recorded; a crash in between makes it go out
//! again. Looks often instead of being told, as the outbox's relay does. While a sale goes on it rests between mails.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff, breather::Sale, clock::wall, directory::LocalDirectory, letters::Letters, measures,
    worker::Worker,
};
use crate::{
    domain::{
        retry::{Outcome, Retries, Verdict},
        time::{EventTime, Millis},
    },
    stores::{
        crash_point::{self, Step},
        database::{
            Database,
            mails::{self, Mail, State},
        },
        error::StoreError,
        post::{Accepted, Post, PostError, config::Config},
    },
};

const EVERY: Duration = Duration::from_millis(500);
/// Rows looked at together.
const BATCH: u32 = 64;
/// So long a mail is its sender's: longer than writing and sending may take.
const HELD: Millis = Millis::minutes(5);
/// Between two attempts at most.
const LONGEST_PAUSE: Millis = Millis::minutes(15);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

struct Sender {
    database: Database,
    letters: Letters,
    post: Arc<dyn Post>,
    sale: Sale,
    workers: usize,
    retries: Retries,
}

/// Takes mails that are due, and sends them.
pub fn start(
    directory: &LocalDirectory,
    database: Database,
    letters: Letters,
    post: Arc<dyn Post>,
    config: &Config,
) -> Worker {
    let retries = Retries { first: Millis::seconds(config.retry_after), longest: LONGEST_PAUSE };
    let sender = Sender { database, letters, post, sale: directory.sale(), workers: config.workers, retries };
    let sender = Arc::new(sender);
    Worker::start("the mailer", move |stop| Arc::clone(&sender).run(stop))
}

impl Sender {
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        while !stop.is_cancelled() {
            let pause = match self.round(&stop).await {
                Err(error) => {
                    tracing::warn!(%error, "mails are not looked for; trying again");
                    backoff.next()
                }
                Ok(count) => {
                    backoff = Backoff::up_to(LONGEST_WAIT);
                    // Of many there may be more.
                    if count == 0 { EVERY } else { Duration::ZERO }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// How many were due.
    async fn round(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let due = mails::due(&self.database, wall(), BATCH).await?;
        let count = due.len();
        let deliveries = stream::iter(due).map(|mail| async {
            if stop.is_cancelled() {
                return;
            }
            let breather = self.sale.breather();
            if let Err(error) = self.deliver(mail).await {
                tracing::warn!(%error, "what became of a mail is not recorded; it goes out again");
            }
            breather.rest().await;
        });
        deliveries.buffer_unordered(self.workers).collect::<()>().await;
        Ok(count)
    }

    async fn deliver(&self, mail: Mail) -> Result<(), StoreError> {
        // Another node may be at it.
        let Some(mail) = mails::take(&self.database, mail, wall() + HELD).await? else { return Ok(()) };
        crash_point::before(Step::MailSent);
        let outcome = self.send(&mail).await;
        crash_point::after(Step::MailSent);
        let now = wall();
        let (state, next_at) = self.judge(&mail, &outcome, now);
        let told = match &outcome {
            Ok(Accepted(told)) => (*told).to_owned(),
            Err(error) => error.to_string(),
        };
        match state {
            State::Sent => tracing::debug!(mail = %mail.id, about = %mail.about, told, "a mail was sent"),
            State::Waiting => tracing::warn!(mail = %mail.id, about = %mail.about, told, "a mail has to wait"),
            State::Failed => tracing::error!(mail = %mail.id, about = %mail.about, told, "a mail is given up"),
        }
        measures::mail(state.as_str());
        mails::record(&self.database, &mail, (state, next_at), &told, now).await
    }

    async fn send(&self, mail: &Mail) -> Result<Accepted, PostError> {
        let written = self.letters.write(mail).await.map_err(|error| {
            let told = error.to_string();
            if error.is_final() { PostError::Never(told) } else { PostError::Later(told) }
        })?;
        self.post.send(&written).await
    }

    fn judge(&self, mail: &Mail, outcome: &Result<Accepted, PostError>, now: EventTime) -> (State, EventTime) {
        let outcome = match outcome {
            Ok(_) => Outcome::Accepted,
            Err(PostError::Later(_)) => Outcome::Failed,
            Err(PostError::Never(_)) => Outcome::Refused,
        };
        match self.retries.judge(outcome, mail.attempts, mail.give_up_at, now) {
            Verdict::Done => (State::Sent, now),
            Verdict::Again(next) => (State::Waiting, next),
            Verdict::GivenUp => (State::Failed, now),
        }
    }
}
