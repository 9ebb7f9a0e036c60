//! The one task that changes the bus's file, and knows which messages are under way.
//!
//! It works in rounds: what has arrived meanwhile becomes one commit, then everybody is answered. What it knows changes
//! only after the commit.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Counts,
    file::{File, Taken},
};
use crate::stores::{
    error::StoreError,
    order_bus::{Message, Topic},
};

/// Commands in one commit.
const ROUND: usize = 1024;
/// After a disk took no writes: how long until the next attempt, if no command comes before.
const STALLED: Duration = Duration::from_secs(1);
const FOREVER: Duration = Duration::MAX;

pub type Answer = oneshot::Sender<Result<(), StoreError>>;

pub enum Command {
    Publish {
        topic: Topic,
        messages: Vec<Message>,
        answer: Answer,
    },
    /// Waits until there is a message, then gives `most` at most.
    Take {
        topic: Topic,
        most: u32,
        deliver: oneshot::Sender<Vec<Taken>>,
    },
    /// Done for good.
    Delete {
        topic: Topic,
        id: i64,
        answer: Answer,
    },
    /// Not wanted: to the dead letters.
    Bury {
        topic: Topic,
        id: i64,
        answer: Answer,
    },
    /// No longer under way: to be delivered again.
    Return {
        topic: Topic,
        id: i64,
    },
}

/// Of one topic. Under way is what is in the file and not here.
#[derive(Default)]
struct Waiting {
    /// Never delivered by this process: all with a higher id than `delivered`.
    fresh: u64,
    delivered: i64,
    returned: BTreeSet<i64>,
    takers: VecDeque<(u32, oneshot::Sender<Vec<Taken>>)>,
}

struct Writer {
    file: File,
    counts: Arc<Counts>,
    orders: Waiting,
    payments: Waiting,
    dead: Waiting,
    next_id: i64,
}

/// What one round changes.
#[derive(Default)]
struct Work {
    publish: Vec<(Topic, Vec<Message>, Answer)>,
    delete: Vec<(Topic, i64, Answer)>,
    bury: Vec<(Topic, i64, Answer)>,
}

/// Reads what is there; the future is the task, which ends with the last sender or when the file fails.
pub async fn run(
    mut file: File,
    commands: mpsc::Receiver<Command>,
    counts: Arc<Counts>,
) -> Result<impl Future<Output = ()> + Send + 'static, StoreError> {
    let next_id = file.highest_id().await? + 1;
    let [orders, payments, dead] = Default::default();
    let mut writer = Writer { file, counts, orders, payments, dead, next_id };
    for topic in Topic::ALL {
        writer.waiting(topic).fresh = writer.file.count(topic).await?;
    }
    writer.show();
    Ok(writer.work(commands))
}

impl Writer {
    async fn work(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut arrived = Vec::with_capacity(ROUND);
        let mut is_stalled = false;
        loop {
            let patience = if is_stalled { STALLED } else { FOREVER };
            // While stalled, messages are waiting that nobody will announce again.
            if let Ok(0) = timeout(patience, commands.recv_many(&mut arrived, ROUND)).await {
                return;
            }
            let work = self.sort(arrived.drain(..));
            match self.round(work).await {
                Ok(()) => is_stalled = false,
                Err(error @ StoreError::Unknown(_)) => {
                    // What the file holds now is only known again when it is opened again.
                    tracing::error!(%error, "the order bus has stopped");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the order bus is stalled");
                    is_stalled = true;
                }
            }
        }
    }

    fn waiting(&mut self, topic: Topic) -> &mut Waiting {
        match topic {
            Topic::Orders => &mut self.orders,
            Topic::Payments => &mut self.payments,
            Topic::Dead => &mut self.dead,
        }
    }

    fn sort(&mut self, arrived: impl Iterator<Item = Command>) -> Work {
        let mut work = Work::default();
        for command in arrived {
            match command {
                Command::Publish { topic, messages, answer } => work.publish.push((topic, messages, answer)),
                Command::Delete { topic, id, answer } => work.delete.push((topic, id, answer)),
                Command::Bury { topic, id, answer } => work.bury.push((topic, id, answer)),
                Command::Take { topic, most, deliver } => self.waiting(topic).takers.push_back((most, deliver)),
                Command::Return { topic, id } => {
                    self.waiting(topic).returned.insert(id);
                }
            }
        }
        work
    }

