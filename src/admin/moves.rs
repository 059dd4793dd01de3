//! Moves of slots for people: as a table, one in detail, as a bar that grows.
//!
//! Pure. What an answer lacks is a `-`.

use std::fmt::Write as _;

use serde_json::Value;

use super::text::{Cell, Mark, lay_out, printable};

/// What stands for a value that is not there.
const NOTHING: &str = "-";

/// The characters of the bar.
const BAR_WIDTH: u64 = 30;

/// The most keys that are listed one by one.
const KEYS_LISTED_MAX: usize = 20;

/// The moves of an answer.
pub(crate) fn all(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("moves").and_then(Value::as_array).into_iter().flatten()
}

/// The number of a move.
pub(crate) fn id(report: &Value) -> Option<u64> {
    report.get("id")?.as_u64()
}

/// The move in one word.
pub(crate) fn state(report: &Value) -> &str {
    report.get("state").and_then(Value::as_str).unwrap_or(NOTHING)
}

/// Whether nothing more becomes of it.
pub(crate) fn has_ended(report: &Value) -> bool {
    report.get("ended_at").is_some_and(|at| !at.is_null())
}

fn number(report: &Value, at: &str) -> u64 {
    report.pointer(at).and_then(Value::as_u64).unwrap_or_default()
}

fn rate(report: &Value, at: &str) -> f64 {
    report.pointer(at).and_then(Value::as_f64).unwrap_or_default()
}

fn text(report: &Value, at: &str) -> String {
    printable(report.pointer(at).and_then(Value::as_str).unwrap_or(NOTHING))
}

/// All moves, one line each.
pub(crate) fn table(answer: &Value, has_colours: bool) -> String {
    let heads = ["MOVE", "STATE", "SLOTS", "TARGET", "DONE", "KEYS", "ERROR"];
    let mut rows = vec![heads.map(|head| Cell::text(head).mark(Mark::Head)).to_vec()];
    for report in all(answer) {
        let done =
            (number(report, "/progress/slots_done"), number(report, "/progress/slots_total"));
        rows.push(vec![
            Cell::text(&id(report).map_or_else(|| NOTHING.to_owned(), |id| id.to_string())),
            Cell::text(state(report)).mark(mark(state(report))),
            Cell::text(&text(report, "/slots")),
            Cell::text(&text(report, "/target")),
            Cell::text(&format!("{} of {}", done.0, done.1)),
            Cell::text(&keys(report)),
            Cell::text(&text(report, "/error")),
        ]);
    }
    if rows.len() == 1 {
        return "no slots are moved, and none were\n".to_owned();
    }
    lay_out(&rows, has_colours)
}

fn mark(state: &str) -> Mark {
    match state {
        "done" => Mark::Good,
        "incomplete" | "cancelled" => Mark::Bad,
        _ => Mark::Odd,
    }
}

fn keys(report: &Value) -> String {
    let moved = number(report, "/progress/keys_moved");
    match report.pointer("/progress/keys_total").and_then(Value::as_u64) {
        Some(total) => format!("{moved} of {total}"),
        None => moved.to_string(),
    }
}

/// One move with everything that is worth reading.
pub(crate) fn details(report: &Value, has_colours: bool) -> String {
    let state = state(report);
    let line = |name: &str, cell: Cell| vec![Cell::text(name).mark(Mark::Head), cell];
    let plain = |name: &str, text: String| line(name, Cell::text(&text));
    let size = number(report, "/progress/bytes_moved");
    let mut rows = vec![
        plain("move", id(report).map_or_else(|| NOTHING.to_owned(), |id| id.to_string())),
        line("state", Cell::text(state).mark(mark(state))),
        plain("slots", text(report, "/slots")),
        plain("target", text(report, "/target")),
        plain("keys", format!("{}, {}", keys(report), bytes(size))),
        plain("compared", compared(report)),
    ];
    if has_ended(report) {
        let taken = number(report, "/ended_at").saturating_sub(number(report, "/created_at"));
        rows.push(plain("time", duration(taken)));
    }
    if let Some(error) = report.get("error").and_then(Value::as_str) {
        rows.push(line("error", Cell::text(error).mark(Mark::Bad)));
    }
    let mut text = lay_out(&rows, has_colours);
    text.push_str(&batches(report, has_colours));
    text.push_str(&listed_keys(report, "/big_keys", "BIG KEY", "state", has_colours));
    text.push_str(&listed_keys(report, "/comparison/differences", "KEY", "what", has_colours));
    text
}

