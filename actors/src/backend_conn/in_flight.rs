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
//! Invariants: B-1 every request leaves exactly once, by a reply or by a failure, in order. B-2 the
//! bytes of the kept requests are exactly those that the out buffer still holds.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ForwardRequest;

/// Requests that came in one batch.
#[derive(Debug)]
pub(super) struct Run<S> {
    /// Who gets the replies; `None` for requests of the connection itself (keepalive).
    pub(super) session: Option<S>,
    /// In the order in which they were written.
    pub(super) requests: Vec<ForwardRequest>,
    /// How many of them are answered.
    answered: usize,
    /// When they came, in milliseconds of the worker's clock.
    pub(super) entered_ms: u64,
    /// The bytes that `requests` point into, kept only where a request may be sent elsewhere.
    pub(super) source: Option<(Bytes, Bytes)>,
}

impl<S> Run<S> {
    pub(super) fn new(session: Option<S>, requests: Vec<ForwardRequest>, entered_ms: u64) -> Self {
        Self {
            session,
            requests,
            answered: 0,
            entered_ms,
            source: None,
        }
    }

    /// The requests without a reply.
    pub(super) fn unanswered(&self) -> &[ForwardRequest] {
        self.requests.get(self.answered..).unwrap_or_default()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct InFlight<S> {
    runs: VecDeque<Run<S>>,
    requests: usize,
    bytes: usize,
}

impl<S> Default for InFlight<S> {
    fn default() -> Self {
        Self {
            runs: VecDeque::new(),
            requests: 0,
            bytes: 0,
        }
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
        self.runs.front().map(|run| run.entered_ms)
    }

    /// Takes a run whose bytes were appended to the out buffer.
    pub(super) fn push(&mut self, run: Run<S>) {
        if run.requests.is_empty() {
            return;
        }
        self.requests += run.requests.len();
        self.bytes += run
            .requests
            .iter()
            .map(|request| request.len as usize)
            .sum::<usize>();
        self.runs.push_back(run);
    }

    /// The run and the request that own the next reply.
    pub(super) fn front(&self) -> Option<(&Run<S>, &ForwardRequest)> {
        let run = self.runs.front()?;
        Some((run, run.requests.get(run.answered)?))
    }

    /// The front request has its whole reply. Returns its run when that was the last of it.
    pub(super) fn answer_front(&mut self) -> Option<Run<S>> {
        let run = self.runs.front_mut()?;
        let request = run.requests.get(run.answered)?;
        self.requests -= 1;
        self.bytes -= request.len as usize;
        run.answered += 1;
        if run.answered == run.requests.len() {
            self.runs.pop_front()
        } else {
            None
        }
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
            let Some(mut run) = self.runs.pop_front() else {
                break;
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
                self.runs.push_front(Run {
                    session: run.session.clone(),
                    requests: kept,
                    answered: 0,
                    entered_ms: run.entered_ms,
                    source: run.source.clone(),
                });
            }
            failed.push(run);
        }
        (failed, unwritten - self.bytes.min(unwritten))
    }

    /// Takes out everything.
    pub(super) fn fail_all(&mut self) -> VecDeque<Run<S>> {
        self.requests = 0;
        self.bytes = 0;
        std::mem::take(&mut self.runs)
    }
}

#[cfg(test)]
mod tests;
