use proptest::prelude::*;

use super::*;

#[test]
fn every_latency_lies_in_the_bin_that_its_bounds_say() {
    for latency in (0..5000).chain([1 << 20, (1 << 26) + 12_345]) {
        let bin = bin_of(latency);
        assert!(latency <= upper_bound_us(bin), "{latency} in {bin}");
        assert!(bin == 0 || latency > upper_bound_us(bin - 1), "{latency} in {bin}");
    }
}

#[test]
fn a_latency_beyond_the_last_bin_is_counted_there() {
    assert_eq!(bin_of(u64::MAX), BINS - 1);
    assert_eq!(bin_of(1 << 40), BINS - 1);
}

#[test]
fn an_empty_snapshot_has_no_latencies() {
    assert_eq!(Histogram::default().snapshot().quantile_us(990), 0);
    assert_eq!(Snapshot::default().quantile_us(500), 0);
}

#[test]
fn snapshots_add_up_and_differ() {
    let histogram = Histogram::default();
    histogram.record(10, 3);
    let earlier = histogram.snapshot();
    histogram.record(1000, 1);
    let since = histogram.snapshot().since(&earlier);
    assert_eq!((since.count(), since.sum_us()), (1, 1000));
    let mut sum = earlier.clone();
    sum.add(&since);
    assert_eq!(sum, histogram.snapshot());
    assert_eq!(sum.cumulative().last().map(|(_, seen)| seen), Some(4));
}

proptest! {
    #[test]
    fn quantiles_are_at_most_a_quarter_too_high(
        mut latencies in proptest::collection::vec(0_u64..10_000_000, 1..200),
        per_mille in 1_u64..=1000,
    ) {
        let histogram = Histogram::default();
        for latency in &latencies {
            histogram.record(*latency, 1);
        }
        latencies.sort_unstable();
        let index = (latencies.len() as u64 * per_mille).div_ceil(1000) - 1;
        let exact = latencies[usize::try_from(index).unwrap()];
        let read = histogram.snapshot().quantile_us(per_mille);
        prop_assert!(read >= exact && read <= exact + exact / 4 + 1, "{} for {}", read, exact);
    }
}
