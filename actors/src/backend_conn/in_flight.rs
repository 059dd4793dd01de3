//! The requests that a backend connection has taken and that are not answered, in order.
//!
//! Replies of a backend come in the order of its requests, so the front request owns the next
//! reply. Requests stay together in runs, one per forwarded batch, so that replies go back in
//! batches too.
//!
//! When the connection is lost, [`InFlight::fail_written`] tells what must be answered with an error
//! (the backend may have executed it) from what was never written and may be sent again:
//!
//! ```text
//!   answered     | written             | written in part | never written
//!   (gone)       | may have run: error | cannot have run, but its beginning is gone: error | kept
//! ```
//!
//! Pure: no socket, no clock. Generic over who gets the replies, so that tests need no actor.
//!
//! Bounds: the connection admits at most `backend_max_pipeline` requests.
//!
//! A fence among the runs falls when every request before it has left.
//!
//! Invariants: B-1 every request leaves exactly once, by a reply or by a failure, in order. B-2 the
//! bytes of the kept requests are exactly those that the out buffer still holds. B-3 a fence is never
//! at the front: with nothing before it, it has fallen.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ForwardRequest;
use super::fence::FenceToken;

/// Requests that came in one batch.
#[derive(Debug)]
pub(super) struct Run<S> {
    /// Who gets the replies; `None` for requests of the connection itself (keepalive).
    pub(super) reply_to: Option<S>,
    /// In the order in which they were written.
    pub(super) requests: Vec<ForwardRequest>,
    /// How many of them are answered.
    answered: usize,
    /// When they came, in microseconds of the worker's clock.
    pub(super) entered_us: u64,
    /// When they were written. In the turn in which they came, unless that was not possible.
    pub(super) written_us: u64,
    /// The bytes that `requests` point into, kept only where a request may be sent elsewhere.
    pub(super) source: Option<(Bytes, Bytes)>,
}

impl<S> Run<S> {
    pub(super) fn new(reply_to: Option<S>, requests: Vec<ForwardRequest>, entered_us: u64) -> Self {
        let written_us = entered_us;
        Self { reply_to, requests, answered: 0, entered_us, written_us, source: None }
    }

    /// The requests without a reply.
    pub(super) fn unanswered(&self) -> &[ForwardRequest] {
        self.requests.get(self.answered..).unwrap_or_default()
    }
}

#[derive(Debug)]
enum Entry<S> {
    Run(Run<S>),
    /// Held for its drop.
    Fence(#[expect(dead_code, reason = "held for its drop")] FenceToken),
}

/// See the module.
#[derive(Debug)]
pub(super) struct InFlight<S> {
    entries: VecDeque<Entry<S>>,
    requests: usize,
    bytes: usize,
}

impl<S> Default for InFlight<S> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), requests: 0, bytes: 0 }
    }
}

impl<S> InFlight<S> {
    /// The number of requests without a reply.
    pub(super) fn len(&self) -> usize {
        self.requests
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// When the oldest request came, in milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.front_run().map(|run| run.entered_us / 1000)
    }

    /// Takes a run whose bytes were appended to the out buffer.
    pub(super) fn push(&mut self, run: Run<S>) {
        if run.requests.is_empty() {
            return;
        }
        self.requests += run.requests.len();
        self.bytes += run.requests.iter().map(|request| request.len as usize).sum::<usize>();
        self.entries.push_back(Entry::Run(run));
    }

    /// Puts a fence behind everything that is in flight.
    pub(super) fn push_fence(&mut self, token: FenceToken) {
        self.entries.push_back(Entry::Fence(token));
        self.drop_fallen();
    }

    /// Something was written of the last `unwritten` bytes of all requests: their runs, as far as
    /// they are not still waiting, were written now. Those that wait are told again.
    pub(super) fn stamp_written(&mut self, mut unwritten: usize, now_us: u64) {
        for entry in self.entries.iter_mut().rev() {
            let Entry::Run(run) = entry else {
                continue;
            };
            if unwritten == 0 {
                return;
            }
            let bytes = run.unanswered().iter().map(|request| request.len as usize).sum::<usize>();
            unwritten = unwritten.saturating_sub(bytes);
            run.written_us = now_us;
        }
    }

    /// The run and the request that own the next reply.
    pub(super) fn front(&self) -> Option<(&Run<S>, &ForwardRequest)> {
        let run = self.front_run()?;
        Some((run, run.requests.get(run.answered)?))
    }

    /// The front request has its whole reply. Returns its run when that was the last of it.
    #[inline]
    pub(super) fn answer_front(&mut self) -> Option<Run<S>> {
        let Some(Entry::Run(run)) = self.entries.front_mut() else {
            return None;
        };
        let request = run.requests.get(run.answered)?;
        self.requests -= 1;
        self.bytes -= request.len as usize;
        run.answered += 1;
        if run.answered < run.requests.len() {
            return None;
        }
        let Some(Entry::Run(run)) = self.entries.pop_front() else {
            return None;
        };
        self.drop_fallen();
        Some(run)
    }

    /// The connection is lost while the last `unwritten` bytes of all requests still wait in the
    /// out buffer. Takes out, in order, the runs of the requests that were written at least in
    /// part; the others stay. Also says how many of the waiting bytes belong to a request written
    /// in part: those must be dropped (B-2).
    pub(super) fn fail_written(&mut self, unwritten: usize) -> (Vec<Run<S>>, usize)
    where
        S: Clone,
    {
        let mut failed = Vec::new();
        // Bytes of this and all later requests; a request is untouched when all of that waits.
        while self.bytes > unwritten {
            let mut run = match self.entries.pop_front() {
                Some(Entry::Run(run)) => run,
                Some(Entry::Fence(_)) => continue,
                None => break,
            };
            let mut written = run.answered;
            for request in run.requests.iter().skip(run.answered) {
                if self.bytes <= unwritten {
                    break;
                }
                self.bytes -= request.len as usize;
                self.requests -= 1;
                written += 1;
            }
            if written < run.requests.len() {
                let kept = run.requests.split_off(written);
                self.entries.push_front(Entry::Run(Run {
                    reply_to: run.reply_to.clone(),
                    requests: kept,
                    answered: 0,
                    entered_us: run.entered_us,
                    written_us: run.written_us,
                    source: run.source.clone(),
                }));
            }
            failed.push(run);
        }
        self.drop_fallen();
        (failed, unwritten - self.bytes.min(unwritten))
    }

    /// Takes out everything.
    pub(super) fn fail_all(&mut self) -> Vec<Run<S>> {
        self.requests = 0;
        self.bytes = 0;
        let entries = std::mem::take(&mut self.entries);
        let runs = entries.into_iter().filter_map(|entry| match entry {
            Entry::Run(run) => Some(run),
            Entry::Fence(_) => None,
        });
        runs.collect()
    }

    fn front_run(&self) -> Option<&Run<S>> {
        match self.entries.front()? {
            Entry::Run(run) => Some(run),
            Entry::Fence(_) => None,
        }
    }

    /// INVARIANT B-3.
    fn drop_fallen(&mut self) {
        while let Some(Entry::Fence(_)) = self.entries.front() {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