fn compared(report: &Value) -> String {
    let count = |what| number(report, &format!("/comparison/{what}"));
    let (compared, changed, missing) = (count("compared"), count("changed"), count("missing"));
    if compared == 0 {
        return "no keys".to_owned();
    }
    let on_target = count("keys_on_target");
    format!(
        "{compared} keys: {changed} changed, {missing} missing; {on_target} keys are on the target"
    )
}

fn batches(report: &Value, has_colours: bool) -> String {
    let batches = report.get("batches").and_then(Value::as_array);
    let is_open = |batch: &&Value| {
        let phase = batch.get("phase").and_then(Value::as_str).unwrap_or_default();
        !matches!(phase, "done" | "pending" | "dropped")
    };
    let open: Vec<&Value> = batches.into_iter().flatten().filter(is_open).collect();
    if open.is_empty() {
        return String::new();
    }
    let heads = ["SLOTS", "SOURCE", "PHASE", "ERROR"];
    let mut rows = vec![heads.map(|head| Cell::text(head).mark(Mark::Head)).to_vec()];
    for batch in open {
        let is_turned = batch.get("is_turned").and_then(Value::as_bool).unwrap_or_default();
        let way = if is_turned { ", on the way back" } else { "" };
        rows.push(vec![
            Cell::text(&text(batch, "/slots")),
            Cell::text(&text(batch, "/source")),
            Cell::text(&format!("{}{way}", text(batch, "/phase"))),
            Cell::text(&text(batch, "/error")),
        ]);
    }
    format!("\n{}", lay_out(&rows, has_colours))
}

fn listed_keys(report: &Value, at: &str, head: &str, what: &str, has_colours: bool) -> String {
    let keys = report.pointer(at).and_then(Value::as_array);
    let keys: Vec<&Value> = keys.into_iter().flatten().collect();
    if keys.is_empty() {
        return String::new();
    }
    let heads = [head, "DATABASE", "SLOT", "BYTES", "WHAT"];
    let mut rows = vec![heads.map(|head| Cell::text(head).mark(Mark::Head)).to_vec()];
    for key in keys.iter().take(KEYS_LISTED_MAX) {
        let size = key.get("bytes").and_then(Value::as_u64);
        rows.push(vec![
            Cell::text(&text(key, "/key")),
            Cell::text(&number(key, "/database").to_string()),
            Cell::text(&number(key, "/slot").to_string()),
            Cell::text(&size.map_or_else(|| NOTHING.to_owned(), bytes)),
            Cell::text(&text(key, &format!("/{what}"))),
        ]);
    }
    let mut text = format!("\n{}", lay_out(&rows, has_colours));
    if let Some(more) = keys.len().checked_sub(KEYS_LISTED_MAX).filter(|more| *more > 0) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "and {more} more, see --json");
    }
    text
}

/// How far a move is, in a line for a log.
pub(crate) fn line(report: &Value) -> String {
    let done = (number(report, "/progress/slots_done"), number(report, "/progress/slots_total"));
    let mut text = format!(
        "move {} {}: {} of {} slots, {} keys, {:.0} keys/s, {}/s",
        id(report).unwrap_or_default(),
        state(report),
        done.0,
        done.1,
        keys(report),
        rate(report, "/progress/keys_per_second"),
        bytes_per_second(report),
    );
    if let Some(error) = report.get("error").and_then(Value::as_str) {
        let _ = write!(text, "; {}", printable(error));
    }
    text
}

