//! The whole state as bytes, and back: `version u8 = 2 | postcard | CRC-32`, like a segment.
//!
//! The same history gives the same bytes. What can be worked out from the rest is not in them.

use std::{iter, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Inventory,
    admissions::Admissions,
    configuration::{Configuration, Seat},
    draw::{Draw, Entrants},
    entry::Unreadable,
    fans::Fans,
    orders::Orders,
    outbox::Outbox,
    outcomes::Outcomes,
    sealed::{open_chunks, seal_chunks},
    seats::{SeatUse, Seats},
    stock::Stock,
};
use crate::domain::time::EventTime;

const VERSION: u8 = 2;
/// Where it is put together again at once.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Serialize)]
struct Kept<'a> {
    term: u32,
    last_at: EventTime,
    configuration: Option<&'a Configuration>,
    terms_version: u32,
    staged: &'a [Seat],
    stock: &'a Stock,
    seats: Vec<SeatUse>,
    seats_revision: u64,
    orders: &'a Orders,
    fans: &'a Fans,
    admissions: &'a Admissions,
    outcomes: &'a Outcomes,
    outbox: &'a Outbox,
    draw: Option<&'a Draw>,
    entrants: &'a Entrants,
}

/// The same, field by field, as it is read.
#[derive(Deserialize)]
struct Found {
    term: u32,
    last_at: EventTime,
    configuration: Option<Configuration>,
    terms_version: u32,
    staged: Vec<Seat>,
    stock: Stock,
    seats: Vec<SeatUse>,
    seats_revision: u64,
    orders: Orders,
    fans: Fans,
    admissions: Admissions,
    outcomes: Outcomes,
    outbox: Outbox,
    draw: Option<Draw>,
    entrants: Entrants,
}

impl Inventory {
    /// All at once.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.to_chunks(CHUNK_BYTES, |chunk| bytes.extend(chunk));
        bytes
    }

    /// All at once.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::from_chunks(iter::once(bytes))
    }

    /// Given out in chunks of `chunk_bytes`, the last of which may be shorter.
    pub fn to_chunks(&self, chunk_bytes: usize, give: impl FnMut(Vec<u8>)) {
        let kept = Kept {
            term: self.term,
            last_at: self.last_at,
            configuration: self.configuration.as_deref(),
            terms_version: self.terms_version,
            staged: &self.staged,
            stock: &self.stock,
            seats: self.seats.uses(),
            seats_revision: self.seats_revision,
            orders: &self.orders,
            fans: &self.fans,
            admissions: &self.admissions,
            outcomes: &self.outcomes,
            outbox: &self.outbox,
            draw: self.draw.as_ref(),
            entrants: &self.entrants,
        };
        seal_chunks(VERSION, &kept, chunk_bytes, give);
    }

    /// Takes chunk after chunk, however it was cut. All are taken, whatever is wrong with them.
    pub fn from_chunks(chunks: impl Iterator<Item: AsRef<[u8]>>) -> Result<Self, Unreadable> {
        let found: Found = open_chunks(VERSION, chunks)?;
        let plan = found.configuration.as_ref().map_or(&[][..], |configuration| &configuration.seats);
        let seats = Seats::restored(found.seats, plan, |code| found.stock.type_by_code.get(code).copied())
            .map_err(|seat| Unreadable::Body(format!("seat {seat} contradicts the plan")))?;
        let (mut orders, mut admissions) = (found.orders, found.admissions);
        orders.work_out_deadlines();
        admissions.work_out_deadlines();
        Ok(Self {
            term: found.term,
            last_at: found.last_at,
            configuration: found.configuration.map(Arc::new),
            terms_version: found.terms_version,
            staged: found.staged,
            stock: found.stock,
            seats,
            seats_revision: found.seats_revision,
            orders,
            fans: found.fans,
            admissions,
            outcomes: found.outcomes,
            outbox: found.outbox,
            draw: found.draw,
            entrants: found.entrants,
        })
    }
}
