//! What was seen, as a table or as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fault::Fault;

/// What was seen of one fault.
#[derive(Debug, Serialize)]
pub struct Sight {
    pub away_ms: f64,
    /// Until the other nodes had no link to it.
    pub noticed_ms: Option<f64>,
    /// Answers that were no holds, though they were tried again.
    pub refused: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub faults: BTreeMap<Fault, Vec<Sight>>,
    pub stored: u64,
    pub acknowledged: u64,
    pub oversold: u64,
}

impl Report {
    pub fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!(
            "{:<28}{:>6}{:>12}{:>10}{:>8}{:>8}{:>15}{:>9}",
            "fault", "runs", "away min s", "median s", "max s", "bound", "noticed max s", "refused"
        );
        for (fault, sights) in &self.faults {
            let mut away: Vec<f64> = sights.iter().map(|sight| sight.away_ms / 1e3).collect();
            away.sort_by(f64::total_cmp);
            let noticed = sights.iter().filter_map(|sight| sight.noticed_ms).reduce(f64::max);
            let noticed = noticed.map_or("-".to_owned(), |noticed| format!("{:.2}", noticed / 1e3));
            let bound = fault.bound().map_or("-".to_owned(), |seconds| seconds.to_string());
            let refused: u64 = sights.iter().map(|sight| sight.refused).sum();
            let at = |index: usize| away.get(index).copied().unwrap_or_default();
            println!(
                "{fault:<28}{:>6}{:>12.2}{:>10.2}{:>8.2}{bound:>8}{noticed:>15}{refused:>9}",
                away.len(),
                at(0),
                at(away.len() / 2),
                at(away.len().saturating_sub(1)),
            );
        }
        println!("stored {}, acknowledged {}, oversold {}", self.stored, self.acknowledged, self.oversold);
    }
}
