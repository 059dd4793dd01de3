//! The memory that a worker reads into, shared by all its sockets.
//!
//! A socket that has something to say is read into the spare room of one chunk, and what came is
//! split off as shared [`Bytes`]. So an idle connection owns no read buffer, and the bytes of a
//! request are not copied on their way to the backend's out buffer.
//!
//! Bounds: one chunk of [`CHUNK_BYTES`] per worker, plus those that `Bytes` still point into:
//! sessions and backends copy small pieces out before they keep them.

use bytes::{Bytes, BytesMut};

/// Size of a chunk: two reads of a 64 KB value.
const CHUNK_BYTES: usize = 192 * 1024;

/// The least spare room that a read is offered: a 64 KB value and its header come in one read, and
/// so need not be put together from two.
pub(crate) const SPARE_BYTES_MIN: usize = 72 * 1024;

/// The chunk that the next read goes into.
#[derive(Debug, Default)]
pub(crate) struct ReadArena {
    chunk: BytesMut,
}

impl ReadArena {
    /// An empty buffer with at least [`SPARE_BYTES_MIN`] of room for `carried` and the next read,
    /// that begins with `carried`, the unfinished end of the last read of this socket.
    pub(crate) fn begin(&mut self, carried: &[u8]) -> &mut BytesMut {
        let wanted = carried.len() + SPARE_BYTES_MIN;
        // A chunk that nobody points into any more is used again from its beginning.
        if self.chunk.capacity() < wanted && !self.chunk.try_reclaim(wanted) {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES.max(wanted));
        }
        self.chunk.extend_from_slice(carried);
        &mut self.chunk
    }

    /// Takes what `begin` and the read after it have put there.
    pub(crate) fn take(&mut self) -> Bytes {
        self.chunk.split().freeze()
    }

    /// Forgets what `begin` put there: the read brought nothing.
    pub(crate) fn discard(&mut self) {
        self.chunk.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_carried_comes_before_what_is_read() {
        let mut arena = ReadArena::default();
        arena.begin(b"left").extend_from_slice(b"over");
        assert_eq!(arena.take(), "leftover");
    }

    #[test]
    fn a_read_always_has_room() {
        let mut arena = ReadArena::default();
        let mut taken = Vec::new();
        for _ in 0..20 {
            let buffer = arena.begin(b"abc");
            assert!(buffer.capacity() - buffer.len() >= SPARE_BYTES_MIN);
            buffer.extend_from_slice(&[7; 30_000]);
            taken.push(arena.take());
        }
        assert!(taken.iter().all(|bytes| bytes.len() == 30_003));
    }

    #[test]
    fn a_discarded_read_leaves_nothing_behind() {
        let mut arena = ReadArena::default();
        arena.begin(b"abc");
        arena.discard();
        arena.begin(b"d");
        assert_eq!(arena.take(), "d");
    }
}
