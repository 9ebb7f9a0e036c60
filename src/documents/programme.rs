//! What documents say: of an event, and of one ticket to it.

use super::language::Language;
use crate::domain::{
    code::{Code, SeatId},
    id::{EventId, OrderRef, TicketId},
    money::Money,
    time::EventTime,
};

/// As the organizer wrote it; documents make it harmless themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    pub event: EventId,
    /// Raised by each change.
    pub version: u32,
    pub changed_at: EventTime,
    pub is_cancelled: bool,
    pub title: String,
    pub venue: String,
    pub city: String,
    /// IANA name.
    pub time_zone: String,
    pub starts_at: EventTime,
    pub ends_at: EventTime,
    pub doors_at: Option<EventTime>,
    pub age_limit: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub ticket: TicketId,
    pub order: OrderRef,
    /// Within the order, from 1, and how many there are.
    pub position: u32,
    pub of: u32,
    /// The ticket type's name.
    pub kind: String,
    pub place: Option<Place>,
    pub holder: String,
    pub price: Money,
    /// What the QR code says; `None` where it changes, and is shown on a telephone only.
    pub code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub seat: SeatId,
    /// Zone, row and number within it, if the plan still has the seat.
    pub found: Option<(Code, Code, u16)>,
}

impl Entry {
    /// Where its holder sits.
    pub fn seat_in(&self, language: Language) -> String {
        let words = language.words();
        let Some(place) = &self.place else { return words.free_seating.to_owned() };
        match (&place.found, language) {
            (None, _) => place.seat.to_string(),
            (Some((zone, row, number)), Language::Korean) => {
                format!("{zone}{} {row}{} {number}{}", words.zone, words.row, words.number)
            }
            (Some((zone, row, number)), _) => {
                format!("{} {zone}, {} {row}, {} {number}", words.zone, words.row, words.number)
            }
        }
    }
}
