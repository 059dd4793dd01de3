//! The operator's side of the admin API: what `keyway admin` asks a proxy, and how it shows it.
//!
//! | file        | what it owns                                                  |
//! |-------------|---------------------------------------------------------------|
//! | `client.rs` | the HTTP client: deadlines, xauth, refusals                   |
//! | `tables.rs` | the proxy's answers as tables for people                      |
//! | `moves.rs`  | moves of slots as tables, and as a line that tells how far    |
//! | `text.rs`   | how a table is laid out and coloured                          |
//!
//! The protocol is that of Codis 3.2, so a `codis-proxy` can be asked as well.

pub(crate) mod client;
pub(crate) mod moves;
pub(crate) mod tables;
pub(crate) mod text;
