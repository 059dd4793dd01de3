//! Tests of what is read from redis-benchmark and from INFO, and of the check of the counters.

use super::*;
use crate::workloads::WORKLOADS;

const HEADER: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
    \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

#[test]
fn the_summary_is_read_from_the_last_line() {
    let check = |line: &str, expected: Option<(u64, f64, f64)>| {
        let expected = expected.map(|(requests_per_second, p50_ms, p99_ms)| Summary {
            requests_per_second,
            p50_ms,
            p99_ms,
        });
        assert_eq!(parse_csv(&format!("{HEADER}{line}")), expected);
    };
    let figures = r#""76543.21","0.6","0.1","0.543","0.9","1.719","9.9""#;
    check(&format!("\"GET k\",{figures}\n"), Some((76_543, 0.543, 1.719)));
    check(&format!("\"SET k a,b\",{figures}\n"), Some((76_543, 0.543, 1.719)));
    check(r#""GET k","inf","0.6","0.1","0.5","0.9","1.7","9.9""#, None);
    check("", None);
    assert_eq!(parse_csv(""), None);
}

#[test]
fn the_counters_are_found_in_info() {
    let info = "# Stats\r\nkeyspace_hits:12\r\nkeyspace_misses:1\r\n# Commandstats\r\n\
        cmdstat_setex:calls=9,usec=1\r\ncmdstat_set:calls=34,usec=5,failed_calls=0\r\n";
    assert_eq!(parse_info(info), Some(Counters { keys_read: 12, sets: 34 }));
    assert_eq!(parse_info("keyspace_hits:0\r\n"), Some(Counters::default()));
    assert_eq!(parse_info("# Stats\r\n"), None);
}

#[test]
fn requests_that_did_not_reach_a_server_are_found_out() {
    let before = Counters { keys_read: 5, sets: 7 };
    let check = |name: &str, keys_read, sets, expected: Option<&str>| {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name).unwrap();
        let outcome = check_counters(workload, 100, before, Counters { keys_read, sets });
        assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), expected);
    };
    check("get64-p1", 105, 7, None);
    check("mget10-p1", 1005, 7, None);
    check("set64-p1", 5, 107, None);
    check("get64-p1", 5, 7, Some("the servers counted 0 keys found instead of 100"));
    check("set64-p1", 5, 106, Some("the servers counted 99 SET commands instead of 100"));
}

#[test]
fn processor_time_is_divided_by_the_requests() {
    let us = us_per_request(Duration::from_millis(500), 1_000_000);
    assert!((us - 0.5).abs() < 1e-9);
}
