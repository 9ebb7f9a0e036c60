-- An order's state changes five times within seconds. A row whose indexed columns stay as they are is changed in place, and no
-- index is written.
DROP INDEX orders_event;
CREATE INDEX orders_event ON orders (event_id);
-- A fan has few messages: those in the list are looked through for unread ones.
DROP INDEX messages_unread;
