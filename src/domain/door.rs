//! The door: what a scan of a ticket means.
//!
//! Each scan that counts is a turn of its ticket. Whoever is in may go out and come in again; nobody comes in twice.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    In,
    Out,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Accepted,
    /// Came in before, and has not gone out since.
    AlreadyInside,
    /// Goes out and was not in.
    NotInside,
    /// Given back, cancelled, or replaced by another.
    Void,
    /// No code of ours, or of a ticket that is not there.
    Unknown,
    /// A ticket for another event.
    OtherEvent,
    /// A code that changes, and has: a picture of it, or a telephone whose clock is wrong.
    Stale,
}

impl Direction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AlreadyInside => "already_inside",
            Self::NotInside => "not_inside",
            Self::Void => "void",
            Self::Unknown => "unknown",
            Self::OtherEvent => "other_event",
            Self::Stale => "stale",
        }
    }
}

/// A ticket as the door finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub is_live: bool,
    pub is_inside: bool,
}

/// `forced`: somebody at the door answers for it. That settles where a person is, never whether a ticket is good.
pub fn decide(found: Found, direction: Direction, forced: bool) -> Outcome {
    match (direction, found.is_inside) {
        _ if !found.is_live => Outcome::Void,
        _ if forced => Outcome::Accepted,
        (Direction::In, true) => Outcome::AlreadyInside,
        (Direction::Out, false) => Outcome::NotInside,
        (Direction::In, false) | (Direction::Out, true) => Outcome::Accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_30_who_is_in_does_not_come_in_again_and_a_void_ticket_never_does() {
        use Direction::{In, Out};
        use Outcome::{Accepted, AlreadyInside, NotInside, Void};
        for (is_live, is_inside, direction, forced, expected) in [
            (true, false, In, false, Accepted),
            (true, true, In, false, AlreadyInside),
            (true, true, In, true, Accepted),
            (true, true, Out, false, Accepted),
            (true, false, Out, false, NotInside),
            (true, false, Out, true, Accepted),
            (false, false, In, false, Void),
            (false, false, In, true, Void),
            (false, true, Out, true, Void),
        ] {
            let found = Found { is_live, is_inside };
            assert_eq!(decide(found, direction, forced), expected, "{found:?} {direction:?} {forced}");
        }
    }
}
