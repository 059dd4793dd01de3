//! Deadlines and waiting.
//!
//! [`wait_until`] is the only place of the suite that sleeps: it asks again after a short pause
//! until the answer is the wanted one, and fails with the last answer at the deadline. A test
//! never sleeps a fixed time and hopes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a step that should take milliseconds may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(10);

/// A moment in the future, and the way there.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    length: Duration,
}

impl Deadline {
    /// A deadline that ends after `length`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "real processes run on the real clock")]
    pub fn after(length: Duration) -> Self {
        Self { started: Instant::now(), length }
    }

    /// The time since the deadline was set.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time left, or `None` when there is none.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.length.checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }
}

/// Asks `probe` until it answers `Ok`, and returns that. `Err` is what was seen instead.
///
/// # Panics
/// When the deadline passes; the text holds `what` and the last `Err`.
#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two probes, bounded by the deadline"
)]
pub fn wait_until<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<T, E>,
) -> T {
    let deadline = Deadline::after(deadline);
    loop {
        let last_seen = match probe() {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        if deadline.remaining().is_none() {
            panic!("not within {:?}: {what}; last seen: {last_seen:?}", deadline.length);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests;
