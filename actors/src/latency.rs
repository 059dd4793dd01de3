//! Latencies as histograms: cheap to count, exact enough to read percentiles from.
//!
//! A bin is never wider than a quarter of its lower bound, from 1 µs up to more than a minute:
//!
//! ```text
//! µs:  0 1 2 3 | 4 5 6 7 | 8 10 12 14 | 16 20 24 28 | 32 ...   four bins per doubling
//! ```
//!
//! Pure. Written by one worker, read by any thread; [`Snapshot`]s of several workers add up.

use crate::worker::Counter;

/// Bins per doubling of the latency.
const STEPS: usize = 4;

/// Doublings from 4 µs on; the last bin holds everything from 2^27 µs (134 s) on.
const DOUBLINGS: usize = 26;

/// The number of bins.
pub const BINS: usize = STEPS * DOUBLINGS;

/// What a latency is counted under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestClass {
    /// Forwarded, may be served by a replica.
    Read,
    /// Forwarded to a primary.
    Write,
    /// Split over several backends.
    FanOut,
    /// Answered or refused by the proxy.
    #[default]
    Local,
}

impl RequestClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::FanOut, Self::Local];

    /// The class as a stable label for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::FanOut => "fan_out",
            Self::Local => "local",
        }
    }
}

/// Counts latencies.
#[derive(Debug)]
pub struct Histogram {
    bins: [Counter; BINS],
    sum_us: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: [const { Counter::new() }; BINS], sum_us: Counter::default() }
    }
}

impl Histogram {
    /// Counts `count` requests of one latency, in microseconds.
    #[inline]
    pub fn record(&self, latency_us: u64, count: u64) {
        if let Some(bin) = self.bins.get(bin_of(latency_us)) {
            bin.add(count);
        }
        self.sum_us.add(latency_us.saturating_mul(count));
    }

    /// The sum of all latencies in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us.value()
    }

    /// A copy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.bins.iter().map(Counter::value).collect();
        Snapshot { counts, sum_us: self.sum_us.value() }
    }
}

/// What a [`Histogram`], or several of them, have counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By bin; empty when there is none.
    counts: Vec<u64>,
    sum_us: u64,
}

impl Snapshot {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_us += other.sum_us;
    }

    /// What was counted since an earlier snapshot of the same histograms.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(before).map(|(now, then)| now.saturating_sub(then));
        Self { counts: counts.collect(), sum_us: self.sum_us.saturating_sub(earlier.sum_us) }
    }

    /// The number of requests.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all latencies in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The latency in microseconds that a share of all requests did not exceed, at most a quarter
    /// too high; 0 when there are none. `per_mille` is the share: 990 for p99.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u64) -> u64 {
        let wanted = (self.count() * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return upper_bound_us(bin);
            }
        }
        0
    }

    /// Every bin as its upper bound in microseconds and the number of requests up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().enumerate().scan(0, |seen, (bin, count)| {
            *seen += count;
            Some((upper_bound_us(bin), *seen))
        })
    }
}

/// The bin of a latency.
fn bin_of(latency_us: u64) -> usize {
    // Below 4 µs every microsecond has its bin.
    let Some(doubling) = latency_us.checked_ilog2().filter(|doubling| *doubling >= 2) else {
        return usize::try_from(latency_us).unwrap_or(0);
    };
    let step = (latency_us >> (doubling - 2)) & 3;
    let bin = (doubling as usize - 1) * STEPS + usize::try_from(step).unwrap_or(0);
    bin.min(BINS - 1)
}

/// The largest latency in a bin.
fn upper_bound_us(bin: usize) -> u64 {
    if bin < STEPS {
        return bin as u64;
    }
    let (doubling, step) = (bin / STEPS + 1, (bin % STEPS) as u64);
    ((STEPS as u64 + step + 1) << (doubling - 2)) - 1
}

#[cfg(test)]
mod tests;
