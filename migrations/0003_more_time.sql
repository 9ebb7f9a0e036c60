-- Whether the account's owner has declared to need more time (0 or 1), and when that was changed last, 0 for never: nodes read
-- what is new, and need not ask about each fan who is let in.
ALTER TABLE accounts ADD COLUMN needs_more_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN more_time_changed_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX accounts_more_time ON accounts (more_time_changed_at, id) WHERE more_time_changed_at > 0;
