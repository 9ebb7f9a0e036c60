//! The one task that publishes: it gathers what several callers want published, and answers each when all of it is
//! confirmed.
//!
//! Rounds, not a stream: the client library gives a returned message to whichever confirmation comes next, so a round
//! must be over before the next begins, and any fault in it is everybody's.

use std::{collections::VecDeque, iter, time::Duration};

use lapin::{
    BasicProperties, Confirmation, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Topology,
    link::{Address, Backoff, Link},
};
use crate::stores::{
    error::{Source, StoreError},
    order_bus::Message,
};

/// Sent and not yet confirmed. More does not make it faster (measured: 74,000/s with 256, 68,000/s with 1,024).
const IN_FLIGHT: usize = 256;
/// Callers in one round.
const ROUND: usize = 64;
/// For each step: enabling confirms, sending a message, a confirmation.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

const PERSISTENT: u8 = 2;

/// Whom a message must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A queue, or it is an error.
    Queue,
    /// Whoever has a queue bound for it, or nobody.
    Anybody,
}

pub struct Request {
    pub messages: Vec<Message>,
    pub reach: Reach,
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

pub struct Publisher {
    address: Address,
    topology: Topology,
    link: Option<Link>,
    backoff: Backoff,
}

impl Publisher {
    pub fn new(address: Address, topology: Topology) -> Self {
        Self { address, topology, link: None, backoff: Backoff::new() }
    }

    /// Until the bus is dropped.
    pub async fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut requests = Vec::with_capacity(ROUND);
        while waiting.recv_many(&mut requests, ROUND).await > 0 {
            let published = self.publish(&requests).await;
            for request in requests.drain(..) {
                // Who has stopped waiting needs no answer.
                let _ = request.answer.send(published.as_ref().map_err(StoreError::for_another).copied());
            }
        }
    }

    async fn publish(&mut self, requests: &[Request]) -> Result<(), StoreError> {
        let link = match self.link.take() {
            Some(link) if link.is_connected() => link,
            _ => self.connect().await?,
        };
        if link.is_blocked() {
            self.link = Some(link);
            return Err(StoreError::Unavailable(BLOCKED.into()));
        }
        let published = tokio::select! {
            biased;
            published = round(&link, self.topology.exchange(), requests) => published,
            () = link.blocked() => {
                // Kept: a new connection would not know of the block before it had published again.
                self.link = Some(link);
                return Err(StoreError::Unknown(BLOCKED.into()));
            }
        };
        match published {
            Ok(()) => {
                self.link = Some(link);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(error, "publishing has failed");
                Err(StoreError::Unknown(error))
            }
        }
    }

    /// Not before the pause after a failed try is over: until then callers are told at once.
    async fn connect(&mut self) -> Result<Link, StoreError> {
        if !self.backoff.is_over() {
            return Err(StoreError::Unavailable("the broker could not be reached just now".into()));
        }
        let connect = async {
            let link = Link::connect(&self.address, &self.topology).await?;
            timeout(STEP_DEADLINE, link.channel.confirm_select(ConfirmSelectOptions::default())).await??;
            Ok(link)
        };
        match connect.await {
            Ok(link) => {
                self.backoff.reset();
                Ok(link)
            }
            Err(error) => {
                self.backoff.fail();
                Err(StoreError::Unavailable(error))
            }
        }
    }
}

const BLOCKED: &str = "the broker is short of memory or disk and takes no messages";

async fn round(link: &Link, exchange: &str, requests: &[Request]) -> Result<(), Source> {
    let mut sent: VecDeque<PublisherConfirm> = VecDeque::with_capacity(IN_FLIGHT);
    let messages = requests.iter().flat_map(|request| &request.messages);
    let reaches = requests.iter().flat_map(|request| iter::repeat_n(request.reach, request.messages.len()));
    for (message, reach) in messages.zip(reaches) {
        if sent.len() >= IN_FLIGHT
            && let Some(oldest) = sent.pop_front()
        {
            confirmed(oldest).await?;
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(message.id.as_str().into());
        let publish = link.channel.basic_publish(
            exchange.into(),
            message.routing_key.as_str().into(),
            BasicPublishOptions { mandatory: reach == Reach::Queue, ..BasicPublishOptions::default() },
            &message.body,
            properties,
        );
        sent.push_back(timeout(STEP_DEADLINE, publish).await??);
    }
    for sent in sent {
        confirmed(sent).await?;
    }
    Ok(())
}

async fn confirmed(sent: PublisherConfirm) -> Result<(), Source> {
    match timeout(STEP_DEADLINE, sent).await?? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            Err(format!("a message found no queue: {}", returned.reply_text).into())
        }
        Confirmation::Nack(None) => Err("the broker has not taken a message".into()),
        Confirmation::NotRequested => Err("the channel does not confirm".into()),
    }
}
