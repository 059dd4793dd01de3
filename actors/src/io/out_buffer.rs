//! Bytes that wait to be written to a socket.
//!
//! Small pieces are copied together and leave in one write; large ones are kept as shared
//! [`Bytes`] and leave beside them in one vectored write, uncopied.
//!
//! ```text
//! segments: [sealed tail][64 KB of a value] ...   then   tail: small pieces
//! ```
//!
//! Bounds: the owner's. A session counts `len` against its output limit, a backend connection
//! admits only what its in-flight limits allow.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied into the tail: a copy of 4 KB costs less than a segment's
/// reference count and its own entry of the vectored write.
const COPY_BYTES_MAX: usize = 4 * 1024;

/// What has to wait is copied up to this size: a slice would hold the whole chunk that it was read
/// into (`read_arena`), at most six times as much as what is kept.
pub(crate) const WAITING_COPY_BYTES_MAX: usize = 32 * 1024;

/// The most pieces that one vectored write takes.
const SLICES_MAX: usize = 32;

/// A tail that has grown beyond this is given back to the allocator when it is empty.
const TAIL_CAPACITY_KEPT: usize = 64 * 1024;

/// Bytes in the order in which they will be written.
#[derive(Debug, Default)]
pub(crate) struct OutBuffer {
    segments: VecDeque<Bytes>,
    segments_len: usize,
    tail: Vec<u8>,
    /// How much of `tail` is written. Only above 0 while `segments` is empty.
    tail_written: usize,
    /// The socket was full at the last flush: what comes now has to wait.
    is_stalled: bool,
}

impl OutBuffer {
    /// The number of bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.segments_len + self.tail.len() - self.tail_written
    }

    /// True when nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where encoders append small pieces.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a copy.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends a shared piece: copied when small, kept when large.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        if bytes.len() <= self.copy_bytes_max() {
            self.tail.extend_from_slice(bytes);
            return;
        }
        self.seal_tail();
        self.segments_len += bytes.len();
        self.segments.push_back(bytes.clone());
    }

    /// Appends a range of a shared piece: copied when small, kept when large.
    pub(crate) fn push_range(&mut self, bytes: &Bytes, range: Range<usize>) {
        match bytes.get(range.clone()) {
            Some(small) if small.len() <= self.copy_bytes_max() => {
                self.tail.extend_from_slice(small);
            }
            Some(_) => self.push(&bytes.slice(range)),
            None => debug_assert!(false, "a range lies within its bytes"),
        }
    }

    fn copy_bytes_max(&self) -> usize {
        if self.is_stalled { WAITING_COPY_BYTES_MAX } else { COPY_BYTES_MAX }
    }

    /// Drops the first `count` waiting bytes, as if they had been written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.segments.front_mut() {
            if count < front.len() {
                let _ = front.split_to(count);
                self.segments_len -= count;
                return;
            }
            count -= front.len();
            self.segments_len -= front.len();
            self.segments.pop_front();
        }
        self.tail_written = (self.tail_written + count).min(self.tail.len());
        if self.tail_written == self.tail.len() {
            self.tail.clear();
            self.tail_written = 0;
        } else if self.tail_written >= TAIL_CAPACITY_KEPT.max(self.tail.len() / 2) {
            // Or a reader that is always a little behind would keep all that it has ever read.
            self.tail.drain(..self.tail_written);
            self.tail_written = 0;
        }
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until nothing waits or the socket is full. Returns how many bytes were written in
    /// this call, and whether everything is gone; registers the waker when it is not.
    ///
    /// # Errors
    /// Those of the socket; `WriteZero` when it takes nothing.
    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> (usize, Poll<std::io::Result<()>>) {
        let mut written = 0;
        while !self.is_empty() {
            match self.poll_write_once(cx, io) {
                Poll::Ready(Ok(0)) => {
                    return (written, Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(count)) => {
                    self.advance(count);
                    written += count;
                }
                Poll::Ready(Err(error)) => return (written, Poll::Ready(Err(error))),
                Poll::Pending => {
                    self.is_stalled = true;
                    return (written, Poll::Pending);
                }
            }
        }
        self.is_stalled = false;
        (written, Poll::Ready(Ok(())))
    }

    /// Gives up the memory of an empty buffer, keeping a small one for reuse in `pool`.
    pub(crate) fn release(&mut self, pool: &mut Vec<Vec<u8>>) {
        debug_assert!(self.is_empty(), "only an empty buffer gives up its memory");
        let tail = std::mem::take(&mut self.tail);
        self.tail_written = 0;
        self.segments = VecDeque::new();
        // BOUND: one spare buffer serves a worker, since a session's output leaves in the turn in
        // which it was made; a few more cover clients that were slow for a moment.
        if pool.len() < 4 && tail.capacity() > 0 && tail.capacity() <= TAIL_CAPACITY_KEPT {
            pool.push(tail);
        }
    }

    /// Takes a spare buffer from `pool` if this one has none.
    pub(crate) fn acquire(&mut self, pool: &mut Vec<Vec<u8>>) {
        if self.tail.capacity() == 0
            && let Some(mut tail) = pool.pop()
        {
            tail.clear();
            self.tail = tail;
        }
    }

    fn seal_tail(&mut self) {
        if self.tail.len() == self.tail_written {
            self.tail.clear();
            self.tail_written = 0;
            return;
        }
        let mut sealed = Bytes::from(std::mem::take(&mut self.tail));
        let _ = sealed.split_to(self.tail_written);
        self.tail_written = 0;
        self.segments_len += sealed.len();
        self.segments.push_back(sealed);
    }

    fn poll_write_once<W: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<std::io::Result<usize>> {
        let tail = self.tail.get(self.tail_written..).unwrap_or_default();
        if self.segments.is_empty() {
            return Pin::new(io).poll_write(cx, tail);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let pieces = self.segments.iter().map(|segment| &segment[..]).chain([tail]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        let slices = slices.get(..count).unwrap_or_default();
        let written = ready!(Pin::new(io).poll_write_vectored(cx, slices));
        Poll::Ready(written)
    }
}

#[cfg(test)]
mod tests;