/// How far a move is, for a line of a terminal that is written again and again.
pub(crate) fn bar(report: &Value) -> String {
    let moved = number(report, "/progress/keys_moved");
    let total = number(report, "/progress/keys_total");
    // Without a number of keys, slots say how far it is.
    let (part, whole) = if total > 0 {
        (moved.min(total), total)
    } else {
        (number(report, "/progress/slots_done"), number(report, "/progress/slots_total").max(1))
    };
    let filled = usize::try_from(part * BAR_WIDTH / whole).unwrap_or(0);
    let empty = usize::try_from(BAR_WIDTH).unwrap_or(0).saturating_sub(filled);
    let eta = report.pointer("/progress/eta_seconds").and_then(Value::as_u64);
    let eta = eta.map_or_else(String::new, |eta| format!("  {} left", duration(eta)));
    let error = report.get("error").and_then(Value::as_str).unwrap_or_default();
    format!(
        "{:9} {}{} {:>3}%  {} keys  {:.0}/s  {}/s{eta}  {}",
        state(report),
        "█".repeat(filled),
        "░".repeat(empty),
        part * 100 / whole,
        keys(report),
        rate(report, "/progress/keys_per_second"),
        bytes_per_second(report),
        printable(error).chars().take(60).collect::<String>(),
    )
    .trim_end()
    .to_owned()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people, and never below zero"
)]
fn bytes_per_second(report: &Value) -> String {
    bytes(rate(report, "/progress/bytes_per_second").max(0.0) as u64)
}

/// A number of bytes in a unit that suits it.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{}.{} MB", bytes >> 20, ((bytes >> 10) % 1024) / 103),
        _ => format!("{}.{} GB", bytes >> 30, ((bytes >> 20) % 1024) / 103),
    }
}

/// A number of seconds as a clock shows it.
fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "id": 7, "state": "running", "slots": "0-9", "target": "h:2",
            "created_at": 100, "ended_at": null, "error": null,
            "progress": {
                "slots_done": 4, "slots_total": 10, "keys_total": 2000, "keys_moved": 500,
                "bytes_moved": 5_000_000, "keys_per_second": 250.4,
                "bytes_per_second": 2_500_000.0, "eta_seconds": 6,
            },
            "batches": [
                {"slots": "0-3", "source": "h:1", "phase": "done", "is_turned": false},
                {"slots": "4-9", "source": "h:1", "phase": "moving", "is_turned": true},
            ],
            "big_keys": [
                {"slot": 5, "database": 0, "key": "big", "bytes": 3_145_728, "state": "skipped"},
            ],
            "comparison": {"compared": 10, "changed": 1, "missing": 0, "keys_on_target": 12},
        })
    }

    #[test]
    fn a_bar_tells_how_far_a_move_is() {
        let bar = bar(&report());
        let expected = "running   ███████░░░░░░░░░░░░░░░░░░░░░░░  25%  500 of 2000 keys  250/s  \
                        2.3 MB/s  0:06 left";
        assert_eq!(bar, expected);
    }

    #[test]
    fn a_line_tells_why_a_move_does_not_get_on() {
        let mut report = report();
        report["error"] = json!("h:2: cannot be\nreached");
        let expected = "move 7 running: 4 of 10 slots, 500 of 2000 keys, 250 keys/s, 2.3 MB/s; \
                        h:2: cannot be reached";
        assert_eq!(line(&report), expected);
    }

    #[test]
    fn details_name_what_is_open_and_what_is_big() {
        let text = details(&report(), false);
        assert!(text.contains("4-9    h:1     moving, on the way back  -"), "{text}");
        assert!(!text.contains("0-3"), "{text}");
        assert!(text.contains("big      0         5     3.0 MB  skipped"), "{text}");
        assert!(
            text.contains("10 keys: 1 changed, 0 missing; 12 keys are on the target"),
            "{text}"
        );
    }

    #[test]
    fn no_moves_are_told_as_such() {
        assert_eq!(table(&json!({"moves": []}), false), "no slots are moved, and none were\n");
        let table = table(&json!({"moves": [report()]}), false);
        assert!(table.contains("7     running  0-9    h:2     4 of 10  500 of 2000  -"), "{table}");
    }
}
