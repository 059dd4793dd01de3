//! What a backend connection shows of itself: its state and its numbers.
//!
//! The connection is the only writer; the router of the same worker reads it to choose replicas
//! and to answer questions, without a message.
//!
//! ```text
//!            ┌──────────── retry time comes ────────────┐
//!            ▼                                          │
//!   Connecting ── handshake ok ──► Ready ── LOADING ──► │ Stale ── healthy again ──► Ready
//!        │  ▲                        │    MASTERDOWN    │   │
//!        │  └──── lost, first time ──┴──────────────────┼───┘
//!        └── failed ──► Down ───────────────────────────┘        (lost again at once: Down)
//! ```

use std::cell::{Cell, RefCell};

use routing::BackendAddr;
use serde::Serialize;

use crate::latency::{Histogram, Snapshot};

/// What a backend is to its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Serves everything.
    Primary,
    /// Serves reads.
    Replica,
    /// Is asked for keys of migrating slots.
    Source,
}

/// What a connection connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The backend.
    pub addr: BackendAddr,
    /// Its role.
    pub role: Role,
    /// The database that the connection has selected.
    pub database: u16,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnState {
    /// A connection is being made; requests wait for it.
    Connecting,
    /// Requests are sent.
    Ready,
    /// A replica that is loading or has lost its primary: not chosen for reads.
    Stale,
    /// The last attempt failed; requests are refused until one succeeds.
    Down,
}

impl ConnState {
    /// Whether the diagram of the module has an arrow from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Connecting, Self::Ready | Self::Down)
                | (Self::Ready, Self::Stale | Self::Connecting | Self::Down)
                | (Self::Stale, Self::Ready | Self::Connecting | Self::Down)
                | (Self::Down, Self::Ready | Self::Down)
        )
    }
}

/// A copy of a connection's state and numbers.
#[derive(Clone, Debug, Serialize)]
pub struct BackendStatus {
    /// `host:port`.
    pub addr: String,
    /// Primary or replica.
    pub role: Role,
    /// The selected database.
    pub database: u16,
    /// The state.
    pub state: ConnState,
    /// Requests sent or about to be, without a reply.
    pub requests_in_flight: usize,
    /// Requests that wait because too many are in flight.
    pub requests_waiting: usize,
    /// Replies since the start.
    pub replies_total: u64,
    /// Error replies of the backend since the start.
    pub errors_total: u64,
    /// Requests that failed in the proxy (down, lost, late, refused) since the start.
    pub failures_total: u64,
    /// Connections made since the start.
    pub connects_total: u64,
    /// Why it is down or was lost last.
    pub last_failure: Option<String>,
    /// From the moment a request was taken to its reply, in microseconds: what half of the requests
    /// did not exceed.
    pub latency_p50_us: u64,
    /// The same for 99 of 100.
    pub latency_p99_us: u64,
    /// All of it, for metrics.
    #[serde(skip)]
    pub latency: Snapshot,
}

/// Written by the connection, read on the same thread.
#[derive(Debug)]
pub(crate) struct ConnStatus {
    pub(crate) target: Target,
    state: Cell<ConnState>,
    pub(super) requests_in_flight: Cell<usize>,
    pub(super) requests_waiting: Cell<usize>,
    pub(super) replies_total: Cell<u64>,
    pub(super) errors_total: Cell<u64>,
    pub(super) failures_total: Cell<u64>,
    pub(super) connects_total: Cell<u64>,
    pub(super) last_failure: RefCell<Option<String>>,
    pub(super) latency: Histogram,
}

impl ConnStatus {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            state: Cell::new(ConnState::Connecting),
            requests_in_flight: Cell::default(),
            requests_waiting: Cell::default(),
            replies_total: Cell::default(),
            errors_total: Cell::default(),
            failures_total: Cell::default(),
            connects_total: Cell::default(),
            last_failure: RefCell::default(),
            latency: Histogram::default(),
        }
    }

    pub(crate) fn state(&self) -> ConnState {
        self.state.get()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state.get() == ConnState::Ready
    }

    pub(super) fn become_state(&self, next: ConnState) {
        debug_assert!(self.state().may_become(next), "{:?} to {next:?}", self.state());
        self.state.set(next);
    }

    pub(super) fn count(cell: &Cell<u64>, count: usize) {
        cell.set(cell.get().wrapping_add(count as u64));
    }

    pub(crate) fn to_status(&self) -> BackendStatus {
        let latency = self.latency.snapshot();
        BackendStatus {
            addr: self.target.addr.to_string(),
            role: self.target.role,
            database: self.target.database,
            state: self.state(),
            requests_in_flight: self.requests_in_flight.get(),
            requests_waiting: self.requests_waiting.get(),
            replies_total: self.replies_total.get(),
            errors_total: self.errors_total.get(),
            failures_total: self.failures_total.get(),
            connects_total: self.connects_total.get(),
            last_failure: self.last_failure.borrow().clone(),
            latency_p50_us: latency.quantile_us(500),
            latency_p99_us: latency.quantile_us(990),
            latency,
        }
    }
}
