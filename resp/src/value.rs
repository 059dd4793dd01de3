//! A reply as a tree, for paths where convenience counts more than speed.
//!
//! Handshakes with backends, tools and tests use it; the data path never does. A reply is decoded
//! only when it is complete, so a count that a peer announced never reserves memory, and the tree
//! is bounded by the bytes it was made of.
//!
//! Texts of simple strings and errors become `String`; bytes that are not UTF-8 are replaced.
//! Attributes (RESP3) are dropped, since no command that we send asks for them.

#[cfg(test)]
mod tests;

use crate::ReplyError;
use crate::encode;
use crate::number;
use crate::number::Header;
use crate::reply::ReplyFramer;
use crate::reply::ReplyScan;

/// How deep arrays may be nested. Deeper ones would let a peer exhaust the stack.
pub const NESTING_MAX: usize = 32;

/// One reply of RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`.
    Simple(String),
    /// `-ERR ...`, with its prefix.
    Error(String),
    /// `:1`.
    Integer(i64),
    /// `$3`, any bytes.
    Bulk(Vec<u8>),
    /// `$-1`, the null of RESP2.
    NullBulk,
    /// `*2`.
    Array(Vec<Value>),
    /// `*-1`, the null array of RESP2.
    NullArray,
    /// `_`, the null of RESP3.
    Null,
    /// `,1.5`; also infinite or not a number.
    Double(f64),
    /// `#t` or `#f`.
    Boolean(bool),
    /// `(123...`, a decimal number of any length.
    BigNumber(String),
    /// `!10`, an error that may hold line breaks.
    BulkError(String),
    /// `=15`, a text with the three letters that tell its format, `txt` or `mkd`.
    Verbatim {
        /// The three letters.
        format: [u8; 3],
        /// The text without them.
        text: Vec<u8>,
    },
    /// `%1`, in the order of the wire.
    Map(Vec<(Value, Value)>),
    /// `~2`, in the order of the wire.
    Set(Vec<Value>),
    /// `>2`, which answers no request.
    Push(Vec<Value>),
}

impl Value {
    /// Decodes the reply at the start of `bytes` and says how long it is; `None` while it is
    /// incomplete.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP, beyond the limits of [`ReplyFramer`], or nested deeper than
    /// [`NESTING_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let ReplyScan::Complete { len } = ReplyFramer::default().scan(bytes)? else {
            return Ok(None);
        };
        let mut reader = Reader { rest: bytes.get(..len).unwrap_or_default() };
        let value = reader.value(0)?;
        Ok(Some((value, len)))
    }

    /// Appends the value as a reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => encode::simple_string(out, text),
            Self::Error(text) => encode::error(out, text),
            Self::Integer(value) => encode::integer(out, *value),
            Self::Bulk(bytes) => encode::bulk(out, bytes),
            Self::NullBulk => encode::null_bulk(out),
            Self::NullArray => encode::null_array(out),
            Self::Null => out.extend_from_slice(b"_\r\n"),
            Self::Boolean(true) => out.extend_from_slice(b"#t\r\n"),
            Self::Boolean(false) => out.extend_from_slice(b"#f\r\n"),
            Self::Double(value) => encode_line(out, b',', &double_text(*value)),
            Self::BigNumber(digits) => encode_line(out, b'(', digits),
            Self::BulkError(text) => encode_blob(out, b'!', &[text.as_bytes()]),
            Self::Verbatim { format, text } => encode_blob(out, b'=', &[format, b":", text]),
            Self::Array(items) => encode_items(out, b'*', items),
            Self::Set(items) => encode_items(out, b'~', items),
            Self::Push(items) => encode_items(out, b'>', items),
            Self::Map(pairs) => {
                encode::header(out, b'%', pairs.len());
                for (key, value) in pairs {
                    key.encode(out);
                    value.encode(out);
                }
            }
        }
    }

    /// The bytes of a text of any kind, errors excepted.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::BigNumber(text) => Some(text.as_bytes()),
            Self::Bulk(bytes) | Self::Verbatim { text: bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The text of any kind, errors excepted, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number of an integer, or of a text that is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            other => number::parse(other.as_bytes()?),
        }
    }

    /// The elements of an array, set or push.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The text of an error, with its prefix.
    #[must_use]
    pub fn as_error(&self) -> Option<&str> {
        match self {
            Self::Error(text) | Self::BulkError(text) => Some(text),
            _ => None,
        }
    }

    /// Says whether the value is one of the three nulls.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::NullBulk | Self::NullArray | Self::Null)
    }
}

