//! The waiting ends with the wanted value, or with the last one seen.

use super::*;

#[test]
fn the_wanted_value_is_returned_as_soon_as_it_is_seen() {
    let mut probes = 0;
    let value = wait_until("three probes", DEADLINE, || {
        probes += 1;
        if probes == 3 { Ok("third") } else { Err(probes) }
    });
    assert_eq!((value, probes), ("third", 3));
}

#[test]
#[should_panic(expected = "slot 5 served by group 2; last seen: \"group 1\"")]
fn at_the_deadline_the_last_value_seen_is_reported() {
    wait_until("slot 5 served by group 2", Duration::ZERO, || Err::<(), _>("group 1"));
}

#[test]
fn a_deadline_that_passed_has_no_time_left() {
    assert_eq!(Deadline::after(Duration::ZERO).remaining(), None);
    assert!(Deadline::after(DEADLINE).remaining() <= Some(DEADLINE));
}
