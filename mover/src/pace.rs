//! How fast keys may be moved: so many keys and so many bytes per second.
//!
//! What was moved takes its share of the coming time; whoever moves next waits until that has
//! passed. There is no credit for time in which nothing was moved, so a limit holds from the first
//! second on. Pure: the clock comes from outside.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that one batch makes the next one wait: a batch that is far larger than what the
/// limit allows per second, such as one huge key, is no reason to stop for hours.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    keys_per_second: u64,
    bytes_per_second: u64,
    free_at: Option<Instant>,
}

impl Pace {
    /// A pace with these limits; 0 is none.
    pub(crate) fn new(keys_per_second: u64, bytes_per_second: u64) -> Self {
        Self { keys_per_second, bytes_per_second, free_at: None }
    }

    /// How long to wait before more is moved.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        self.free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Takes note of what is being moved.
    pub(crate) fn moved(&mut self, keys: u64, bytes: u64, now: Instant) {
        let share = |amount: u64, per_second: u64| match per_second {
            0 => Duration::ZERO,
            #[expect(clippy::cast_precision_loss, reason = "a fraction of a second is enough")]
            per_second => {
                let seconds = amount as f64 / per_second as f64;
                Duration::try_from_secs_f64(seconds).unwrap_or(DELAY_MAX)
            }
        };
        let keys = share(keys, self.keys_per_second);
        let taken = keys.max(share(bytes, self.bytes_per_second)).min(DELAY_MAX);
        let begin = self.free_at.map_or(now, |at| at.max(now));
        self.free_at = Some(begin + taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_from_the_first_second_on() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 1000);
        assert_eq!(pace.delay(start), Duration::ZERO);
        pace.moved(50, 10, start);
        assert_eq!(pace.delay(start), Duration::from_millis(500));
        pace.moved(1, 2000, start);
        assert_eq!(pace.delay(start), Duration::from_millis(2500));
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.delay(later), Duration::ZERO);
        pace.moved(100, 0, later);
        assert_eq!(pace.delay(later), Duration::from_secs(1));
    }

    #[test]
    fn without_limits_nothing_waits() {
        let now = Instant::now();
        let mut pace = Pace::new(0, 0);
        pace.moved(u64::MAX, u64::MAX, now);
        assert_eq!(pace.delay(now), Duration::ZERO);
    }

    #[test]
    fn a_huge_key_does_not_stop_a_slow_move_for_ever() {
        let now = Instant::now();
        let mut pace = Pace::new(0, 1);
        pace.moved(1, u64::MAX, now);
        assert_eq!(pace.delay(now), DELAY_MAX);
    }
}
