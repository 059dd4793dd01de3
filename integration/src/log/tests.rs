//! Log lines are collected, found, and judged by their level.

use super::*;

fn collect(text: &'static str) -> Log {
    let log = Log::collect(text.as_bytes());
    log.finish();
    log
}

#[test]
fn a_field_is_found_by_the_message_of_its_line() {
    let log = collect(
        r#"{"msg":"starting","level":"INFO"}
{"msg":"proxy is listening","level":"INFO","listen":"127.0.0.1:19000"}
"#,
    );
    let field_of = |message| log.field_of(message, "listen");
    assert_eq!(field_of("proxy is listening").as_deref(), Some("127.0.0.1:19000"));
    assert_eq!(field_of("starting"), None);
    assert_eq!(log.lines().len(), 2);
}

#[test]
fn alarms_are_warnings_errors_and_lines_without_a_level() {
    let check = |line: &'static str, is_alarm: bool| {
        let log = collect(line);
        assert_eq!(log.lines()[0].is_alarm(), is_alarm, "{line}");
    };
    check(r#"{"level":"INFO"}"#, false);
    check(r#"{"level":"DEBG"}"#, false);
    check(r#"{"level":"WARN"}"#, true);
    check(r#"{"level":"ERRO"}"#, true);
    check(r#"{"level":"ERROR"}"#, true);
    check(r#"{"level":"CRIT"}"#, true);
    check(r#"{"msg":"no level"}"#, true);
    check("thread 'main' panicked", true);
}
