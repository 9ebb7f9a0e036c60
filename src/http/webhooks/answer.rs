//! What is told of endpoints and of deliveries to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::shapes::Timestamp,
    stores::database::{
        webhook_deliveries::{Attempt, Delivery, State as StoredState},
        webhook_endpoints::{Endpoint, State as StoredEndpointState},
    },
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointAnswer {
    id: String,
    url: String,
    description: String,
    topics: Vec<String>,
    state: EndpointState,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    Active,
    Paused,
    /// It has answered 410.
    Gone,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointWithSecret {
    #[serde(flatten)]
    pub endpoint: EndpointAnswer,
    /// The key of the signatures, as it stands here.
    pub secret: String,
    /// Until then the secret of before signs too.
    pub previous_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryRow {
    id: String,
    /// `Onsale-Message-Id`: the same for each attempt and when it is sent again.
    message: String,
    #[schema(example = "ticket.issued")]
    topic: String,
    state: DeliveryState,
    attempts: u32,
    created_at: Timestamp,
    /// Of the next attempt, while it waits.
    next_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    last_outcome: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Waiting,
    Delivered,
    /// Tried for three days; a ping once.
    Failed,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryLog {
    #[serde(flatten)]
    delivery: DeliveryRow,
    /// What is sent.
    body: serde_json::Value,
    /// The first 200 attempts.
    log: Vec<AttemptRow>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptRow {
    number: u32,
    at: Timestamp,
    duration_ms: u64,
    /// Of the answer; its body is not read.
    status: Option<u16>,
    /// Why there was no answer.
    error: String,
}

impl DeliveryLog {
    pub fn new(delivery: Delivery, attempts: Vec<Attempt>) -> Self {
        let body = serde_json::from_str(&delivery.body).unwrap_or_default();
        Self { delivery: delivery.into(), body, log: attempts.into_iter().map(AttemptRow::from).collect() }
    }
}

impl From<Endpoint> for EndpointAnswer {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id.simple().to_string(),
            url: endpoint.url,
            description: endpoint.description,
            topics: endpoint.topics,
            state: match endpoint.state {
                StoredEndpointState::Active => EndpointState::Active,
                StoredEndpointState::Paused => EndpointState::Paused,
                StoredEndpointState::Gone => EndpointState::Gone,
            },
            created_at: endpoint.created_at.into(),
            updated_at: endpoint.updated_at.into(),
        }
    }
}

impl From<Delivery> for DeliveryRow {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.simple().to_string(),
            message: delivery.message_id,
            topic: delivery.topic,
            state: match delivery.state {
                StoredState::Waiting => DeliveryState::Waiting,
                StoredState::Delivered => DeliveryState::Delivered,
                StoredState::Failed => DeliveryState::Failed,
            },
            attempts: delivery.attempts,
            created_at: delivery.created_at.into(),
            next_at: (delivery.state == StoredState::Waiting).then(|| delivery.next_at.into()),
            delivered_at: delivery.delivered_at.map(Timestamp::from),
            last_outcome: delivery.last_outcome,
        }
    }
}

impl From<DeliveryState> for StoredState {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting => Self::Waiting,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Failed => Self::Failed,
        }
    }
}

impl From<Attempt> for AttemptRow {
    fn from(Attempt { number, at, duration_ms, status, error }: Attempt) -> Self {
        Self { number, at: at.into(), duration_ms, status, error }
    }
}
