use serde_json::json;

use super::*;

fn check_slots(body: &str, expected: &str) {
    let forms = read_slots("answer", body).unwrap();
    assert_eq!(slots(&forms, false), expected, "{body}");
}

#[test]
fn neighbours_that_are_served_alike_are_one_line() {
    let slot = |id: u16| {
        let group = if id < 512 { 1 } else { 2 };
        json!({"id": id, "backend_addr": format!("127.0.0.1:{}", 6378 + group),
            "backend_addr_group_id": group})
    };
    let all: Value = (0..1024).map(slot).collect();
    check_slots(
        &all.to_string(),
        "SLOTS     GROUP    PRIMARY         REPLICAS  STATE\n\
         0-511     group 1  127.0.0.1:6379  -         ok\n\
         512-1023  group 2  127.0.0.1:6380  -         ok\n",
    );
}

#[test]
fn a_slot_that_differs_has_a_line_of_its_own() {
    check_slots(
        r#"[{"id":0,"backend_addr":"a:1","replica_groups":[["b:1","c:1"],["d:1"]]},
            {"id":1,"backend_addr":"a:1","locked":true},{"id":2},{"id":3},
            {"id":5,"backend_addr":"a:1","migrate_from":"z:1","locked":true}]"#,
        "SLOTS  GROUP    PRIMARY  REPLICAS       STATE\n\
         0      group 0  a:1      b:1 c:1 | d:1  ok\n\
         1      group 0  a:1      -              locked\n\
         2-3    -        -        -              offline\n\
         5      group 0  a:1      -              migrating from z:1, locked\n",
    );
}

#[test]
fn an_answer_that_holds_no_slots_is_told_with_its_place() {
    let error = read_slots("answer", "{}").unwrap_err().to_string();
    assert!(error.starts_with("answer:1:"), "{error}");
}

#[test]
fn a_model_is_a_list_of_lines_and_what_is_missing_is_a_dash() {
    let text = model(&json!({"product_name": "lab", "pid": 7, "pwd": "a\u{1b}b"}), false);
    assert!(text.starts_with("product     lab\nclients     -\n"), "{text}");
    assert!(text.contains("\nprocess     7\nfolder      a b\nstarted     -\n"), "{text}");
}

#[test]
fn stats_show_the_most_called_command_first() {
    let answer = json!({
        "online": true, "closed": false,
        "ops": {"total": 12, "fails": 0, "redis": {"errors": 1}, "qps": 3, "cmd": [
            {"opstr": "GET", "calls": 2, "usecs": 20, "usecs_percall": 10, "fails": 0,
                "redis_errtype": 0},
            {"opstr": "", "calls": 10, "usecs": 0, "usecs_percall": 0, "fails": 10,
                "redis_errtype": 10},
        ]},
        "sessions": {"total": 9, "alive": 4},
        "rusage": {"cpu": 0.0349, "mem": 7_340_032},
    });
    let expected = "\
state           online
requests        12
per second      3
failed          0
error replies   1
clients now     4
clients in all  9
threads         -
cpu             3.5% of a core
memory          7 MB

COMMAND    CALLS  µs/CALL  FAILS  ERRORS
(unknown)     10        0     10      10
GET            2       10      0       0
";
    assert_eq!(stats(&answer, false), expected);
}

#[test]
fn the_state_of_a_proxy_is_one_word_whatever_else_is_missing() {
    let check = |answer: Value, expected: &str| {
        let text = stats(&answer, false);
        assert!(text.lines().next().unwrap().ends_with(expected), "{text}");
    };
    check(json!({"online": true, "closed": true}), "stopping");
    check(json!({"online": false}), "waiting for `start`");
    check(json!({"ops": {"cmd": null}}), "waiting for `start`");
}

#[test]
fn colours_tell_bad_from_good() {
    let forms = read_slots("answer", r#"[{"id":0,"backend_addr":"a:1"},{"id":1}]"#).unwrap();
    let text = slots(&forms, true);
    assert!(text.contains("\u{1b}[32mok"), "{text:?}");
    assert!(text.contains("\u{1b}[31moffline"), "{text:?}");
}
