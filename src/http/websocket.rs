//! The queue's socket: live positions, turns and admissions.

mod masked;
