//! How the system is reached: routes, sockets, tokens, errors, limits.
//!
//! A request's way: [`server`] accepts the connection, [`edge`] gives the request its id, address, deadline and bounds,
//! [`routes`] finds the handler, [`extract`] checks what it takes, the handler asks an actor's handle or a store, and what
//! goes wrong comes back as one [`problem::Problem`], which `edge` writes out. The boot binds the listeners, makes
//! an [`app::App`] from the layers below and calls [`server::serve`].
//!
//! Architecture invariant: knows `actors`, `stores`, `documents` and `domain`, not `cluster`. May read stores; does not write what an
//! actor owns.

pub mod accounts;
pub mod acting;
pub mod admin_cluster;
pub mod admin_codes;
pub mod admin_providers;
pub mod admin_queue;
pub mod admin_stock;
mod admin_tickets;
pub mod admin_waitlist;
pub mod app;
mod attention;
pub mod audit;
pub mod auth;
pub mod availability;
pub mod broadcasts;
pub mod captcha;
pub mod challenge;
pub mod checkout;
pub mod config;
pub mod copies;
pub mod dead_letters;
pub mod devices;
pub mod door;
pub mod draw;
pub mod edge;
pub mod events;
pub mod exclusive;
pub mod extract;
pub mod first_version;
pub mod gates;
pub mod health;
pub mod hex;
pub mod holds;
pub mod idempotency;
pub mod invites;
pub mod keys;
pub mod limits;
pub mod mails;
pub mod messages;
pub mod metrics;
pub mod noop;
pub mod openapi;
pub mod orders;
pub mod origins;
pub mod page;
pub mod pass;
pub mod password;
pub mod payments;
pub mod prices;
pub mod problem;
pub mod proof;
pub mod proxies;
pub mod queue;
pub mod refunds;
pub mod refusals;
pub mod routes;
pub mod sandbox;
pub mod seat_plan;
pub mod server;
pub mod session;
pub mod shapes;
pub mod sse;
pub mod stock;
pub mod templates;
pub mod ticket_keys;
pub mod tickets;
pub mod tokens;
pub mod upkeep;
pub mod waitlist;
pub mod webhooks;
pub mod websocket;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::EventTime;

/// The wall clock, for rows and tokens. Decisions about an event take its own time.
pub fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
