//! Events: made, read and steered by their organizer.

pub mod body;
