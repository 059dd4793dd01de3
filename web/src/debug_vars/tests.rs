use actors::latency::Histogram;
use serde_json::{Value, json};

use super::*;

fn command(name: &str, calls: u64, latency_us: u64) -> Command {
    let counts = CommandCounts { calls, latency_us, errors: 0 };
    Command { name: name.to_owned(), counts }
}

fn latency(latencies_us: &[u64]) -> Snapshot {
    let histogram = Histogram::default();
    for latency_us in latencies_us {
        histogram.record(*latency_us, 1);
    }
    histogram.snapshot()
}

#[test]
fn commands_count_under_their_first_word() {
    let commands =
        vec![command("config|get", 2, 10), command("config|set", 1, 5), command("get", 4, 8)];
    let sums = by_first_word(commands);
    let calls: Vec<_> = sums.iter().map(|(name, counts)| (name.as_str(), counts.calls)).collect();
    assert_eq!(calls, [("CONFIG", 3), ("GET", 4)]);
    assert_eq!(sums["CONFIG"].latency_us, 15);
}

#[test]
fn every_request_is_in_one_range_of_latencies() {
    let all = [0, 1_000, 4_000, 7_000, 20_000, 90_000, 400_000, 3_000_000, 7_000_000, 60_000_000];
    let counts: Vec<u64> = ranges(&latency(&all)).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [3, 1, 1, 1, 1, 1, 1, 1]);
    let none: u64 = ranges(&Snapshot::default()).into_iter().map(|(_, count)| count).sum();
    assert_eq!(none, 0);
}

/// A text in the place of `ops` ends the dashboard of Codis.
#[test]
fn every_figure_of_the_router_is_a_number() {
    let counted = Counted {
        ops: u64::MAX,
        connections: 1,
        commands: by_first_word(vec![command("get", 4, 8), command("mget", 1, 8)]),
        fills: 3,
        key_moves: 2,
        latency: latency(&[100, 200, 300]),
    };
    let router = serde_json::to_value(Router::Counters(counted.counters())).unwrap();
    let router = router.as_object().unwrap();
    assert!(router.values().all(Value::is_u64), "{router:?}");
    for (name, expected) in [
        ("ops", u64::MAX),
        ("connections", 1),
        ("GET", 4),
        ("MGET", 1),
        ("FillSlot", 3),
        ("Migrate", 2),
        ("0-5ms", 3),
        ("10000ms+", 0),
    ] {
        assert_eq!(router.get(name), Some(&json!(expected)), "{name}");
    }
}

#[test]
fn memory_is_told_in_the_words_of_go() {
    let usage = Usage { vm_rss: 7, vm_size: 9, ..Usage::default() };
    let expected = json!({"Alloc": 7, "Sys": 9, "HeapAlloc": 7, "HeapSys": 9, "HeapInuse": 7});
    assert_eq!(serde_json::to_value(Memory::of(&usage)).unwrap(), expected);
}
