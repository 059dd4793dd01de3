//! Whether a target takes its reports: what is said of it, and how long it is left alone.
//!
//! A target is told of when it begins to fail and when it works again, not in between. Each failure
//! in a row makes the pause before the next report longer, so that a target that is down costs
//! little, a name that does not resolve above all.

use std::time::Duration;

/// The pauses after the first, second, ... failure in a row; the last one stays.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It failed for the first time in a row.
    Fails,
    /// It took a report after it had failed.
    Works,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: usize,
}

impl Health {
    /// Counts a report and says what is new.
    pub(super) fn note(&mut self, is_sent: bool) -> Option<Change> {
        let had_failed = self.failures > 0;
        self.failures = if is_sent { 0 } else { self.failures.saturating_add(1) };
        match (had_failed, is_sent) {
            (false, false) => Some(Change::Fails),
            (true, true) => Some(Change::Works),
            (false, true) | (true, false) => None,
        }
    }

    /// How long to wait, beside the period.
    pub(super) fn pause(&self) -> Duration {
        let Some(index) = self.failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        PAUSES.get(index).or(PAUSES.last()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_of_once_per_change() {
        let mut health = Health::default();
        let told = [true, false, false, false, true, true, false].map(|sent| health.note(sent));
        let (fails, works) = (Some(Change::Fails), Some(Change::Works));
        assert_eq!(told, [None, fails, None, None, works, None, fails]);
    }

    #[test]
    fn pauses_grow_with_each_failure_and_end_with_the_first_success() {
        let mut health = Health::default();
        let mut seconds = Vec::new();
        for _ in 0..7 {
            seconds.push(health.pause().as_secs());
            health.note(false);
        }
        assert_eq!(seconds, [0, 1, 2, 4, 8, 15, 15]);
        health.note(true);
        assert_eq!(health.pause(), Duration::ZERO);
    }
}
