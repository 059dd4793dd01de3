use proptest::prelude::*;

use super::Answer::{Done, Number, Untold, Values};
use super::Operation::{Append, Count, Delete, Get, List, Set, Swap};
use super::*;

/// An event of a client, from one time to another.
fn event(
    client: u32,
    (sent_ns, ended_ns): (u64, u64),
    operation: Operation,
    answer: Answer,
) -> Event {
    let outcome = Outcome::Answered(answer);
    Event { client, sequence: sent_ns, sent_ns, ended_ns, operation, outcome }
}

fn without_answer(client: u32, times: (u64, u64), operation: Operation, outcome: Outcome) -> Event {
    Event { outcome, ..event(client, times, operation, Done) }
}

fn unknown(client: u32, times: (u64, u64), operation: Operation) -> Event {
    without_answer(client, times, operation, Outcome::Unknown)
}

fn value(value: i64) -> Answer {
    Answer::Value(Some(value))
}

const ABSENT: Answer = Answer::Value(None);

#[track_caller]
fn refuses(checked: Result<(), String>, reason: &str) {
    let wrong = checked.expect_err(reason);
    assert!(wrong.contains(reason), "{wrong}");
}

#[test]
fn a_register_keeps_to_the_clock() {
    let base = [event(1, (0, 1), Set(5), Done), event(1, (2, 6), Set(7), Done)];
    let with = |event: Event| [base.to_vec(), vec![event]].concat();
    // While the second one is under way both values may be read, and not afterwards.
    for seen in [5, 7] {
        assert_eq!(registers::check(&with(event(2, (3, 4), Get, value(seen)))), Ok(()));
    }
    assert_eq!(registers::check(&with(event(2, (7, 8), Get, value(7)))), Ok(()));
    refuses(registers::check(&with(event(2, (7, 8), Get, value(5)))), "no order");
    refuses(registers::check(&with(event(2, (7, 8), Get, ABSENT))), "no order");
    refuses(registers::check(&with(event(2, (3, 4), Get, value(9)))), "no order");
}

#[test]
fn two_readers_agree_on_the_order() {
    let history = |last| {
        vec![
            event(1, (0, 9), Set(1), Done),
            event(2, (0, 9), Set(2), Done),
            event(3, (10, 11), Get, value(2)),
            event(4, (12, 13), Get, value(last)),
        ]
    };
    assert_eq!(registers::check(&history(2)), Ok(()));
    refuses(registers::check(&history(1)), "3 of 4");
}

#[test]
fn what_may_have_run_may_run_late_or_never() {
    let history = |seen: Answer| {
        vec![
            event(1, (0, 1), Set(1), Done),
            unknown(2, (2, 3), Set(2)),
            unknown(3, (2, 3), Delete),
            event(4, (4, 5), Get, value(1)),
            event(4, (6, 7), Get, seen),
        ]
    };
    for seen in [value(1), value(2), ABSENT] {
        assert_eq!(registers::check(&history(seen)), Ok(()));
    }
    refuses(registers::check(&history(value(3))), "no order");
    // It runs once at most.
    let mut twice = history(value(2));
    twice.extend([event(4, (8, 9), Set(4), Done), event(4, (10, 11), Get, value(2))]);
    refuses(registers::check(&twice), "no order");
}

#[test]
fn what_was_not_executed_has_not_run() {
    let history = vec![
        event(1, (0, 1), Set(1), Done),
        without_answer(2, (2, 3), Set(2), Outcome::NotExecuted),
        event(3, (4, 5), Get, value(2)),
    ];
    refuses(registers::check(&history), "no order");
}

#[test]
fn counts_swaps_and_deletes_tell_what_was() {
    let good = vec![
        event(1, (0, 1), Delete, Number(0)),
        event(1, (2, 3), Count, Number(1)),
        event(1, (4, 5), Swap(8), value(1)),
        event(1, (6, 7), Count, Number(9)),
        event(1, (8, 9), Delete, Number(1)),
        event(1, (10, 11), Swap(3), ABSENT),
        event(1, (12, 13), Delete, Untold),
        event(1, (14, 15), Get, ABSENT),
    ];
    assert_eq!(registers::check(&good), Ok(()));
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place].outcome = Outcome::Answered(Number(77));
        refuses(registers::check(&bad), "no order");
    }
}

#[test]
fn a_client_is_held_to_its_own_order() {
    // Sent as one pipeline: by the clock alone either order would do.
    let pipelined =
        |sequence, operation, answer| Event { sequence, ..event(1, (0, 9), operation, answer) };
    let good = [pipelined(0, Set(1), Done), pipelined(1, Get, value(1))];
    assert_eq!(registers::check(&good), Ok(()));
    let bad = [pipelined(0, Set(1), Done), pipelined(1, Get, ABSENT)];
    refuses(registers::check(&bad), "no order");
    let appends = |first, second| {
        vec![
            pipelined(0, Append(1), Number(first)),
            pipelined(1, Append(2), Number(second)),
            event(2, (10, 11), List, Values(if first == 1 { vec![1, 2] } else { vec![2, 1] })),
        ]
    };
    assert_eq!(appends::check(&appends(1, 2)), Ok(()));
    refuses(appends::check(&appends(2, 1)), "level 1");
}

#[test]
fn many_unanswered_requests_are_no_burden() {
    let mut history = vec![event(1, (0, 1), Set(1), Done)];
    for number in 0..24 {
        let at = 2 + number;
        let operation = match number % 3 {
            0 => Set(1000 + i64::try_from(number).expect("a small number")),
            1 => Delete,
            _ => Count,
        };
        history.push(unknown(2, (at, at), operation));
        history.push(event(3, (at, at), Get, value(1)));
    }
    assert_eq!(registers::check(&history), Ok(()));
    // Deleted and set to what nobody has ever set: a search that ends.
    history.push(event(3, (500, 501), Get, value(77)));
    refuses(registers::check(&history), "no order");
}

