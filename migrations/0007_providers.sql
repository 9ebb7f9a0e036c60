-- A payment is stored before its provider hears of it: what it is asked for, so that asking again asks the same. Until the provider
-- has answered, `provider_session` is the payment's own id, and `url` is empty.
ALTER TABLE payments ADD COLUMN request TEXT NOT NULL DEFAULT '';
-- What the provider gave the fan for the shop, which lets it have the money taken.
ALTER TABLE payments ADD COLUMN token TEXT NOT NULL DEFAULT '';
-- When the provider is to be asked how it stands, NULL: never; and how often it was.
ALTER TABLE payments ADD COLUMN look_at BIGINT;
ALTER TABLE payments ADD COLUMN looks BIGINT NOT NULL DEFAULT 0;
CREATE INDEX payments_look ON payments (look_at) WHERE look_at IS NOT NULL;
UPDATE payments SET look_at = created_at WHERE state = 'open';
