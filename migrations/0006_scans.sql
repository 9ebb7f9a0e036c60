-- What doors have scanned. Rows are added, never changed. The scans of a ticket that counted are its turns, from 1: none is given twice,
-- however many doors scan it at once.
CREATE TABLE scans (
    event_id TEXT NOT NULL,
    id TEXT NOT NULL,                        -- made by the door, so that a repeat is harmless
    ticket_id TEXT,                          -- NULL: no code of ours
    turn BIGINT,                             -- NULL: refused
    direction TEXT NOT NULL,                 -- in | out
    outcome TEXT NOT NULL,                   -- accepted, or why not
    forced BIGINT NOT NULL,                  -- 0 or 1
    offline BIGINT NOT NULL,                 -- 1: the door had decided on its own
    scanned_at BIGINT NOT NULL,              -- by the door's clock
    received_at BIGINT NOT NULL,
    device TEXT NOT NULL,
    account_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (event_id, id)
);
CREATE UNIQUE INDEX scans_turn ON scans (ticket_id, turn) WHERE turn IS NOT NULL;
CREATE INDEX scans_event ON scans (event_id, received_at, id);
