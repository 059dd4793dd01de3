//! INFO and CONFIG GET: what clients and tools read of a server, told of the proxy.
//!
//! The fields that client libraries look at (`redis_version`, `redis_mode`, `role`,
//! `cluster_enabled`) have the values of a Redis that is alone; the others are the proxy's own
//! numbers. Nothing is asked: the workers' counters are read as they stand.

use std::fmt::Write as _;

use command::{Args, CommandTable, glob_matches};
use resp::encode;

use super::SessionActor;
use crate::session::window::Ticket;
use crate::worker::{Shared, WorkerCounters};

impl SessionActor {
    pub(super) fn info(&mut self, ticket: Ticket, args: &Args<'_>) {
        let wanted: Vec<String> = args
            .iter()
            .skip(1)
            .map(|section| String::from_utf8_lossy(section).to_ascii_lowercase())
            .collect();
        let text = info_text(&self.worker.shared, &wanted);
        self.settle_with(ticket, |out| encode::bulk(out, text.as_bytes()));
    }

    pub(super) fn config_get(&mut self, ticket: Ticket, args: &Args<'_>) {
        let parameters = config_parameters(&self.worker.shared);
        let mut found: Vec<(&[u8], &str)> = Vec::new();
        for (name, value) in &parameters {
            let name = name.as_bytes();
            // A parameter is called as the client called it, who looks it up so in the reply.
            let given = args.iter().skip(2).find(|given| given.eq_ignore_ascii_case(name));
            let is_found = given.is_some()
                || args
                    .iter()
                    .skip(2)
                    .any(|pattern| glob_matches(&pattern.to_ascii_lowercase(), name));
            if is_found {
                found.push((given.unwrap_or(name), value));
            }
        }
        self.settle_with(ticket, |out| {
            encode::array_header(out, found.len() * 2);
            for (name, value) in found {
                encode::bulk(out, name);
                encode::bulk(out, value.as_bytes());
            }
        });
    }
}

/// The parameters that clients and tools ask a server for.
fn config_parameters(shared: &Shared) -> Vec<(&'static str, String)> {
    let config = &shared.settings.config;
    vec![
        ("appendonly", "no".to_owned()),
        ("databases", config.backend_number_databases.to_string()),
        ("maxclients", config.proxy_max_clients.to_string()),
        ("maxmemory", "0".to_owned()),
        ("maxmemory-policy", "noeviction".to_owned()),
        ("notify-keyspace-events", String::new()),
        ("port", shared.listen.port().to_string()),
        ("proto-max-bulk-len", config.session_bulk_bytes_max.to_string()),
        ("save", String::new()),
        ("slowlog-log-slower-than", config.slowlog_log_slower_than.to_string()),
        ("slowlog-max-len", config.slowlog_max_len.to_string()),
        ("tcp-keepalive", config.session_keepalive_period.as_secs().to_string()),
        ("timeout", config.session_recv_timeout.as_secs().to_string()),
    ]
}

/// The text of INFO: the wanted sections, or those that Redis shows by default.
pub(crate) fn info_text(shared: &Shared, wanted: &[String]) -> String {
    let is_default = wanted.is_empty() || wanted.iter().any(|name| name == "default");
    let is_all = wanted.iter().any(|name| name == "all" || name == "everything");
    let mut text = String::new();
    for (name, is_shown_by_default, write) in SECTIONS {
        let is_named = wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        if is_all || is_named || (is_default && *is_shown_by_default) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let _ = write!(text, "# {name}\r\n");
            write(shared, &mut text);
        }
    }
    text
}

type WriteSection = fn(&Shared, &mut String);

const SECTIONS: &[(&str, bool, WriteSection)] = &[
    ("Server", true, write_server),
    ("Clients", true, write_clients),
    ("Memory", true, write_memory),
    ("Stats", true, write_stats),
    ("Replication", true, write_replication),
    ("Commandstats", false, write_command_stats),
    ("Cluster", true, |_, text| field(text, "cluster_enabled", 0)),
    ("Keyway", true, write_keyway),
];

fn field(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(text, "{name}:{value}\r\n");
}

fn write_server(shared: &Shared, text: &mut String) {
    let uptime = shared.started.elapsed().as_secs();
    field(text, "redis_version", &shared.settings.redis_version);
    field(text, "redis_mode", "standalone");
    field(text, "os", format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    field(text, "arch_bits", usize::BITS);
    field(text, "process_id", std::process::id());
    field(text, "run_id", &shared.run_id);
    field(text, "tcp_port", shared.listen.port());
    field(text, "uptime_in_seconds", uptime);
    field(text, "uptime_in_days", uptime / 86_400);
}

fn write_clients(shared: &Shared, text: &mut String) {
    field(text, "connected_clients", shared.clients());
    field(text, "maxclients", shared.settings.config.proxy_max_clients);
    field(text, "blocked_clients", 0);
}

fn write_memory(shared: &Shared, text: &mut String) {
    field(text, "used_memory", resident_bytes());
    field(text, "used_memory_rss", resident_bytes());
    field(text, "maxmemory", 0);
    field(text, "maxmemory_policy", "noeviction");
    field(text, "clients_buffered_bytes", shared.buffered.bytes());
}

fn write_stats(shared: &Shared, text: &mut String) {
    let mut sum = |name, of: fn(&WorkerCounters) -> u64| field(text, name, shared.sum(of));
    sum("total_connections_received", |counters| counters.clients_total.value());
    sum("total_commands_processed", |counters| counters.requests_total.value());
    sum("total_net_input_bytes", |counters| counters.client_bytes_in.value());
    sum("total_net_output_bytes", |counters| counters.client_bytes_out.value());
    sum("total_error_replies", |counters| {
        counters.failures_total.value()
            + counters.backend_errors_total.value()
            + counters.rejected_total.value()
    });
}

fn write_replication(_: &Shared, text: &mut String) {
    field(text, "role", "master");
    field(text, "connected_slaves", 0);
}

fn write_command_stats(shared: &Shared, text: &mut String) {
    for (name, calls) in command_calls(shared, &shared.commands) {
        field(text, &format!("cmdstat_{name}"), format_args!("calls={calls}"));
    }
}

/// The commands that were called since the start, with the number of calls.
pub(crate) fn command_calls<'t>(
    shared: &Shared,
    commands: &'t CommandTable,
) -> impl Iterator<Item = (&'t str, u64)> {
    commands.commands().filter_map(|command| {
        let index = command.id().index();
        let of = |counters: &WorkerCounters| {
            counters.commands.get(index).map_or(0, |command| command.calls.value())
        };
        let calls = shared.sum(of);
        (calls > 0).then_some((command.name(), calls))
    })
}

fn write_keyway(shared: &Shared, text: &mut String) {
    field(text, "keyway_version", env!("CARGO_PKG_VERSION"));
    field(text, "workers", shared.counters.len());
    let mut sum = |name, of: fn(&WorkerCounters) -> u64| field(text, name, shared.sum(of));
    sum("backend_connections", |counters| counters.backend_conns.value());
    sum("requests_failed", |counters| counters.failures_total.value());
    sum("requests_rejected", |counters| counters.rejected_total.value());
    sum("backend_error_replies", |counters| counters.backend_errors_total.value());
    sum("clients_closed_by_limits", |counters| counters.limit_closes_total.value());
}

/// The memory of the process, in bytes; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}
