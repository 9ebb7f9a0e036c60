//! Every seat of the event: where it stands, whom it is kept for, whether it is free, held or sold.
//!
//! Owns the seats and, for the search of the best ones, which rows have open seats. Counts nothing else.

mod withheld;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    hash::BuildHasherDefault,
};

use serde::{Deserialize, Serialize};

use self::withheld::Withheld;
use super::{
    Corrupt, SeatState,
    configuration::{Kept, Seat, SeatKind},
};
use crate::domain::code::{Code, SeatId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Use {
    Free,
    Held,
    Sold,
}

#[derive(Debug, Clone)]
pub(super) struct SeatRecord {
    pub id: SeatId,
    pub ticket_type: u16,
    pub kind: SeatKind,
    pub kept: Kept,
    pub number: u16,
    pub state: Use,
    /// Whether the current configuration names it.
    offered: bool,
    /// Its release is still to come: nobody can have it, and so nobody has it.
    withheld: bool,
    row: u32,
    /// Place within the row's seats.
    at: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub zone: Code,
    /// By number.
    pub seats: Vec<u32>,
    pub has_accessible: bool,
    /// The longest unbroken run of open seats.
    pub longest: u32,
    /// Open seats by ticket type.
    open: Vec<(u16, u32)>,
}

/// What a snapshot needs beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeatUse {
    id: SeatId,
    ticket_type: u16,
    state: Use,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    /// Indices never change within an event: new seats join at the end, old ones stay, retired.
    records: Vec<SeatRecord>,
    by_id: HashMap<SeatId, u32, BuildHasherDefault<DefaultHasher>>,
    /// In the order in which the configuration first names them: front first.
    rows: Vec<Row>,
    /// By ticket type: rows with open seats of it.
    open_rows: Vec<BTreeSet<u32>>,
    /// Indices in the configuration's order.
    plan: Vec<u32>,
    /// By ticket type: those that wait for their release.
    withheld: BTreeMap<u16, Withheld>,
}

impl SeatRecord {
    /// Whether anybody can have it.
    pub fn is_open(&self) -> bool {
        self.is_unused() && self.kept == Kept::Free
    }

    /// Whether a hold that names this channel can have it.
    pub fn is_open_to(&self, channel: Option<&Code>) -> bool {
        self.is_open() || (self.is_unused() && matches!(&self.kept, Kept::For(kept) if Some(kept) == channel))
    }

    /// Free, and not withdrawn by the organizer: who has paid for it may have it again.
    pub fn is_retakable(&self) -> bool {
        self.is_unused() && self.kept != Kept::Blocked
    }

    /// Free, but not for everybody, whenever it is released.
    pub fn is_blocked(&self) -> bool {
        self.offered && self.state == Use::Free && self.kept != Kept::Free
    }

    /// Whoever may have it.
    pub fn is_unused(&self) -> bool {
        self.offered && self.state == Use::Free && !self.withheld
    }

    fn public_state(&self) -> SeatState {
        match self.state {
            Use::Held => SeatState::Held,
            Use::Sold => SeatState::Sold,
            Use::Free if self.kept == Kept::Free && !self.withheld => SeatState::Free,
            Use::Free => SeatState::Blocked,
        }
    }
}

impl Seats {
    pub fn get(&self, seat: u32) -> Option<&SeatRecord> {
        self.records.get(seat as usize)
    }

    /// The seat of this name, if the configuration offers it.
    pub fn find(&self, id: &SeatId) -> Option<u32> {
        self.by_id.get(id).copied().filter(|&seat| self.get(seat).is_some_and(|record| record.offered))
    }

    pub fn is_open(&self, seat: u32) -> bool {
        self.get(seat).is_some_and(SeatRecord::is_open)
    }

    /// The seats whose numbers come just before and after, in the same row.
    pub fn neighbours(&self, seat: u32) -> [Option<u32>; 2] {
        let Some(record) = self.get(seat) else { return [None, None] };
        let Some(row) = self.rows.get(record.row as usize) else { return [None, None] };
        let beside = |at: Option<u32>| {
            let other = *row.seats.get(at? as usize)?;
            (self.get(other)?.number.abs_diff(record.number) == 1).then_some(other)
        };
        [beside(record.at.checked_sub(1)), beside(record.at.checked_add(1))]
    }

