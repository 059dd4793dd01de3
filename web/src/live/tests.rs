use actors::latency::Histogram;

use super::*;
use crate::backends::tests::table;
use crate::slots::state;

#[test]
fn neighbouring_slots_that_are_alike_are_one_run() {
    let check = |first: &str, second: &str, held: u16, expected: &[(u16, u16, &str)]| {
        let table = table(first, second);
        let slots = table
            .assignments()
            .map(|(slot, assignment)| (slot, assignment, state(assignment, slot.number() == held)));
        let runs = runs(slots);
        let seen: Vec<_> = runs.iter().map(|run| (run.first, run.last, run.state)).collect();
        assert_eq!(seen, expected, "{first} {second}");
    };
    check("a:1", "a:1", u16::MAX, &[(0, 1, "normal"), (2, 1023, "offline")]);
    check("a:1", "b:1", u16::MAX, &[(0, 0, "normal"), (1, 1, "normal"), (2, 1023, "offline")]);
    check("a:1", "a:1", 1, &[(0, 0, "normal"), (1, 1, "held"), (2, 1023, "offline")]);
}

#[test]
fn empty_bins_are_left_out() {
    let histogram = Histogram::default();
    histogram.record(2, 5);
    histogram.record(1000, 1);
    assert_eq!(bins(&histogram.snapshot()), [(2, 5), (1023, 1)]);
    assert_eq!(bins(&Snapshot::default()), []);
}
