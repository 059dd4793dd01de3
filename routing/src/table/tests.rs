use super::*;

fn addr(text: &str) -> BackendAddr {
    text.parse().unwrap()
}

#[test]
fn slots_spread_evenly_over_primaries() {
    for count in 1..=7_usize {
        let primaries: Vec<_> = (1..=count).map(|n| addr(&format!("127.0.0.1:{n}"))).collect();
        let table = SlotTable::spread(&primaries).unwrap();
        for primary in &primaries {
            let slots = table
                .assignments()
                .filter(|(_, assignment)| assignment.primary.as_ref() == Some(primary))
                .count();
            assert!(slots >= SLOTS / count && slots <= SLOTS.div_ceil(count), "{count}: {slots}");
        }
    }
}

#[test]
fn slots_spread_over_nothing_is_an_error() {
    assert_eq!(SlotTable::spread(&[]), Err(RoutingError::NoBackend));
}

#[test]
fn fill_changes_named_slots_and_the_epoch() {
    let mut table = SlotTable::offline();
    let five = SlotId::new(5).unwrap();
    let assignment = SlotAssignment::primary_only(addr("h:1"), 1);
    table.fill(3, [(five, assignment.clone())]).unwrap();
    assert_eq!(table.epoch(), 3);
    assert_eq!(table.assignment(five), &assignment);
    assert!(table.assignment(SlotId::new(6).unwrap()).is_offline());
}

#[test]
fn a_fill_that_comes_late_changes_nothing() {
    let mut table = SlotTable::spread(&[addr("h:1")]).unwrap();
    let before = table.clone();
    let five = SlotId::new(5).unwrap();
    let late = table.fill(1, [(five, SlotAssignment::default())]);
    assert_eq!(late, Err(RoutingError::StaleEpoch { given: 1, current: 1 }));
    assert_eq!(table, before);
}
