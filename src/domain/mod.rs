//! What is true: ids, money, time, the event's life, its inventory, its queue, its draw, its orders and their
//! money.
//!
//! Architecture invariant: pure. No I/O, no async, no clock, no randomness, no logging; time and randomness arrive as
//! arguments. Knows none of the other layers.

pub mod account;
pub mod breaker;
pub mod claims;
pub mod code;
pub mod door;
pub mod draw;
pub mod event;
pub mod id;
pub mod inventory;
pub mod keys;
pub mod ledger;
pub mod message;
pub mod money;
pub mod network;
pub mod order;
pub mod price;
pub mod queue;
pub mod refund;
pub mod retry;
pub mod rotation;
pub mod stock;
pub mod ticket;
pub mod time;