    /// Rows with open seats of this type, front first.
    pub fn open_rows(&self, ticket_type: u16) -> impl Iterator<Item = (&Row, u32)> {
        let rows = self.open_rows.get(usize::from(ticket_type)).into_iter().flatten();
        rows.filter_map(move |&row| {
            let row = self.rows.get(row as usize)?;
            Some((row, row.open_of(ticket_type)))
        })
    }

    /// The configuration's order. What is free of `is_kept` types is blocked to the public.
    pub fn states(&self, is_kept: impl Fn(u16) -> bool) -> Vec<(SeatId, SeatState)> {
        let state = |record: &SeatRecord| match record.public_state() {
            SeatState::Free if is_kept(record.ticket_type) => SeatState::Blocked,
            state => state,
        };
        self.offered().map(|record| (record.id.clone(), state(record))).collect()
    }

    /// Seats of the current configuration.
    pub fn offered(&self) -> impl Iterator<Item = &SeatRecord> {
        self.plan.iter().filter_map(|&seat| self.get(seat))
    }

    pub fn uses(&self) -> Vec<SeatUse> {
        let uses = self.records.iter();
        uses.map(|r| SeatUse { id: r.id.clone(), ticket_type: r.ticket_type, state: r.state }).collect()
    }

    /// Moves a seat on. Returns whether it is kept from the public, so that its free state counts as blocked.
    pub fn change(&mut self, seat: u32, from: Use, to: Use) -> Result<bool, Corrupt> {
        let record = self.records.get_mut(seat as usize).ok_or_else(|| Corrupt(format!("seat {seat} is not known")))?;
        if record.state != from || !record.offered || record.withheld {
            return Err(Corrupt(format!("seat {} is not {from:?}", record.id)));
        }
        record.state = to;
        let (kept, row, ticket_type) = (record.kept != Kept::Free, record.row, record.ticket_type);
        if !kept && (from == Use::Free) != (to == Use::Free) {
            self.count_open(row, ticket_type, to == Use::Free);
            self.measure(row);
        }
        Ok(kept)
    }

    fn count_open(&mut self, row_index: u32, ticket_type: u16, more: bool) {
        let Some(row) = self.rows.get_mut(row_index as usize) else { return };
        let open = row.count(ticket_type, more);
        let wanted = usize::from(ticket_type) + 1;
        if self.open_rows.len() < wanted {
            self.open_rows.resize_with(wanted, BTreeSet::new);
        }
        let Some(rows) = self.open_rows.get_mut(usize::from(ticket_type)) else { return };
        match (more, open) {
            (true, 1) => drop(rows.insert(row_index)),
            (false, 0) => drop(rows.remove(&row_index)),
            _ => {}
        }
    }

    /// The seats of a new plan, with the uses that they have, none withheld. Errs with a seat that is taken and would go or change its
    /// type; `type_of` knows every type that the plan names.
    pub fn replanned(&self, plan: &[Seat], type_of: impl Fn(&Code) -> Option<u16>) -> Result<Self, SeatId> {
        let mut next = Self { records: self.records.clone(), by_id: self.by_id.clone(), ..Self::default() };
        for record in &mut next.records {
            record.offered = false;
            record.withheld = false;
        }
        let mut rows: BTreeMap<(&Code, &Code), u32> = BTreeMap::new();
        for seat in plan {
            let ticket_type = type_of(&seat.ticket_type).ok_or_else(|| seat.id.clone())?;
            let row = *rows.entry((&seat.zone, &seat.row)).or_insert_with(|| {
                next.rows.push(Row::in_zone(seat.zone.clone()));
                next.rows.len() as u32 - 1
            });
            let index = next.place(seat, ticket_type, row)?;
            next.plan.push(index);
            if let Some(row) = next.rows.get_mut(row as usize) {
                row.seats.push(index);
                row.has_accessible |= seat.kind == SeatKind::Accessible;
            }
        }
        let left_out = |record: &&SeatRecord| !record.offered && record.state != Use::Free;
        if let Some(taken) = next.records.iter().find(left_out) {
            return Err(taken.id.clone());
        }
        next.index_rows();
        Ok(next)
    }

