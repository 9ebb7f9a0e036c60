//! How much memory a process has, as the kernel counts it.

use std::fs;

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
