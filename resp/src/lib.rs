//! RESP bytes to values and back: incremental framing, strict limits, encoders.
//!
//! | module | what it does | who needs it |
//! |---|---|---|
//! | [`request`] | finds where each request of a client ends and where its arguments lie | sessions |
//! | [`reply`] | finds where each reply of a backend ends, without keeping it | backend connections, merging |
//! | [`encode`] | appends requests and replies to a buffer | everyone who answers or asks |
//! | [`value`] | decodes a whole reply into a tree | handshakes, tools, tests |
//!
//! The framers never copy: they say how many bytes belong together, and the bytes travel on
//! unchanged. That makes them strict on purpose. Whatever a framer accepts must be read the same
//! way by the server it is forwarded to, so every form that two parsers could read differently
//! (signs, leading zeros, bare line feeds, missing line ends) is refused.
//!
//! Pure: no io, no clock. Bounds: every length is checked before anything is kept for it, and
//! no memory is reserved because a peer announced a number.

pub mod encode;
pub mod error;
mod number;
pub mod reply;
pub mod request;
pub mod value;

pub use error::ProtocolError;
pub use error::ReplyError;
