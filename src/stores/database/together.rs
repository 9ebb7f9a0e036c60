//! What several callers ask for at the same time is done in one transaction: the ways to the server and back, and the disk's
//! answer to a commit, cost all of them what they would cost each.
//!
//! Who comes alone is served at once. Those who come while others are served are the next batch; and where works came together just
//! now, the desk rests before the next batch, so that it is worth its way: the longer a batch took, the longer.
//!
//! A batch does what is plain. What is not (a repeat, a race, an order in another state) each kind of [`Work`] leaves to be done
//! alone, by the same statements as ever; and if the database refuses a batch, all of it is done one by one, so that one that can
//! never be done does not hold up or fail the others.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{Database, fault};
use crate::stores::error::StoreError;

/// Most in one transaction.
const BATCH: usize = 128;
/// After a batch, so many times what it took; not after one of a single work, or a full one. There are some fifteen desks: so
/// together they keep about two connections busy, and the busier the database is, the larger are the batches.
const REST: u32 = 7;
const LONGEST_REST: Duration = Duration::from_millis(50);

pub(super) trait Work: Sized + Send + Sync + 'static {
    type Done: Send + 'static;

    /// In one transaction, and durable when it returns: an outcome for each, in their order; `None` for one of which nothing was done,
    /// because it is not plain.
    fn together(
        database: &Database,
        all: &[Self],
    ) -> impl Future<Output = Result<Vec<Option<Self::Done>>, StoreError>> + Send;

    fn alone(self, database: &Database) -> impl Future<Output = Result<Self::Done, StoreError>> + Send;
}

/// Where works of one kind come together.
pub(super) struct Desk<W: Work>(Arc<Mutex<Waiting<W>>>);

struct Waiting<W: Work> {
    works: Vec<Asked<W>>,
    /// Somebody takes what waits until nothing does.
    is_served: bool,
    /// No batch is begun before.
    rests_until: Option<Instant>,
}

type Asked<W> = (W, oneshot::Sender<Result<<W as Work>::Done, StoreError>>);

impl<W: Work> Default for Desk<W> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting { works: Vec::new(), is_served: false, rests_until: None })))
    }
}

impl<W: Work> Desk<W> {
    /// It is done also when the caller does not wait for it.
    pub async fn bring(&self, database: &Database, work: W) -> Result<W::Done, StoreError> {
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting();
            waiting.works.push((work, answer));
            !mem::replace(&mut waiting.is_served, true)
        };
        if begins {
            let serving = Serving(Self(Arc::clone(&self.0)));
            tokio::spawn(serving.run(database.clone()));
        }
        answered.await.unwrap_or_else(|lost| Err(StoreError::Unknown(lost.into())))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Serving<W: Work>(Desk<W>);

impl<W: Work> Serving<W> {
    async fn run(self, database: Database) {
        loop {
            let rests_until = self.0.waiting().rests_until.take();
            if let Some(rests_until) = rests_until {
                sleep_until(rests_until).await;
            }
            let Some(batch) = self.next() else { return };
            let (began, count) = (Instant::now(), batch.len());
            serve(&database, batch).await;
            if (2..BATCH).contains(&count) {
                let rest = (began.elapsed() * REST).min(LONGEST_REST);
                self.0.waiting().rests_until = Some(Instant::now() + rest);
            }
        }
    }

    fn next(&self) -> Option<Vec<Asked<W>>> {
        let mut waiting = self.0.waiting();
        let count = waiting.works.len().min(BATCH);
        waiting.is_served = count > 0;
        (count > 0).then(|| waiting.works.drain(..count).collect())
    }
}

/// Whoever comes next has those served that wait.
impl<W: Work> Drop for Serving<W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.waiting().is_served = false;
        }
    }
}

async fn serve<W: Work>(database: &Database, batch: Vec<Asked<W>>) {
    // Waited for: whoever comes meanwhile is the next batch.
    if batch.len() == 1 {
        return each(database.clone(), batch).await;
    }
    let (works, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let mut done = match W::together(database, &works).await {
        Ok(done) => done.into_iter(),
        Err(error) if fault::is_refusal(&error) => Vec::new().into_iter(),
        Err(error) => {
            // Whoever has stopped waiting needs no answer.
            answers.into_iter().for_each(|answer| drop(answer.send(Err(error.for_another()))));
            return;
        }
    };
    let mut left = Vec::new();
    for (work, answer) in works.into_iter().zip(answers) {
        match done.next().flatten() {
            Some(done) => drop(answer.send(Ok(done))),
            None => left.push((work, answer)),
        }
    }
    if !left.is_empty() {
        // Beside: the next batch does not wait for them.
        tokio::spawn(each(database.clone(), left));
    }
}

async fn each<W: Work>(database: Database, asked: Vec<Asked<W>>) {
    for (work, answer) in asked {
        let done = work.alone(&database).await;
        let _ = answer.send(done);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::stores::config::Config;

    /// Odd ones are not plain, 13 can never be done, and 7 makes its batch be refused.
    struct Number(u32);

    impl Work for Number {
        /// With the size of the batch that it was done in.
        type Done = (u32, usize);

        async fn together(_: &Database, all: &[Self]) -> Result<Vec<Option<(u32, usize)>>, StoreError> {
            tokio::task::yield_now().await;
            if all.iter().any(|number| number.0 == 7) {
                return Err(StoreError::Conflict("seven"));
            }
            Ok(all.iter().map(|Self(n)| (n % 2 == 0).then_some((*n, all.len()))).collect())
        }

        async fn alone(self, _: &Database) -> Result<(u32, usize), StoreError> {
            if self.0 == 13 { Err(StoreError::Corrupt("thirteen".into())) } else { Ok((self.0, 1)) }
        }
    }

    async fn bring(numbers: &[u32]) -> Vec<Result<(u32, usize), String>> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = Config { data_dir: folder.path().into(), ..Config::default() };
        let database = Database::connect(&config).await.expect("connect");
        let desk = Desk::default();
        let all = numbers.iter().map(|&number| desk.bring(&database, Number(number)));
        join_all(all).await.into_iter().map(|done| done.map_err(|error| error.to_string())).collect()
    }

    #[tokio::test]
    async fn those_who_come_together_are_served_together_and_what_is_not_plain_alone() {
        let done = bring(&[2, 4, 5, 13, 6]).await;
        assert_eq!(done[..3], [Ok((2, 5)), Ok((4, 5)), Ok((5, 1))]);
        assert!(done[3].as_ref().is_err_and(|error| error.contains("thirteen")));
        assert_eq!(done[4], Ok((6, 5)));
    }

    #[tokio::test]
    async fn a_batch_that_is_refused_is_done_one_by_one() {
        assert_eq!(bring(&[2, 7, 4]).await, [Ok((2, 1)), Ok((7, 1)), Ok((4, 1))]);
    }

    #[tokio::test]
    async fn more_than_a_batch_is_done_in_several() {
        let numbers: Vec<u32> = (0..200).map(|n| n * 2).collect();
        let done = bring(&numbers).await;
        assert_eq!(done.iter().flatten().map(|done| done.0).collect::<Vec<_>>(), numbers);
        assert!(done.iter().flatten().all(|done| done.1 <= BATCH));
    }
}
