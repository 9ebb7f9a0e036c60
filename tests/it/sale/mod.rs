//! The sale from outside: the whole walk, and everything that must be refused on it.

mod admission;
mod bad_input;
mod bots;
mod classes;
mod control;
mod copies;
mod devices;
mod door;
mod encrypted;
mod exclusive;
mod gates;
mod journey;
mod modes;
mod notices;
mod orders;
mod passes;
mod proofs;
mod queue_tickets;
mod rebuilding;
mod refunds;
pub mod shop;
mod sockets;
mod stock;
mod strangers;
mod streams;
mod webhooks;
