use super::*;

fn slow(parts: Parts) -> Slow<'static> {
    Slow {
        parts,
        kept: b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        peer: SocketAddr::from(([127, 0, 0, 1], 7)),
        client_name: "name",
        backend: None,
    }
}

fn ids(requests: &[SlowRequest]) -> Vec<u64> {
    requests.iter().map(|request| request.id).collect()
}

fn in_backend(time_us: u32) -> Parts {
    Parts { backend_us: time_us, ..Parts::default() }
}

#[test]
fn a_full_log_forgets_its_oldest_entry() {
    let mut log = SlowLog::new(0, 3);
    for id in 0..5 {
        log.add(id, 100 + id, &slow(in_backend(1)));
    }
    assert_eq!((log.len(), ids(&log.newest(10))), (3, vec![4, 3, 2]));
    assert_eq!(ids(&log.newest(1)), [4]);
    let newest = log.newest(1).remove(0);
    assert_eq!((newest.unix_s, newest.client_name.as_str()), (104, "name"));
    assert_eq!(newest.argv, [b"GET".to_vec(), b"k".to_vec()]);
    log.reset();
    assert_eq!((log.len(), log.newest(10)), (0, vec![]));
}

#[test]
fn a_log_of_no_entries_still_notes_events() {
    let mut log = SlowLog::new(0, 0);
    log.add(1, 5, &slow(in_backend(2000)));
    assert_eq!(log.newest(10), []);
    assert_eq!(log.events().of(Event::Backend).worst_ms, 2);
}

#[test]
fn the_logs_of_several_workers_are_joined_by_their_ids() {
    let (mut first, mut second) = (SlowLog::new(0, 9), SlowLog::new(0, 9));
    for id in [1, 4, 5] {
        first.add(id, 0, &slow(in_backend(1)));
    }
    for id in [2, 3, 6] {
        second.add(id, 0, &slow(in_backend(1)));
    }
    assert_eq!(ids(&joined(vec![first.newest(4), second.newest(4)], 4)), [6, 5, 4, 3]);
}

#[test]
fn the_parts_of_a_request_add_up_to_its_time() {
    let check = |entered_us, (written_us, read_us), left_us, expected: (u32, u32, u32)| {
        let stamps = Stamps { written_us, read_us, backend: None };
        let parts = Parts::of(entered_us, stamps, left_us);
        assert_eq!((parts.queue_us, parts.backend_us, parts.write_us), expected);
        assert_eq!(parts.total_us(), left_us.wrapping_sub(entered_us));
    };
    check(100, (110, 150), 155, (10, 40, 5));
    check(100, (100, 100), 100, (0, 0, 0));
    check(100, (150, 150), 150, (50, 0, 0));
    // The clock wraps.
    check(u32::MAX - 9, (u32::MAX, 20), 30, (9, 21, 10));
    // Stamps that cannot be.
    check(100, (90, 95), 110, (0, 0, 10));
    check(100, (90, 105), 110, (0, 5, 5));
}

#[test]
fn the_longest_part_is_named() {
    let check = |queue_us, backend_us, write_us, expected| {
        assert_eq!(Parts { queue_us, backend_us, write_us }.longest(), expected);
    };
    check(5, 1, 1, Event::Queue);
    check(1, 5, 1, Event::Backend);
    check(1, 1, 5, Event::Write);
    check(3, 3, 3, Event::Backend);
}

#[test]
fn slow_requests_are_counted_by_their_longest_part() {
    let counts = SlowCounts::default();
    counts.count(in_backend(5));
    counts.count(in_backend(7));
    counts.count(Parts { queue_us: 9, ..in_backend(1) });
    assert_eq!(Event::PARTS.map(|part| counts.longest_in(part)), [1, 2, 0]);
}

#[test]
fn a_backend_keeps_its_number() {
    let names = BackendNames::default();
    let addr = |text: &str| text.parse::<BackendAddr>().unwrap();
    let first = names.id_of(&addr("a:1"));
    assert_ne!(names.id_of(&addr("b:1")), first);
    assert_eq!((names.id_of(&addr("a:1")), names.addr_of(first)), (first, Some(addr("a:1"))));
}

#[test]
fn the_threshold_is_off_below_zero() {
    assert_eq!([-1, 0, 10_000, i64::MAX].map(threshold_us), [u32::MAX, 0, 10_000, u32::MAX]);
}

#[test]
fn only_parts_beyond_the_threshold_are_events_and_a_second_has_one_sample() {
    let mut log = SlowLog::new(10_000, 1);
    log.add(1, 50, &slow(Parts { queue_us: 11_000, backend_us: 9000, write_us: 0 }));
    log.add(2, 50, &slow(Parts { queue_us: 30_500, backend_us: 0, write_us: 0 }));
    log.add(3, 51, &slow(Parts { queue_us: 0, backend_us: 12_000, write_us: 0 }));
    let samples = |event| {
        let series = log.events().of(event);
        let samples: Vec<_> =
            series.samples.iter().map(|sample| (sample.unix_s, sample.time_ms)).collect();
        (samples, series.worst_ms)
    };
    assert_eq!(samples(Event::Command), (vec![(50, 30), (51, 12)], 30));
    assert_eq!(samples(Event::Queue), (vec![(50, 30)], 30));
    assert_eq!(samples(Event::Backend), (vec![(51, 12)], 12));
    assert_eq!(samples(Event::Write), (vec![], 0));
}

#[test]
fn events_keep_a_bounded_history_in_order() {
    let mut events = Events::default();
    for unix_s in (0..500).chain([3]) {
        events.note(in_backend(5000), 0, unix_s);
    }
    let series = events.of(Event::Backend);
    assert_eq!(series.samples.len(), events::SAMPLES_MAX);
    assert!(series.samples.iter().is_sorted_by_key(|sample| sample.unix_s));
    assert_eq!(series.samples.back().map(|sample| sample.unix_s), Some(499));
}

#[test]
fn the_events_of_several_workers_are_joined_by_second() {
    let (mut first, mut second) = (Events::default(), Events::default());
    first.note(in_backend(5000), 0, 10);
    first.note(in_backend(6000), 0, 12);
    second.note(in_backend(7000), 0, 10);
    second.note(in_backend(1000), 0, 11);
    let joined = Events::joined(&[first, second]);
    let series = joined.of(Event::Backend);
    let samples: Vec<_> = series.samples.iter().map(|s| (s.unix_s, s.time_ms)).collect();
    assert_eq!((samples, series.worst_ms), (vec![(10, 7), (11, 1), (12, 6)], 7));
}

#[test]
fn a_reset_tells_which_events_had_samples() {
    let mut log = SlowLog::new(0, 1);
    log.add(1, 1, &slow(in_backend(5000)));
    assert_eq!(log.reset_events(&[Event::Queue]), []);
    assert_eq!(log.reset_events(&Event::ALL), [Event::Command, Event::Backend]);
    assert_eq!(log.reset_events(&Event::ALL), []);
    assert_eq!(Event::of_name(b"BackEnd"), Some(Event::Backend));
    assert_eq!(Event::of_name(b"fork"), None);
}
