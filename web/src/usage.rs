//! What the process uses of the machine, as the kernel counts it (`/proc/self/stat`).

use std::fs;

use serde::Serialize;

/// Times in nanoseconds, memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    pub(crate) utime: u64,
    pub(crate) stime: u64,
    pub(crate) cutime: u64,
    pub(crate) cstime: u64,
    pub(crate) num_threads: u64,
    pub(crate) vm_size: u64,
    pub(crate) vm_rss: u64,
}

impl Usage {
    /// The usage up to now; `None` where the system does not tell.
    pub(crate) fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        let page_bytes = rustix::param::page_size() as u64;
        Self::parse(&text, ticks_per_second, page_bytes)
    }

    /// Processor time in nanoseconds.
    pub(crate) fn processor_ns(&self) -> u64 {
        self.utime.saturating_add(self.stime)
    }

    fn parse(text: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Self> {
        // The name of the program stands in parentheses and may hold anything, also these.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and its first two fields are cut off here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let tick_ns = 1_000_000_000_u64.checked_div(ticks_per_second)?;
        let time = |number| Some(field(number)?.saturating_mul(tick_ns));
        Some(Self {
            utime: time(14)?,
            stime: time(15)?,
            cutime: time(16)?,
            cstime: time(17)?,
            num_threads: field(20)?,
            vm_size: field(23)?,
            vm_rss: field(24)?.saturating_mul(page_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_nanoseconds_and_memory_in_bytes() {
        let text = "27284 (a (odd) name) S 1 2 3 0 -1 4194560 10 0 0 0 109 65 3 4 20 0 8 0 100 \
                    1270231040 8332 18446744073709551615 1 1";
        let usage = Usage::parse(text, 100, 4096).unwrap();
        let expected = Usage {
            utime: 1_090_000_000,
            stime: 650_000_000,
            cutime: 30_000_000,
            cstime: 40_000_000,
            num_threads: 8,
            vm_size: 1_270_231_040,
            vm_rss: 34_127_872,
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.processor_ns(), 1_740_000_000);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::now().unwrap();
        assert!(usage.num_threads > 0 && usage.vm_rss > 0 && usage.vm_size >= usage.vm_rss);
        assert_eq!(Usage::parse("no stat", 100, 4096), None);
    }
}
