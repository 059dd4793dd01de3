use std::collections::BTreeSet;

use actors::backend_conn::ConnState;
use actors::latency::{Histogram, RequestClass, Snapshot};
use actors::stats::Overview;

use super::table::ALL;
use super::*;
use crate::backends::tests::{conn, table as slot_table};
use crate::coordinator::tests::report;
use crate::meter::CommandCounts;
use crate::view::Command;

fn latency() -> Snapshot {
    let histogram = Histogram::default();
    for latency_us in [15, 16, 100, 1_000_000, 90_000_000] {
        histogram.record(latency_us, 2);
    }
    histogram.snapshot()
}

fn view() -> View {
    let mut ready = conn("a:1", ConnState::Ready);
    ready.latency = latency();
    let conns = vec![ready, conn("b:1", ConnState::Down)];
    let table = slot_table("a:1", "b:1");
    View {
        is_online: true,
        uptime_ms: 1500,
        buffered_bytes_max: 1 << 30,
        processor_ns: 2_500_000_000,
        commands: vec![Command {
            name: "get".to_owned(),
            counts: CommandCounts { calls: 4, latency_us: 1500, errors: 1 },
        }],
        backends: backends::by_addr(&conns, &table),
        latency: RequestClass::ALL.map(|class| (class, latency())).into(),
        overview: Overview {
            version: "1.2.3",
            run_id: String::new(),
            uptime_seconds: 1,
            listen: String::new(),
            workers: 2,
            workers_silent: 0,
            clients: 3,
            clients_max: 100,
            clients_total: 7,
            clients_closed_by_limits_total: 0,
            requests_total: 40,
            requests_rejected_total: 1,
            requests_failed_total: 2,
            key_moves_total: 0,
            key_move_failures_total: 0,
            backend_errors_total: 3,
            client_bytes_in_total: 400,
            client_bytes_out_total: 500,
            buffered_bytes: 0,
            requests_parked: 5,
            parked_bytes: 155,
            resident_bytes: 1 << 20,
            commands: Vec::new(),
            backends: conns,
        },
        slow: vec![("queue", 1), ("backend", 5), ("write", 0)],
        table,
        fills: 1,
        held: routing::SlotId::new(1).into_iter().collect(),
        mover: mover::MoverReport::nothing(),
        coordinator: Some(report()),
    }
}

/// The metric that a sample belongs to.
fn family_of(sample: &str) -> &str {
    let name = sample.split(['{', ' ']).next().unwrap();
    let is_known = |name: &&str| ALL.iter().any(|metric| metric.name == *name);
    let endings = ["_bucket", "_sum", "_count"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending).filter(is_known));
    stem.unwrap_or(name)
}

#[test]
fn every_metric_has_its_head_once_and_before_its_samples() {
    let text = render(&view());
    let mut current = "";
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap();
            assert!(seen.insert(current), "{current} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.split(' ').next(), Some(current));
        } else {
            assert_eq!(family_of(line), current, "{line}");
        }
    }
    let all: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(seen, all);
}

#[test]
fn names_are_those_that_prometheus_asks_for() {
    for metric in ALL {
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(metric.name.starts_with("keyway_") && is_plain(metric.name), "{}", metric.name);
        assert!(metric.labels.iter().all(|label| is_plain(label)), "{}", metric.name);
        let is_total = metric.name.ends_with("_total");
        assert_eq!(is_total, metric.kind == table::Kind::Counter, "{}", metric.name);
        assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{}", metric.name);
    }
}

