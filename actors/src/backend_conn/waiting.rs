//! Batches that wait because a connection has all the requests in flight that it may have.
//!
//! Pure. Bounds: `requests_max` requests and `bytes_max` bytes; beyond them a batch is handed back
//! and its requests are refused.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ForwardBatch;
use super::fence::FenceToken;
use crate::io::WAITING_COPY_BYTES_MAX;

/// What waits.
pub(super) enum Waiter {
    /// Requests of a session.
    Batch(ForwardBatch),
    /// A fence, behind the batches that came before it.
    Fence(FenceToken),
}

pub(super) struct Waiting {
    waiters: VecDeque<Waiter>,
    requests: usize,
    bytes: usize,
    requests_max: usize,
    bytes_max: usize,
}

impl Waiting {
    pub(super) fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self { waiters: VecDeque::new(), requests: 0, bytes: 0, requests_max, bytes_max }
    }

    /// The number of requests that wait.
    pub(super) fn len(&self) -> usize {
        self.requests
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Waiter> {
        self.waiters.front()
    }

    /// Keeps a batch, or hands it back when there is no room.
    pub(super) fn push(&mut self, mut batch: ForwardBatch) -> Result<(), ForwardBatch> {
        let batch_bytes = bytes_of(&batch);
        let requests = self.requests + batch.requests.len();
        let bytes = self.bytes + batch_bytes;
        if requests > self.requests_max || bytes > self.bytes_max {
            return Err(batch);
        }
        self.requests = requests;
        self.bytes = bytes;
        if batch_bytes <= WAITING_COPY_BYTES_MAX {
            copy_out(&mut batch);
        }
        self.waiters.push_back(Waiter::Batch(batch));
        Ok(())
    }

    /// Keeps a fence behind what waits.
    pub(super) fn push_fence(&mut self, token: FenceToken) {
        self.waiters.push_back(Waiter::Fence(token));
    }

    pub(super) fn pop(&mut self) -> Option<Waiter> {
        let waiter = self.waiters.pop_front()?;
        if let Waiter::Batch(batch) = &waiter {
            self.requests -= batch.requests.len();
            self.bytes -= bytes_of(batch);
        }
        Some(waiter)
    }
}

/// Copies a small batch out of the read that it came in, whose memory it would hold.
fn copy_out(batch: &mut ForwardBatch) {
    let mut data = Vec::new();
    for request in &mut batch.requests {
        let source = if request.is_in_parts { &batch.parts } else { &batch.data };
        let range = request.start as usize..request.start as usize + request.len as usize;
        // The batch is small, so positions in it fit.
        request.start = u32::try_from(data.len()).unwrap_or(u32::MAX);
        request.is_in_parts = false;
        data.extend_from_slice(source.get(range).unwrap_or_default());
    }
    batch.data = Bytes::from(data);
    batch.parts = Bytes::new();
}

fn bytes_of(batch: &ForwardBatch) -> usize {
    batch.requests.iter().map(|request| request.len as usize).sum()
}

#[cfg(test)]
mod tests;
