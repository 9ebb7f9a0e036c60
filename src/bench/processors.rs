//! Whose the processors' time was: of the node, whoever asks it, and each server, as the kernel counts it.

use std::{collections::HashMap, fs, time::Duration};

use serde::{Deserialize, Serialize};

use super::memory;
use crate::failure::Failure;

/// Servers are found by the name of their program, all of the machine's: run nothing else beside.
const SERVERS: [(&str, &str); 4] =
    [("postgres", "postgres"), ("beam.smp", "rabbitmq"), ("etcd", "etcd"), ("redis-server", "redis")];

/// What they had used at one moment.
pub struct Used {
    processes: HashMap<u32, (&'static str, Duration)>,
    machine: Machine,
}

/// Of all processors together, since the machine was started.
#[derive(Debug, Clone, Copy)]
struct Machine {
    all: f64,
    idle: f64,
    stolen: f64,
}

/// Per cent of all processors together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub of: String,
    pub percent: f64,
}

impl Used {
    /// By our own processes, so named, and the servers.
    pub fn now(ours: [(u32, &'static str); 2]) -> Result<Self, Failure> {
        let mut processes = HashMap::from(ours.map(|(process, name)| (process, (name, Duration::ZERO))));
        for entry in fs::read_dir("/proc")? {
            let Ok(process) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
            // It may end meanwhile.
            let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            if let Some((_, server)) = SERVERS.iter().find(|(program, _)| *program == name.trim_end()) {
                processes.insert(process, (server, Duration::ZERO));
            }
        }
        for (process, (_, used)) in &mut processes {
            *used = memory::cpu_time(*process).unwrap_or_default();
        }
        Ok(Self { processes, machine: Machine::now()? })
    }

    /// Largest first; then what no process of these used, what nobody used, and what the host took.
    pub fn shares_since(&self, before: &Self) -> Vec<Share> {
        let all = self.machine.all - before.machine.all;
        let percent = |seconds: f64| if all > 0.0 { seconds / all * 100.0 } else { 0.0 };
        let mut by_name: HashMap<&'static str, f64> = HashMap::new();
        for (process, (name, used)) in &self.processes {
            let used_before = before.processes.get(process).map_or(Duration::ZERO, |(_, used)| *used);
            *by_name.entry(name).or_default() += used.saturating_sub(used_before).as_secs_f64();
        }
        let idle = self.machine.idle - before.machine.idle;
        let stolen = self.machine.stolen - before.machine.stolen;
        let others = all - idle - stolen - by_name.values().sum::<f64>();
        let mut shares: Vec<Share> =
            by_name.into_iter().map(|(of, seconds)| Share { of: of.into(), percent: percent(seconds) }).collect();
        shares.sort_by(|a, b| b.percent.total_cmp(&a.percent));
        for (of, seconds) in [("others", others), ("idle", idle), ("stolen", stolen)] {
            shares.push(Share { of: of.into(), percent: percent(seconds).max(0.0) });
        }
        shares
    }
}

/// For people.
pub fn line(shares: &[Share]) -> String {
    let shares: Vec<_> = shares.iter().map(|share| format!("{} {:.0} %", share.of, share.percent)).collect();
    shares.join(", ")
}

impl Machine {
    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a second.
    fn now() -> Result<Self, Failure> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("/proc/stat has no sum")?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|tick| tick.parse().ok()).take(8).collect();
        let [_, _, _, idle, waiting, _, _, stolen] = ticks.as_slice() else {
            return Err("/proc/stat is not as expected".into());
        };
        let all: f64 = ticks.iter().sum();
        Ok(Self { all: all / 100.0, idle: (idle + waiting) / 100.0, stolen: stolen / 100.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_up_the_machine_and_a_process_that_came_later_counts_from_nothing() {
        let used = |seconds: &[(u32, &'static str, u64)], all, idle| Used {
            processes: seconds.iter().map(|&(id, of, s)| (id, (of, Duration::from_secs(s)))).collect(),
            machine: Machine { all, idle, stolen: 0.0 },
        };
        let before = used(&[(1, "node", 10), (2, "postgres", 5)], 100.0, 50.0);
        let after = used(&[(1, "node", 18), (2, "postgres", 6), (3, "postgres", 3)], 120.0, 54.0);
        let shares = after.shares_since(&before);
        let shares: Vec<_> = shares.iter().map(|share| (share.of.as_str(), share.percent.round() as u32)).collect();
        assert_eq!(shares, [("node", 40), ("postgres", 20), ("others", 20), ("idle", 20), ("stolen", 0)]);
    }
}
