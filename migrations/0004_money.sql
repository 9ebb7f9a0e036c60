-- The books of every order, by double entry: an amount moves from one account to another. Rows are added, never changed.
CREATE TABLE ledger (
    id TEXT PRIMARY KEY,                     -- what it books, and of which payment or refund: nothing is booked twice
    order_reference TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    refund_id TEXT,                          -- of entries about one
    entry TEXT NOT NULL,                     -- captured | ticketed | return_begun | refund_begun | refund_done
    debit TEXT NOT NULL,                     -- captured | pending | ticketed | refunding | refunded
    credit TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX ledger_order ON ledger (order_reference);
CREATE INDEX ledger_payment ON ledger (payment_id);

-- Money that goes back. What is not done is the queue of work: whoever finds a due row may go on with it.
CREATE TABLE refunds (
    id TEXT PRIMARY KEY,                     -- with the round, the key under which the provider is asked
    order_reference TEXT NOT NULL,
    event_id TEXT NOT NULL,
    fan_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,                    -- gone | already_paid | event_cancelled | voided | limit_reached | requested
    note TEXT NOT NULL,                      -- what whoever asked for it said
    tickets BIGINT NOT NULL,                 -- revoked with it
    stock TEXT NOT NULL,                     -- stays | wanted | back: whether their places are given back
    state TEXT NOT NULL,                     -- begun | asked | failed | done
    failure TEXT NOT NULL,                   -- what the provider said last
    round BIGINT NOT NULL,                   -- raised when a person has it asked anew
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,                 -- not looked at before
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX refunds_due ON refunds (next_at) WHERE state IN ('begun', 'asked') OR stock = 'wanted';
CREATE INDEX refunds_order ON refunds (order_reference);
CREATE INDEX refunds_payment ON refunds (payment_id);
CREATE INDEX refunds_fan ON refunds (fan_id, created_at, id);
CREATE INDEX refunds_event ON refunds (event_id, created_at, id);
CREATE INDEX refunds_state ON refunds (state, created_at, id);

-- The refund that revoked it.
ALTER TABLE tickets ADD COLUMN refund_id TEXT;
CREATE INDEX tickets_refund ON tickets (refund_id) WHERE refund_id IS NOT NULL;

-- What was paid before there were books.
INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, currency, at)
    SELECT 'captured-' || id, order_reference, id, NULL, 'captured', 'captured', 'pending', amount_minor, currency, updated_at
    FROM payments WHERE state IN ('captured', 'refunding', 'refunded') AND amount_minor > 0;
INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, currency, at)
    SELECT 'ticketed-' || id, order_reference, id, NULL, 'ticketed', 'pending', 'ticketed', amount_minor, currency, updated_at
    FROM payments WHERE state = 'captured' AND amount_minor > 0;
INSERT INTO refunds (id, order_reference, event_id, fan_id, payment_id, amount_minor, currency, reason, note, tickets, stock,
    state, failure, round, attempts, next_at, created_at, updated_at)
    SELECT p.id, p.order_reference, o.event_id, o.fan_id, p.id, p.amount_minor, p.currency, 'gone', '', 0, 'stays',
        CASE WHEN p.state = 'refunded' THEN 'done' ELSE 'begun' END, '', 0, 0, 0, p.updated_at, p.updated_at
    FROM payments p JOIN orders o ON o.reference = p.order_reference WHERE p.state IN ('refunding', 'refunded');
INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, currency, at)
    SELECT 'return_begun-' || id, order_reference, payment_id, id, 'return_begun', 'pending', 'refunding', amount_minor,
        currency, updated_at FROM refunds WHERE amount_minor > 0;
INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, currency, at)
    SELECT 'refund_done-' || id, order_reference, payment_id, id, 'refund_done', 'refunding', 'refunded', amount_minor,
        currency, updated_at FROM refunds WHERE state = 'done' AND amount_minor > 0;

-- The sandbox provider's own books again: which of its test cards was used, and what it has given back.
ALTER TABLE sandbox_sessions ADD COLUMN card TEXT NOT NULL DEFAULT 'good';
CREATE TABLE sandbox_refunds (
    id TEXT PRIMARY KEY,                     -- the shop's key
    session_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    failure TEXT NOT NULL,                   -- why it failed; empty if it did not
    due_at BIGINT NOT NULL,                  -- pending before, succeeded from then on
    created_at BIGINT NOT NULL
);
CREATE INDEX sandbox_refunds_session ON sandbox_refunds (session_id);
DROP INDEX payments_refunding;

-- Cancelled events whose orders are all to be refunded: worked off some at a time.
CREATE TABLE refund_batches (
    event_id TEXT PRIMARY KEY,
    note TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,                 -- not looked at before
    done_at BIGINT
);
CREATE INDEX refund_batches_due ON refund_batches (next_at) WHERE done_at IS NULL;
