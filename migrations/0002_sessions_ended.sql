-- When session_version was raised last, 0 for never: nodes read what is new, and need not ask about each token.
ALTER TABLE accounts ADD COLUMN sessions_ended_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX accounts_sessions_ended ON accounts (sessions_ended_at, id) WHERE sessions_ended_at > 0;
