//! One consumer: delivers over as many connections as it takes, until nobody receives.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::{
    Acker, Channel,
    message::Delivery as Frame,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{
    Topology,
    link::{Address, Backoff, Link},
};
use crate::stores::{
    error::{Source, StoreError},
    order_bus::{Delivery, Message, RetryDelay, Settle, Topic},
};

/// For each step: a request to the broker, an answer to a delivery.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

pub struct Consumer {
    pub address: Address,
    pub topology: Topology,
    pub topic: Topic,
    pub prefetch: u16,
    pub delay: RetryDelay,
}

impl Consumer {
    pub async fn run(self, deliveries: mpsc::Sender<Delivery>) {
        let mut backoff = Backoff::new();
        while !deliveries.is_closed() {
            let Err(error) = self.deliver(&deliveries, &mut backoff).await else { return };
            tracing::warn!(error, topic = self.topic.as_str(), "consuming has failed, connecting again");
            backoff.fail();
            tokio::select! {
                () = backoff.over() => {}
                () = deliveries.closed() => return,
            }
        }
    }

    /// Over one connection. Ends well only when nobody receives any more; what is still in somebody's hands then can
    /// still be answered, for each delivery keeps the channel open.
    async fn deliver(&self, deliveries: &mpsc::Sender<Delivery>, backoff: &mut Backoff) -> Result<(), Source> {
        let link = tokio::select! {
            link = Link::connect(&self.address, &self.topology) => link?,
            () = deliveries.closed() => return Ok(()),
        };
        let channel = &link.channel;
        timeout(STEP_DEADLINE, channel.basic_qos(self.prefetch, BasicQosOptions::default())).await??;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = self.topology.queue(self.topic);
        let consume = channel.basic_consume(queue.into(), "".into(), options, arguments);
        let mut frames = timeout(STEP_DEADLINE, consume).await??;
        backoff.reset();
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = deliveries.closed() => break,
            };
            let Some(frame) = frame else { return Err("the broker has cancelled the consumer".into()) };
            let delivery = self.delivery(frame?, channel);
            if delivery.attempt > self.topic.delivery_limit() {
                // The broker counts returns, and so allows one attempt more.
                delivery.settle.reject().await?;
                continue;
            }
            // One that finds no receiver is dropped, and so given back.
            let _ = deliveries.send(delivery).await;
        }
        timeout(STEP_DEADLINE, channel.basic_cancel(frames.tag(), BasicCancelOptions::default())).await??;
        while let Ok(Some(Ok(frame))) = timeout(STEP_DEADLINE, frames.next()).await {
            drop(self.delivery(frame, channel));
        }
        Ok(())
    }

    fn delivery(&self, frame: Frame, channel: &Channel) -> Delivery {
        let attempt = attempt(frame.properties.headers());
        let id = frame.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        let message = Message { routing_key: frame.routing_key.to_string(), id, body: frame.data };
        let given = Given {
            acker: frame.acker,
            channel: channel.clone(),
            topic: self.topic,
            attempt,
            delay: self.delay,
            runtime: Handle::current(),
            is_settled: false,
        };
        Delivery { message, attempt, settle: Box::new(given) }
    }
}

/// The broker counts how often it was given back, and says so from the first time on.
fn attempt(headers: &Option<FieldTable>) -> u32 {
    let count = headers.as_ref().and_then(|headers| headers.inner().get("x-delivery-count"));
    let returned = match count {
        Some(AMQPValue::LongLongInt(count)) => (*count).try_into().unwrap_or(0),
        Some(AMQPValue::LongInt(count)) => (*count).try_into().unwrap_or(0),
        Some(AMQPValue::LongUInt(count)) => *count,
        Some(AMQPValue::ShortInt(count)) => (*count).try_into().unwrap_or(0),
        Some(AMQPValue::ShortUInt(count)) => (*count).into(),
        Some(AMQPValue::ShortShortInt(count)) => (*count).try_into().unwrap_or(0),
        Some(AMQPValue::ShortShortUInt(count)) => (*count).into(),
        _ => 0_u32,
    };
    returned.saturating_add(1)
}

/// A message in somebody's hands.
struct Given {
    acker: Acker,
    /// Closes when the last one is dropped.
    channel: Channel,
    topic: Topic,
    attempt: u32,
    delay: RetryDelay,
    runtime: Handle,
    is_settled: bool,
}

impl Given {
    /// After its rest; until then it takes up room. If that fails, the connection is gone and the broker gives it again.
    fn give_back(&mut self) {
        self.is_settled = true;
        let (acker, channel, rest) = (self.acker.clone(), self.channel.clone(), self.delay.after(self.attempt));
        let comes_again = self.attempt < self.topic.delivery_limit();
        self.runtime.spawn(async move {
            let given_back = if comes_again {
                tokio::time::sleep(rest).await;
                settled(acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() })).await
            } else {
                settled(acker.reject(BasicRejectOptions { requeue: false })).await
            };
            if let Err(error) = given_back {
                tracing::debug!(%error, "a message was not given back by us");
            }
            drop(channel);
        });
    }
}

/// The broker does not confirm answers: one may be lost with the connection, and the message comes again.
async fn settled(answer: impl Future<Output = lapin::Result<bool>>) -> Result<(), StoreError> {
    match timeout(STEP_DEADLINE, answer).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(StoreError::Unavailable("the connection that delivered it is gone".into())),
        Ok(Err(error)) => Err(StoreError::Unknown(error.into())),
        Err(late) => Err(StoreError::Unknown(late.into())),
    }
}

#[async_trait]
impl Settle for Given {
    async fn ack(mut self: Box<Self>) -> Result<(), StoreError> {
        self.is_settled = true;
        settled(self.acker.ack(BasicAckOptions::default())).await
    }

    async fn retry(mut self: Box<Self>) -> Result<(), StoreError> {
        self.give_back();
        Ok(())
    }

    async fn reject(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.topic == Topic::Dead {
            return self.retry().await;
        }
        self.is_settled = true;
        settled(self.acker.reject(BasicRejectOptions { requeue: false })).await
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if !self.is_settled {
            self.give_back();
        }
    }
}
