//! The whole state as bytes, and back: `version u8 = 6 | postcard | CRC-32`, like a segment.
//!
//! The same history gives the same bytes. What can be worked out from the rest is not in them.

use std::{iter, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Inventory,
    admissions::Admissions,
    classes::ClassMembers,
    codes::Codes,
    configuration::{Configuration, Seat},
    draw::{Draw, Entrants},
    entry::Unreadable,
    fans::Fans,
    invites::Invites,
    orders::Orders,
    outbox::Outbox,
    outcomes::Outcomes,
    sealed::{open_chunks, seal_chunks},
    seats::{SeatUse, Seats},
    stock::Stock,
    waitlist::Waitlist,
};
use crate::domain::time::EventTime;

const VERSION: u8 = 6;
/// Where it is put together again at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The state as of one moment, to be written down while the inventory goes on: it shares what is long, and has no indices.
#[derive(Serialize, Deserialize)]
pub struct Frozen {
    term: u32,
    last_at: EventTime,
    configuration: Option<Arc<Configuration>>,
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
    class_members: ClassMembers,
    manual_moves: u64,
    invites: Invites,
    waitlist: Waitlist,
    codes: Codes,
    next_release: Option<EventTime>,
}

impl Frozen {
    /// Given out in chunks of `chunk_bytes`, the last of which may be shorter.
    pub fn to_chunks(&self, chunk_bytes: usize, give: impl FnMut(Vec<u8>)) {
        seal_chunks(VERSION, self, chunk_bytes, give);
    }
}

impl Inventory {
    /// All at once.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.frozen().to_chunks(CHUNK_BYTES, |chunk| bytes.extend(chunk));
        bytes
    }

    /// All at once.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::from_chunks(iter::once(bytes))
    }

    /// Costs little, however much there is; see [`Frozen`].
    pub fn frozen(&self) -> Frozen {
        Frozen {
            term: self.term,
            last_at: self.last_at,
            configuration: self.configuration.clone(),
            terms_version: self.terms_version,
            staged: self.staged.clone(),
            stock: self.stock.clone(),
            seats: self.seats.uses(),
            seats_revision: self.seats_revision,
            orders: self.orders.frozen(),
            fans: self.fans.frozen(),
            admissions: self.admissions.frozen(),
            outcomes: self.outcomes.frozen(),
            outbox: self.outbox.clone(),
            draw: self.draw.clone(),
            entrants: self.entrants.clone(),
            class_members: self.class_members.clone(),
            manual_moves: self.manual_moves,
            invites: self.invites.clone(),
            waitlist: self.waitlist.clone(),
            codes: self.codes.clone(),
            next_release: self.next_release,
        }
    }

    /// Takes chunk after chunk, however it was cut. All are taken, whatever is wrong with them.
    pub fn from_chunks(chunks: impl Iterator<Item: AsRef<[u8]>>) -> Result<Self, Unreadable> {
        let found: Frozen = open_chunks(VERSION, chunks)?;
        let plan = found.configuration.as_ref().map_or(&[][..], |configuration| &configuration.seats);
        let contradiction = |seat| Unreadable::Body(format!("seat {seat} contradicts the plan"));
        let seats = Seats::restored(found.seats, plan, |code| found.stock.type_by_code.get(code).copied());
        let mut seats = seats.map_err(contradiction)?;
        if let (Some(configuration), Some(next)) = (&found.configuration, found.next_release) {
            let before = EventTime(next.0.saturating_sub(1));
            seats.withhold(configuration, before).map_err(contradiction)?;
        }
        let (mut orders, mut admissions, mut waitlist) = (found.orders, found.admissions, found.waitlist);
        orders.work_out_deadlines();
        admissions.work_out_deadlines();
        waitlist.work_out_indices();
        Ok(Self {
            term: found.term,
            last_at: found.last_at,
            configuration: found.configuration,
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
            class_members: found.class_members,
            manual_moves: found.manual_moves,
            invites: found.invites,
            waitlist,
            codes: found.codes,
            next_release: found.next_release,
            all_halted: false,
        })
    }
}
