//! How long each kind of token lives at most: so long its keys are believed after they sign no more.

use crate::domain::{claims::Kind, inventory::configuration::MORE_TIME, time::Millis};

/// Seconds of the longest session that an event can give,
pub const ADMISSION_S: u32 = 7_200;
/// and of its longest extension.
pub const EXTENSION_S: u32 = 3_600;
/// Seconds of the longest admission, of who needs more time: a token is signed for its end.
pub const LONGEST_ADMISSION_S: u32 = ADMISSION_S * MORE_TIME + EXTENSION_S;
/// Seconds in which a socket ticket must be used.
pub const SOCKET_S: u64 = 30;
/// Seconds in which a queue ticket proves a place: longer than any sale lasts.
pub const QUEUE_TICKET_S: u64 = 7 * 24 * 3600;
/// Seconds in which a resume ticket must be used.
pub const RESUME_S: u64 = 60;

/// Seconds in which a device's key is good: as long as its place.
pub const DEVICE_S: u64 = QUEUE_TICKET_S;

/// Seconds in which a challenge must be solved.
pub const CHALLENGE_S: u64 = 5 * 60;

#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// Seconds, as configured.
    pub access_s: u64,
}

impl Lives {
    pub const fn of(self, kind: Kind) -> Millis {
        Millis::seconds(match kind {
            Kind::Access => self.access_s,
            Kind::Admission => LONGEST_ADMISSION_S as u64,
            Kind::Socket => SOCKET_S,
            Kind::QueueTicket => QUEUE_TICKET_S,
            Kind::Resume => RESUME_S,
            Kind::Device => DEVICE_S,
            Kind::Challenge => CHALLENGE_S,
        })
    }

    /// Of all kinds.
    pub fn longest(self) -> Millis {
        Kind::ALL.into_iter().map(|kind| self.of(kind)).max().unwrap_or_default()
    }
}
