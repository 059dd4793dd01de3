//! What the kernel says about a process: processor time and resident memory; and medians.
//!
//! Processor time is the sum over the threads of `/proc/PID/task/*/schedstat`, in nanoseconds.
//! A kernel built without it gives `utime + stime` of `/proc/PID/stat` instead, in ticks of
//! 10 ms: runs of some seconds are then still good to about one percent.
//!
//! The sum misses threads that ended between two readings. None of the programs measured here
//! ends threads while it serves.

#[cfg(test)]
mod tests;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks per second of `/proc/PID/stat`: `USER_HZ`, which is 100 on all Linux platforms of Redis.
const TICKS_PER_SECOND: u64 = 100;

/// The processor time that a process has used since it started, user and kernel together.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    match schedstat_time(pid) {
        Some(time) if !time.is_zero() => Ok(time),
        _ => {
            let path = format!("/proc/{pid}/stat");
            let text = fs::read_to_string(&path).with_context(|| format!("read `{path}`"))?;
            parse_stat(&text).with_context(|| format!("find the processor time in `{path}`"))
        }
    }
}

/// The resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read `{path}`"))?;
    parse_resident(&text).with_context(|| format!("find VmRSS in `{path}`"))
}

/// The sum over all threads, or `None` where the kernel does not have it.
fn schedstat_time(pid: u32) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        sum += parse_schedstat(&text)?;
    }
    Some(sum)
}

/// The first field: nanoseconds on a processor.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `utime + stime`, fields 14 and 15.
fn parse_stat(text: &str) -> Option<Duration> {
    // Field 2 is the program's name in brackets and may itself hold spaces and brackets: count
    // from the last bracket, which is followed by field 3.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * (1000 / TICKS_PER_SECOND)))
}

/// The line `VmRSS:   1234 kB`.
fn parse_resident(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The median, least and greatest of one figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Summarises values in any order; `None` when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        // With an even number there are two in the middle; with an odd one both are the same.
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        let upper = *sorted.get(sorted.len() / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}