/// Walks over one complete reply.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, ReplyError> {
        if depth > NESTING_MAX {
            return Err(ReplyError::TooDeep(NESTING_MAX));
        }
        let kind = self.take(1)?.first().copied().ok_or(ReplyError::Incomplete)?;
        match kind {
            b'+' => Ok(Value::Simple(lossy(self.line()?))),
            b'-' => Ok(Value::Error(lossy(self.line()?))),
            b'$' => Ok(match self.count(kind)? {
                Some(len) => Value::Bulk(self.body(len)?.to_vec()),
                None => Value::NullBulk,
            }),
            b'!' => Ok(Value::BulkError(lossy(self.blob(kind)?))),
            b'=' => verbatim(self.blob(kind)?),
            b'*' => Ok(match self.count(kind)? {
                Some(count) => Value::Array(self.items(count, depth)?),
                None => Value::NullArray,
            }),
            b'~' => Ok(Value::Set(self.items_of(kind, depth)?)),
            b'>' => Ok(Value::Push(self.items_of(kind, depth)?)),
            b'%' => self.map(depth),
            b'|' => {
                self.map(depth)?;
                // A loop of attributes would recurse as a nest of arrays does.
                self.value(depth + 1)
            }
            _ => scalar(kind, self.line()?),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ReplyError> {
        let count = self.count(b'%')?.ok_or(ReplyError::InvalidLength(b'%'))?;
        let pair = |reader: &mut Self| Ok((reader.value(depth + 1)?, reader.value(depth + 1)?));
        Ok(Value::Map((0..count).map(|_| pair(self)).collect::<Result<_, ReplyError>>()?))
    }

    fn items_of(&mut self, kind: u8, depth: usize) -> Result<Vec<Value>, ReplyError> {
        let count = self.count(kind)?.ok_or(ReplyError::InvalidLength(kind))?;
        self.items(count, depth)
    }

    fn items(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, ReplyError> {
        (0..count).map(|_| self.value(depth + 1)).collect()
    }

    fn blob(&mut self, kind: u8) -> Result<&'a [u8], ReplyError> {
        let len = self.count(kind)?.ok_or(ReplyError::InvalidLength(kind))?;
        self.body(len)
    }

    /// Takes the rest of a header line; `None` stands for -1.
    fn count(&mut self, kind: u8) -> Result<Option<usize>, ReplyError> {
        let Header::Number { value, len } = number::header(self.rest) else {
            return Err(ReplyError::InvalidLength(kind));
        };
        self.take(len)?;
        match value {
            -1 => Ok(None),
            _ => usize::try_from(value).map(Some).map_err(|_| ReplyError::InvalidLength(kind)),
        }
    }

    fn body(&mut self, len: usize) -> Result<&'a [u8], ReplyError> {
        let body = self.take(len)?;
        self.take(2)?;
        Ok(body)
    }

    fn line(&mut self) -> Result<&'a [u8], ReplyError> {
        let len = self.rest.windows(2).position(|pair| pair == b"\r\n");
        self.body(len.ok_or(ReplyError::Incomplete)?)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ReplyError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ReplyError::Incomplete)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Reads the kinds that are one line and not a text.
fn scalar(kind: u8, line: &[u8]) -> Result<Value, ReplyError> {
    let text = || std::str::from_utf8(line).ok();
    let value = match (kind, line) {
        (b':', _) => number::parse(line).map(Value::Integer),
        (b'_', b"") => Some(Value::Null),
        (b'#', b"t") => Some(Value::Boolean(true)),
        (b'#', b"f") => Some(Value::Boolean(false)),
        (b',', _) => text().and_then(|text| text.parse().ok()).map(Value::Double),
        (b'(', [b'-', digits @ ..] | digits)
            if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
        {
            text().map(|text| Value::BigNumber(text.to_owned()))
        }
        _ => None,
    };
    value.ok_or(ReplyError::Malformed(kind))
}

fn verbatim(blob: &[u8]) -> Result<Value, ReplyError> {
    match blob {
        [a, b, c, b':', text @ ..] => {
            Ok(Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() })
        }
        _ => Err(ReplyError::Malformed(b'=')),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text of a double as RESP3 writes it.
fn double_text(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { value.to_string() }
}

fn encode_line(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    encode::single_line(out, text);
}

fn encode_blob(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    encode::header(out, kind, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

fn encode_items(out: &mut Vec<u8>, kind: u8, items: &[Value]) {
    encode::header(out, kind, items.len());
    for item in items {
        item.encode(out);
    }
}