#[test]
fn a_histogram_is_cumulative_and_ends_at_infinity() {
    let text = render(&view());
    let samples: Vec<(&str, f64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("keyway_backend_duration_seconds")?.rsplit_once(' '))
        .filter(|(labels, _)| labels.contains("a:1"))
        .map(|(labels, value)| (labels, value.parse().unwrap()))
        .collect();
    let value = |ending: &str| {
        let found = samples.iter().find(|(labels, _)| labels.contains(ending));
        found.unwrap_or_else(|| panic!("no {ending} in {samples:?}")).1
    };
    assert_eq!(value(r#"le="0.000016""#), 2.0);
    assert_eq!(value(r#"le="0.000032""#), 4.0);
    assert_eq!(value(r#"le="0.000128""#), 6.0);
    assert_eq!(value(r#"le="16.777216""#), 8.0);
    assert_eq!(value(r#"le="+Inf""#), 10.0);
    assert_eq!(value("_count"), 10.0);
    assert!((value("_sum") - 182.000_262).abs() < 1e-9);
    let bounded = samples.iter().filter(|(labels, _)| labels.contains(",le="));
    assert!(bounded.is_sorted_by_key(|(_, value)| *value), "{samples:?}");
}

#[test]
fn samples_have_their_labels_and_seconds() {
    let text = render(&view());
    for line in [
        "keyway_build_info{version=\"1.2.3\"} 1",
        "keyway_uptime_seconds 1.5",
        "keyway_cpu_seconds_total 2.5",
        "keyway_command_requests_total{command=\"get\"} 4",
        "keyway_command_duration_seconds_total{command=\"get\"} 0.0015",
        "keyway_backend_up{backend=\"a:1\",role=\"primary\"} 1",
        "keyway_backend_up{backend=\"b:1\",role=\"primary\"} 0",
        "keyway_backend_connections{backend=\"b:1\",role=\"primary\",state=\"down\"} 1",
        "keyway_slots{state=\"offline\"} 1022",
        "keyway_slots{state=\"held\"} 1",
        "keyway_slots{state=\"normal\"} 1",
        "keyway_requests_parked 5",
        "keyway_parked_bytes 155",
        "keyway_coordinator_connected 1",
        "keyway_coordinator_sessions_total 2",
        "keyway_coordinator_membership{state=\"online\"} 1",
        "keyway_coordinator_membership{state=\"waiting\"} 0",
        "keyway_coordinator_actions_answered_total 41",
        "keyway_coordinator_actions_waiting 1",
        "keyway_coordinator_last_action_timestamp_seconds 1000060.5",
        "keyway_coordinator_alarms 1",
    ] {
        assert!(text.lines().any(|known| known == line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn there_are_no_metrics_of_a_coordinator_without_one() {
    let text = render(&View { coordinator: None, ..view() });
    assert!(!text.contains("keyway_coordinator"), "{text}");
    let young = CoordinatorReport { session_since: None, last_action: None, ..report() };
    let text = render(&View { coordinator: Some(young), ..view() });
    assert!(text.contains("keyway_coordinator_connected"), "{text}");
    for absent in ["session_age_seconds", "last_action_timestamp_seconds"] {
        assert!(!text.contains(absent), "{text}");
    }
}

#[test]
fn counters_of_backends_do_not_shrink_because_a_worker_is_busy() {
    let mut view = view();
    view.overview.workers_silent = 1;
    let text = render(&view);
    let is_sample = |line: &&str| line.starts_with("keyway_backend_replies_total{");
    assert_eq!(text.lines().find(is_sample), None);
    assert!(text.contains("keyway_workers_silent 1"), "{text}");
}

#[test]
fn characters_that_end_a_label_are_escaped() {
    let mut text = exposition::Exposition::default();
    text.family(&table::BUILD_INFO).sample(&["a\"b\\c\nd"], 1);
    let last = text.finish();
    assert_eq!(last.lines().last(), Some(r#"keyway_build_info{version="a\"b\\c\nd"} 1"#));
}

/// Everything in a text that looks like a metric of ours.
fn names_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("keyway_")).map(family_of).collect()
}

#[test]
fn the_dashboard_and_the_alerts_use_metrics_that_exist() {
    let known: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    for (file, text) in [
        ("docs/grafana/keyway.json", include_str!("../../../docs/grafana/keyway.json")),
        ("docs/prometheus/alerts.yml", include_str!("../../../docs/prometheus/alerts.yml")),
    ] {
        let used = names_in(text);
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty() && used.len() > 5, "{file}: {unknown:?} of {used:?}");
    }
    let dashboard = include_str!("../../../docs/grafana/keyway.json");
    serde_json::from_str::<serde_json::Value>(dashboard).unwrap();
}

#[test]
fn the_document_is_what_describe_prints() {
    let document = include_str!("../../../docs/metrics.md");
    assert!(
        document == describe(),
        "run `cargo run -p keyway -- metrics --describe > docs/metrics.md`"
    );
}
