//! How a fact of an event travels on the bus.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        id::EventId,
        inventory::fact::{FactKind, OrderFact},
    },
    stores::order_bus::Message,
};

/// `{"version": 1, "event": …, "fact": …}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    version: u8,
    pub event: EventId,
    pub fact: OrderFact,
}

#[derive(Debug, thiserror::Error)]
pub enum NotAnEnvelope {
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    #[error("written by a newer version ({0})")]
    Version(u8),
}

impl Envelope {
    const VERSION: u8 = 1;

    pub fn new(event: EventId, fact: OrderFact) -> Self {
        Self { version: Self::VERSION, event, fact }
    }

    pub fn to_message(&self) -> Message {
        let body = serde_json::to_vec(self).expect("ids, numbers and codes can be written as JSON");
        let routing_key = routing_key(&self.fact.what).to_owned();
        Message { routing_key, id: format!("{}-{}", self.event, self.fact.number), body }
    }

    pub fn from_body(body: &[u8]) -> Result<Self, NotAnEnvelope> {
        let envelope: Self = serde_json::from_slice(body)?;
        if envelope.version != Self::VERSION {
            return Err(NotAnEnvelope::Version(envelope.version));
        }
        Ok(envelope)
    }
}

fn routing_key(what: &FactKind) -> &'static str {
    match what {
        FactKind::Created => "order.created",
        FactKind::Extended => "order.extended",
        FactKind::Released => "order.released",
        FactKind::Expired => "order.expired",
        FactKind::Confirmed { .. } => "order.confirmed",
        FactKind::ConfirmRefused { .. } => "order.confirm-refused",
        FactKind::Voided => "order.voided",
        FactKind::Offered => "order.offered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{FanId, OrderId, PaymentId},
        inventory::request::{ConfirmRefusal, Line},
        money::Currency,
        time::EventTime,
    };

    fn envelope(what: FactKind) -> Envelope {
        let seat = |text: &str| text.parse().expect("code");
        let lines = vec![Line {
            ticket_type: seat("VIP"),
            quantity: 1,
            unit_price_minor: 5_000,
            breakdown: None,
            seats: vec![seat("A-1")],
        }];
        let fact = OrderFact {
            number: 7,
            order: OrderId::from_u128(2),
            fan: FanId::from_u128(3),
            at: EventTime(4),
            what,
            lines,
            total_minor: 5_000,
            currency: Currency::EUR,
            expires_at: EventTime(5),
            version: 1,
        };
        Envelope::new(EventId::from_u128(1), fact)
    }

    #[test]
    fn every_kind_of_fact_comes_back_as_it_was_sent_under_its_own_key() {
        let payment = PaymentId::from_u128(9);
        let kinds = [
            (FactKind::Created, "order.created"),
            (FactKind::Extended, "order.extended"),
            (FactKind::Released, "order.released"),
            (FactKind::Expired, "order.expired"),
            (FactKind::Confirmed { payment }, "order.confirmed"),
            (FactKind::ConfirmRefused { payment, why: ConfirmRefusal::Gone }, "order.confirm-refused"),
            (FactKind::Voided, "order.voided"),
            (FactKind::Offered, "order.offered"),
        ];
        for (what, key) in kinds {
            let sent = envelope(what);
            let message = sent.to_message();
            assert_eq!(message.routing_key, key);
            assert_eq!(Envelope::from_body(&message.body).expect("readable"), sent);
        }
    }

    #[test]
    fn what_is_not_an_envelope_of_this_version_is_refused() {
        let body = envelope(FactKind::Created).to_message().body;
        let newer = String::from_utf8(body.clone()).expect("JSON").replacen("\"version\":1", "\"version\":2", 1);
        assert!(matches!(Envelope::from_body(newer.as_bytes()), Err(NotAnEnvelope::Version(2))));
        for wrong in [&b""[..], b"{}", b"null", &body[..body.len() - 1]] {
            assert!(matches!(Envelope::from_body(wrong), Err(NotAnEnvelope::Malformed(_))));
        }
    }
}
