-- What fans are told, in the app and by mail: one row for each fan, kind and what it is about. Texts are made when it is read.
CREATE TABLE messages (
    id TEXT PRIMARY KEY,                     -- ascending
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,                     -- what makes it this message: a payment, a refund, a mailing
    event_id TEXT,
    details TEXT NOT NULL,                   -- JSON: what its texts name and the event does not say
    in_app BIGINT NOT NULL,                  -- 1: it is in the fan's list; 0: it goes out by mail only, or was deleted
    read_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (account_id, kind, about)
);
CREATE INDEX messages_account ON messages (account_id, created_at, id) WHERE in_app = 1;
CREATE INDEX messages_unread ON messages (account_id) WHERE in_app = 1 AND read_at IS NULL;
CREATE INDEX messages_age ON messages (created_at);

-- A mail of the kind `message` has its message's id in `order_reference`.

-- What a fan wants otherwise than it is by default.
CREATE TABLE message_settings (
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    mail BIGINT NOT NULL,
    in_app BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind)
);

-- Messages to all who have tickets for an event: worked off some fans at a time, in the order of their ids.
CREATE TABLE mailings (
    id TEXT PRIMARY KEY,                     -- ascending
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,                      -- event_changed | event_cancelled | broadcast
    texts TEXT NOT NULL,                     -- JSON: by language, of a broadcast
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    after_fan TEXT NOT NULL,                 -- all up to this one have it
    told BIGINT NOT NULL,
    next_at BIGINT NOT NULL,                 -- not looked at before
    done_at BIGINT
);
CREATE INDEX mailings_due ON mailings (next_at) WHERE done_at IS NULL;
CREATE INDEX mailings_event ON mailings (event_id, asked_at, id);

-- Codes and links that prove whose mailbox it is. What they say follows from the root secret and the id.
CREATE TABLE account_codes (
    id TEXT PRIMARY KEY,                     -- ascending
    account_id TEXT NOT NULL,
    purpose TEXT NOT NULL,                   -- reset | verify
    tries BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX account_codes_account ON account_codes (account_id, purpose, created_at);
ALTER TABLE accounts ADD COLUMN verified_at BIGINT;

-- Texts in the place of our own.
CREATE TABLE message_templates (
    organizer_id TEXT NOT NULL,              -- empty: of all events
    kind TEXT NOT NULL,
    language TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (organizer_id, kind, language)
);
