//! The sale from outside: the whole walk, and everything that must be refused on it.

mod admission;
mod bad_input;
mod bots;
mod control;
mod copies;
mod devices;
mod encrypted;
mod journey;
mod modes;
mod notices;
mod orders;
mod passes;
mod proofs;
mod queue_tickets;
pub mod shop;
mod sockets;
mod strangers;
mod streams;
mod webhooks;
