//! Sockets, and the buffers between them and the cores: what is read, and what waits to be written.

pub(crate) mod out_buffer;
pub(crate) mod read_arena;
pub(crate) mod socket;

use std::ops::Range;

use bytes::Bytes;

pub(crate) use out_buffer::{OutBuffer, WAITING_COPY_BYTES_MAX};
pub(crate) use read_arena::ReadArena;
pub(crate) use socket::Socket;

/// A range of some bytes that must wait: a copy when it is small, since a slice would keep the whole
/// memory of the read that it came with.
pub(crate) fn detached(data: &Bytes, range: Range<usize>) -> Bytes {
    match data.get(range.clone()) {
        Some(small) if small.len() <= WAITING_COPY_BYTES_MAX => Bytes::copy_from_slice(small),
        Some(_) => data.slice(range),
        None => Bytes::new(),
    }
}
