use super::*;

#[test]
fn every_slot_has_keys_to_move() {
    let mut counts = vec![0; SLOTS];
    for key in keys() {
        counts[slot_of(key.as_bytes()).index()] += 1;
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn clients_visit_all_keys() {
    // The step and the number of keys have no divisor in common.
    let divides = |number: usize| KEYS.is_multiple_of(number) && 7_919_usize.is_multiple_of(number);
    assert!((2..=KEYS).all(|number| !divides(number)));
}

#[test]
fn the_report_has_a_line_for_each_phase() {
    let phase = |is_moving| Phase {
        pipeline: 16,
        is_moving,
        took: Duration::from_secs(2),
        latencies: vec![Duration::from_millis(1); 100],
        moves: 10,
        locked: vec![Duration::from_millis(3); 10],
        held: vec![Duration::from_millis(2); 10],
    };
    let machine = Machine::look().expect("a machine");
    let text = report(&machine, &[phase(false), phase(true)]);
    assert!(text.contains("| pipeline 16, slots move | 5 | 800 | 1.00 | 1.00 | 1.00 |"), "{text}");
    assert!(text.contains("| pipeline 16: finish | 2.00 | 2.00 | 2.00 |"), "{text}");
}
