//! What is checked, and against what.

mod answers;
pub mod asked;
mod audit;
mod codes;
pub mod line;
pub mod model;
mod places;
mod progress;
pub mod shares;
