-- What an order costs beside its tickets: it goes back with the last of them.
ALTER TABLE orders ADD COLUMN once_minor BIGINT NOT NULL DEFAULT 0;