fn list(last: &[u64]) -> Event {
    event(9, (100, 101), List, Values(last.to_vec()))
}

#[test]
fn a_list_has_each_append_once() {
    let base = [
        event(1, (0, 1), Append(1), Number(1)),
        unknown(2, (2, 3), Append(2)),
        without_answer(3, (2, 3), Append(3), Outcome::NotExecuted),
        event(4, (10, 11), Append(4), Number(2)),
    ];
    let check = |last: &[u64]| appends::check(&[base.to_vec(), vec![list(last)]].concat());
    assert_eq!(check(&[1, 4]), Ok(()));
    assert_eq!(check(&[1, 4, 2]), Ok(()));
    refuses(check(&[1]), "the append of `4` was acknowledged and is lost");
    refuses(check(&[4]), "the append of `1` was acknowledged and is lost");
    refuses(check(&[1, 4, 3]), "the append of `3` was said not to be executed, and was");
    refuses(check(&[1, 4, 4]), "`4` is there twice");
    refuses(check(&[1, 4, 5]), "nobody has appended `5`");
    refuses(check(&[1, 2, 4]), "`4` made 2 values and is the one numbered 3");
    refuses(check(&[4, 1]), "`1` made 1 values");
    refuses(appends::check(&base), "the list was not read at the end");
}

#[test]
fn reads_of_a_list_are_its_beginnings() {
    let check = |at: (u64, u64), seen: &[u64]| {
        appends::check(&[
            event(1, (0, 1), Append(1), Number(1)),
            event(1, (5, 9), Append(2), Number(2)),
            event(2, at, List, Values(seen.to_vec())),
            list(&[1, 2]),
        ])
    };
    assert_eq!(check((2, 3), &[1]), Ok(()));
    assert_eq!(check((6, 7), &[1, 2]), Ok(()));
    refuses(check((2, 3), &[2]), "no beginning");
    refuses(check((2, 3), &[1, 2]), "level");
    refuses(check((2, 3), &[]), "level 0");
    refuses(check((10, 11), &[1]), "level 1");
}

#[test]
fn a_failure_tells_the_key_and_its_events() {
    let key = HistoryKey { database: 3, name: b"k\x00".to_vec() };
    let mut history = History::default();
    history.record(&key, event(1, (2000, 3000), Set(1), Done));
    let mut other = History::default();
    other.record(&key, event(2, (5000, 6000), Get, ABSENT));
    history.merge(other);
    assert_eq!(history.len(), 2);
    let wrong = history.check().expect_err("it was set");
    assert!(wrong.contains("`k\\x00` in database 3: no order"), "{wrong}");
    assert!(wrong.contains("2 ..         3 µs  1/2000  Set(1)  Answered(Done)"), "{wrong}");
}

/// What a register that is served one request after the other says.
fn served(operations: &[Operation]) -> Vec<Event> {
    let mut value: Option<i64> = None;
    let mut events = Vec::new();
    for (operation, at) in operations.iter().zip(0..) {
        let (after, answer) = match operation {
            Set(new) => (Some(*new), Done),
            Swap(new) => (Some(*new), Answer::Value(value)),
            Count => (Some(value.unwrap_or(0) + 1), Number(value.unwrap_or(0) + 1)),
            Delete => (None, Number(i64::from(value.is_some()))),
            _ => (value, Answer::Value(value)),
        };
        value = after;
        let client = u32::try_from(at % 5).expect("a small number");
        events.push(event(client, (at * 10, at * 10 + 5), operation.clone(), answer));
    }
    events
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let kinds = prop::collection::vec(0..5_u8, 1..40);
    kinds.prop_map(|kinds| {
        let operation = |(kind, number): (u8, i64)| match kind {
            0 => Set(number * 1000),
            1 => Swap(number * 1000),
            2 => Count,
            3 => Delete,
            _ => Get,
        };
        kinds.into_iter().zip(1..).map(operation).collect()
    })
}

proptest! {
    /// Whatever was served one after the other is accepted, also when each request is thought to
    /// have taken longer than it did, and when some answers were not heard.
    #[test]
    fn what_a_single_server_says_is_accepted(
        operations in operations(),
        stretch in prop::collection::vec((0..40_u64, 0..40_u64, 0..10_u8), 40),
    ) {
        let mut events = served(&operations);
        for ((event, at), (before, after, fate)) in events.iter_mut().zip(0..).zip(stretch) {
            // Each one is a client of its own, or it would wait for its own replies.
            event.client = at;
            event.sent_ns = event.sent_ns.saturating_sub(before);
            event.ended_ns += after;
            if fate == 0 {
                event.outcome = Outcome::Unknown;
            }
        }
        prop_assert_eq!(registers::check(&events), Ok(()));
    }

    /// One answer that is wrong, of requests that did not overlap, is found.
    #[test]
    fn a_wrong_answer_is_refused(operations in operations(), place in any::<prop::sample::Index>()) {
        let mut events = served(&operations);
        let place = place.index(events.len());
        let wrong = match events[place].answer() {
            Some(Number(number)) => Number(*number + 1),
            Some(Answer::Value(Some(_))) => ABSENT,
            Some(Answer::Value(None)) => value(-1),
            _ => Done,
        };
        if let (Done, Set(lost)) = (&wrong, &operations[place]) {
            // Acknowledged and lost: somebody must read it to know.
            let at = events[place].ended_ns;
            events.insert(place + 1, event(77, (at + 1, at + 2), Get, value(lost + 1)));
        }
        events[place].outcome = Outcome::Answered(wrong);
        prop_assert!(registers::check(&events).is_err());
    }
}
