//! The orphan rule: which single free seats a choice of seats would leave.
//!
//! An orphan is an open standard seat without an open neighbour, where the choice took a neighbour of it. What was single
//! before is not the choice's fault.

use super::{configuration::SeatKind, seats::Seats};

/// Seats that taking all of `chosen` leaves single, in ascending order.
pub(super) fn left_single(seats: &Seats, chosen: &[u32]) -> Vec<u32> {
    let open_after = |seat: u32| seats.is_open(seat) && !chosen.contains(&seat);
    let beside = chosen.iter().flat_map(|&seat| seats.neighbours(seat)).flatten();
    let single = |&seat: &u32| {
        open_after(seat)
            && seats.get(seat).is_some_and(|record| record.kind == SeatKind::Standard)
            && !seats.neighbours(seat).into_iter().flatten().any(open_after)
    };
    let mut orphans: Vec<u32> = beside.filter(single).collect();
    orphans.sort_unstable();
    orphans.dedup();
    orphans
}
