//! The names of all keys. Their parts are validated ids and codes, so none needs escaping.

use crate::domain::id::EventId;

pub const JOURNALS: &str = "onsale/journal/";
pub const PUBLISHED: &str = "onsale/published/";
pub const ACTIVE: &str = "onsale/active/";
pub const NODES: &str = "onsale/node/";
/// Value: the generations of keys. Below it, what each node says of them.
pub const KEYS: &str = "onsale/keys";
pub const OWNERS: &str = "onsale/own/";
pub const DRAINED: &str = "onsale/drained/";
pub const PINNED: &str = "onsale/pinned/";
/// Value: since when all events are halted, and why.
pub const HALTED: &str = "onsale/halted";

/// Value: the owner's name. Its mod_revision is the epoch. Nothing but a claim writes it.
pub fn owner(event: EventId) -> String {
    format!("{OWNERS}{event}")
}

/// `seq` as 16 digits, so that the order of keys is the order of segments.
pub fn segment(event: EventId, seq: u64) -> String {
    format!("{JOURNALS}{event}/{seq:016x}")
}

/// The end of the range of an event's segments: `0` follows `/`.
pub fn segments_end(event: EventId) -> String {
    format!("{JOURNALS}{event}0")
}

pub fn manifest(event: EventId) -> String {
    format!("onsale/snapshot/{event}")
}

pub fn chunk(event: EventId, generation: &str, n: u32) -> String {
    format!("onsale/snapshot/{event}/{generation}/{n:08x}")
}

/// All chunks of one generation, first and end.
pub fn generation(event: EventId, generation: &str) -> (String, String) {
    (format!("onsale/snapshot/{event}/{generation}/"), format!("onsale/snapshot/{event}/{generation}0"))
}

/// Chunks of all generations, first and end.
pub fn generations(event: EventId) -> (String, String) {
    (format!("onsale/snapshot/{event}/"), format!("onsale/snapshot/{event}0"))
}

/// Written with the first segment, and never deleted: so it also tells that the event has a journal.
pub fn published(event: EventId) -> String {
    format!("{PUBLISHED}{event}")
}

pub fn active(event: EventId) -> String {
    format!("{ACTIVE}{event}")
}

/// Value: what others must know of a node, under its lease.
pub fn node(name: &str) -> String {
    format!("{NODES}{name}")
}

/// Empty; an operator wants the node to run nothing.
pub fn drained(node: &str) -> String {
    format!("{DRAINED}{node}")
}

/// Value: the name of the node on which an operator wants the event to run.
pub fn pinned(event: EventId) -> String {
    format!("{PINNED}{event}")
}

/// For people's eyes.
pub fn available(event: EventId, ticket_type: &str) -> String {
    format!("concert:{event}:available:{ticket_type}")
}
