//! The notation of the data files, and its way to RESP bytes.
//!
//! A data file keeps what a server said to `COMMAND` and `COMMAND DOCS`, so that the proxy can say
//! the same. JSON does not tell status replies from bulk strings, nor sets and maps from arrays:
//!
//! ```text
//! "+text"  simple string      [..]           array
//! "$text"  bulk string        {"set": [..]}  set, in RESP2 an array
//! 5        integer            {"map": [..]}  map as key, value, key, value; in RESP2 an array
//! ```
//!
//! `cargo run -p xtask -- gen-commands` writes `redis-7.0.json`. `additions.json` is written by
//! hand: the few newer commands that clients send and the proxy answers itself.

use std::collections::BTreeMap;

use resp::encode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Protocol;
use crate::TableError;

#[cfg(test)]
mod tests;

const REDIS: &str = include_str!("../data/redis-7.0.json");
const ADDITIONS: &str = include_str!("../data/additions.json");

/// One data file.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct DataFile {
    /// The version of the server that was asked.
    server: String,
    /// What the server says to `HELP` of the containers that the proxy answers itself.
    help: BTreeMap<String, Vec<String>>,
    commands: Vec<Entry>,
}

/// All data files together.
pub(crate) struct Data {
    pub(crate) server_version: String,
    pub(crate) help: BTreeMap<String, Vec<String>>,
    /// In the order of their names.
    pub(crate) entries: Vec<Entry>,
}

/// One command or sub-command of a data file. What the server says of it stays unread in the
/// program's own image: read, it would take 16 MB.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) info: &'static RawValue,
    pub(crate) docs: &'static RawValue,
}

/// Reads a part of an entry. Every part was read once when the table was loaded, so it is well
/// formed.
pub(crate) fn parse(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Reads all data files.
pub(crate) fn read() -> Result<Data, TableError> {
    let redis: DataFile = serde_json::from_str(REDIS)?;
    let additions: DataFile = serde_json::from_str(ADDITIONS)?;
    let mut entries = redis.commands;
    entries.extend(additions.commands);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some([first, _]) = entries.array_windows().find(|[a, b]| a.name == b.name) {
        return Err(TableError::Duplicate { command: first.name.clone() });
    }
    let mut help = redis.help;
    for (container, lines) in additions.help {
        let known = help.entry(container).or_default();
        // Every help ends with HELP itself.
        let end = known.iter().position(|line| line == "HELP").unwrap_or(known.len());
        known.splice(end..end, lines);
    }
    Ok(Data { server_version: redis.server, help, entries })
}

/// The text of a simple or bulk string.
pub(crate) fn text(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(['+', '$'])
}

/// The elements of an array or a set; for a map its keys and values in turn.
pub(crate) fn elements(value: &Value) -> Option<&[Value]> {
    let list = match value {
        Value::Object(object) => object.get("set").or_else(|| object.get("map"))?,
        other => other,
    };
    list.as_array().map(Vec::as_slice)
}

/// The value of `key` in a map.
pub(crate) fn map_value<'v>(map: &'v Value, key: &str) -> Option<&'v Value> {
    elements(map)?.chunks_exact(2).find_map(|pair| match pair {
        [name, value] if text(name) == Some(key) => Some(value),
        _ => None,
    })
}

/// The text of `key` in a map.
pub(crate) fn map_text<'v>(map: &'v Value, key: &str) -> Option<&'v str> {
    map_value(map, key).and_then(text)
}

/// The texts of a list, without those elements that are no texts.
pub(crate) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    elements(list).unwrap_or_default().iter().filter_map(text)
}

/// Appends a value as a reply.
pub(crate) fn encode(value: &Value, protocol: Protocol, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => match text.split_at_checked(1) {
            Some(("+", text)) => encode::simple_string(out, text),
            Some((_, text)) => encode::bulk(out, text.as_bytes()),
            None => encode_null(protocol, out),
        },
        Value::Number(number) => encode::integer(out, number.as_i64().unwrap_or_default()),
        Value::Array(_) => encode_elements(value, Aggregate::Array, protocol, out),
        Value::Object(object) if object.contains_key("map") => {
            encode_elements(value, Aggregate::Map, protocol, out);
        }
        Value::Object(_) => encode_elements(value, Aggregate::Set, protocol, out),
        Value::Bool(_) | Value::Null => encode_null(protocol, out),
    }
}

fn encode_elements(value: &Value, kind: Aggregate, protocol: Protocol, out: &mut Vec<u8>) {
    let elements = elements(value).unwrap_or_default();
    encode_header(kind, elements.len(), protocol, out);
    for element in elements {
        encode(element, protocol, out);
    }
}

/// A reply of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Array,
    Set,
    /// Of keys and values in turn, both counted.
    Map,
}

/// Appends the header of an aggregate; `count` values follow.
pub(crate) fn encode_header(kind: Aggregate, count: usize, protocol: Protocol, out: &mut Vec<u8>) {
    let (byte, count) = match (protocol, kind) {
        (Protocol::Resp3, Aggregate::Set) => (b'~', count),
        (Protocol::Resp3, Aggregate::Map) => (b'%', count / 2),
        (Protocol::Resp2, _) | (Protocol::Resp3, Aggregate::Array) => (b'*', count),
    };
    let start = out.len();
    encode::array_header(out, count);
    if let Some(first) = out.get_mut(start) {
        *first = byte;
    }
}

/// Appends the null that stands for a missing entry.
pub(crate) fn encode_null(protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Resp2 => encode::null_bulk(out),
        Protocol::Resp3 => out.extend_from_slice(b"_\r\n"),
    }
}
