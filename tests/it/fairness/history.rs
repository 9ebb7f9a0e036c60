//! What fans saw and what the journal says, as plain facts: all that the checker knows.

use onsale::domain::{
    inventory::{
        entry::{Entry, Segment},
        request::AdmissionEnd,
    },
    queue::Place,
};

/// In milliseconds since 1970, by the one clock of this machine.
pub type Time = u64;
pub type Fan = u128;

#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Time,
    pub fan: Fan,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The request that is to give a place is about to be sent.
    Asked,
    /// By queue ticket.
    Told {
        place: u64,
    },
    /// `seq` is the connection's.
    Position {
        place: u64,
        ahead: u64,
        connection: u32,
        seq: u64,
    },
    /// The queue is being rebuilt: numbers are counted anew.
    Rebuilding {
        connection: u32,
    },
    /// By admission token, which ends then.
    Admitted {
        place: u64,
        until: Time,
    },
    /// With another fan's token.
    TriedAnothers {
        allowed: bool,
    },
    Left,
}

/// One line of the journal, as far as admission goes.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// Number of the commit.
    pub batch: u64,
    pub at: Time,
    pub what: FactKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// A node runs the event from here on.
    Activated,
    Slots {
        count: u32,
    },
    Admitted {
        place: u64,
        fan: Fan,
        claimed: bool,
        until: Time,
    },
    /// Claimed, or extended.
    Until {
        place: u64,
        until: Time,
    },
    Ended {
        place: u64,
        by_time: bool,
    },
    Held {
        place: u64,
        fan: Fan,
    },
    /// By hand.
    Moved {
        fan: Fan,
        to: u64,
    },
}

/// In which line the place is.
pub fn class(place: u64) -> u8 {
    (place >> 49) as u8
}

/// What tells places apart, whatever their line.
pub fn arrival(place: u64) -> u64 {
    place & ((1 << 49) - 1)
}

pub fn facts(segments: &[Segment]) -> Vec<Fact> {
    let fact = |segment: &Segment, entry: &Entry| {
        let what = match entry {
            Entry::Activated { .. } => FactKind::Activated,
            Entry::Configured { configuration, .. } => FactKind::Slots { count: configuration.queue.slots },
            Entry::Admitted { place: Place(place), fan, claim_by, until } => {
                FactKind::Admitted { place: *place, fan: fan.as_u128(), claimed: claim_by.is_none(), until: until.0 }
            }
            Entry::Claimed { place, until } | Entry::AdmissionExtended { place, until } => {
                FactKind::Until { place: place.0, until: until.0 }
            }
            Entry::AdmissionEnded { place, why } => {
                let by_time = matches!(why, AdmissionEnd::Expired | AdmissionEnd::Unclaimed);
                FactKind::Ended { place: place.0, by_time }
            }
            Entry::Held { admission, fan, .. } => FactKind::Held { place: admission.0, fan: fan.as_u128() },
            Entry::QueueMoved { fan, to, .. } => FactKind::Moved { fan: fan.as_u128(), to: to.0 },
            _ => return None,
        };
        Some(Fact { batch: segment.seq, at: segment.at.0, what })
    };
    segments.iter().flat_map(|segment| segment.entries.iter().filter_map(move |entry| fact(segment, entry))).collect()
}
