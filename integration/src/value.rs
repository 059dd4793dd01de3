//! Replies as values, for the fixtures that must understand them.
//!
//! RESP2 only, and written apart from the proxy's own decoder, so that one mistake cannot hide in
//! both. Tests of single replies compare bytes instead. Pure.

use crate::reply::reply_len;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A simple string.
    Text(String),
    /// An error.
    Error(String),
    /// An integer.
    Number(i64),
    /// A bulk string, or none.
    Bulk(Option<Vec<u8>>),
    /// An array; the null one is empty.
    Array(Vec<Value>),
}

impl Value {
    /// Reads one whole reply; what is none becomes an error of its own.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        decode(bytes).map_or_else(
            || Self::Error(format!("no RESP2 value: {}", bytes.escape_ascii())),
            |(value, _)| value,
        )
    }

    /// A bulk string's bytes; empty for all else.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bulk(Some(bytes)) => bytes,
            Self::Text(text) => text.into_bytes(),
            Self::Bulk(None) | Self::Error(_) | Self::Number(_) | Self::Array(_) => Vec::new(),
        }
    }
}

/// The value at the head of some bytes, and its length.
fn decode(bytes: &[u8]) -> Option<(Value, usize)> {
    let whole = reply_len(bytes).ok()??;
    let line_len = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, line) = bytes.get(..line_len)?.split_first()?;
    let text = String::from_utf8_lossy(line).into_owned();
    let mut at = line_len + 2;
    let value = match kind {
        b'+' => Value::Text(text),
        b'-' => Value::Error(text),
        b':' => Value::Number(text.parse().ok()?),
        b'$' if text == "-1" => Value::Bulk(None),
        b'$' => Value::Bulk(Some(bytes.get(at..at + text.parse::<usize>().ok()?)?.to_vec())),
        b'*' => {
            let mut values = Vec::new();
            for _ in 0..text.parse::<i64>().ok()?.max(0) {
                let (value, len) = decode(bytes.get(at..)?)?;
                values.push(value);
                at += len;
            }
            Value::Array(values)
        }
        _ => return None,
    };
    Some((value, whole))
}

#[cfg(test)]
mod tests;
