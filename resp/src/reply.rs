//! Where the replies of a backend end.
//!
//! [`ReplyFramer`] walks over a stream of replies without keeping any of it. A reply of any size
//! and nesting is described by two integers: how many elements are still due, and how many bytes
//! of the current bulk.
//!
//! ```text
//!   *2 $3 foo :7      due: 1 -> *2: 2 -> foo: 1 -> 7: 0, complete
//! ```
//!
//! An aggregate of n elements stands for itself and makes n more due; an attribute (RESP3) makes
//! its 2n due but stands for nothing, so the reply it belongs to is still awaited.
//!
//! Users: backend connections (every reply) and the merging of fan-outs ([`elements`]).
//!
//! Bounds: bulks of at most 512 MiB, lines of at most 64 KiB, aggregates of at most `i32::MAX`
//! elements (pairs for maps). Nothing is allocated.

#[cfg(test)]
mod tests;

use crate::ReplyError;
use crate::number;
use crate::number::Header;

/// The longest bulk, in bytes: the most a Redis value can have.
const BULK_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The longest simple string, error or number, in bytes with its CRLF.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The most elements one aggregate may announce.
const ELEMENTS_MAX: u64 = i32::MAX as u64;

/// Delimits replies in a stream without keeping them.
#[derive(Clone, Debug, Default)]
pub struct ReplyFramer {
    /// Elements of the current reply whose header has not been read; with `body`, zero between
    /// replies.
    due: u64,
    /// Bytes of the current bulk, with its CRLF, that have not been seen.
    body: usize,
}

/// How far [`ReplyFramer::scan`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyScan {
    /// The current reply ends at `buf[..len]`.
    Complete {
        /// Bytes of `buf` that belong to the reply.
        len: usize,
    },
    /// `buf[..len]` belongs to the current reply, and more is to come. The next call gets the
    /// bytes after them: what is left of `buf`, an unfinished line and usually nothing, and what
    /// has arrived since.
    Partial {
        /// Bytes of `buf` that need not be shown again.
        len: usize,
        /// Bytes that surely must still arrive, at least 1; within a bulk, all that is left of it.
        missing: usize,
    },
}

/// One element's header, as [`header`] reads it.
enum Item {
    /// A line that is the whole element.
    Line { len: usize },
    /// The header of a bulk; `body` is the length of what follows, with the CRLF.
    Bulk { len: usize, body: usize },
    /// The header of an aggregate of `count` elements.
    Aggregate { len: usize, count: u64 },
    /// The header of an attribute, which precedes the element it belongs to.
    Attribute { len: usize, count: u64 },
    /// The line has not ended yet.
    Incomplete,
}

impl ReplyFramer {
    /// Says whether the next byte is the first one of a reply.
    #[must_use]
    pub fn is_between_replies(&self) -> bool {
        self.due == 0 && self.body == 0
    }

    /// Finds the end of the current reply, or takes note of how far it got.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP, or beyond the limits; the stream cannot be used any more.
    #[inline]
    pub fn scan(&mut self, buf: &[u8]) -> Result<ReplyScan, ReplyError> {
        if self.is_between_replies() {
            if let Some(len) = small(buf) {
                return Ok(ReplyScan::Complete { len });
            }
            if buf.is_empty() {
                return Ok(ReplyScan::Partial { len: 0, missing: 1 });
            }
        }
        self.scan_any(buf)
    }

    fn scan_any(&mut self, buf: &[u8]) -> Result<ReplyScan, ReplyError> {
        let mut due = if self.is_between_replies() { 1 } else { self.due };
        let mut position = 0;
        if self.body > 0 {
            position = self.skip_body(buf)?;
        }
        while due > 0 && self.body == 0 {
            let rest = buf.get(position..).unwrap_or_default();
            due -= 1;
            match header(rest)? {
                Item::Line { len } => position += len,
                Item::Bulk { len, body } => {
                    position += len;
                    self.body = body;
                    position += self.skip_body(rest.get(len..).unwrap_or_default())?;
                }
                Item::Aggregate { len, count } => {
                    position += len;
                    due = due.checked_add(count).ok_or(ReplyError::TooManyElements)?;
                }
                Item::Attribute { len, count } => {
                    position += len;
                    due = due.checked_add(count + 1).ok_or(ReplyError::TooManyElements)?;
                }
                Item::Incomplete => {
                    due += 1;
                    break;
                }
            }
        }
        // A reply of which nothing was taken has not begun: the same bytes come again.
        self.due = if position == 0 && self.is_between_replies() { 0 } else { due };
        if due == 0 && self.body == 0 {
            return Ok(ReplyScan::Complete { len: position });
        }
        Ok(ReplyScan::Partial { len: position, missing: self.body.max(1) })
    }

    /// Passes over what `buf` holds of the current bulk, and returns how much that is.
    fn skip_body(&mut self, buf: &[u8]) -> Result<usize, ReplyError> {
        let taken = self.body.min(buf.len());
        // Of the CRLF, one byte may have been seen by an earlier call.
        let line_end = b"\r\n".get(2usize.saturating_sub(self.body)..).unwrap_or_default();
        let content = self.body - line_end.len();
        let seen = buf.get(content..taken).unwrap_or_default();
        if !line_end.starts_with(seen) {
            return Err(ReplyError::BulkNotTerminated);
        }
        self.body -= taken;
        Ok(taken)
    }
}

