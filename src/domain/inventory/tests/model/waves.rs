//! Seats that are released in parts.

use super::*;

pub fn seat_name((row, number): (usize, usize)) -> Code {
    code(&format!("A-{}-{}", row + 1, number + 1))
}

/// All seats are of one zone.
pub fn waits(releases: &[SeatRelease], seat: &Code, now: EventTime) -> bool {
    let by_name = releases.iter().find(|release| matches!(&release.part, Part::Seats(seats) if seats.contains(seat)));
    let by_zone = || releases.iter().find(|release| matches!(release.part, Part::Zone(_)));
    by_name.or_else(by_zone).is_some_and(|release| release.at > now)
}

impl Run {
    /// One part of the plan, and then perhaps the rest of it.
    pub fn release_seats(&mut self, part: Option<Vec<(usize, usize)>>, seconds: u64) {
        let at = self.sale.now + Millis::seconds(seconds);
        let mut releases = vec![SeatRelease { at: at + Millis::minutes(1), part: Part::Zone(code("A")) }];
        if let Some(seats) = part {
            let mut named: Vec<_> = seats.into_iter().map(seat_name).collect();
            named.sort();
            named.dedup();
            releases.insert(0, SeatRelease { at, part: Part::Seats(named) });
            releases.truncate(if seconds.is_multiple_of(2) { 2 } else { 1 });
        }
        let wait = |seat: &Code| waits(&releases, seat, self.sale.now);
        let fits = !self.model.seats().iter().any(wait);
        let done = self.sale.reconfigure(|c| c.ticket_types[2].seat_releases = releases);
        assert_eq!(done.is_ok(), fits, "{done:?}");
    }
}