    fn place(&mut self, seat: &Seat, ticket_type: u16, row: u32) -> Result<u32, SeatId> {
        let known = self.by_id.get(&seat.id).copied();
        let state = known.and_then(|index| self.get(index)).map_or(Use::Free, |record| record.state);
        let record = SeatRecord {
            id: seat.id.clone(),
            ticket_type,
            kind: seat.kind,
            kept: seat.kept.clone(),
            number: seat.number,
            state,
            offered: true,
            withheld: false,
            row,
            at: 0,
        };
        let Some(index) = known else {
            let index = self.records.len() as u32;
            self.by_id.insert(seat.id.clone(), index);
            self.records.push(record);
            return Ok(index);
        };
        if let Some(old) = self.records.get_mut(index as usize) {
            if old.state != Use::Free && old.ticket_type != ticket_type {
                return Err(seat.id.clone());
            }
            *old = record;
        }
        Ok(index)
    }

    fn index_rows(&mut self) {
        let Self { records, rows, .. } = self;
        for row in rows.iter_mut() {
            row.seats.sort_by_key(|&seat| records.get(seat as usize).map(|record| record.number));
            for (at, &seat) in (0..).zip(&row.seats) {
                if let Some(record) = records.get_mut(seat as usize) {
                    record.at = at;
                }
            }
        }
        let open: Vec<_> = self.offered().filter(|r| r.is_open()).map(|r| (r.row, r.ticket_type)).collect();
        for (row, ticket_type) in open {
            self.count_open(row, ticket_type, true);
        }
        for row in 0..self.rows.len() as u32 {
            self.measure(row);
        }
    }

    fn measure(&mut self, row_index: u32) {
        let Self { records, rows, .. } = self;
        let Some(row) = rows.get_mut(row_index as usize) else { return };
        let (mut run, mut after) = (0, None);
        row.longest = 0;
        for record in row.seats.iter().filter_map(|&seat| records.get(seat as usize)) {
            run = match record.is_open() {
                false => 0,
                true if after == Some(record.number) => run + 1,
                true => 1,
            };
            after = record.number.checked_add(1);
            row.longest = row.longest.max(run);
        }
    }

    /// What [`Self::uses`] gave, with the plan of the configuration that it stood beside.
    pub fn restored(uses: Vec<SeatUse>, plan: &[Seat], type_of: impl Fn(&Code) -> Option<u16>) -> Result<Self, SeatId> {
        let mut bare = Self::default();
        for (index, SeatUse { id, ticket_type, state }) in (0..).zip(uses) {
            bare.by_id.insert(id.clone(), index);
            bare.records.push(SeatRecord {
                id,
                ticket_type,
                kind: SeatKind::Standard,
                kept: Kept::Free,
                number: 0,
                state,
                offered: false,
                withheld: false,
                row: 0,
                at: 0,
            });
        }
        bare.replanned(plan, type_of)
    }
}

impl Row {
    fn in_zone(zone: Code) -> Self {
        Self { zone, seats: Vec::new(), has_accessible: false, longest: 0, open: Vec::new() }
    }

    fn open_of(&self, ticket_type: u16) -> u32 {
        self.open.iter().find(|(of, _)| *of == ticket_type).map_or(0, |(_, open)| *open)
    }

    fn count(&mut self, ticket_type: u16, more: bool) -> u32 {
        let known = self.open.iter().position(|(of, _)| *of == ticket_type);
        let known = known.unwrap_or_else(|| {
            self.open.push((ticket_type, 0));
            self.open.len() - 1
        });
        let Some((_, open)) = self.open.get_mut(known) else { return 0 };
        *open = if more { open.saturating_add(1) } else { open.saturating_sub(1) };
        *open
    }
}
