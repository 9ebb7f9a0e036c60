-- At which of its ticket type's rates a ticket was bought; NULL: at the price of all.
ALTER TABLE tickets ADD COLUMN rate TEXT;
