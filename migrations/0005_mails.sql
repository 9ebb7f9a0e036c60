-- Mails that go out, one for each kind and order, written with what they tell of. They name nobody: who gets one, and what it
-- says, is read from account, order and event when it is sent.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,                     -- ascending
    kind TEXT NOT NULL,                      -- tickets
    order_reference TEXT NOT NULL,
    account_id TEXT NOT NULL,
    state TEXT NOT NULL,                     -- waiting | sent | failed
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,                 -- not before; while somebody is at it, when another may
    give_up_at BIGINT NOT NULL,              -- no attempt after
    last_outcome TEXT NOT NULL,              -- of the last attempt, without addresses
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    UNIQUE (kind, order_reference)
);
CREATE INDEX mails_due ON mails (next_at) WHERE state = 'waiting';
CREATE INDEX mails_created ON mails (created_at, id);

CREATE TABLE mail_attempts (
    mail_id TEXT NOT NULL REFERENCES mails (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (mail_id, number)
);
