-- Cards by which tickets were bought to events that limit them: hashes, under a key of the shop's. Whoever counts takes the row.
CREATE TABLE instruments (
    event_id TEXT NOT NULL,
    instrument TEXT NOT NULL,
    looks BIGINT NOT NULL,
    PRIMARY KEY (event_id, instrument)
);

-- What an order takes of its card's limit, from when it is paid; tickets that are refunded count no more.
CREATE TABLE instrument_claims (
    order_reference TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    instrument TEXT NOT NULL,
    tickets BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL
);
CREATE INDEX instrument_claims_instrument ON instrument_claims (event_id, instrument);
