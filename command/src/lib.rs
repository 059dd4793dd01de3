//! What the proxy knows of every Redis command.
//!
//! ```text
//!                data/redis-7.0.json (what a real server says)   policy/table.rs (what we do)
//!                                         \                        /
//!   Args (one framed request) --> CommandTable::plan --> Plan: Local | Forward | FanOut | Reject ...
//!                                                                                 |
//!                            replies of the parts  -->  Merge  <--  FanOutRequest::split
//! ```
//!
//! * [`Args`]: the arguments of one request, still lying in the frame they came in.
//! * [`CommandTable`]: every command with its arity, flags, key positions and [`Policy`].
//! * [`Dialect`]: the proxy whose place this one takes, and what that one refuses.
//! * [`Plan`]: what to do with one request. A command without an explicit policy is never
//!   forwarded.
//! * [`FanOutRequest`], [`Merge`]: a multi-key command over several backends, and its one reply.
//! * [`Rejection`]: every text with which a request is refused.
//!
//! Pure: no io, no clock, no global state. The session owns an `Arc<CommandTable>`.

mod answer;
mod args;
mod command;
mod data;
mod dialect;
mod error;
mod fan_out;
mod glob;
mod keys;
mod merge;
mod named_slot;
mod plan;
mod policy;
mod rejection;
mod sort;
mod table;
#[cfg(test)]
mod testing;

pub use args::Args;
pub use command::Command;
pub use command::CommandId;
pub use dialect::Dialect;
pub use error::TableError;
pub use fan_out::FanOutRequest;
pub use fan_out::Part;
pub use glob::glob_matches;
pub use merge::Merge;
pub use named_slot::SlotFault;
pub use named_slot::named_slot;
pub use plan::Access;
pub use plan::Plan;
pub use plan::Planned;
pub use policy::ClientCommand;
pub use policy::FanOutKind;
pub use policy::Feature;
pub use policy::LatencyCommand;
pub use policy::LocalCommand;
pub use policy::Policy;
pub use policy::Protocol;
pub use policy::Refusal;
pub use policy::SlowLogCommand;
pub use rejection::Rejection;
pub use resp::request::Span;
pub use table::CommandTable;
