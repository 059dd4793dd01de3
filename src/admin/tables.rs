//! The proxy's answers as tables for people.
//!
//! Pure. What an answer lacks is a `-`: proxies of other versions, and those of Codis, are shown as
//! well as they can be.

use config::{FillSlotsError, SlotForm, fill_slots};
use serde_json::Value;

use super::text::{Cell, Mark, lay_out};

/// What stands for a value that is not there.
const NOTHING: &str = "-";

/// The lines of a model: what they are called and where they are.
const MODEL: [(&str, &str); 10] = [
    ("product", "/product_name"),
    ("clients", "/proxy_addr"),
    ("admin", "/admin_addr"),
    ("jodis", "/jodis_path"),
    ("datacenter", "/datacenter"),
    ("token", "/token"),
    ("host", "/hostname"),
    ("process", "/pid"),
    ("folder", "/pwd"),
    ("started", "/start_time"),
];

/// The lines of the stats that are shown as they are.
const STATS: [(&str, &str); 7] = [
    ("requests", "/ops/total"),
    ("per second", "/ops/qps"),
    ("failed", "/ops/fails"),
    ("error replies", "/ops/redis/errors"),
    ("clients now", "/sessions/alive"),
    ("clients in all", "/sessions/total"),
    ("threads", "/runtime/num_goroutines"),
];

/// The columns of the commands in the stats.
const COMMANDS: [(&str, &str); 4] = [
    ("CALLS", "/calls"),
    ("µs/CALL", "/usecs_percall"),
    ("FAILS", "/fails"),
    ("ERRORS", "/redis_errtype"),
];

/// Who a proxy is.
pub(crate) fn model(model: &Value, has_colours: bool) -> String {
    let rows: Vec<_> = MODEL.iter().map(|(name, at)| line(name, &text_at(model, at))).collect();
    lay_out(&rows, has_colours)
}

/// What a proxy does: numbers of the whole, then those of its commands, the most called first.
pub(crate) fn stats(stats: &Value, has_colours: bool) -> String {
    let mut rows = vec![vec![head("state"), state(stats)]];
    rows.extend(STATS.iter().map(|(name, at)| line(name, &text_at(stats, at))));
    rows.push(line("cpu", &cpu(stats)));
    rows.push(line("memory", &memory(stats)));
    let mut text = lay_out(&rows, has_colours);
    let commands = commands(stats);
    if !commands.is_empty() {
        text.push('\n');
        text.push_str(&lay_out(&commands, has_colours));
    }
    text
}

fn state(stats: &Value) -> Cell {
    let is = |at| stats.pointer(at).and_then(Value::as_bool).unwrap_or_default();
    match (is("/closed"), is("/online")) {
        (true, _) => Cell::text("stopping").mark(Mark::Bad),
        (false, true) => Cell::text("online").mark(Mark::Good),
        (false, false) => Cell::text("waiting for `start`").mark(Mark::Odd),
    }
}

fn cpu(stats: &Value) -> String {
    let cpu = stats.pointer("/rusage/cpu").and_then(Value::as_f64);
    cpu.map_or_else(|| NOTHING.to_owned(), |cpu| format!("{:.1}% of a core", cpu * 100.0))
}

fn memory(stats: &Value) -> String {
    let bytes = stats.pointer("/rusage/mem").and_then(Value::as_u64);
    bytes.map_or_else(|| NOTHING.to_owned(), |bytes| format!("{} MB", bytes >> 20))
}

fn commands(stats: &Value) -> Vec<Vec<Cell>> {
    let commands = stats.pointer("/ops/cmd").and_then(Value::as_array);
    let mut commands: Vec<&Value> = commands.into_iter().flatten().collect();
    if commands.is_empty() {
        return Vec::new();
    }
    let calls = |command: &&Value| command.get("calls").and_then(Value::as_u64).unwrap_or_default();
    commands.sort_by_key(|command| std::cmp::Reverse(calls(command)));
    let mut top = vec![head("COMMAND")];
    top.extend(COMMANDS.iter().map(|(name, _)| Cell::number(name).mark(Mark::Head)));
    let row = |command: &Value| {
        let name = match text_at(command, "/opstr") {
            name if name == NOTHING => "(unknown)".to_owned(),
            name => name,
        };
        let numbers = COMMANDS.iter().map(|(_, at)| Cell::number(&text_at(command, at)));
        std::iter::once(Cell::text(&name)).chain(numbers).collect()
    };
    std::iter::once(top).chain(commands.into_iter().map(row)).collect()
}

/// Reads an answer with slots; `name` is what errors call it.
pub(crate) fn read_slots(name: &str, body: &str) -> Result<Vec<SlotForm>, FillSlotsError> {
    fill_slots::parse_order(name, body.as_bytes())
}

/// Which group has each slot: neighbours that are served alike are one line.
pub(crate) fn slots(slots: &[SlotForm], has_colours: bool) -> String {
    let mut rows = vec![["SLOTS", "GROUP", "PRIMARY", "REPLICAS", "STATE"].map(head).to_vec()];
    let is_next = |a: &SlotForm, b: &SlotForm| {
        a.id.checked_add(1) == Some(b.id) && SlotForm { id: b.id, ..a.clone() } == *b
    };
    for range in slots.chunk_by(is_next) {
        if let [first, .., last] = range {
            rows.push(slot_row(first, &format!("{}-{}", first.id, last.id)));
        } else if let [only] = range {
            rows.push(slot_row(only, &only.id.to_string()));
        }
    }
    lay_out(&rows, has_colours)
}

fn slot_row(slot: &SlotForm, range: &str) -> Vec<Cell> {
    let has_primary = !slot.backend_addr.is_empty();
    let group = format!("group {}", slot.backend_addr_group_id);
    let replicas: Vec<String> = slot.replica_groups.iter().map(|group| group.join(" ")).collect();
    let replicas = replicas.join(" | ");
    vec![
        Cell::text(range),
        Cell::text(if has_primary { &group } else { NOTHING }),
        Cell::text(if has_primary { &slot.backend_addr } else { NOTHING }),
        Cell::text(if replicas.is_empty() { NOTHING } else { &replicas }),
        slot_state(slot),
    ]
}

fn slot_state(slot: &SlotForm) -> Cell {
    let mut states = Vec::new();
    let mut mark = Mark::Good;
    if !slot.migrate_from.is_empty() {
        states.push(format!("migrating from {}", slot.migrate_from));
        mark = Mark::Odd;
    }
    if slot.locked {
        states.push("locked".to_owned());
        mark = Mark::Odd;
    }
    if slot.backend_addr.is_empty() {
        states.push("offline".to_owned());
        mark = Mark::Bad;
    }
    if states.is_empty() {
        states.push("ok".to_owned());
    }
    Cell::text(&states.join(", ")).mark(mark)
}

fn head(text: &str) -> Cell {
    Cell::text(text).mark(Mark::Head)
}

fn line(name: &str, text: &str) -> Vec<Cell> {
    vec![head(name), Cell::text(text)]
}

/// The value at a JSON pointer as it would be written in a sentence.
fn text_at(value: &Value, at: &str) -> String {
    match value.pointer(at) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(truth)) => truth.to_string(),
        _ => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests;
