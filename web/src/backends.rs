//! Backends as people and programs look at them: one line per address and role.
//!
//! Every worker has connections of its own to a backend. Here they are added up; the state is the
//! worst of theirs, so a backend that one worker cannot reach does not look healthy.

use std::collections::BTreeMap;

use actors::backend_conn::{BackendStatus, ConnState, Role};
use actors::latency::Snapshot;
use routing::SlotTable;

/// All connections to one address in one role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    pub(crate) addr: String,
    pub(crate) role: &'static str,
    /// Slots that this backend serves in this role.
    pub(crate) slots: usize,
    /// The state of each connection; none before the first request.
    pub(crate) states: Vec<ConnState>,
    pub(crate) requests_in_flight: usize,
    pub(crate) requests_waiting: usize,
    pub(crate) replies_total: u64,
    pub(crate) errors_total: u64,
    pub(crate) failures_total: u64,
    pub(crate) connects_total: u64,
    pub(crate) last_failure: Option<String>,
    pub(crate) latency: Snapshot,
}

impl Backend {
    /// The worst state of its connections in one word; `unused` when there are none, since
    /// connections are opened on first use.
    pub(crate) fn state(&self) -> &'static str {
        let worst = self.states.iter().copied().max_by_key(|state| severity(*state));
        worst.map_or("unused", state_label)
    }

    /// How many connections are in a state.
    pub(crate) fn connections(&self, state: ConnState) -> usize {
        self.states.iter().filter(|known| **known == state).count()
    }

    fn add(&mut self, conn: &BackendStatus) {
        self.states.push(conn.state);
        self.requests_in_flight += conn.requests_in_flight;
        self.requests_waiting += conn.requests_waiting;
        self.replies_total += conn.replies_total;
        self.errors_total += conn.errors_total;
        self.failures_total += conn.failures_total;
        self.connects_total += conn.connects_total;
        self.last_failure = self.last_failure.take().or_else(|| conn.last_failure.clone());
        self.latency.add(&conn.latency);
    }
}

/// Every backend that the slot table names or that has a connection, by address and role.
pub(crate) fn by_addr(conns: &[BackendStatus], table: &SlotTable) -> Vec<Backend> {
    let mut backends = BTreeMap::new();
    for (_, assignment) in table.assignments() {
        let primary = assignment.primary.iter().map(|addr| (addr, Role::Primary));
        let replicas = assignment.replica_groups.iter().flatten().map(|addr| (addr, Role::Replica));
        let source = assignment.source.iter().map(|source| (&source.addr, Role::Source));
        for (addr, role) in primary.chain(replicas).chain(source) {
            entry(&mut backends, addr.as_str(), role).slots += 1;
        }
    }
    for conn in conns {
        entry(&mut backends, &conn.addr, conn.role).add(conn);
    }
    backends.into_values().collect()
}

type Backends = BTreeMap<(String, &'static str), Backend>;

fn entry<'a>(backends: &'a mut Backends, addr: &str, role: Role) -> &'a mut Backend {
    let role = role_label(role);
    let new = || Backend { addr: addr.to_owned(), role, ..Backend::default() };
    backends.entry((addr.to_owned(), role)).or_insert_with(new)
}

fn role_label(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Source => "source",
    }
}

/// The state of a connection in one word.
pub(crate) fn state_label(state: ConnState) -> &'static str {
    match state {
        ConnState::Ready => "ready",
        ConnState::Connecting => "connecting",
        ConnState::Stale => "stale",
        ConnState::Down => "down",
    }
}

/// Every state of a connection.
pub(crate) const STATES: [ConnState; 4] =
    [ConnState::Ready, ConnState::Connecting, ConnState::Stale, ConnState::Down];

fn severity(state: ConnState) -> usize {
    STATES.iter().position(|known| *known == state).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests;
