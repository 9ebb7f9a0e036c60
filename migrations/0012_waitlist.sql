-- Tickets whose holders would give them back, at face value, to who waits for one.
CREATE TABLE ticket_returns (
    ticket_id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    ticket_type TEXT NOT NULL,
    state TEXT NOT NULL,                     -- wanted | taken | withdrawn | void (scanned, or revoked otherwise)
    asked_at BIGINT NOT NULL,                -- the longest offered goes first
    updated_at BIGINT NOT NULL
);
CREATE INDEX ticket_returns_wanted ON ticket_returns (event_id, asked_at) WHERE state = 'wanted';

-- One worker at a time looks for takers for an event's tickets.
CREATE TABLE return_looks (
    event_id TEXT PRIMARY KEY,
    next_at BIGINT NOT NULL
);
CREATE INDEX return_looks_due ON return_looks (next_at);
