use super::*;

/// Operations as (client, from, to, action, outcome).
type Line = (u64, u64, u64, Action, Outcome);

fn operations(lines: &[Line]) -> Vec<Operation> {
    let operation = |(client, invoked, ended, action, outcome): Line| Operation {
        client,
        action,
        invoked,
        ended,
        outcome,
    };
    lines.iter().cloned().map(operation).collect()
}

fn write(value: &str) -> Action {
    Action::Write(value.to_owned())
}

fn text(value: &str) -> Outcome {
    Outcome::Text(Some(value.to_owned()))
}

fn push(value: &str) -> Action {
    Action::Push(value.to_owned())
}

fn items(values: &[&str]) -> Outcome {
    Outcome::Items(values.iter().map(|value| (*value).to_owned()).collect())
}

fn check_registers(lines: &[Line], is_right: bool) {
    let judged = check_register(&operations(lines));
    assert_eq!(judged.is_ok(), is_right, "{lines:?}: {judged:?}");
}

fn check_lists(lines: &[Line], is_right: bool) {
    let judged = check_list(&operations(lines));
    assert_eq!(judged.is_ok(), is_right, "{lines:?}: {judged:?}");
}

const NIL: Outcome = Outcome::Text(None);
const NEVER: u64 = u64::MAX;

#[test]
fn a_read_finds_the_last_write() {
    let line = |found| {
        vec![
            (1, 1, 2, write("a"), Outcome::Done),
            (1, 3, 4, write("b"), Outcome::Done),
            (2, 5, 6, Action::Read, found),
        ]
    };
    check_registers(&line(text("b")), true);
    check_registers(&line(text("a")), false);
    check_registers(&line(NIL), false);
    check_registers(&line(text("never written")), false);
}

#[test]
fn operations_at_the_same_time_may_have_any_order_that_all_agree_on() {
    let line = |first, second| {
        vec![
            (1, 1, 9, write("a"), Outcome::Done),
            (2, 2, 8, write("b"), Outcome::Done),
            (3, 3, 4, Action::Read, first),
            (3, 5, 6, Action::Read, second),
        ]
    };
    check_registers(&line(text("a"), text("b")), true);
    check_registers(&line(text("b"), text("a")), true);
    check_registers(&line(NIL, text("a")), true);
    check_registers(&line(text("a"), NIL), false);
}

#[test]
fn requests_of_one_client_keep_their_order_though_they_overlap() {
    let line = |client| {
        vec![
            (1, 1, 8, write("a"), Outcome::Done),
            (client, 2, 9, write("b"), Outcome::Done),
            (3, 10, 11, Action::Read, text("a")),
        ]
    };
    check_registers(&line(2), true);
    check_registers(&line(1), false);
}

#[test]
fn a_write_of_unknown_outcome_may_come_late_or_never_but_not_twice() {
    let line = |first, second, third| {
        vec![
            (1, 1, NEVER, write("a"), Outcome::Unknown),
            (2, 2, 3, write("b"), Outcome::Done),
            (2, 4, 5, Action::Read, first),
            (2, 6, 7, Action::Read, second),
            (2, 8, 9, write("c"), Outcome::Done),
            (2, 10, 11, Action::Read, third),
        ]
    };
    check_registers(&line(text("b"), text("b"), text("c")), true);
    check_registers(&line(text("b"), text("a"), text("c")), true);
    check_registers(&line(text("b"), text("b"), text("a")), true);
    check_registers(&line(text("a"), text("b"), text("c")), false);
    check_registers(&line(text("a"), text("a"), text("a")), false);
}

#[test]
fn a_refused_write_is_never_seen() {
    let line =
        |found| vec![(1, 1, 2, write("a"), Outcome::NotExecuted), (2, 3, 4, Action::Read, found)];
    check_registers(&line(NIL), true);
    check_registers(&line(text("a")), false);
}

#[test]
fn a_deletion_tells_whether_there_was_something() {
    let line = |existed, found, left| {
        vec![
            (1, 1, 2, write("a"), Outcome::Done),
            (1, 3, 4, Action::Exists, Outcome::Found(existed)),
            (1, 5, 6, Action::Delete, Outcome::Found(found)),
            (1, 7, 8, Action::Exists, Outcome::Found(left)),
        ]
    };
    check_registers(&line(true, true, false), true);
    check_registers(&line(false, true, false), false);
    check_registers(&line(true, false, false), false);
    check_registers(&line(true, true, true), false);
}

#[test]
fn many_writes_of_unknown_outcome_do_not_make_the_search_long() {
    let mut lines = Vec::new();
    for moment in 0..100 {
        let from = moment * 10;
        lines.push((1, from, NEVER, write(&format!("lost {moment}")), Outcome::Unknown));
        lines.push((1, from + 1, NEVER, Action::Delete, Outcome::Unknown));
        lines.push((2, from + 2, from + 6, write(&format!("a {moment}")), Outcome::Done));
        lines.push((3, from + 3, from + 7, write(&format!("b {moment}")), Outcome::Done));
        let found = if moment % 2 == 0 { "lost" } else { "a" };
        lines.push((4, from + 8, from + 9, Action::Read, text(&format!("{found} {moment}"))));
    }
    check_registers(&lines, true);
}

#[test]
fn a_list_has_every_push_once_in_the_order_of_time() {
    let line = |outcome, seen: &[&str], last: &[&str]| {
        vec![
            (1, 1, 2, push("a"), Outcome::Len(1)),
            (2, 3, 4, push("b"), outcome),
            (3, 5, 6, Action::List, items(seen)),
            (3, 7, 8, Action::List, items(last)),
        ]
    };
    check_lists(&line(Outcome::Len(2), &["a", "b"], &["a", "b"]), true);
    check_lists(&line(Outcome::Len(2), &["a"], &["a", "b"]), false);
    check_lists(&line(Outcome::Len(2), &["a"], &["a"]), false);
    check_lists(&line(Outcome::Len(1), &["b", "a"], &["b", "a"]), false);
    check_lists(&line(Outcome::Unknown, &["a"], &["a", "b"]), true);
    check_lists(&line(Outcome::Unknown, &["a"], &["a", "b", "b"]), false);
    check_lists(&line(Outcome::NotExecuted, &["a"], &["a"]), true);
    check_lists(&line(Outcome::NotExecuted, &["a"], &["a", "b"]), false);
    check_lists(&line(Outcome::Unknown, &["a", "b"], &["a"]), false);
}
