//! What the crowds heard, sweep by sweep.

use std::collections::BTreeMap;

use super::crowd::{Outcome, Told};

#[derive(Default)]
pub struct Waves {
    pub messages: u64,
    pub bytes: u64,
    /// Milliseconds from a sweep's first message until each came; where there are no sweeps, since the server's own time.
    delays: Vec<f64>,
    /// The same until its last one came.
    sweeps: Vec<f64>,
}

impl Waves {
    /// What the fans of one node heard. The first and the last sweep may be cut by the measurement, and do not count.
    pub fn add(&mut self, outcome: Outcome) {
        self.messages += outcome.told.len() as u64;
        self.bytes += outcome.bytes;
        let mut sweeps: BTreeMap<Option<u64>, Vec<Told>> = BTreeMap::new();
        for told in outcome.told {
            sweeps.entry(told.total).or_default().push(told);
        }
        let alone = sweeps.remove(&None).unwrap_or_default();
        if sweeps.is_empty() {
            self.delays.extend(alone.iter().map(|told| told.came_ms - told.server_ms as f64));
        }
        sweeps.pop_first();
        sweeps.pop_last();
        for sweep in sweeps.into_values() {
            let began = sweep.iter().map(|told| told.server_ms).min().unwrap_or_default() as f64;
            let delays = sweep.iter().map(|told| (told.came_ms - began).max(0.0));
            self.sweeps.push(delays.clone().fold(0.0, f64::max));
            self.delays.extend(delays);
        }
        self.delays.sort_by(f64::total_cmp);
        self.sweeps.sort_by(f64::total_cmp);
    }

    pub fn delay_ms(&self, quantile: f64) -> f64 {
        at(&self.delays, quantile)
    }

    /// The median one.
    pub fn sweep_ms(&self) -> f64 {
        at(&self.sweeps, 0.5)
    }

    pub fn worst_ms(&self) -> f64 {
        at(&self.sweeps, 1.0)
    }
}

/// Of sorted values; 0 if there are none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index between 0 and the length")]
fn at(values: &[f64], quantile: f64) -> f64 {
    let last = values.len().saturating_sub(1) as f64;
    values.get((last * quantile).round() as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_what_is_told_of_one_publication_and_the_cut_ones_do_not_count() {
        let told = [
            (9, 900, 950.0),
            (8, 2_000, 2_010.0),
            (8, 2_100, 2_130.0),
            (7, 3_000, 3_001.0),
            (8, 2_100, 2_200.0),
            (7, 3_050, 3_061.0),
            (6, 4_000, 4_900.0),
        ];
        let told = told.map(|(total, server_ms, came_ms)| Told { total: Some(total), server_ms, came_ms }).to_vec();
        let mut waves = Waves::default();
        waves.add(Outcome { bytes: 70, told });
        assert_eq!((waves.messages, waves.bytes), (7, 70));
        assert_eq!((waves.sweep_ms(), waves.worst_ms()), (200.0, 200.0));
        assert_eq!((waves.delay_ms(0.0), waves.delay_ms(1.0)), (1.0, 200.0));
    }

    #[test]
    fn without_publications_a_delay_is_since_the_servers_own_time() {
        let told = vec![Told { total: None, server_ms: 100, came_ms: 103.0 }];
        let mut waves = Waves::default();
        waves.add(Outcome { bytes: 7, told });
        assert_eq!((waves.delay_ms(0.5), waves.sweep_ms()), (3.0, 0.0));
    }
}