/// The length of the reply at the start of `buf` if it is one of the short, frequent ones and
/// complete. `None` says nothing.
#[inline]
fn small(buf: &[u8]) -> Option<usize> {
    let (start, body) = match buf {
        [b'$', a @ b'0'..=b'9', b'\r', b'\n', ..] => (4, usize::from(a - b'0')),
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
            (5, usize::from(a - b'0') * 10 + usize::from(b - b'0'))
        }
        [b'+', b'O', b'K', b'\r', b'\n', ..] | [b'$', b'-', b'1', b'\r', b'\n', ..] => {
            return Some(5);
        }
        [b':', b'0'..=b'9', b'\r', b'\n', ..] => return Some(4),
        _ => return None,
    };
    let end = start + body;
    (buf.get(end..end + 2)? == b"\r\n").then_some(end + 2)
}

/// Reads the header at the start of `buf`.
fn header(buf: &[u8]) -> Result<Item, ReplyError> {
    let Some((&kind, rest)) = buf.split_first() else {
        return Ok(Item::Incomplete);
    };
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => line(buf),
        b'$' | b'*' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => counted(kind, rest),
        _ => Err(ReplyError::UnknownType(kind)),
    }
}

/// Reads a reply that is one line. Its contents are the client's business.
fn line(buf: &[u8]) -> Result<Item, ReplyError> {
    let window = buf.get(..LINE_BYTES_MAX).unwrap_or(buf);
    match line_end(window) {
        Some(end) => Ok(Item::Line { len: end + 2 }),
        None if window.len() == LINE_BYTES_MAX => Err(ReplyError::LineTooLong),
        None => Ok(Item::Incomplete),
    }
}

/// The position of the first CRLF.
fn line_end(buf: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = buf.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == b'\r')?;
        if *buf.get(at + 1)? == b'\n' {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Reads a header that announces a length or a count; `rest` follows the type byte.
fn counted(kind: u8, rest: &[u8]) -> Result<Item, ReplyError> {
    if rest.first() == Some(&b'?') {
        return Err(ReplyError::Streamed(kind));
    }
    let (value, len) = match number::header(rest) {
        Header::Number { value, len } => (value, len + 1),
        Header::Incomplete => return Ok(Item::Incomplete),
        Header::Invalid | Header::TooLong => return Err(ReplyError::InvalidLength(kind)),
    };
    if value == -1 && matches!(kind, b'$' | b'*') {
        return Ok(Item::Line { len });
    }
    let count = u64::try_from(value).map_err(|_| ReplyError::InvalidLength(kind))?;
    if matches!(kind, b'$' | b'!' | b'=') {
        if count > BULK_BYTES_MAX {
            return Err(ReplyError::BulkTooLong(count));
        }
        let body = usize::try_from(count + 2).map_err(|_| ReplyError::BulkTooLong(count))?;
        return Ok(Item::Bulk { len, body });
    }
    if count > ELEMENTS_MAX {
        return Err(ReplyError::TooManyElements);
    }
    Ok(match kind {
        b'%' => Item::Aggregate { len, count: 2 * count },
        b'|' => Item::Attribute { len, count: 2 * count },
        _ => Item::Aggregate { len, count },
    })
}

/// A complete reply without the attributes before it, which say nothing about its type.
#[inline]
fn without_attributes(reply: &[u8]) -> &[u8] {
    if reply.first() == Some(&b'|') { skip_attributes(reply) } else { reply }
}

#[cold]
fn skip_attributes(mut reply: &[u8]) -> &[u8] {
    while let Ok(Item::Attribute { len, count }) = header(reply) {
        let rest = reply.get(len..).unwrap_or_default();
        let mut attribute = Elements { rest, remaining: usize::try_from(count).unwrap_or(0) };
        if attribute.by_ref().any(|element| element.is_err()) {
            return &[];
        }
        reply = attribute.rest;
    }
    reply
}

/// The elements of one complete array, set or push, each as its raw bytes.
///
/// Here and in the functions below, attributes (RESP3) before the reply are passed over.
///
/// # Errors
///
/// `reply` is of another type or null ([`ReplyError::NotAnArray`]), or its header is wrong.
pub fn elements(reply: &[u8]) -> Result<Elements<'_>, ReplyError> {
    let reply = without_attributes(reply);
    if !matches!(reply.first(), Some(b'*' | b'~' | b'>')) {
        return Err(ReplyError::NotAnArray);
    }
    match header(reply)? {
        Item::Aggregate { len, count } => Ok(Elements {
            rest: reply.get(len..).unwrap_or_default(),
            remaining: usize::try_from(count).map_err(|_| ReplyError::TooManyElements)?,
        }),
        Item::Incomplete => Err(ReplyError::Incomplete),
        _ => Err(ReplyError::NotAnArray),
    }
}

/// Walks over the elements of an array; made by [`elements`].
///
/// After an error there are no more elements.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    remaining: usize,
}

impl Elements<'_> {
    /// How many elements are still to come; of a fresh value, the announced count.
    ///
    /// It is a claim of the reply: do not reserve memory by it unless the reply is complete.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Says whether no elements are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], ReplyError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let split = match ReplyFramer::default().scan(self.rest) {
            Ok(ReplyScan::Complete { len }) => self.rest.split_at_checked(len),
            Ok(ReplyScan::Partial { .. }) => None,
            Err(error) => {
                self.remaining = 0;
                return Some(Err(error));
            }
        };
        let Some((element, rest)) = split else {
            self.remaining = 0;
            return Some(Err(ReplyError::Incomplete));
        };
        self.rest = rest;
        Some(Ok(element))
    }
}

/// The value of one complete integer reply; `None` for any other reply.
#[must_use]
pub fn integer(reply: &[u8]) -> Option<i64> {
    number::parse(without_attributes(reply).strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// Says whether a reply is an error, of RESP2 or RESP3.
#[must_use]
pub fn is_error(reply: &[u8]) -> bool {
    matches!(without_attributes(reply).first(), Some(b'-' | b'!'))
}
