//! What is checked, and against what.

mod answers;
pub mod asked;
mod audit;
pub mod line;
pub mod model;
mod progress;
pub mod shares;
