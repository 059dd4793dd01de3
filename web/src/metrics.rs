//! `/metrics`: the proxy's numbers for Prometheus.
//!
//! | file            | what it owns                                            |
//! |-----------------|---------------------------------------------------------|
//! | `table.rs`      | every metric: name, kind, labels, meaning               |
//! | `exposition.rs` | the text format                                         |
//!
//! Everything is read from counters when it is asked for; nothing is kept between two questions.
//!
//! Bounds: commands have samples once they were called, backends while a slot or a connection names
//! them, so the text grows with those alone.

mod exposition;
mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use actors::coordination::{CoordinatorReport, MembershipState};

use self::exposition::{Exposition, seconds};
use self::table::Metric;
pub use self::table::describe;
use crate::Admin;
use crate::backends::{self, Backend};
use crate::coordinator::{is_connected, session_age_seconds};
use crate::reply::Answer;
use crate::security::{may_read, unauthorized};
use crate::slots;
use crate::view::View;

/// What a proxy can be in its product.
const MEMBERSHIPS: [MembershipState; 4] = [
    MembershipState::Unregistered,
    MembershipState::Waiting,
    MembershipState::Online,
    MembershipState::Leaving,
];

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics`.
pub(crate) async fn page(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    let text = render(&View::now(&admin).await?);
    Ok(HttpResponse::build(StatusCode::OK).content_type(CONTENT_TYPE).body(text))
}

fn render(view: &View) -> String {
    let mut text = Exposition::default();
    process(&mut text, view);
    requests(&mut text, view);
    // Without a worker's part the counters would shrink, which Prometheus takes for a restart.
    let is_whole = view.overview.workers_silent == 0;
    connections(&mut text, if is_whole { &view.backends } else { &[] });
    slot_states(&mut text, view);
    if let Some(report) = &view.coordinator {
        coordinator(&mut text, report, SystemTime::now());
    }
    text.finish()
}

fn process(text: &mut Exposition, view: &View) {
    let overview = &view.overview;
    text.family(&table::BUILD_INFO).sample(&[overview.version], 1);
    text.single(&table::UPTIME, seconds(view.uptime_ms.saturating_mul(1000)));
    text.single(&table::ONLINE, u8::from(view.is_online));
    text.single(&table::WORKERS, overview.workers);
    text.single(&table::WORKERS_SILENT, overview.workers_silent);
    text.single(&table::PROCESSOR, seconds(view.processor_ns / 1000));
    text.single(&table::RESIDENT, overview.resident_bytes);
    text.single(&table::BUFFERED, overview.buffered_bytes);
    text.single(&table::BUFFERED_MAX, view.buffered_bytes_max);
    text.single(&table::CLIENTS, overview.clients);
    text.single(&table::CLIENTS_MAX, overview.clients_max);
    text.single(&table::CLIENTS_ACCEPTED, overview.clients_total);
    text.single(&table::CLIENTS_LIMITED, overview.clients_closed_by_limits_total);
    text.single(&table::RECEIVED, overview.client_bytes_in_total);
    text.single(&table::SENT, overview.client_bytes_out_total);
}

fn requests(text: &mut Exposition, view: &View) {
    let overview = &view.overview;
    text.single(&table::REQUESTS, overview.requests_total);
    text.single(&table::REJECTED, overview.requests_rejected_total);
    text.single(&table::FAILED, overview.requests_failed_total);
    text.single(&table::ERROR_REPLIES, overview.backend_errors_total);
    text.single(&table::KEY_MOVES, overview.key_moves_total);
    text.single(&table::KEY_MOVES_FAILED, overview.key_move_failures_total);
    let mut slow = text.family(&table::SLOW_REQUESTS);
    for (part, count) in &view.slow {
        slow.sample(&[part], *count);
    }
    let mut durations = text.family(&table::REQUEST_DURATION);
    for (class, latency) in &view.latency {
        durations.histogram(&[class.label()], latency);
    }
    let mut calls = text.family(&table::COMMAND_REQUESTS);
    for command in &view.commands {
        calls.sample(&[&command.name], command.counts.calls);
    }
    let mut errors = text.family(&table::COMMAND_ERRORS);
    for command in &view.commands {
        errors.sample(&[&command.name], command.counts.errors);
    }
    let mut sums = text.family(&table::COMMAND_SECONDS);
    for command in &view.commands {
        sums.sample(&[&command.name], seconds(command.counts.latency_us));
    }
}

/// Reads a number of a backend.
type ValueOf = fn(&Backend) -> u64;

fn connections(text: &mut Exposition, backends: &[Backend]) {
    let metrics: [(&Metric, ValueOf); 8] = [
        (&table::BACKEND_UP, |backend| u64::from(backend.state() != "down")),
        (&table::BACKEND_IN_FLIGHT, |backend| backend.requests_in_flight as u64),
        (&table::BACKEND_WAITING, |backend| backend.requests_waiting as u64),
        (&table::BACKEND_REPLIES, |backend| backend.replies_total),
        (&table::BACKEND_ERRORS, |backend| backend.errors_total),
        (&table::BACKEND_FAILURES, |backend| backend.failures_total),
        (&table::BACKEND_CONNECTS, |backend| backend.connects_total),
        (&table::BACKEND_SLOTS, |backend| backend.slots as u64),
    ];
    for (metric, value) in metrics {
        let mut family = text.family(metric);
        for backend in backends {
            family.sample(&[&backend.addr, backend.role], value(backend));
        }
    }
    let mut states = text.family(&table::BACKEND_CONNECTIONS);
    for backend in backends {
        for state in backends::STATES {
            let labels = [&backend.addr, backend.role, backends::state_label(state)];
            states.sample(&labels, backend.connections(state));
        }
    }
    let mut durations = text.family(&table::BACKEND_DURATION);
    for backend in backends {
        durations.histogram(&[&backend.addr, backend.role], &backend.latency);
    }
}

fn slot_states(text: &mut Exposition, view: &View) {
    let mut states = text.family(&table::SLOTS);
    for state in slots::STATES {
        let count = view.slots().filter(|(.., of_slot)| *of_slot == state).count();
        states.sample(&[state], count);
    }
    text.single(&table::EPOCH, view.table.epoch());
    let mut moves = text.family(&table::MOVES);
    for (state, count) in view.mover.states() {
        moves.sample(&[state], count);
    }
    text.single(&table::MOVED_KEYS, view.mover.keys_moved_total);
    text.single(&table::MOVED_BYTES, view.mover.bytes_moved_total);
    text.single(&table::MOVED_BIG_KEYS, view.mover.big_keys_found_total);
    let is_stuck = |report: &&mover::MoveReport| report.error.is_some();
    text.single(&table::MOVES_STUCK, view.mover.moves.iter().filter(is_stuck).count());
    text.single(&table::FILLS, view.fills);
    text.single(&table::PARKED, view.overview.requests_parked);
    text.single(&table::PARKED_BYTES, view.overview.parked_bytes);
}

fn coordinator(text: &mut Exposition, report: &CoordinatorReport, now: SystemTime) {
    text.single(&table::COORDINATOR_CONNECTED, u8::from(is_connected(report)));
    if let Some(age) = session_age_seconds(report, now) {
        text.single(&table::COORDINATOR_SESSION_AGE, age);
    }
    text.single(&table::COORDINATOR_SESSIONS, report.sessions);
    let mut membership = text.family(&table::COORDINATOR_MEMBERSHIP);
    for state in MEMBERSHIPS {
        membership.sample(&[state.word()], u8::from(state == report.membership));
    }
    text.single(&table::COORDINATOR_ANSWERED, report.actions_answered);
    text.single(&table::COORDINATOR_WAITING, report.actions_waiting);
    let seen = report.last_action.as_ref().map(|action| action.seen);
    if let Some(seen) = seen.and_then(|seen| seen.duration_since(UNIX_EPOCH).ok()) {
        text.single(&table::COORDINATOR_LAST_ACTION, seen.as_secs_f64());
    }
    text.single(&table::COORDINATOR_ALARMS, report.alarm_count);
}

#[cfg(test)]
mod tests;
