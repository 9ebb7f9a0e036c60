//! What is checked, and against what.

mod answers;
mod audit;
pub mod line;
pub mod model;
mod progress;
