//! How long to wait before the next attempt to reach a backend (or a coordinator).
//!
//! The first attempt after a loss comes at once. Then the delay doubles from the shortest to the
//! longest; each is shortened by a random part of up to a half, so that the workers of many proxies
//! do not return to a backend in step.
//!
//! Pure: the random number comes from outside.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    delay_min: Duration,
    delay_max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(delay_min: Duration, delay_max: Duration) -> Self {
        Self { delay_min, delay_max, failures: 0 }
    }

    /// The connection has proved itself: the next loss is a first one again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay before the next attempt; `None` for at once.
    pub(crate) fn next(&mut self, random: u64) -> Option<Duration> {
        let failures = self.failures;
        self.failures = self.failures.saturating_add(1);
        let doublings = failures.checked_sub(1)?;
        let full = self.delay_min.saturating_mul(2_u32.saturating_pow(doublings.min(31)));
        let full = full.min(self.delay_max);
        let share = u32::try_from(random % 1000).unwrap_or(0);
        Some(full - full / 2 * share / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(random: u64) -> Vec<Option<u128>> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        (0..8).map(|_| backoff.next(random).map(|delay| delay.as_millis())).collect()
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let expected = [None, Some(50), Some(100), Some(200), Some(400), Some(800)];
        assert_eq!(delays(0)[..6], expected);
        assert_eq!(delays(0)[6..], [Some(1000), Some(1000)]);
    }

    #[test]
    fn chance_takes_away_at_most_a_half() {
        for random in 0..1000 {
            for (delay, full) in delays(random).into_iter().zip(delays(0)) {
                assert!(delay <= full && delay >= full.map(|full| full / 2), "{delay:?} {full:?}");
            }
        }
    }

    #[test]
    fn a_success_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let _ = (backoff.next(0), backoff.next(0));
        backoff.reset();
        assert_eq!(backoff.next(0), None);
    }

    #[test]
    fn endless_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let last = (0..10_000).fold(None, |_, _| backoff.next(7));
        assert!(last.is_some_and(|delay| delay <= Duration::from_secs(5)));
    }
}
