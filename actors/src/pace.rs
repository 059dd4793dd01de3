//! How fast something at a coordinator is done again that ought to last: at once the first time, then
//! ever more slowly, and at once again after it has lasted for a while.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backend_conn::backoff::Backoff;
use crate::chance::Chance;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause: so often a coordinator that is away is looked for, and so often a node is
/// put right that somebody else keeps changing.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What has lasted for so long was no failure.
const STEADY_AFTER: Duration = Duration::from_secs(10);

pub(crate) struct Pace<'a> {
    backoff: Backoff,
    chance: &'a Chance,
    steady_from: Option<Instant>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(chance: &'a Chance) -> Self {
        Self { backoff: Backoff::new(PAUSE_MIN, PAUSE_MAX), chance, steady_from: None }
    }

    /// It is done and should last from now on.
    pub(crate) fn done(&mut self) {
        self.steady_from = Some(Instant::now());
    }

    /// Waits until it may be done again.
    pub(crate) async fn wait(&mut self) {
        if self.steady_from.take().is_some_and(|from| from.elapsed() >= STEADY_AFTER) {
            self.backoff.reset();
        }
        if let Some(pause) = self.backoff.next(self.chance.next()) {
            sleep(pause).await;
        }
    }
}
