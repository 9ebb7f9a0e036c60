//! Errands to wherever an event runs, and attendance to its stand-in.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{NotFound, Router, post::Undelivered};
use crate::{
    actors::{
        courier::{Attendance, Courier, NotCarried},
        directory::Directory as _,
        errand::{Errand, Report},
    },
    cluster::{
        gateway::{Fate, Notice, Parcel},
        measures,
        wire::Opaque,
    },
    domain::id::EventId,
};

/// Before the next attempt; an event that moves is away for about as long.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of one attempt.
enum Attempt {
    Reported(Report),
    /// Certainly nothing was done, and another attempt may find the event.
    NotDone,
    Overloaded,
    Unknown,
    /// No further attempt does better.
    Hopeless,
}

#[async_trait]
impl Courier for Router {
    async fn carry(&self, event: EventId, errand: Errand, deadline: Duration) -> Result<Report, NotCarried> {
        let until = Instant::now() + deadline;
        let mut may_be_done = false;
        while Instant::now() < until {
            match timeout_at(until, self.attempt(event, &errand, until)).await.unwrap_or(Attempt::Unknown) {
                // Its owner was fenced: whoever owns the event next knows what became of it.
                Attempt::Reported(report) if report.is_unknown() && errand.is_repeatable() => may_be_done = true,
                Attempt::Reported(report) if report.is_unavailable() => {}
                Attempt::Reported(report) => return Ok(report),
                Attempt::NotDone => {}
                Attempt::Overloaded if may_be_done => {}
                Attempt::Overloaded => return Err(NotCarried::Overloaded),
                Attempt::Hopeless => break,
                Attempt::Unknown => {
                    may_be_done = true;
                    if !errand.is_repeatable() {
                        break;
                    }
                }
            }
            measures::carried_again();
            sleep_until(until.min(Instant::now() + PAUSE)).await;
        }
        Err(if may_be_done { NotCarried::Unknown } else { NotCarried::NotSent })
    }

    fn attend(&self, event: EventId, attendance: Attendance) {
        let Some(node) = self.owners.known(event) else {
            // It is said again; until then somebody must find out where.
            let router = self.itself.clone();
            drop(tokio::spawn(async move { router.upgrade()?.locate(event).await.ok() }));
            return;
        };
        if node == self.me.node {
            return self.mirrors().lost(event);
        }
        let Some(post) = self.posts.to(&node) else { return self.owners.forget(event, &node) };
        if let Ok(bytes) = postcard::to_allocvec(&attendance) {
            post.remote.tell(Notice::Attendance { from: self.me.clone(), event, body: Opaque(bytes) });
        }
    }
}

impl Router {
    async fn attempt(&self, event: EventId, errand: &Errand, until: Instant) -> Attempt {
        if let Some(handles) = self.local.here(event) {
            let left = until.saturating_duration_since(Instant::now());
            return Attempt::Reported(handles.run(errand.clone(), left).await);
        }
        match self.locate(event).await {
            Ok(node) if node == self.me.node => {
                // Restarting, or gone since.
                if self.local.event(event).await.is_err() {
                    self.owners.forget(event, &node);
                }
                Attempt::NotDone
            }
            Ok(node) => self.send(event, &node, errand, until).await,
            Err(NotFound::Unavailable) => Attempt::NotDone,
            Err(NotFound::UnknownEvent) => Attempt::Hopeless,
        }
    }

    async fn send(&self, event: EventId, node: &str, errand: &Errand, until: Instant) -> Attempt {
        let Some(post) = self.posts.to(node) else {
            self.owners.forget(event, node);
            return Attempt::NotDone;
        };
        let left = until.saturating_duration_since(Instant::now());
        let left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let Ok(bytes) = postcard::to_allocvec(errand) else { return Attempt::Hopeless };
        match post.ask(&Parcel { event, left_ms, errand: Opaque(bytes) }, until).await {
            Ok(Fate::Done(Opaque(report))) => match postcard::from_bytes::<Report>(&report) {
                Ok(report) => {
                    if report.is_unavailable() || report.is_unknown() {
                        self.owners.forget(event, node);
                    }
                    Attempt::Reported(report)
                }
                Err(error) => {
                    tracing::warn!(node, %error, "a report that cannot be read");
                    Attempt::Unknown
                }
            },
            Ok(Fate::NotOwner { hint }) => {
                self.follow_hint(event, node, hint);
                Attempt::NotDone
            }
            Ok(Fate::Overloaded) | Err(Undelivered::Overloaded) => Attempt::Overloaded,
            Ok(Fate::Incompatible) => Attempt::Hopeless,
            Err(Undelivered::NotSent) => {
                self.owners.forget(event, node);
                Attempt::NotDone
            }
            Err(Undelivered::Unknown) => {
                self.owners.forget(event, node);
                Attempt::Unknown
            }
        }
    }

    /// Where the event is not, somebody may know more.
    fn follow_hint(&self, event: EventId, asked: &str, hint: Option<String>) {
        self.owners.forget(event, asked);
        let is_new = |hint: &String| hint != asked && self.posts.to(hint).is_some();
        if let Some(hint) = hint.filter(is_new) {
            self.owners.learn(event, hint);
        }
    }
}
