//! What the proxy knows of a client: for CLIENT LIST, and for the client's time limits.
//!
//! The session writes it, the worker's supervisor reads it on the same thread: the time limits of
//! thousands of idle clients cost one sweep instead of a timer each.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use command::{CommandId, CommandTable};
use config::Config;

use crate::client_error::CloseReason;

/// After the last reply to a client that is closed, how long its remaining input is read away so
/// that the reply is not lost to a reset.
const LINGER_MS: u64 = 1000;

/// A client, as its session describes it.
#[derive(Debug)]
pub(crate) struct ClientRecord {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) connected_ms: u64,
    pub(crate) name: RefCell<Box<str>>,
    pub(crate) lib_name: RefCell<Box<str>>,
    pub(crate) lib_version: RefCell<Box<str>>,
    pub(crate) user: RefCell<Box<str>>,
    pub(crate) database: Cell<u16>,
    pub(crate) last_command: Cell<Option<CommandId>>,
    /// When bytes last came from the client.
    pub(crate) read_ms: Cell<u64>,
    /// A request has begun to arrive and is not complete.
    pub(crate) is_partial: Cell<bool>,
    /// Requests without a reply.
    pub(crate) in_flight: Cell<usize>,
    /// When a reply last came, or the first request without one.
    pub(crate) progress_ms: Cell<u64>,
    /// Reply bytes that the client has not taken.
    pub(crate) unsent_bytes: Cell<usize>,
    /// Bytes of requests and replies that it holds in the proxy, as the buffer gauge knows them.
    pub(crate) held_bytes: Cell<usize>,
    /// When the client last took bytes, or they began to wait.
    pub(crate) write_ms: Cell<u64>,
    /// When the last reply to a client that is being closed was sent.
    pub(crate) lingering_ms: Cell<Option<u64>>,
}

impl ClientRecord {
    pub(crate) fn new(id: u64, peer: SocketAddr, local: SocketAddr, now_ms: u64) -> Self {
        Self {
            id,
            peer,
            local,
            connected_ms: now_ms,
            name: RefCell::default(),
            lib_name: RefCell::default(),
            lib_version: RefCell::default(),
            user: RefCell::new("default".into()),
            database: Cell::default(),
            last_command: Cell::default(),
            read_ms: Cell::new(now_ms),
            is_partial: Cell::default(),
            in_flight: Cell::default(),
            progress_ms: Cell::new(now_ms),
            unsent_bytes: Cell::default(),
            held_bytes: Cell::default(),
            write_ms: Cell::new(now_ms),
            lingering_ms: Cell::default(),
        }
    }

    /// The time limit that the client has passed, if any.
    pub(crate) fn overdue(&self, now_ms: u64, config: &Config) -> Option<CloseReason> {
        let is_over = |since_ms: u64, limit: Duration| {
            !limit.is_zero() && u128::from(now_ms.saturating_sub(since_ms)) > limit.as_millis()
        };
        let is_waiting = self.in_flight.get() > 0;
        let is_unsent = self.unsent_bytes.get() > 0;
        if let Some(since_ms) = self.lingering_ms.get() {
            let is_done = now_ms.saturating_sub(since_ms) > LINGER_MS;
            return is_done.then_some(CloseReason::AfterReply);
        }
        if is_unsent && is_over(self.write_ms.get(), config.session_send_timeout) {
            return Some(CloseReason::SlowReader);
        }
        if is_waiting && is_over(self.progress_ms.get(), reply_limit(config)) {
            return Some(CloseReason::NoReply);
        }
        if is_waiting || is_unsent {
            return None;
        }
        if self.is_partial.get() && is_over(self.read_ms.get(), config.session_partial_timeout) {
            return Some(CloseReason::PartialRequest);
        }
        is_over(self.read_ms.get(), config.session_recv_timeout).then_some(CloseReason::Idle)
    }

    /// The line of CLIENT LIST and CLIENT INFO, in the form of Redis 7.0.
    pub(crate) fn line(&self, now_ms: u64, commands: &CommandTable) -> String {
        let seconds = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1000;
        let command = self.last_command.get().and_then(|id| commands.get(id));
        let mut line = String::with_capacity(400);
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags=N db={} sub=0 psub=0 \
             ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} \
             omem={} tot-mem={} events=r cmd={} user={} redir=-1 resp=2 lib-name={} lib-ver={}",
            self.id,
            self.peer,
            self.local,
            self.name.borrow(),
            seconds(self.connected_ms),
            seconds(self.read_ms.get()),
            self.database.get(),
            self.in_flight.get(),
            self.unsent_bytes.get(),
            self.unsent_bytes.get(),
            command.map_or("NULL", |command| command.name()),
            self.user.borrow(),
            self.lib_name.borrow(),
            self.lib_version.borrow(),
        );
        line
    }
}

/// Longer than every deadline that a request can meet at a backend (waiting for a connection, then
/// for the reply), so it is passed only when an answer was lost.
fn reply_limit(config: &Config) -> Duration {
    if config.backend_recv_timeout.is_zero() {
        return Duration::ZERO;
    }
    (config.backend_recv_timeout + config.backend_connect_timeout) * 2 + Duration::from_secs(1)
}

#[cfg(test)]
mod tests;
