use bytes::Bytes;

use super::*;

fn key(name: usize) -> Key {
    (0, Bytes::from(name.to_string()))
}

fn names(keys: Option<Vec<Key>>) -> Vec<String> {
    let keys = keys.unwrap_or_default();
    keys.iter().map(|(_, key)| String::from_utf8_lossy(key).into_owned()).collect()
}

#[test]
fn what_is_wanted_while_a_migrate_is_in_flight_goes_into_the_next_one() {
    let mut lane = Lane::default();
    lane.want(key(0));
    assert_eq!(names(lane.next(MoveMethod::Migrate, |_| true)), ["0"]);
    for name in 1..=KEYS_PER_MOVE_MAX + 1 {
        lane.want(key(name));
    }
    assert_eq!(lane.next(MoveMethod::Migrate, |_| true), None);
    lane.answered();
    assert_eq!(names(lane.next(MoveMethod::Migrate, |_| true)).len(), KEYS_PER_MOVE_MAX);
    lane.answered();
    assert_eq!(names(lane.next(MoveMethod::Migrate, |_| true)), ["65"]);
    lane.answered();
    assert_eq!(lane.next(MoveMethod::Migrate, |_| true), None);
    assert!(lane.is_idle(0));
}

#[test]
fn keys_of_codis_are_asked_for_one_by_one_and_few_at_a_time() {
    let mut lane = Lane::default();
    (0..MOVES_IN_FLIGHT_MAX + 1).for_each(|name| lane.want(key(name)));
    for name in 0..MOVES_IN_FLIGHT_MAX {
        assert_eq!(names(lane.next(MoveMethod::Sync, |_| true)), [name.to_string()]);
    }
    assert_eq!(lane.next(MoveMethod::Sync, |_| true), None);
    lane.answered();
    assert_eq!(names(lane.next(MoveMethod::Sync, |_| true)), ["16"]);
}

#[test]
fn keys_that_nobody_waits_for_any_more_are_not_asked_for() {
    let mut lane = Lane::default();
    (0..4).for_each(|name| lane.want(key(name)));
    assert_eq!(names(lane.next(MoveMethod::Migrate, |asked| *asked == key(2))), ["2"]);
}

#[test]
fn keys_that_failed_together_are_asked_for_alone() {
    let mut lane = Lane::default();
    lane.want(key(9));
    lane.want_alone(vec![key(1), key(2)]);
    for expected in ["1", "2", "9"] {
        assert_eq!(names(lane.next(MoveMethod::Migrate, |_| true)), [expected]);
        lane.answered();
    }
}

#[test]
fn a_source_that_was_blocked_is_left_alone_at_least_as_long_as_it_was() {
    let mut lane = Lane::default();
    lane.want(key(1));
    assert_eq!(lane.pause(1000, 3000, "IOERR no"), [key(1)]);
    assert_eq!((lane.paused(3999), lane.paused(4000)), (Some("IOERR no"), None));
    assert!(!lane.is_idle(3999) && lane.is_idle(4000));
    assert!(lane.pause(5000, 0, "IOERR").is_empty());
    assert!(lane.paused(5000 + MOVE_PAUSE_MS - 1).is_some());
}
