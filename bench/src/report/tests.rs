//! Tests of the comparison with the floors and of the printed tables.

use super::*;
use crate::workloads::WORKLOADS;

fn sample(cpu: f64) -> Sample {
    Sample {
        requests_per_second: 50_000,
        proxy_cpu_us: Some(cpu),
        backend_cpu_us: 4.0,
        p50_ms: 0.5,
        p99_ms: 1.25,
        resident_bytes: 3 * 1024 * 1024,
    }
}

/// A report on `get64-p1`, whose floor is 0.95, with these CPU figures for each round.
fn report(keyway: &[f64], nutcracker: &[f64], idle_growth: u64) -> Report {
    let samples = |figures: &[f64]| figures.iter().copied().map(sample).collect();
    let loads = Rounds::from([
        (TargetKind::Keyway, samples(keyway)),
        (TargetKind::Nutcracker, samples(nutcracker)),
        (TargetKind::Direct, vec![Sample { proxy_cpu_us: None, ..sample(0.0) }]),
    ]);
    let before_bytes = 1024 * 1024;
    let after_bytes = before_bytes + idle_growth * u64::from(IDLE_CONNECTIONS);
    Report {
        machine: Machine {
            cpu_model: "A CPU".to_owned(),
            cores: 4,
            kernel: "6.1".to_owned(),
            date: "2026-01-31".to_owned(),
        },
        versions: vec!["keyway 0.1.0".to_owned()],
        rounds: 3,
        seconds: 2,
        loads: vec![(WORKLOADS[0], loads)],
        idle: Rounds::from([(TargetKind::Keyway, vec![IdleSample { before_bytes, after_bytes }])]),
    }
}

#[test]
fn floors_are_judged_by_the_median_of_the_ratios_of_each_round() {
    let check = |keyway: &[f64], nutcracker: &[f64], idle_growth, expected| {
        assert_eq!(report(keyway, nutcracker, idle_growth).are_floors_met(), expected);
    };
    check(&[9.0], &[10.0], 1000, true);
    check(&[9.6], &[10.0], 1000, false);
    // Only the ratio within a round counts: the second round was slow for both.
    check(&[9.0, 18.0, 9.0], &[10.0, 20.0, 10.0], 1000, true);
    check(&[9.0, 9.0, 30.0], &[10.0, 10.0, 10.0], 1000, true);
    check(&[9.0], &[10.0], 3072, true);
    check(&[9.0], &[10.0], 3073, false);
}

#[test]
fn a_report_without_comparisons_meets_no_floor() {
    let mut empty = report(&[9.0], &[10.0], 0);
    empty.idle.clear();
    empty.loads.clear();
    assert!(!empty.are_floors_met());
    let text = empty.to_string();
    assert!(!text.contains("##"), "{text}");
}

#[test]
fn the_report_is_markdown() {
    let expected = "\
# Benchmark of 2026-01-31

* CPU: A CPU, 4 cores
* Kernel: Linux 6.1
* keyway 0.1.0
* Rounds: 3, each with runs of about 2 s, targets interleaved; medians [min-max]

## Load

| workload | target | requests/s | proxy CPU µs/request | Redis CPU µs/request \
| p50 ms | p99 ms | resident MiB |
|---|---|--:|--:|--:|--:|--:|--:|
| GET 64 B, pipeline 1 | keyway | 50000 | 8.50 [8.00-9.00] | 4.00 [4.00-4.00] | 0.50 | 1.25 | 3.0 |
| GET 64 B, pipeline 1 | nutcracker | 50000 | 10.0 [10.0-10.0] | 4.00 [4.00-4.00] | 0.50 | 1.25 | 3.0 |
| GET 64 B, pipeline 1 | direct | 50000 | - | 4.00 [4.00-4.00] | 0.50 | 1.25 | 3.0 |

## 5000 idle connections, after one GET each

| target | before MiB | after MiB | bytes per connection |
|---|--:|--:|--:|
| keyway | 1.0 | 20.1 | 4000 |

## Floors: proxy CPU per request, keyway / nutcracker

| workload | ratio [min-max] | floor | |
|---|--:|--:|---|
| GET 64 B, pipeline 1 | 0.85 [0.80-0.90] | <= 0.95 | ok |
| bytes per idle connection | 4000 [4000-4000] | <= 3072 | missed |
";
    assert_eq!(report(&[8.0, 9.0], &[10.0, 10.0], 4000).to_string(), expected);
}

#[test]
fn figures_have_three_digits() {
    let check = |value, expected: &str| assert_eq!(significant(value), expected);
    check(0.0754, "0.075");
    check(1.834, "1.83");
    check(13.24, "13.2");
    check(123.4, "123");
}
