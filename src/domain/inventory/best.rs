//! Best available: the seats that a box office clerk would pick.
//!
//! One unbroken run as far to the front as there is one, front meaning the plan's order; a run that leaves no seat single
//! before one that does. Without a run, the largest pieces that there are, unless the fan must sit together. Accessible
//! seats are given only to who asks for them, companion seats only beside one of them.

use super::{
    configuration::{OrphanRule, SeatKind},
    orphans::left_single,
    request::BestAvailable,
    seats::{Row, SeatRecord, Seats},
};

/// So many rows further back are looked at for a place that leaves nobody single, before one that does is taken.
const ROWS_FURTHER_BACK: usize = 32;

struct Search<'a> {
    seats: &'a Seats,
    ticket_type: u16,
    wish: &'a BestAvailable,
    rule: OrphanRule,
    chosen: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// Standard seats only.
    Standard,
    /// So many accessible seats, and no companion seat that is not beside one of them.
    Accessible(usize),
}

/// `None` if there are no such seats. `wish.accessible` is not above `wish.quantity`.
pub(super) fn best(seats: &Seats, ticket_type: u16, wish: &BestAvailable, rule: OrphanRule) -> Option<Vec<u32>> {
    let mut search = Search { seats, ticket_type, wish, rule, chosen: Vec::new() };
    if search.in_one_run().is_none() {
        if wish.together {
            return None;
        }
        search.in_pieces()?;
    }
    let mut chosen = search.chosen;
    if rule == OrphanRule::Block && !left_single(seats, &chosen).is_empty() {
        return None;
    }
    chosen.sort_unstable();
    Some(chosen)
}

impl Search<'_> {
    fn in_one_run(&mut self) -> Option<()> {
        let piece = match self.wish.accessible {
            0 => Piece::Standard,
            accessible => Piece::Accessible(accessible as usize),
        };
        self.take_run(self.wish.quantity, piece)
    }

    fn in_pieces(&mut self) -> Option<()> {
        for _ in 0..self.wish.accessible {
            self.take_run(1, Piece::Accessible(1))?;
        }
        let companions: Vec<u32> = self.chosen.iter().flat_map(|&seat| self.seats.neighbours(seat)).flatten().collect();
        for seat in companions {
            let companion = self.record(seat).is_some_and(|record| record.kind == SeatKind::Companion);
            if self.left() > 0 && companion && self.is_eligible(seat) {
                self.chosen.push(seat);
            }
        }
        let mut piece = self.left();
        while self.left() > 0 {
            piece = piece.min(self.left());
            if self.take_run(piece, Piece::Standard).is_none() {
                piece = piece.checked_sub(1).filter(|&piece| piece > 0)?;
            }
        }
        Some(())
    }

    fn left(&self) -> u32 {
        self.wish.quantity.saturating_sub(self.chosen.len() as u32)
    }

    fn record(&self, seat: u32) -> Option<&SeatRecord> {
        self.seats.get(seat)
    }

    fn is_eligible(&self, seat: u32) -> bool {
        self.record(seat).is_some_and(|record| record.ticket_type == self.ticket_type && record.is_open())
            && !self.chosen.contains(&seat)
    }

    fn may_have(&self, row: &Row, size: u32, piece: Piece) -> bool {
        row.longest >= size
            && self.wish.zone.as_ref().is_none_or(|zone| *zone == row.zone)
            && (row.has_accessible || piece == Piece::Standard)
    }

    /// Takes the best run of this size; within a row, the more merit the better.
    fn take_run(&mut self, size: u32, piece: Piece) -> Option<()> {
        let mut second_best: Option<Vec<u32>> = None;
        let mut further_back = 0;
        for (row, open) in self.seats.open_rows(self.ticket_type) {
            if open < size || !self.may_have(row, size, piece) {
                continue;
            }
            if let Some(run) = self.best_of_row(row, size, piece, &mut second_best) {
                self.chosen.extend(run);
                return Some(());
            }
            further_back += usize::from(second_best.is_some());
            if further_back > ROWS_FURTHER_BACK && self.rule != OrphanRule::Block {
                break;
            }
        }
        let run = second_best.filter(|_| self.rule != OrphanRule::Block)?;
        self.chosen.extend(run);
        Some(())
    }

    fn best_of_row(&self, row: &Row, size: u32, piece: Piece, second_best: &mut Option<Vec<u32>>) -> Option<Vec<u32>> {
        let mut best: Option<(usize, &[u32])> = None;
        for run in row.seats.windows(size as usize) {
            if !self.is_unbroken(run) {
                continue;
            }
            let Some(merit) = self.merit(run, piece) else { continue };
            if best.is_some_and(|(most, _)| most >= merit) {
                continue;
            }
            if self.leaves_single(run) {
                second_best.get_or_insert_with(|| run.to_vec());
                continue;
            }
            best = Some((merit, run));
        }
        best.map(|(_, run)| run.to_vec())
    }

    fn leaves_single(&self, run: &[u32]) -> bool {
        let together: Vec<u32> = self.chosen.iter().chain(run).copied().collect();
        !left_single(self.seats, &together).is_empty()
    }

    fn is_unbroken(&self, run: &[u32]) -> bool {
        let follows = |pair: &[u32]| {
            let [first, second] = pair else { return true };
            self.seats.neighbours(*first).contains(&Some(*second))
        };
        run.iter().all(|&seat| self.is_eligible(seat)) && run.windows(2).all(follows)
    }

    fn merit(&self, run: &[u32], piece: Piece) -> Option<usize> {
        match piece {
            Piece::Standard => self.standard(run),
            Piece::Accessible(accessible) => self.with_companions(run, accessible),
        }
    }

    fn standard(&self, run: &[u32]) -> Option<usize> {
        let standard = |&seat: &u32| self.record(seat).is_some_and(|record| record.kind == SeatKind::Standard);
        run.iter().all(standard).then_some(0)
    }

    /// Merit is the number of companion seats.
    fn with_companions(&self, run: &[u32], accessible: usize) -> Option<usize> {
        let is = |seat: u32, kind| self.record(seat).is_some_and(|record| record.kind == kind);
        let beside_accessible = |seat: u32| {
            let beside = self.seats.neighbours(seat).into_iter().flatten();
            beside.into_iter().any(|other| run.contains(&other) && is(other, SeatKind::Accessible))
        };
        let of_kind = |kind| run.iter().filter(move |&&seat| is(seat, kind));
        (of_kind(SeatKind::Accessible).count() == accessible
            && of_kind(SeatKind::Companion).all(|&seat| beside_accessible(seat)))
        .then(|| of_kind(SeatKind::Companion).count())
    }
}
