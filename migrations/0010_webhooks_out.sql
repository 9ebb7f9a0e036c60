-- Where organizers want to be told. Secrets are not here: they follow from the root secret, the endpoint's id and a version.
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,                     -- ascending
    organizer_id TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    topics TEXT NOT NULL,                    -- space-separated
    state TEXT NOT NULL,                     -- active | paused | gone
    secret_version BIGINT NOT NULL,
    previous_until BIGINT NOT NULL,          -- the secret of the version before signs too, until then
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_organizer ON webhook_endpoints (organizer_id);

-- What an endpoint is told, one row for each message: written before the outbox or the bus forgets the message.
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY,                     -- ascending
    endpoint_id TEXT NOT NULL,
    message_id TEXT NOT NULL,                -- as on the broker: receivers know a repeat by it
    topic TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,                     -- waiting | delivered | failed
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,                 -- not before; while somebody is at it, when another may
    give_up_at BIGINT NOT NULL,              -- no attempt after
    last_outcome TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT,
    UNIQUE (endpoint_id, message_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at, id);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

-- The log. Of an answer only its status is kept.
CREATE TABLE webhook_attempts (
    delivery_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,                           -- NULL: there was no answer
    error TEXT NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
