//! Tests of SORT's patterns.

use crate::testing::plan;
use crate::testing::rejection;
use crate::{Access, Plan};

const DENIED_BY: &str = "ERR BY option of SORT denied in Cluster mode.";
const DENIED_GET: &str = "ERR GET option of SORT denied in Cluster mode.";

#[test]
fn patterns_that_stay_in_the_slot_are_forwarded() {
    let lines = [
        "sort {u}:list",
        "sort {u}:list BY nosort",
        "sort {u}:list BY {u}:weight:*",
        "sort {u}:list BY {u}:weight:*->field GET #",
        "sort {u}:list GET {u}:a:* get x{u}*y STORE {u}:dest",
        "sort_ro {u}:list GET nothing",
        // The key's tag is the whole key.
        "sort u GET {u}*",
        // Only the first word counts as an option.
        "sort {u}:list LIMIT by w_*",
    ];
    for line in lines {
        let plan = plan(line);
        let access = if line.starts_with("sort_ro") { Access::Read } else { Access::Write };
        let slot = routing::slot_of(b"u");
        assert_eq!(plan, Plan::Forward { slot, access }, "{line}");
    }
}

#[test]
fn patterns_that_may_leave_the_slot_are_refused() {
    let lines = [
        ("sort {u}:list BY w_*", DENIED_BY),
        ("sort {u}:list by {other}:*", DENIED_BY),
        ("sort {u}:list GET # GET data_*", DENIED_GET),
        ("sort {u}:list GET *{u}", DENIED_GET),
        ("sort {u}:list GET {u*}", DENIED_GET),
        ("sort {u}:list GET {u:*", DENIED_GET),
        ("sort_ro {u}:list ASC ALPHA DESC LIMIT 0 1 GET {v}*", DENIED_GET),
    ];
    for (line, expected) in lines {
        assert_eq!(rejection(line), expected, "{line}");
    }
}

#[test]
fn the_destination_must_be_in_the_slot_of_the_key() {
    assert_eq!(
        rejection("sort {u}:list STORE {v}:dest"),
        "CROSSSLOT Keys in request don't hash to the same slot"
    );
}
