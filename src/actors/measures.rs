//! What the actors count: names, units and meanings in one place.
//!
//! Handles to the counters are taken once per activation: looking one up by name costs more than a hold decides.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::{domain::refund::RefundState, stores::order_bus::Topic};

const COMMIT_SECONDS: &str = "onsale_commit_seconds";
const BATCH_ENTRIES: &str = "onsale_batch_entries";
const BATCH_BYTES: &str = "onsale_batch_bytes";
const HOLDS_TOTAL: &str = "onsale_holds_total";
const QUEUE_TICK_SECONDS: &str = "onsale_queue_tick_seconds";
const QUEUE_PUBLICATION_SECONDS: &str = "onsale_queue_publication_seconds";
const QUEUE_LENGTH: &str = "onsale_queue_length";
const OUTBOX_LAG: &str = "onsale_outbox_lag";
const SOCKETS: &str = "onsale_sockets";
const SWEEP_SECONDS: &str = "onsale_sweep_seconds";
const SWEPT_TOTAL: &str = "onsale_swept_sockets_total";
const RESTARTS_TOTAL: &str = "onsale_actor_restarts_total";
const EVENTS_RUNNING: &str = "onsale_events_running";
const FACTS_APPLIED_TOTAL: &str = "onsale_order_facts_applied_total";
const PAYMENTS_SETTLED_TOTAL: &str = "onsale_payments_settled_total";
const MAILS_TOTAL: &str = "onsale_mails_total";
const WEBHOOKS_TOTAL: &str = "onsale_webhooks_total";
const REFUNDS_TOTAL: &str = "onsale_refunds_total";
const BUS_DEPTH: &str = "onsale_bus_depth";
const DEAD_LETTERS_TOTAL: &str = "onsale_dead_letters_total";
const DEAD_LETTERS_WAITING: &str = "onsale_dead_letters_waiting";

/// Says what each means; once, when the recorder is installed.
pub fn describe() {
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "From sending a batch to the journal until it is durable");
    describe_histogram!(BATCH_ENTRIES, Unit::Count, "Journal entries in one commit");
    describe_histogram!(BATCH_BYTES, Unit::Bytes, "Size of one commit");
    describe_counter!(HOLDS_TOTAL, Unit::Count, "Holds committed");
    describe_histogram!(QUEUE_TICK_SECONDS, Unit::Seconds, "One look of a waiting room at clock, slots and stock");
    describe_histogram!(QUEUE_PUBLICATION_SECONDS, Unit::Seconds, "Making the queue that a node's sockets read");
    describe_gauge!(QUEUE_LENGTH, Unit::Count, "Fans waiting, over all events that run here");
    describe_gauge!(
        OUTBOX_LAG,
        Unit::Count,
        "Order facts committed and not yet confirmed by the broker, over all events that run here"
    );
    describe_gauge!(SOCKETS, Unit::Count, "WebSockets open");
    describe_histogram!(SWEEP_SECONDS, Unit::Seconds, "Of one lane: showing a published queue to all its sockets");
    describe_counter!(SWEPT_TOTAL, Unit::Count, "Sockets that were shown a published queue");
    describe_counter!(RESTARTS_TOTAL, Unit::Count, "Restarts of an event's actors after a failure");
    describe_gauge!(EVENTS_RUNNING, Unit::Count, "Events whose actors run here");
    describe_counter!(FACTS_APPLIED_TOTAL, Unit::Count, "Order facts written to the database, repeats included");
    describe_counter!(PAYMENTS_SETTLED_TOTAL, Unit::Count, "Payment facts settled, by outcome");
    describe_counter!(MAILS_TOTAL, Unit::Count, "Attempts to send a mail, by the state that it was left in");
    describe_counter!(WEBHOOKS_TOTAL, Unit::Count, "Attempts to deliver a webhook, by the state that it was left in");
    describe_counter!(REFUNDS_TOTAL, Unit::Count, "Refunds that came to a state: asked, done or failed");
    describe_gauge!(BUS_DEPTH, Unit::Count, "Messages that wait on the bus, by topic: orders, payments, dead");
    describe_counter!(DEAD_LETTERS_TOTAL, Unit::Count, "Messages that could not be taken in, by routing key");
    describe_gauge!(DEAD_LETTERS_WAITING, Unit::Count, "Dead letters that wait for a person");
}

