//! How the system is reached: routes, sockets, tokens, errors, limits.
//!
//! Architecture invariant: knows `actors`, `stores` and `domain`, not `cluster`. May read stores; does not write what an
//! actor owns.

pub mod config;
pub mod events;
pub mod seat_plan;
pub mod shapes;
