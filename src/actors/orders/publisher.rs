//! Takes an event's facts to the bus, in journal order.
//!
//! One round at a time is under way beside the actor: it waits for facts, publishes some, and comes back. What fails is
//! published again for ever; the bus may then have some of it twice, which its readers bear.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use crate::{
    actors::{backoff::Backoff, breather::Sale},
    domain::{
        id::EventId,
        inventory::fact::{Facts, OrderFact},
    },
    stores::{
        crash_point::{self, Step},
        order_bus::{Message, OrderBus, Topic},
    },
};

/// Facts in one call: large enough for the confirms to cost little, small enough to repeat.
const BATCH: usize = 512;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Publisher {
    event: EventId,
    bus: Arc<dyn OrderBus>,
    sale: Sale,
    /// With more behind it, it does not rest: otherwise new holds would soon be refused.
    hurry_above: usize,
    /// Nor does it once this is cancelled: somebody waits for the last fact to be published.
    hurry: CancellationToken,
    /// Taken from the channel, not yet published; as they came, for there can be very many.
    backlog: VecDeque<Facts>,
    /// How many facts that is.
    behind: usize,
    facts: mpsc::UnboundedReceiver<Facts>,
}

/// What one round has done.
pub(super) enum Round {
    /// The bus has everything up to this number.
    Published { up_to: u64, publisher: Publisher },
    /// The inventory has ended and everything is published.
    Finished,
}

impl Publisher {
    pub fn new(
        event: EventId,
        bus: Arc<dyn OrderBus>,
        sale: Sale,
        hurry_above: usize,
        hurry: CancellationToken,
        facts: mpsc::UnboundedReceiver<Facts>,
    ) -> Self {
        Self { event, bus, sale, hurry_above, hurry, backlog: VecDeque::new(), behind: 0, facts }
    }

    pub async fn round(mut self) -> Round {
        while let Ok(facts) = self.facts.try_recv() {
            self.arrived(facts);
        }
        if self.backlog.is_empty() {
            let Some(facts) = self.facts.recv().await else { return Round::Finished };
            self.arrived(facts);
        }
        let facts = self.next_batch(if self.is_in_a_hurry() { BATCH } else { self.sale.at_once(BATCH) });
        let up_to = facts.last().map_or(0, |fact| fact.number);
        let messages: Vec<Message> =
            facts.into_iter().map(|fact| Envelope::new(self.event, fact).to_message()).collect();
        let breather = self.sale.breather();
        self.publish(&messages).await;
        if !self.is_in_a_hurry() {
            // Cancelled or not, the next round goes on.
            let _ = self.hurry.run_until_cancelled(breather.rest()).await;
        }
        Round::Published { up_to, publisher: self }
    }

    fn arrived(&mut self, facts: Facts) {
        self.sale.goes_on(facts.len());
        self.behind += facts.len();
        self.backlog.push_back(facts);
    }

    fn is_in_a_hurry(&self) -> bool {
        self.behind > self.hurry_above || self.hurry.is_cancelled()
    }

    fn next_batch(&mut self, most: usize) -> Vec<OrderFact> {
        let mut batch = Vec::with_capacity(self.behind.min(most));
        while let Some(facts) = self.backlog.front_mut() {
            batch.extend(facts.take(most - batch.len()));
            if facts.len() > 0 {
                break;
            }
            self.backlog.pop_front();
        }
        self.behind -= batch.len();
        batch
    }

    async fn publish(&self, messages: &[Message]) {
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        crash_point::before(Step::FactsPublished);
        while let Err(error) = self.bus.publish(Topic::Orders, messages).await {
            tracing::warn!(event = %self.event, %error, count = messages.len(), "facts not published; trying again");
            backoff.wait().await;
        }
        crash_point::after(Step::FactsPublished);
    }
}
