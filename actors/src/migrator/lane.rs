//! What is to be asked of one source about one target, and when.
//!
//! A `MIGRATE` blocks its source, so only one is in flight; what is wanted meanwhile goes together
//! into the next one. After one that could not reach the target the source is left alone for a
//! while, so that a target that hangs does not take the source's other slots with it.
//!
//! Pure. Bounds: [`KEYS_PER_MOVE_MAX`], [`MOVES_IN_FLIGHT_MAX`]; keys that wait belong to requests,
//! which the sessions' windows bound.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Migration;
use super::queues::Key;
use super::wire::MoveMethod;

/// Keys in one `MIGRATE`.
pub(super) const KEYS_PER_MOVE_MAX: usize = 64;

/// `SLOTSMGRTTAGONE`s in flight, each for one key.
pub(super) const MOVES_IN_FLIGHT_MAX: usize = 16;

/// The least time for which a source is left alone when it could not reach the target.
pub(super) const MOVE_PAUSE_MS: u64 = 500;

/// What tells lanes apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneId {
    pub(super) migration: Arc<Migration>,
    pub(super) database: u16,
    pub(super) method: MoveMethod,
}

#[derive(Debug)]
struct Pause {
    until_ms: u64,
    text: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lane {
    wanted: VecDeque<Key>,
    /// Keys whose move failed among others: each is asked for by itself, so that a fault of one key
    /// is not the fault of all.
    alone: VecDeque<Key>,
    in_flight: usize,
    pause: Option<Pause>,
}

impl Lane {
    pub(super) fn want(&mut self, key: Key) {
        self.wanted.push_back(key);
    }

    pub(super) fn want_alone(&mut self, keys: Vec<Key>) {
        self.alone.extend(keys);
    }

    /// Why the source is left alone now, in its own words.
    pub(super) fn paused(&self, now_ms: u64) -> Option<&str> {
        let pause = self.pause.as_ref().filter(|pause| now_ms < pause.until_ms)?;
        Some(&pause.text)
    }

    /// The keys of the next question, which is in flight from now on. Keys that nobody waits for any
    /// more are left out.
    pub(super) fn next(
        &mut self,
        method: MoveMethod,
        is_waited_for: impl Fn(&Key) -> bool,
    ) -> Option<Vec<Key>> {
        let (in_flight_max, keys_max) = match method {
            MoveMethod::Migrate | MoveMethod::SemiAsync => (1, KEYS_PER_MOVE_MAX),
            MoveMethod::Sync => (MOVES_IN_FLIGHT_MAX, 1),
        };
        if self.in_flight >= in_flight_max {
            return None;
        }
        let mut keys = Vec::new();
        while let Some(key) = self.alone.pop_front() {
            if is_waited_for(&key) {
                self.in_flight += 1;
                return Some(vec![key]);
            }
        }
        while let Some(key) = self.wanted.pop_front() {
            if is_waited_for(&key) {
                keys.push(key);
            }
            if keys.len() >= keys_max {
                break;
            }
        }
        if keys.is_empty() {
            return None;
        }
        self.in_flight += 1;
        Some(keys)
    }

    /// A question that `next` did not give is in flight from now on.
    pub(super) fn asked(&mut self) {
        self.in_flight += 1;
    }

    /// A question is answered, or will never be.
    pub(super) fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Leaves the source alone, and takes out all that was wanted of it.
    pub(super) fn pause(&mut self, now_ms: u64, took_ms: u64, text: &str) -> Vec<Key> {
        let until_ms = now_ms + took_ms.max(MOVE_PAUSE_MS);
        self.pause = Some(Pause { until_ms, text: text.to_owned() });
        self.take_all()
    }

    /// Takes out all that is wanted and not in flight.
    pub(super) fn take_all(&mut self) -> Vec<Key> {
        self.alone.drain(..).chain(self.wanted.drain(..)).collect()
    }

    /// Whether nothing is to be known of it any more.
    pub(super) fn is_idle(&self, now_ms: u64) -> bool {
        self.in_flight == 0
            && self.wanted.is_empty()
            && self.alone.is_empty()
            && self.paused(now_ms).is_none()
    }
}

#[cfg(test)]
mod tests;
