-- One text for PostgreSQL and SQLite. Times are milliseconds since 1970, ids and JSON are TEXT, there are no BOOLEANs.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,              -- lower case
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,                     -- space-separated
    status TEXT NOT NULL,                    -- active | disabled
    session_version BIGINT NOT NULL,         -- raised to end every session
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX accounts_created ON accounts (created_at, id);

CREATE TABLE refresh_tokens (
    hash TEXT PRIMARY KEY,                   -- SHA-256 of the token
    family TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    fingerprint TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,              -- idle
    family_expires_at BIGINT NOT NULL,       -- absolute
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    organizer_id TEXT NOT NULL REFERENCES accounts (id),
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    venue TEXT NOT NULL,
    city TEXT NOT NULL,
    time_zone TEXT NOT NULL,                 -- IANA
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    doors_at BIGINT,
    age_limit BIGINT,
    search TEXT NOT NULL,                    -- title, venue, city, category in lower case
    city_key TEXT NOT NULL,                  -- city in lower case
    phase TEXT NOT NULL,                     -- copies of what the configuration says, for lists
    on_sale_at BIGINT NOT NULL,
    sale_ends_at BIGINT,
    version BIGINT NOT NULL,
    configuration TEXT NOT NULL,             -- readable copy; the journal decides
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX events_start ON events (starts_at, id);
CREATE INDEX events_created ON events (created_at, id);
CREATE INDEX events_organizer ON events (organizer_id);

CREATE TABLE orders (
    reference TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    fan_id TEXT NOT NULL,
    state TEXT NOT NULL,
    known TEXT NOT NULL,                     -- the facts that the state follows from
    lines TEXT NOT NULL,
    quantity BIGINT NOT NULL,                -- tickets in all lines
    total_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    event_version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,                -- raised by each change; a write names the one it read
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX orders_fan ON orders (fan_id, created_at, reference);
CREATE INDEX orders_event ON orders (event_id, state);

CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    order_reference TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_session TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,                     -- open | captured | declined | refunding | refunded
    url TEXT NOT NULL,                       -- the provider's hosted page
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (provider, provider_session)
);
CREATE INDEX payments_order ON payments (order_reference);
CREATE UNIQUE INDEX payments_open ON payments (order_reference) WHERE state = 'open';
CREATE INDEX payments_refunding ON payments (updated_at) WHERE state = 'refunding';

CREATE TABLE tickets (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    order_reference TEXT NOT NULL REFERENCES orders (reference),
    fan_id TEXT NOT NULL,
    position BIGINT NOT NULL,                -- within the order, from 1
    ticket_type TEXT NOT NULL,
    seat TEXT,
    price_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,                     -- live | void
    code TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    UNIQUE (order_reference, position)
);
-- The last guard: whatever else fails, a seat is on one live ticket only.
CREATE UNIQUE INDEX tickets_seat ON tickets (event_id, seat) WHERE state = 'live' AND seat IS NOT NULL;
CREATE INDEX tickets_event ON tickets (event_id, state);
CREATE INDEX tickets_fan ON tickets (fan_id, issued_at, id);

-- Ids of provider messages, for ever: repeats are answered and change nothing.
CREATE TABLE webhooks (
    provider TEXT NOT NULL,
    id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (provider, id)
);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,                     -- ascending
    routing_key TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at BIGINT
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,                    -- SHA-256 over principal, route and key
    body TEXT NOT NULL,                      -- SHA-256 over the request's body
    status BIGINT,                           -- NULL while running
    response TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_age ON idempotency_keys (created_at);

CREATE TABLE audit (
    id TEXT PRIMARY KEY,                     -- ascending
    at BIGINT NOT NULL,
    account_id TEXT,                         -- NULL: the command line, or the shop itself
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    reason TEXT NOT NULL,
    request_id TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at, id);

-- The sandbox provider's own books: as foreign to the shop as any provider's.
CREATE TABLE sandbox_sessions (
    id TEXT PRIMARY KEY,
    order_reference TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,                     -- open | paid | declined | cancelled | refunded
    return_url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE sandbox_webhooks (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX sandbox_webhooks_due ON sandbox_webhooks (next_at) WHERE delivered_at IS NULL;
