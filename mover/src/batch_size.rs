//! How many keys one MIGRATE takes: as many as the source can send in the time that it may be
//! occupied.
//!
//! The time is measured: twice as many after one that took less than half of it, half as many after
//! one that took longer. Pure.

use std::time::Duration;

/// Where a move begins.
const KEYS_AT_FIRST: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct BatchSize {
    keys: usize,
    keys_max: usize,
    bytes: u64,
    bytes_max: u64,
    time: Duration,
}

impl BatchSize {
    pub(crate) fn new(keys_max: usize, bytes_max: u64, time: Duration) -> Self {
        let keys = KEYS_AT_FIRST.min(keys_max);
        Self { keys, keys_max, bytes: bytes_max, bytes_max, time }
    }

    /// How many of the first keys, by their sizes, make the next batch: at least one.
    pub(crate) fn take(&self, sizes: impl Iterator<Item = u64>) -> usize {
        let mut bytes = 0_u64;
        let fits = |size: &u64| {
            bytes = bytes.saturating_add(*size);
            bytes <= self.bytes
        };
        sizes.take(self.keys).take_while(fits).count().max(1)
    }

    /// Whether this many keys, of this many bytes, are a whole batch.
    pub(crate) fn is_full(&self, keys: usize, bytes: u64) -> bool {
        keys >= self.keys || bytes >= self.bytes
    }

    /// Takes note of how long a batch has occupied the source.
    pub(crate) fn learn(&mut self, keys: usize, bytes: u64, taken: Duration) {
        if taken > self.time {
            self.keys = (keys / 2).max(1);
            // The bytes were the cause when the keys were few.
            if bytes > self.bytes / 2 {
                self.bytes = (self.bytes / 2).max(1);
            }
        } else if taken < self.time / 2 {
            if keys >= self.keys {
                self.keys = self.keys.saturating_mul(2).min(self.keys_max);
            }
            if bytes > self.bytes / 2 {
                self.bytes = self.bytes.saturating_mul(2).min(self.bytes_max);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(5);

    #[test]
    fn a_batch_grows_while_it_is_quick_and_shrinks_when_it_is_slow() {
        let mut size = BatchSize::new(100, 1 << 20, TIME);
        let take = |size: &BatchSize| size.take(std::iter::repeat(10));
        assert_eq!(take(&size), 16);
        for expected in [32, 64, 100, 100] {
            size.learn(take(&size), 100, Duration::from_millis(1));
            assert_eq!(take(&size), expected);
        }
        size.learn(100, 100, Duration::from_millis(4));
        assert_eq!(take(&size), 100, "neither quick nor slow");
        for expected in [50, 25, 12, 6, 3, 1, 1] {
            size.learn(take(&size), 100, Duration::from_millis(6));
            assert_eq!(take(&size), expected);
        }
    }

    #[test]
    fn large_keys_make_small_batches() {
        let size = BatchSize::new(100, 1000, TIME);
        assert_eq!(size.take([400, 400, 400].into_iter()), 2);
        assert_eq!(size.take([5000, 1].into_iter()), 1);
        assert!(size.is_full(1, 1000) && size.is_full(16, 1) && !size.is_full(15, 999));
    }

    #[test]
    fn a_batch_that_did_not_reach_its_size_does_not_make_it_grow() {
        let mut size = BatchSize::new(100, 1 << 20, TIME);
        size.learn(3, 100, Duration::from_millis(1));
        assert_eq!(size.take(std::iter::repeat(1)), 16);
    }
}
