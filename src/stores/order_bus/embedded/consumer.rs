//! One consumer: takes as many messages as its prefetch has room for, and answers for each.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
};

use super::{
    file::Taken,
    stopped,
    writer::{Answer, Command},
};
use crate::stores::{
    error::StoreError,
    order_bus::{Delivery, RetryDelay, Settle, Topic},
};

/// Messages taken at once, so that one consumer does not keep the writer from others for long.
const TAKE_AT_ONCE: usize = 256;

#[derive(Clone)]
pub struct Consumer {
    pub topic: Topic,
    pub commands: mpsc::Sender<Command>,
    pub delay: RetryDelay,
}

impl Consumer {
    /// Until the receiver is dropped, or the bus's file fails.
    pub async fn run(self, prefetch: u16, deliveries: mpsc::Sender<Delivery>) {
        let room = Arc::new(Semaphore::new(prefetch.into()));
        while let Some(batch) = self.take(&room, &deliveries).await {
            for delivery in batch {
                // A delivery that finds no receiver is dropped, and so given back.
                let _ = deliveries.send(delivery).await;
            }
        }
    }

    /// Waits for room and for messages; `None` when there is nobody to deliver to.
    async fn take(&self, room: &Arc<Semaphore>, deliveries: &mpsc::Sender<Delivery>) -> Option<Vec<Delivery>> {
        let mut permits = tokio::select! {
            permit = Arc::clone(room).acquire_owned() => permit.ok()?,
            () = deliveries.closed() => return None,
        };
        let more = room.available_permits().min(TAKE_AT_ONCE - 1);
        if let Ok(more) = Arc::clone(room).try_acquire_many_owned(more as u32) {
            permits.merge(more);
        }
        let most = permits.num_permits() as u32;
        let (deliver, mut taken) = oneshot::channel();
        self.commands.send(Command::Take { topic: self.topic, most, deliver }).await.ok()?;
        let taken = tokio::select! {
            taken = &mut taken => taken.ok()?,
            () = deliveries.closed() => {
                // What was handed over at this very moment must not be lost from sight.
                taken.close();
                taken.try_recv().ok()?
            }
        };
        Some(taken.into_iter().map(|taken| self.delivery(taken, permits.split(1))).collect())
    }

    fn delivery(&self, taken: Taken, room: Option<OwnedSemaphorePermit>) -> Delivery {
        let given = Given {
            id: taken.id,
            attempt: taken.attempts + 1,
            consumer: self.clone(),
            room,
            runtime: Handle::current(),
            is_settled: false,
        };
        Delivery { attempt: given.attempt, message: taken.into_message(), settle: Box::new(given) }
    }
}

/// A message in somebody's hands.
struct Given {
    id: i64,
    attempt: u32,
    consumer: Consumer,
    room: Option<OwnedSemaphorePermit>,
    runtime: Handle,
    is_settled: bool,
}

impl Given {
    async fn settle(
        mut self: Box<Self>,
        command: impl FnOnce(Topic, i64, Answer) -> Command,
    ) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let command = command(self.consumer.topic, self.id, answer);
        self.consumer.commands.send(command).await.map_err(|_| stopped())?;
        // From here on the writer answers for the message: it comes again if this cannot be written.
        self.is_settled = true;
        answered.await.unwrap_or_else(|lost| Err(StoreError::Unknown(lost.into())))
    }

    /// After its rest; until then it takes up room.
    fn give_back(&mut self) {
        self.is_settled = true;
        let (id, attempt, room) = (self.id, self.attempt, self.room.take());
        let Consumer { topic, commands, delay } = self.consumer.clone();
        self.runtime.spawn(async move {
            let command = if attempt < topic.delivery_limit() {
                tokio::time::sleep(delay.after(attempt)).await;
                Command::Return { topic, id }
            } else {
                Command::Bury { topic, id, answer: oneshot::channel().0 }
            };
            // A bus that is gone gives everything again when it is opened.
            let _ = commands.send(command).await;
            drop(room);
        });
    }
}

#[async_trait]
impl Settle for Given {
    async fn ack(self: Box<Self>) -> Result<(), StoreError> {
        self.settle(|topic, id, answer| Command::Delete { topic, id, answer }).await
    }

    async fn retry(mut self: Box<Self>) -> Result<(), StoreError> {
        self.give_back();
        Ok(())
    }

    async fn reject(self: Box<Self>) -> Result<(), StoreError> {
        if self.consumer.topic == Topic::Dead {
            return self.retry().await;
        }
        self.settle(|topic, id, answer| Command::Bury { topic, id, answer }).await
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if !self.is_settled {
            self.give_back();
        }
    }
}
