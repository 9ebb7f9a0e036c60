-- What is taken of a card's limit is taken by a payment: an order can be paid twice, by two cards.
CREATE TABLE instrument_payments (
    payment_id TEXT PRIMARY KEY,
    order_reference TEXT NOT NULL,
    event_id TEXT NOT NULL,
    instrument TEXT NOT NULL,
    tickets BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL
);
CREATE INDEX instrument_payments_instrument ON instrument_payments (event_id, instrument);
INSERT INTO instrument_payments (payment_id, order_reference, event_id, instrument, tickets, claimed_at)
    SELECT order_reference, order_reference, event_id, instrument, tickets, claimed_at FROM instrument_claims;
DROP TABLE instrument_claims;
