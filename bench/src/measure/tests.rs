//! Tests of the `/proc` parsers and of the median.

use super::*;

#[test]
fn schedstat_gives_the_time_on_a_processor() {
    assert_eq!(parse_schedstat("196253008 14361 5\n"), Some(Duration::from_nanos(196_253_008)));
    assert_eq!(parse_schedstat(""), None);
    assert_eq!(parse_schedstat("x 1 2"), None);
}

#[test]
fn stat_is_read_after_the_last_bracket() {
    let text = "77 (a (b) c) S 1 77 77 0 -1 4194560 3000 0 12 0 250 31 0 0 20 0 5 0 1 2 3";
    assert_eq!(parse_stat(text), Some(Duration::from_millis(2810)));
    assert_eq!(parse_stat("77 (short) S 1 2"), None);
    assert_eq!(parse_stat(""), None);
}

#[test]
fn resident_memory_is_in_bytes() {
    let status = "Name:\tx\nVmHWM:\t    9000 kB\nVmRSS:\t    1234 kB\nThreads:\t1\n";
    assert_eq!(parse_resident(status), Some(1234 * 1024));
    assert_eq!(parse_resident("Name:\tx\n"), None);
    assert_eq!(parse_resident("VmRSS:\t1234\n"), None);
}

#[test]
fn this_process_uses_time_and_memory() {
    let pid = std::process::id();
    let before = cpu_time(pid).unwrap();
    let sum: u64 = (0..20_000_000u64).map(std::hint::black_box).sum();
    assert!(sum > 0);
    assert!(cpu_time(pid).unwrap() > before);
    assert!(resident_bytes(pid).unwrap() > 100_000);
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    assert!(cpu_time(u32::MAX).is_err());
    assert!(resident_bytes(u32::MAX).is_err());
}

#[test]
fn the_median_does_not_depend_on_the_order() {
    let check = |values: &[f64], expected: Option<(f64, f64, f64)>| {
        let expected = expected.map(|(median, min, max)| Spread { median, min, max });
        assert_eq!(Spread::of(values.iter().copied()), expected);
    };
    check(&[], None);
    check(&[4.0], Some((4.0, 4.0, 4.0)));
    check(&[9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0)));
    check(&[8.0, 1.0, 2.0, 4.0], Some((3.0, 1.0, 8.0)));
}
