//! JSON as Codis' programs write and read it.
//!
//! They write `&`, `<` and `>` and two separators as escapes, and read leniently: what is missing
//! or `null` has its zero value, what is unknown is ignored.

use serde::Serialize;
use serde::Serializer;
use serde::de::DeserializeOwned;
use serde::de::Error;
use serde_json::Value;
use serde_json::ser::PrettyFormatter;

use crate::CoordinatorError;
use crate::NodePath;

/// Something that is stored in nodes.
pub trait Stored: Serialize + DeserializeOwned {
    /// What it is, for texts: "a slot".
    const WHAT: &'static str;

    /// Is it written in lines, indented by four spaces?
    const IS_PRETTY: bool;

    /// The bytes to store.
    ///
    /// # Panics
    ///
    /// Never: these types have no maps with keys that are not texts.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = if Self::IS_PRETTY {
            let formatter = PrettyFormatter::with_indent(b"    ");
            self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        } else {
            self.serialize(&mut serde_json::Serializer::new(&mut bytes))
        };
        written.expect("plain values can be written as JSON");
        escape(bytes)
    }

    /// Reads what a node holds.
    ///
    /// # Errors
    ///
    /// It is not what it should be; the error says why.
    fn decode(path: &NodePath, bytes: &[u8]) -> Result<Self, CoordinatorError> {
        parse(bytes).map_err(|cause| CoordinatorError::Value {
            path: path.clone(),
            expected: Self::WHAT,
            cause: cause.to_string(),
        })
    }
}

/// Reads a JSON object; `null` is as if it was not there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(bytes)?;
    if !value.is_object() {
        // A list would pass as the members in their order.
        return Err(serde_json::Error::custom("it is JSON, but no object"));
    }
    forget_nulls(&mut value);
    serde_json::from_value(value)
}

/// Removes members that are `null`, at any depth. The parser bounds the depth.
fn forget_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(forget_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(forget_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Escapes what Codis' programs escape. These characters occur in texts only.
fn escape(bytes: Vec<u8>) -> Vec<u8> {
    let is_plain = |byte: &u8| !matches!(byte, b'&' | b'<' | b'>' | 0xe2);
    if bytes.iter().all(is_plain) {
        return bytes;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("\\u0026"),
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped.into_bytes()
}

/// Is it what is left out when it is written?
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a list, an empty one as `null`.
pub(crate) fn null_if_empty<T: Serialize, S: Serializer>(
    list: &Vec<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
}
