//! Buffers between sockets and the cores: what is read, and what waits to be written.

pub(crate) mod out_buffer;
pub(crate) mod read_arena;

pub(crate) use out_buffer::{OutBuffer, WAITING_COPY_BYTES_MAX};
pub(crate) use read_arena::ReadArena;
