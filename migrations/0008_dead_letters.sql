-- Messages of the broker that could not be taken in: for a person to look at. One row for each, however often it dies.
CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY,                     -- SHA-256 of what follows, its first half
    routing_key TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body TEXT NOT NULL,                      -- base64
    deaths BIGINT NOT NULL,                  -- a death that is told twice counts twice
    state TEXT NOT NULL,                     -- waiting | redriven | dropped
    died_at BIGINT NOT NULL,                 -- the last time
    settled_at BIGINT
);
CREATE INDEX dead_letters_died ON dead_letters (died_at, id);
CREATE INDEX dead_letters_waiting ON dead_letters (died_at) WHERE state = 'waiting';
