//! How the system is reached: routes, sockets, tokens, errors, limits.
//!
//! Architecture invariant: knows `actors`, `stores` and `domain`, not `cluster`. May read stores; does not write what an
//! actor owns.

pub mod app;
pub mod config;
pub mod events;
pub mod extract;
pub mod health;
pub mod idempotency;
pub mod limits;
pub mod password;
pub mod problem;
pub mod routes;
pub mod seat_plan;
pub mod session;
pub mod shapes;
pub mod tokens;
