//! How much memory and processor time a process has, as the kernel counts it.

use std::{fs, time::Duration};

use crate::failure::Failure;

/// Resident now, in MB.
pub fn resident_mb(process: u32) -> Result<f64, Failure> {
    read(process, "VmRSS:")
}

/// The most that was ever resident.
pub fn peak_mb(process: u32) -> Result<f64, Failure> {
    read(process, "VmHWM:")
}

fn read(process: u32, name: &str) -> Result<f64, Failure> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.map(|kib| (kib * 1024) as f64 / 1e6).ok_or_else(|| format!("{path} has no {name}"))?)
}

/// Used for sockets by all processes: the kernel's own objects, and pages for bytes on their way.
pub fn kernel_mb() -> Result<f64, Failure> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let number = |text: Option<&str>| text.and_then(|text| text.trim().split(' ').next()?.parse::<f64>().ok());
    let memory = read("/proc/meminfo")?;
    let slab_kib = number(memory.lines().find_map(|line| line.strip_prefix("Slab:")));
    let sockets = read("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"));
    let pages = number(tcp.and_then(|line| line.split(" mem ").nth(1)));
    let bytes = slab_kib.zip(pages).map(|(slab_kib, pages)| slab_kib * 1_024.0 + pages * 4_096.0);
    Ok(bytes.ok_or("/proc/meminfo or /proc/net/sockstat is not as expected")? / 1e6)
}

/// Of all its threads so far.
pub fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let path = format!("/proc/{process}/task");
    let mut nanoseconds = 0;
    for task in fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}
