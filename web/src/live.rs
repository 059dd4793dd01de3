//! What the live page asks for every second: counters, and the state of slots and backends.
//!
//! The answer depends on nobody's earlier questions. It holds totals, and the page takes the
//! differences; so any number of pages may look at once, and none needs anything remembered.

use std::time::SystemTime;

use actors::latency::Snapshot;
use mover::MoveReport;
use routing::{SlotAssignment, SlotId};
use serde::Serialize;

use crate::backends::Backend;
use crate::coordinator::CoordinatorForm;
use crate::slow::SlowLine;
use crate::view::{Command, View};

/// Answers of `/keyway/live`. Totals count from the start of the process.
#[derive(Debug, Serialize)]
pub(crate) struct Live {
    version: &'static str,
    run_id: String,
    uptime_ms: u64,
    listen: String,
    online: bool,
    workers: usize,
    workers_silent: usize,
    clients: usize,
    clients_max: usize,
    requests_total: u64,
    requests_rejected_total: u64,
    requests_failed_total: u64,
    backend_errors_total: u64,
    client_bytes_in_total: u64,
    client_bytes_out_total: u64,
    buffered_bytes: usize,
    buffered_bytes_max: usize,
    requests_parked: u64,
    parked_bytes: u64,
    resident_bytes: u64,
    processor_us_total: u64,
    /// Requests that went to a backend, whole.
    latency: Bins,
    /// What backends took of it.
    backend_latency: Bins,
    commands: Vec<CommandLine>,
    backends: Vec<BackendLine>,
    epoch: u64,
    fills: usize,
    slots_held: usize,
    slots: Vec<SlotRun>,
    /// The slowest of the newest requests in the slow log.
    slow_requests: Vec<SlowLine>,
    moves: Vec<MoveLine>,
    coordinator: Option<CoordinatorForm>,
}

/// A move of slots.
#[derive(Debug, Serialize)]
struct MoveLine {
    id: u64,
    state: &'static str,
    slots: String,
    target: String,
    slots_done: usize,
    slots_total: usize,
    keys_total: Option<u64>,
    keys_moved: u64,
    keys_per_second: f64,
    bytes_per_second: f64,
    eta_seconds: Option<u64>,
    error: Option<String>,
}

/// The bins of a histogram that are not empty: upper bound in microseconds, requests.
type Bins = Vec<(u64, u64)>;

#[derive(Debug, Serialize)]
struct CommandLine {
    command: String,
    calls: u64,
    errors: u64,
    latency_us: u64,
}

#[derive(Debug, Serialize)]
struct BackendLine {
    addr: String,
    role: &'static str,
    state: &'static str,
    slots: usize,
    connections: usize,
    requests_in_flight: usize,
    requests_waiting: usize,
    replies_total: u64,
    errors_total: u64,
    failures_total: u64,
    last_failure: Option<String>,
    latency: Bins,
}

/// Neighbouring slots that are alike.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct SlotRun {
    first: u16,
    last: u16,
    state: &'static str,
    group: u32,
    primary: String,
    /// Where keys that were not moved yet are, while the slots migrate.
    source: String,
    replicas: usize,
}

impl Live {
    pub(crate) fn of(view: View, slow_requests: Vec<SlowLine>, now: SystemTime) -> Self {
        let slots = runs(view.slots());
        let (latency, backend_latency) = (view.forwarded_latency(), view.backend_latency());
        let overview = view.overview;
        Self {
            version: overview.version,
            run_id: overview.run_id,
            uptime_ms: view.uptime_ms,
            listen: overview.listen,
            online: view.is_online,
            workers: overview.workers,
            workers_silent: overview.workers_silent,
            clients: overview.clients,
            clients_max: overview.clients_max,
            requests_total: overview.requests_total,
            requests_rejected_total: overview.requests_rejected_total,
            requests_failed_total: overview.requests_failed_total,
            backend_errors_total: overview.backend_errors_total,
            client_bytes_in_total: overview.client_bytes_in_total,
            client_bytes_out_total: overview.client_bytes_out_total,
            buffered_bytes: overview.buffered_bytes,
            buffered_bytes_max: view.buffered_bytes_max,
            requests_parked: overview.requests_parked,
            parked_bytes: overview.parked_bytes,
            resident_bytes: overview.resident_bytes,
            processor_us_total: view.processor_ns / 1000,
            latency: bins(&latency),
            backend_latency: bins(&backend_latency),
            commands: view.commands.into_iter().map(command_line).collect(),
            backends: view.backends.into_iter().map(backend_line).collect(),
            epoch: view.table.epoch(),
            fills: view.fills,
            slots_held: view.held.len(),
            slots,
            slow_requests,
            moves: view.mover.moves.into_iter().map(move_line).collect(),
            coordinator: view.coordinator.map(|report| CoordinatorForm::of(report, now)),
        }
    }
}

fn move_line(report: MoveReport) -> MoveLine {
    let progress = report.progress;
    MoveLine {
        id: report.id,
        state: report.state,
        slots: report.slots.to_string(),
        target: report.target,
        slots_done: progress.slots_done,
        slots_total: progress.slots_total,
        keys_total: progress.keys_total,
        keys_moved: progress.keys_moved,
        keys_per_second: progress.keys_per_second,
        bytes_per_second: progress.bytes_per_second,
        eta_seconds: progress.eta_seconds,
        error: report.error,
    }
}

fn bins(snapshot: &Snapshot) -> Bins {
    let up_to = snapshot.cumulative();
    let counts = up_to.scan(0, |before, (bound, up_to)| {
        let count = up_to - *before;
        *before = up_to;
        Some((bound, count))
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

fn command_line(command: Command) -> CommandLine {
    let Command { name, counts } = command;
    let (calls, errors, latency_us) = (counts.calls, counts.errors, counts.latency_us);
    CommandLine { command: name, calls, errors, latency_us }
}

fn backend_line(backend: Backend) -> BackendLine {
    BackendLine {
        state: backend.state(),
        connections: backend.states.len(),
        latency: bins(&backend.latency),
        addr: backend.addr,
        role: backend.role,
        slots: backend.slots,
        requests_in_flight: backend.requests_in_flight,
        requests_waiting: backend.requests_waiting,
        replies_total: backend.replies_total,
        errors_total: backend.errors_total,
        failures_total: backend.failures_total,
        last_failure: backend.last_failure,
    }
}

/// All slots, neighbours that are alike in one.
fn runs<'a>(
    slots: impl Iterator<Item = (SlotId, &'a SlotAssignment, &'static str)>,
) -> Vec<SlotRun> {
    let mut runs: Vec<SlotRun> = Vec::new();
    for (slot, assignment, state) in slots {
        let single = SlotRun::single(slot.number(), assignment, state);
        match runs.last_mut().filter(|run| run.is_like(&single)) {
            Some(run) => run.last = single.last,
            None => runs.push(single),
        }
    }
    runs
}

impl SlotRun {
    fn single(number: u16, assignment: &SlotAssignment, state: &'static str) -> Self {
        Self {
            first: number,
            last: number,
            state,
            group: assignment.group,
            primary: assignment.primary.as_ref().map(ToString::to_string).unwrap_or_default(),
            source: assignment.source.as_ref().map_or_else(String::new, |s| s.addr.to_string()),
            replicas: assignment.replica_groups.iter().map(Vec::len).sum(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.state, self.group, self.replicas) == (other.state, other.group, other.replicas)
            && (&self.primary, &self.source) == (&other.primary, &other.source)
    }
}

#[cfg(test)]
mod tests;
