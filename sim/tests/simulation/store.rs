//! The data of a simulated server, and the commands that need nothing else: pure.

use std::collections::{BTreeMap, BTreeSet};

use routing::{SlotId, hash_tag, slot_of};

use crate::wire::Reply;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<String>),
}

/// A key of a database.
pub(crate) type Place = (u16, String);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    values: BTreeMap<Place, Value>,
}

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

impl Store {
    pub(crate) fn get(&self, place: &Place) -> Option<&Value> {
        self.values.get(place)
    }

    pub(crate) fn put(&mut self, place: Place, value: Value) {
        self.values.insert(place, value);
    }

    pub(crate) fn remove(&mut self, place: &Place) -> Option<Value> {
        self.values.remove(place)
    }

    /// The keys of some slots, in order.
    pub(crate) fn places_of(&self, slots: &BTreeSet<SlotId>) -> Vec<Place> {
        let is_in = |place: &&Place| slots.contains(&slot_of(place.1.as_bytes()));
        self.values.keys().filter(is_in).cloned().collect()
    }

    /// The keys of a database that have the tag of this one; without a tag, the key itself.
    pub(crate) fn places_with_tag_of(&self, place: &Place) -> Vec<Place> {
        let has_tag = |key: &str| hash_tag(key.as_bytes()).len() < key.len();
        let is_wanted = |other: &&Place| {
            let is_same_tag = has_tag(&place.1)
                && has_tag(&other.1)
                && hash_tag(other.1.as_bytes()) == hash_tag(place.1.as_bytes());
            other.0 == place.0 && (other.1 == place.1 || is_same_tag)
        };
        self.values.keys().filter(is_wanted).cloned().collect()
    }

    /// Executes a command on keys; `None` when it is none of those known here.
    pub(crate) fn execute(&mut self, database: u16, request: &[String]) -> Option<Reply> {
        let name = request[0].to_ascii_uppercase();
        let args = &request[1..];
        let at = |key: &String| (database, key.clone());
        Some(match (name.as_str(), args) {
            ("GET", [key]) => self.text(&at(key)),
            ("SET", [key, value]) => {
                self.put(at(key), Value::Text(value.clone()));
                Reply::ok()
            }
            ("DEL" | "UNLINK", keys) => {
                let removed = keys.iter().filter(|key| self.remove(&at(key)).is_some());
                Reply::count(removed.count())
            }
            ("EXISTS", keys) => {
                Reply::count(keys.iter().filter(|key| self.get(&at(key)).is_some()).count())
            }
            ("MGET", keys) => {
                let text = |key| match self.text(&at(key)) {
                    Reply::Error(_) => Reply::Bulk(None),
                    text => text,
                };
                Reply::Array(Some(keys.iter().map(text).collect()))
            }
            ("MSET", pairs) => {
                for pair in pairs.chunks(2) {
                    self.put(at(&pair[0]), Value::Text(pair[1].clone()));
                }
                Reply::ok()
            }
            ("RPUSH", [key, value]) => self.push(at(key), value),
            ("LRANGE", [key, first, last]) if first == "0" && last == "-1" => {
                match self.get(&at(key)) {
                    None => Reply::Array(Some(Vec::new())),
                    Some(Value::List(items)) => {
                        Reply::Array(Some(items.iter().map(|item| Reply::bulk(item)).collect()))
                    }
                    Some(Value::Text(_)) => Reply::error(WRONG_TYPE),
                }
            }
            _ => return None,
        })
    }

    fn text(&self, place: &Place) -> Reply {
        match self.get(place) {
            None => Reply::Bulk(None),
            Some(Value::Text(text)) => Reply::bulk(text),
            Some(Value::List(_)) => Reply::error(WRONG_TYPE),
        }
    }

    fn push(&mut self, place: Place, item: &str) -> Reply {
        match self.values.entry(place).or_insert_with(|| Value::List(Vec::new())) {
            Value::Text(_) => Reply::error(WRONG_TYPE),
            Value::List(items) => {
                items.push(item.to_owned());
                Reply::count(items.len())
            }
        }
    }
}

/// Whether a command only reads, as a server's command table says.
pub(crate) fn is_read(name: &str) -> bool {
    matches!(name.to_ascii_uppercase().as_str(), "GET" | "EXISTS" | "MGET" | "LRANGE")
}

#[cfg(test)]
mod tests;
