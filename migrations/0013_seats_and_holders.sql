-- The buyer has agreed to other seats of the same ticket type if these are gone when the money comes.
ALTER TABLE orders ADD COLUMN takes_others BIGINT NOT NULL DEFAULT 0;

-- What holders of an event's tickets may do, and how its codes are; JSON, empty: the defaults.
ALTER TABLE events ADD COLUMN ticket_rules TEXT NOT NULL DEFAULT '';

-- Whose name is on it, where that is not the account's; and which one took its place.
ALTER TABLE tickets ADD COLUMN holder TEXT NOT NULL DEFAULT '';
ALTER TABLE tickets ADD COLUMN replaced_by TEXT;

-- Tickets that their fans give to others: whoever brings the code that was made for it.
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,               -- SHA-256 of it
    ticket_id TEXT NOT NULL,
    fan_id TEXT NOT NULL,                    -- who gives
    state TEXT NOT NULL,                     -- open | accepted | withdrawn
    expires_at BIGINT NOT NULL,
    accepted_by TEXT,
    new_ticket_id TEXT,                      -- what came of it
    created_at BIGINT NOT NULL,
    settled_at BIGINT
);
CREATE UNIQUE INDEX transfers_open ON transfers (ticket_id) WHERE state = 'open';
CREATE INDEX transfers_fan ON transfers (fan_id, created_at, id);

-- Tickets on their way to other seats. A row is there before the inventory hears of it, and is the work to make that agree with
-- the tickets again, whatever became of the move.
CREATE TABLE seat_moves (
    order_reference TEXT NOT NULL,
    number BIGINT NOT NULL,                  -- within the order, from 1
    ticket_id TEXT NOT NULL,
    seat TEXT NOT NULL,                      -- where to
    next_at BIGINT NOT NULL,                 -- moved by whoever goes on with it
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (order_reference, number)
);
CREATE INDEX seat_moves_due ON seat_moves (next_at) WHERE done_at IS NULL;
