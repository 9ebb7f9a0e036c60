//! What payment providers tell us.

pub mod signature;
