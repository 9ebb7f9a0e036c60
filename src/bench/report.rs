//! What a benchmark prints: a table for people, one JSON object for machines.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    Mode,
    processors::{self, Share},
};

#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub mode: Mode,
    pub callers: usize,
    pub ok_per_s: f64,
    pub refused_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Where the load comes from a process of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<Share>,
}

/// One caller's, or all callers', counts and times.
pub struct Tally {
    pub ok: u64,
    pub refused: u64,
    /// Microseconds, of both.
    pub times: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        // Up to a minute, three digits.
        Self { ok: 0, refused: 0, times: Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds") }
    }
}

impl Tally {
    pub fn count(&mut self, ok: bool, took: Duration) {
        self.ok += u64::from(ok);
        self.refused += u64::from(!ok);
        self.times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.refused += other.refused;
        self.times.add(&other.times).expect("the same bounds");
    }

    pub fn row(&self, mode: Mode, callers: usize, elapsed: Duration) -> Row {
        let per_second = |count: u64| count as f64 / elapsed.as_secs_f64();
        let ms = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        Row {
            mode,
            callers,
            ok_per_s: per_second(self.ok),
            refused_per_s: per_second(self.refused),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            processors: Vec::new(),
        }
    }
}

fn name(mode: Mode) -> String {
    format!("{mode:?}").to_lowercase()
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    #[serde(rename = "results")]
    pub rows: Vec<Row>,
    /// Holds in the journals, read back,
    pub stored: u64,
    /// and holds that callers were told of.
    pub acknowledged: u64,
    /// Held beyond the capacity, by the journals.
    pub oversold: u64,
}

impl Report {
    /// With several runs, the median of each figure.
    fn medians(&self) -> Vec<Row> {
        let mut keys: Vec<(usize, Mode)> = self.rows.iter().map(|row| (row.callers, row.mode)).collect();
        keys.sort();
        keys.dedup();
        let row = |(callers, mode): (usize, Mode)| {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| (row.callers, row.mode) == (callers, mode)).collect();
            let median = |figure: fn(&Row) -> f64| middle(rows.iter().map(|row| figure(row)).collect());
            let share = |of: &String| {
                let same = rows.iter().flat_map(|row| &row.processors).filter(|share| share.of == *of);
                Share { of: of.clone(), percent: middle(same.map(|share| share.percent).collect()) }
            };
            let named = rows.first().map_or(&[][..], |row| &row.processors);
            Row {
                mode,
                callers,
                ok_per_s: median(|row| row.ok_per_s),
                refused_per_s: median(|row| row.refused_per_s),
                p50_ms: median(|row| row.p50_ms),
                p99_ms: median(|row| row.p99_ms),
                processors: named.iter().map(|first| share(&first.of)).collect(),
            }
        };
        keys.into_iter().map(row).collect()
    }

    pub fn print(&self, kind: &str, json: bool) {
        let rows = self.medians();
        if json {
            let medians =
                Report { rows, stored: self.stored, acknowledged: self.acknowledged, oversold: self.oversold };
            println!("{}", serde_json::to_string(&medians).expect("plain fields"));
            return;
        }
        println!("stores: {kind}");
        println!(
            "{:>8}  {:<8}{:>12}{:>14}{:>10}{:>10}{:>14}",
            "callers", "mode", "ok/s", "refused/s", "p50 ms", "p99 ms", "ok / cas ok"
        );
        for row in &rows {
            let cas = rows.iter().find(|other| other.mode == Mode::Cas && other.callers == row.callers);
            let ratio = cas
                .filter(|cas| cas.ok_per_s > 0.0)
                .map_or(String::new(), |cas| format!("{:.0}", row.ok_per_s / cas.ok_per_s));
            let mode = name(row.mode);
            println!(
                "{:>8}  {mode:<8}{:>12.0}{:>14.0}{:>10.2}{:>10.2}{ratio:>14}",
                row.callers, row.ok_per_s, row.refused_per_s, row.p50_ms, row.p99_ms
            );
        }
        for row in rows.iter().filter(|row| !row.processors.is_empty()) {
            let (mode, shares) = (name(row.mode), processors::line(&row.processors));
            println!("processors, {mode} with {} callers: {shares}", row.callers);
        }
        println!("stored {}, acknowledged {}, oversold {}", self.stored, self.acknowledged, self.oversold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_runs_each_figure_and_share_is_the_middle_one_of_its_own_mode() {
        let run = |mode, ok_per_s, node: f64| {
            let share = |of: &str, percent| Share { of: of.into(), percent };
            let processors = vec![share("node", node), share("idle", 100.0 - node)];
            Row { mode, callers: 256, ok_per_s, refused_per_s: 0.0, p50_ms: 1.0, p99_ms: 2.0, processors }
        };
        let http = [(300.0, 50.0), (100.0, 70.0), (200.0, 60.0)].map(|(ok, node)| run(Mode::Http, ok, node));
        let rows = http.into_iter().chain([run(Mode::Noop, 900.0, 90.0)]).collect();
        let medians = Report { rows, ..Report::default() }.medians();
        let told = |row: &Row| (row.mode, row.ok_per_s, processors::line(&row.processors));
        assert_eq!(
            medians.iter().map(told).collect::<Vec<_>>(),
            [
                (Mode::Http, 200.0, "node 60 %, idle 40 %".to_owned()),
                (Mode::Noop, 900.0, "node 90 %, idle 10 %".to_owned())
            ]
        );
    }
}
