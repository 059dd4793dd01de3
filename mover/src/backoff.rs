//! How long to wait before something that failed is tried again: twice as long after each failure,
//! less a random part of up to a half, so that several movers do not come back in step.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause.
const DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest one.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It has worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It has failed: how long to wait.
    pub(crate) fn next(&mut self) -> Duration {
        let full = DELAY_MIN.saturating_mul(2_u32.saturating_pow(self.failures)).min(DELAY_MAX);
        self.failures = self.failures.saturating_add(1);
        // The hasher's seeds are random enough for this.
        let share = u32::try_from(RandomState::new().hash_one(self.failures) % 1000).unwrap_or(0);
        full - full / 2 * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::default();
        for full in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = backoff.next().as_millis();
            assert!(pause <= full && pause >= full / 2, "{pause} of {full}");
        }
        backoff.reset();
        assert!(backoff.next() <= DELAY_MIN);
    }
}
