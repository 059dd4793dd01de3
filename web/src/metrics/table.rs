//! Every metric by name, and the document of them.
//!
//! The table is what `/metrics` writes its heads from, what `keyway metrics --describe` prints, and
//! what the dashboard and the alert rules in `docs/` are checked against.

use std::fmt::Write as _;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// As it is now.
    Gauge,
    /// How many were within each of some bounds, and their sum.
    Histogram,
}

impl Kind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric. Its unit stands in its name, as Prometheus has it.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// Defines a constant for each metric, and the list of all of them.
macro_rules! metrics {
    ($($id:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        $(
            pub(super) const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every metric, in the order of the document.
        pub(crate) const ALL: &[Metric] = &[$($id),+];
    };
}

metrics! {
    BUILD_INFO: Gauge, "keyway_build_info", ["version"], "Always 1; tells the version.";
    UPTIME: Gauge, "keyway_uptime_seconds", [], "Time since the start of the process.";
    ONLINE: Gauge, "keyway_online", [], "1 while the proxy serves clients, 0 before it is started and while it stops.";
    WORKERS: Gauge, "keyway_workers", [], "Threads that serve clients.";
    WORKERS_SILENT: Gauge, "keyway_workers_silent", [], "Workers that did not answer within a second; 0 when all is well.";
    PROCESSOR: Counter, "keyway_cpu_seconds_total", [], "Processor time of the process, user and system.";
    RESIDENT: Gauge, "keyway_resident_memory_bytes", [], "Memory of the process.";
    BUFFERED: Gauge, "keyway_buffered_bytes", [], "Unfinished requests and waiting replies of all clients together.";
    BUFFERED_MAX: Gauge, "keyway_buffered_bytes_max", [], "The ceiling of keyway_buffered_bytes: proxy_max_offheap_size.";
    CLIENTS: Gauge, "keyway_clients", [], "Clients connected now.";
    CLIENTS_MAX: Gauge, "keyway_clients_max", [], "The most clients that may be connected: proxy_max_clients.";
    CLIENTS_ACCEPTED: Counter, "keyway_clients_accepted_total", [], "Clients accepted.";
    CLIENTS_LIMITED: Counter, "keyway_clients_closed_by_limits_total", [], "Clients closed because they read too slowly or made too many bytes wait.";
    RECEIVED: Counter, "keyway_client_received_bytes_total", [], "Bytes read from clients.";
    SENT: Counter, "keyway_client_sent_bytes_total", [], "Bytes written to clients.";
    REQUESTS: Counter, "keyway_requests_total", [], "Requests received, whatever became of them.";
    REJECTED: Counter, "keyway_requests_rejected_total", [], "Requests refused for what they are: unknown, wrong arguments, keys in several slots, not supported.";
    FAILED: Counter, "keyway_requests_failed_total", [], "Requests that ended in an error of the proxy: slot offline, backend down, busy, lost or too late. A part of a split request counts as one.";
    ERROR_REPLIES: Counter, "keyway_backend_error_replies_total", [], "Error replies of backends, passed on to clients.";
    SLOW_REQUESTS: Counter, "keyway_slow_requests_total", ["part"], "Requests that took slowlog_log_slower_than or longer, by the part of their time that was longest. part: queue (until written to the backend), backend (until the reply was read), write (until the reply was written).";
    REQUEST_DURATION: Histogram, "keyway_request_duration_seconds", ["class"], "From the read that brought a request to the write of its reply. class: read, write, fan_out (split over backends), local (answered by the proxy).";
    COMMAND_REQUESTS: Counter, "keyway_command_requests_total", ["command"], "Requests by command, for those that were called.";
    COMMAND_ERRORS: Counter, "keyway_command_errors_total", ["command"], "Requests by command that were answered by an error, the proxy's or a backend's.";
    COMMAND_SECONDS: Counter, "keyway_command_duration_seconds_total", ["command"], "The sum of the latencies of a command's requests.";
    BACKEND_UP: Gauge, "keyway_backend_up", ["backend", "role"], "0 when a worker's connection to the backend is down, else 1. Connections are opened on first use.";
    BACKEND_CONNECTIONS: Gauge, "keyway_backend_connections", ["backend", "role", "state"], "Connections to a backend. state: ready, connecting, stale (replica without its data), down.";
    BACKEND_IN_FLIGHT: Gauge, "keyway_backend_requests_in_flight", ["backend", "role"], "Requests without a reply, sent or about to be.";
    BACKEND_WAITING: Gauge, "keyway_backend_requests_waiting", ["backend", "role"], "Requests held back because backend_max_pipeline are in flight.";
    BACKEND_REPLIES: Counter, "keyway_backend_replies_total", ["backend", "role"], "Replies received.";
    BACKEND_ERRORS: Counter, "keyway_backend_errors_total", ["backend", "role"], "Error replies received.";
    BACKEND_FAILURES: Counter, "keyway_backend_failures_total", ["backend", "role"], "Requests that got no reply: the backend was down, busy, lost or too late.";
    BACKEND_CONNECTS: Counter, "keyway_backend_connects_total", ["backend", "role"], "Connections made.";
    BACKEND_DURATION: Histogram, "keyway_backend_duration_seconds", ["backend", "role"], "From the moment a connection took a request to its reply.";
    BACKEND_SLOTS: Gauge, "keyway_backend_slots", ["backend", "role"], "Slots that the backend serves.";
    SLOTS: Gauge, "keyway_slots", ["state"], "Slots. state: normal, held (a change is under way, requests wait), locked (requests wait), migrating (keys move to another group), offline (requests get an error).";
    KEY_MOVES: Counter, "keyway_key_moves_total", [], "Questions to the sources of migrating slots, before requests for their keys: to move keys, or to run a request that they still have the key of.";
    KEY_MOVES_FAILED: Counter, "keyway_key_move_failures_total", [], "Requests that got an error because the source did not let go of their keys.";
    EPOCH: Gauge, "keyway_slots_epoch", [], "Version of the slot table; it grows with every change.";
    MOVES: Gauge, "keyway_slot_moves", ["state"], "Moves of slots that this proxy runs or has run of late. state: queued, running, paused, cancelling, done, incomplete (keys were left on purpose), cancelled.";
    MOVED_KEYS: Counter, "keyway_moved_keys_total", [], "Keys that this proxy's moves of slots have moved; those that requests had moved are not among them.";
    MOVED_BYTES: Counter, "keyway_moved_bytes_total", [], "Their memory on the source. Codis servers do not tell it.";
    MOVED_BIG_KEYS: Counter, "keyway_moved_big_keys_found_total", [], "Keys larger than big_key_bytes that moves of slots have found.";
    MOVES_STUCK: Gauge, "keyway_slot_moves_stuck", [], "Moves whose last step failed and is tried again.";
    FILLS: Gauge, "keyway_slot_fills", [], "Changes of slots that are under way or wait.";
    PARKED: Gauge, "keyway_requests_parked", [], "Requests that wait for slots that are held or locked, at most slot_parked_max in each worker.";
    PARKED_BYTES: Gauge, "keyway_parked_bytes", [], "Bytes of the requests that wait for slots, at most slot_parked_bytes_max in each worker.";
    COORDINATOR_CONNECTED: Gauge, "keyway_coordinator_connected", [], "1 while there is contact with the coordinator. This metric and those below are there only when the proxy has a coordinator.";
    COORDINATOR_SESSION_AGE: Gauge, "keyway_coordinator_session_age_seconds", [], "Age of the session with the coordinator. Left out while there is none.";
    COORDINATOR_SESSIONS: Counter, "keyway_coordinator_sessions_total", [], "Sessions with the coordinator so far. One more is one that was lost.";
    COORDINATOR_MEMBERSHIP: Gauge, "keyway_coordinator_membership", ["state"], "1 for what the proxy is in its product, 0 for the other states. state: unregistered (not known there), waiting (registered, not put online), online, leaving.";
    COORDINATOR_ANSWERED: Counter, "keyway_coordinator_actions_answered_total", [], "Actions of the dashboard that were answered.";
    COORDINATOR_WAITING: Gauge, "keyway_coordinator_actions_waiting", [], "Actions that wait for their effect, and so for their answer.";
    COORDINATOR_LAST_ACTION: Gauge, "keyway_coordinator_last_action_timestamp_seconds", [], "When the last action was seen, in Unix time. Left out before the first one.";
    COORDINATOR_ALARMS: Gauge, "keyway_coordinator_alarms", [], "What an operator has to look at, such as nodes that make no sense; /keyway/coordinator has their texts. 0 when all is well.";
}

/// The document of the metrics, in Markdown.
#[must_use]
pub fn describe() -> String {
    let mut text = String::from(INTRODUCTION);
    for Metric { name, kind, labels, help } in ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.label(), labels.join(", "));
    }
    text
}

const INTRODUCTION: &str = "\
# Metrics

<!-- This is what `keyway metrics --describe` prints. -->

The admin server tells Prometheus the metrics below under `/metrics`. With `admin_read_token` set, Prometheus must send
it:

```yaml
scrape_configs:
  - job_name: keyway
    authorization: { credentials: TOKEN }
    static_configs:
      - targets: [\"127.0.0.1:11080\"]
```

Ready to use: a dashboard for Grafana in [grafana/keyway.json](grafana/keyway.json), and alert rules in
[prometheus/alerts.yml](prometheus/alerts.yml). Both expect a job called `keyway`.

* Counters count from the start of the process. Those of a backend begin at zero again when no connection to it is left.
* Histograms have a bound for each doubling, from 16 µs to 16.8 s. `backend` is the address as the slots name it.
* The time that the proxy adds to a request is `keyway_request_duration_seconds` less `keyway_backend_duration_seconds`.
* When a worker does not answer within a second (`keyway_workers_silent`), the samples of backends are left out: without
  that worker's part their counters would shrink.

| name | kind | labels | meaning |
|---|---|---|---|
";
