//! What the benchmark of orders prints.

use serde::Serialize;

use super::Way;
use crate::bench::processors::{self, Share};

#[derive(Debug, Serialize)]
pub struct Report {
    pub stores: String,
    pub way: Way,
    pub buyers: u64,
    /// Begun beyond those that have tickets, at most.
    pub ahead: u64,
    pub orders: u64,
    /// Of the window: from a tenth of the tickets to nine tenths.
    pub seconds: f64,
    /// Orders whose tickets came to be in the table.
    pub orders_per_s: f64,
    /// From the hold's request until its fan sees the order ticketed.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub stages: Vec<Stage>,
    pub processors: Vec<Share>,
    pub bottleneck: String,
    /// Order facts committed and not yet published, at the window's end.
    pub facts_behind: u64,
    pub paid: u64,
    pub refused: u64,
    pub tickets: u64,
    /// What the audit found; empty if all is well.
    pub wrong: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    pub name: &'static str,
    pub per_s: f64,
}

/// Less than this unused: there is nothing to be had by waiting less.
const BUSY_PERCENT: f64 = 15.0;

/// Named by what there is nothing left of.
pub fn bottleneck(shares: &[Share]) -> String {
    let percent = |of: &str| shares.iter().find(|share| share.of == of).map_or(0.0, |share| share.percent);
    let most = shares.iter().filter(|share| !matches!(&*share.of, "others" | "idle" | "stolen")).take(2);
    let most: Vec<_> = most.map(|share| format!("{} {:.0} %", share.of, share.percent)).collect();
    let idle = percent("idle");
    let what = if idle < BUSY_PERCENT { "processor time" } else { "waiting, not processor time" };
    format!("{what} ({idle:.0} % idle); most of it: {}", most.join(", "))
}

impl Report {
    pub fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!(
            "{}; {:?}, {} buyers, {} orders, {} ahead at most",
            self.stores, self.way, self.buyers, self.orders, self.ahead
        );
        println!(
            "{:.0} orders/s with their tickets in the table, over {:.1} s; hold to ticket p50 {:.0} ms, p99 {:.0} ms",
            self.orders_per_s, self.seconds, self.p50_ms, self.p99_ms
        );
        let stages: Vec<_> = self.stages.iter().map(|stage| format!("{} {:.0}", stage.name, stage.per_s)).collect();
        println!("per second: {}", stages.join(", "));
        println!("processors: {}", processors::line(&self.processors));
        println!("bottleneck: {}", self.bottleneck);
        println!(
            "paid {}, refused {}, tickets {}, order facts behind at the end {}; {}",
            self.paid,
            self.refused,
            self.tickets,
            self.facts_behind,
            if self.wrong.is_empty() { "nothing oversold, every ledger balances" } else { "WRONG" }
        );
        for wrong in &self.wrong {
            println!("  {wrong}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_short_of_processors_and_an_idle_one_waits() {
        let shares = |idle| {
            let share = |of: &str, percent| Share { of: of.into(), percent };
            [share("postgres", 40.0), share("node", 30.0), share("etcd", 1.0), share("idle", idle)]
        };
        assert!(
            bottleneck(&shares(5.0)).starts_with("processor time (5 % idle); most of it: postgres 40 %, node 30 %")
        );
        assert!(bottleneck(&shares(40.0)).starts_with("waiting"));
    }
}
