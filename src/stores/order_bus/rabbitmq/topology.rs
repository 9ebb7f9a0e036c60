//! Exchanges, queues and bindings: what they are called and how they are declared.
//!
//! Declared on each new connection, so that a broker set up anew is usable at once. A queue that exists with other
//! arguments is an error that an operator must resolve.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::stores::order_bus::{DELIVERY_LIMIT, Topic};

#[derive(Debug, Clone)]
pub struct Topology {
    exchange: String,
    orders: String,
    payments: String,
    /// Both an exchange and its only queue.
    dead: String,
}

impl Topology {
    pub fn new(prefix: &str) -> Self {
        Self {
            exchange: prefix.to_owned(),
            orders: format!("{prefix}.orders"),
            payments: format!("{prefix}.payments"),
            dead: format!("{prefix}.dead"),
        }
    }

    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    pub fn queue(&self, topic: Topic) -> &str {
        match topic {
            Topic::Orders => &self.orders,
            Topic::Payments => &self.payments,
            Topic::Dead => &self.dead,
        }
    }

    pub async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = |name: &str, kind| channel.exchange_declare(name.into(), kind, durable, FieldTable::default());
        exchange(&self.dead, ExchangeKind::Fanout).await?;
        exchange(&self.exchange, ExchangeKind::Topic).await?;

        // Newer brokers drop what was given back twenty times, unless told otherwise.
        let dead = [("x-queue-type", text("quorum")), ("x-delivery-limit", AMQPValue::LongInt(i32::MAX))];
        self.declare_queue(channel, &self.dead, arguments(dead)).await?;
        self.bind(channel, &self.dead, &self.dead, "").await?;
        for topic in Topic::WORK {
            let queue = self.queue(topic);
            let arguments = arguments([
                ("x-queue-type", text("quorum")),
                ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT as i32)),
                ("x-dead-letter-exchange", text(&self.dead)),
                // A dead letter leaves its queue only when the other queue has it. The broker asks for reject-publish
                // with it: where a queue is full, publishing must fail rather than push out older messages.
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]);
            self.declare_queue(channel, queue, arguments).await?;
            for key in topic.routing_keys() {
                self.bind(channel, queue, &self.exchange, key).await?;
            }
        }
        Ok(())
    }

    async fn declare_queue(&self, channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.map(|_| ())
    }

    async fn bind(&self, channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
    }
}

fn arguments<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