    /// Writes, answers, hands out. Settled messages that could not be written come again.
    async fn round(&mut self, work: Work) -> Result<(), StoreError> {
        let written = self.write(&work).await;
        match &written {
            Ok(()) => {
                for (topic, messages, _) in &work.publish {
                    self.next_id += messages.len() as i64;
                    self.waiting(*topic).fresh += messages.len() as u64;
                }
                self.next_id += work.bury.len() as i64;
                self.dead.fresh += work.bury.len() as u64;
            }
            Err(_) => {
                for (topic, id, _) in work.delete.iter().chain(&work.bury) {
                    self.waiting(*topic).returned.insert(*id);
                }
            }
        }
        self.show();
        let settled = work.delete.into_iter().chain(work.bury).map(|(_, _, answer)| answer);
        for answer in work.publish.into_iter().map(|(_, _, answer)| answer).chain(settled) {
            // Who has stopped waiting needs no answer.
            let _ = answer.send(written.as_ref().map_err(StoreError::for_another).copied());
        }
        written?;
        for topic in Topic::ALL {
            self.hand_out(topic).await?;
        }
        self.show();
        Ok(())
    }

    async fn write(&mut self, work: &Work) -> Result<(), StoreError> {
        if work.publish.is_empty() && work.delete.is_empty() && work.bury.is_empty() {
            return Ok(());
        }
        let mut round = self.file.begin(!work.publish.is_empty()).await?;
        let mut next_id = self.next_id;
        for (topic, messages, _) in &work.publish {
            round.publish(next_id, *topic, messages).await?;
            next_id += messages.len() as i64;
        }
        round.delete(&ids(&work.delete)).await?;
        round.bury(next_id, &ids(&work.bury)).await?;
        round.commit().await
    }

    /// Gives waiting messages to waiting takers, first come, first served.
    async fn hand_out(&mut self, topic: Topic) -> Result<(), StoreError> {
        loop {
            let waiting = self.waiting(topic);
            if waiting.fresh == 0 && waiting.returned.is_empty() {
                return Ok(());
            }
            let Some((most, deliver)) = waiting.takers.pop_front() else { return Ok(()) };
            if deliver.is_closed() {
                continue;
            }
            let returned: Vec<i64> = waiting.returned.iter().take(most as usize).copied().collect();
            let after = waiting.delivered;
            let taken = match self.take(topic, &returned, after, most - returned.len() as u32).await {
                Ok(taken) => taken,
                Err(error) => {
                    self.waiting(topic).takers.push_front((most, deliver));
                    return Err(error);
                }
            };
            let waiting = self.waiting(topic);
            for id in &returned {
                waiting.returned.remove(id);
            }
            let fresh = taken.iter().filter(|message| message.id > after);
            waiting.fresh = waiting.fresh.saturating_sub(fresh.count() as u64);
            waiting.delivered = taken.iter().map(|message| message.id).fold(after, i64::max);
            if let Err(unwanted) = deliver.send(taken) {
                waiting.returned.extend(unwanted.iter().map(|message| message.id));
            }
        }
    }

    async fn take(&mut self, topic: Topic, ids: &[i64], after: i64, more: u32) -> Result<Vec<Taken>, StoreError> {
        let mut round = self.file.begin(false).await?;
        let taken = round.take(topic, ids, after, more).await?;
        round.commit().await?;
        Ok(taken)
    }

    fn show(&self) {
        let topics = [(Topic::Orders, &self.orders), (Topic::Payments, &self.payments), (Topic::Dead, &self.dead)];
        for (topic, waiting) in topics {
            let depth = waiting.fresh + waiting.returned.len() as u64;
            self.counts.waiting(topic).store(depth, Ordering::Relaxed);
        }
    }
}

fn ids(settled: &[(Topic, i64, Answer)]) -> Vec<i64> {
    settled.iter().map(|(_, id, _)| *id).collect()
}
