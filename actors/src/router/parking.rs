//! Requests of held slots, in the order in which they came.
//!
//! ```text
//! park: a1(s) b1(s) a2(t)      s becomes free:  take_all -> a1 b1 a2 -> routed again in order;
//!                                               a2 is parked again if t is still held
//! ```
//!
//! A session that has a fanned-out request parked here parks everything after it: the request holds
//! keys of slots that are not held, and a later request for one of those keys must not overtake it.
//!
//! Pure. Bounds: `requests_max` requests and `bytes_max` bytes; beyond them a request is refused and
//! its client told to try again. Where a request may not wait for ever, [`Parking::take_before`]
//! takes those whose time is over.
//!
//! Invariants: P-1 requests of one session leave in the order of entry. P-2 counts equal the sums
//! over the entries.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use super::RouteRequest;
use crate::backend_conn::ForwardRequest;

/// What waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request of a session, as it came.
    Request(RouteRequest),
    /// A read, or a part of one, that a replica could not serve.
    Retry(ForwardRequest),
}

impl Waiting {
    fn is_fanned_out(&self) -> bool {
        matches!(self, Self::Request(request) if request.fan_out.is_some())
    }
}

/// A request that waits for its slot.
#[derive(Debug)]
pub(super) struct Parked<S> {
    pub(super) session: S,
    pub(super) database: u16,
    /// The bytes of the request, and nothing else.
    pub(super) frame: Bytes,
    pub(super) waiting: Waiting,
    /// When it began to wait, on the worker's clock. Later entries have waited no longer.
    pub(super) since_ms: u64,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParkingLimits {
    pub(super) requests_max: usize,
    pub(super) bytes_max: usize,
}

#[derive(Debug)]
pub(super) struct Parking<S> {
    limits: ParkingLimits,
    entries: VecDeque<Parked<S>>,
    bytes: usize,
    /// Sessions that must park everything, by the identity that the router gives them.
    followers: HashSet<usize>,
}

impl<S> Parking<S> {
    pub(super) fn new(limits: ParkingLimits) -> Self {
        Self { limits, entries: VecDeque::new(), bytes: 0, followers: HashSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many requests wait, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Whether a session's next request must wait whatever its slot (P-1).
    pub(super) fn must_follow(&self, session: usize) -> bool {
        !self.followers.is_empty() && self.followers.contains(&session)
    }

    /// Keeps a request, or hands it back when there is no room.
    pub(super) fn park(&mut self, identity: usize, parked: Parked<S>) -> Result<(), Parked<S>> {
        let bytes = self.bytes + parked.frame.len();
        if self.entries.len() >= self.limits.requests_max || bytes > self.limits.bytes_max {
            return Err(parked);
        }
        self.bytes = bytes;
        if parked.waiting.is_fanned_out() {
            self.followers.insert(identity);
        }
        self.entries.push_back(parked);
        Ok(())
    }

    /// Takes everything, in order, to be routed again.
    pub(super) fn take_all(&mut self) -> VecDeque<Parked<S>> {
        self.bytes = 0;
        self.followers.clear();
        std::mem::take(&mut self.entries)
    }

    /// Takes the entries that began to wait before a time: the first ones. Sessions of which no
    /// fanned-out request is left need not follow any longer.
    pub(super) fn take_before(
        &mut self,
        since_ms: u64,
        identity: impl Fn(&S) -> usize,
    ) -> Vec<Parked<S>> {
        let count = self.entries.iter().take_while(|parked| parked.since_ms < since_ms).count();
        let taken: Vec<_> = self.entries.drain(..count).collect();
        self.bytes -= taken.iter().map(|parked| parked.frame.len()).sum::<usize>();
        let fanned_out = self.entries.iter().filter(|parked| parked.waiting.is_fanned_out());
        self.followers = fanned_out.map(|parked| identity(&parked.session)).collect();
        taken
    }

    /// The sessions that wait, some more than once.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &S> {
        self.entries.iter().map(|parked| &parked.session)
    }
}

#[cfg(test)]
mod tests;