pub(super) struct InventoryMeasures {
    commit: Histogram,
    batch_entries: Histogram,
    batch_bytes: Histogram,
    holds: Counter,
}

impl InventoryMeasures {
    pub fn new() -> Self {
        Self {
            commit: histogram!(COMMIT_SECONDS),
            batch_entries: histogram!(BATCH_ENTRIES),
            batch_bytes: histogram!(BATCH_BYTES),
            holds: counter!(HOLDS_TOTAL),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
    pub fn committed(&self, took: Duration, entries: usize, bytes: u64, holds: u64) {
        self.commit.record(took.as_secs_f64());
        self.batch_entries.record(entries as f64);
        self.batch_bytes.record(bytes as f64);
        self.holds.increment(holds);
    }
}

pub(super) struct SweepMeasures {
    took: Histogram,
    sockets: Counter,
}

impl SweepMeasures {
    pub fn new() -> Self {
        Self { took: histogram!(SWEEP_SECONDS), sockets: counter!(SWEPT_TOTAL) }
    }

    pub fn swept(&self, took: Duration, sockets: usize) {
        self.took.record(took.as_secs_f64());
        self.sockets.increment(sockets as u64);
    }
}

pub(super) struct RoomMeasures {
    tick: Histogram,
    publication: Histogram,
}

impl RoomMeasures {
    pub fn new() -> Self {
        Self { tick: histogram!(QUEUE_TICK_SECONDS), publication: histogram!(QUEUE_PUBLICATION_SECONDS) }
    }

    pub fn ticked(&self, took: Duration) {
        self.tick.record(took.as_secs_f64());
    }

    pub fn published(&self, took: Duration) {
        self.publication.record(took.as_secs_f64());
    }
}

/// One actor's part of a gauge that many actors add up to; taken back when the actor ends, however it ends.
pub(super) struct Share {
    gauge: Gauge,
    part: f64,
}

impl Share {
    pub fn of_queue_length() -> Self {
        Self { gauge: gauge!(QUEUE_LENGTH), part: 0.0 }
    }

    pub fn of_outbox_lag() -> Self {
        Self { gauge: gauge!(OUTBOX_LAG), part: 0.0 }
    }

    pub fn of_sockets() -> Self {
        let mut share = Self { gauge: gauge!(SOCKETS), part: 0.0 };
        share.set(1);
        share
    }

    pub fn of_events_running() -> Self {
        let mut share = Self { gauge: gauge!(EVENTS_RUNNING), part: 0.0 };
        share.set(1);
        share
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of people and messages are far below 2^52")]
    pub fn set(&mut self, part: u64) {
        let part = part as f64;
        self.gauge.increment(part - self.part);
        self.part = part;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.decrement(self.part);
    }
}

pub(super) fn restarted() {
    counter!(RESTARTS_TOTAL).increment(1);
}

pub(super) fn facts_applied(count: u64) {
    counter!(FACTS_APPLIED_TOTAL).increment(count);
}

pub(super) fn payment_settled(outcome: &'static str) {
    counter!(PAYMENTS_SETTLED_TOTAL, "outcome" => outcome).increment(1);
}

pub(super) fn mail(state: &'static str) {
    counter!(MAILS_TOTAL, "state" => state).increment(1);
}

pub(super) fn webhook(state: &'static str) {
    counter!(WEBHOOKS_TOTAL, "state" => state).increment(1);
}

/// By what the provider was asked; what it says by itself is counted where that is heard.
pub(super) fn refund(to: RefundState) {
    counter!(REFUNDS_TOTAL, "state" => to.as_str()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
pub(super) fn bus_depth(topic: Topic, depth: u64) {
    gauge!(BUS_DEPTH, "topic" => topic.as_str()).set(depth as f64);
}

/// A key that is none of ours is counted with the others of its kind.
pub(super) fn dead_letter(routing_key: &str) {
    let known = Topic::WORK.iter().flat_map(|topic| topic.routing_keys()).find(|key| **key == routing_key);
    counter!(DEAD_LETTERS_TOTAL, "key" => known.copied().unwrap_or("other")).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
pub(super) fn dead_letters_waiting(count: u64) {
    gauge!(DEAD_LETTERS_WAITING).set(count as f64);
}
