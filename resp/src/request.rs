//! Where the requests of a client end, and where their arguments lie.
//!
//! ```text
//!   *2\r\n $3\r\nGET\r\n $3\r\nkey\r\n   ->  Request { len: 22 }, args: 8..11, 17..20
//!   GET key\r\n                          ->  Inline, the same request as an array
//! ```
//!
//! Requests are forwarded as they came, so what [`RequestFramer`] accepts is exactly what Redis
//! reads the same way: canonical numbers, CRLF after every header and every argument. Bytes that
//! Redis would read leniently (it does not look at the byte after a CR) are refused, because a
//! backend of another make could read them as something else.
//!
//! Each session owns a framer; the vector of spans is a scratch that all sessions of a worker
//! share. A request that is not complete is therefore framed again from its start when more has
//! come, which costs less than keeping anything, unless it has many arguments: then the framer
//! keeps position and spans, and each byte is looked at once.
//!
//! Bounds: [`RequestLimits`]. An idle framer owns no memory. The spans of one request take
//! `8 * elements_max` bytes at most, and only for arguments that have really come.

mod inline;
#[cfg(test)]
mod tests;

use crate::ProtocolError;
use crate::encode;
use crate::number;
use crate::number::Header;

/// Arguments from which on the framer keeps what it knows of an incomplete request. Framing fewer
/// of them again costs about a microsecond.
const ARGS_WORTH_KEEPING: usize = 256;

/// Bytes of an unfinished inline request from which on the framer remembers where it stopped.
const INLINE_BYTES_WORTH_KEEPING: usize = 4096;

/// What a client may ask for in one request; beyond it the connection is refused.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// The longest argument, in bytes.
    pub bulk_bytes_max: usize,
    /// The most arguments, the command's name included.
    pub elements_max: usize,
    /// The longest inline request, in bytes with its line end.
    pub inline_bytes_max: usize,
    /// The longest request, in bytes with all headers; values beyond `u32::MAX` mean that, since
    /// a [`Span`] holds no more.
    pub request_bytes_max: usize,
}

impl Default for RequestLimits {
    /// The limits of Redis, and 1 GiB for a whole request.
    fn default() -> Self {
        Self {
            bulk_bytes_max: 512 * 1024 * 1024,
            elements_max: 1024 * 1024,
            inline_bytes_max: 64 * 1024,
            request_bytes_max: 1024 * 1024 * 1024,
        }
    }
}

/// Where an argument lies, relative to the start of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// The bytes of `request` that the span covers; empty if it is another request's.
    #[must_use]
    #[inline]
    pub fn of(self, request: &[u8]) -> &[u8] {
        request.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    fn new(start: usize, end: usize) -> Self {
        // `request_bytes_max` keeps every offset within u32, see `RequestFramer::new`.
        let offset = |position| u32::try_from(position).unwrap_or(u32::MAX);
        Self { start: offset(start), end: offset(end) }
    }
}

/// What stands at the start of the bytes shown to [`RequestFramer::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A request in array form, `buf[..len]`; the arguments are spans into it.
    Request {
        /// Bytes to take off.
        len: usize,
    },
    /// A request in inline form.
    Inline {
        /// Bytes to take off.
        len: usize,
        /// The same request in array form; the arguments are spans into this.
        encoded: Vec<u8>,
    },
    /// Nothing to answer: an empty line, or an array of no elements. Redis ignores them too.
    Skip {
        /// Bytes to take off.
        len: usize,
    },
    /// The request has not come entirely; show it again from its start, with more bytes.
    Incomplete {
        /// Bytes that surely must still arrive, at least 1; within an argument, all that is left
        /// of it.
        missing: usize,
    },
}

/// Finds the requests of one client.
#[derive(Debug)]
pub struct RequestFramer {
    limits: RequestLimits,
    /// Only while a large request is incomplete; boxed so that an idle client pays 8 bytes.
    progress: Option<Box<Progress>>,
}

/// What is known of an incomplete request.
#[derive(Debug, Default)]
struct Progress {
    /// Everything before it has been looked at.
    position: usize,
    /// Arguments that start at `position` or later.
    remaining: usize,
    /// The arguments before `position`.
    spans: Vec<Span>,
}

/// What stands where an argument should.
enum Argument {
    Present { start: usize, end: usize },
    Incomplete { missing: usize },
}

impl RequestFramer {
    /// Makes a framer for a new client.
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        let span_max = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        let request_bytes_max = limits.request_bytes_max.min(span_max);
        Self { limits: RequestLimits { request_bytes_max, ..limits }, progress: None }
    }

    /// Finds the request at the start of `buf`.
    ///
    /// After [`Framed::Incomplete`] the next call gets the same bytes and more; after all others
    /// it gets what follows the `len` bytes. `args` holds the arguments after `Request` and
    /// `Inline` and nothing of use otherwise. It keeps the capacity of the largest request seen:
    /// the caller, who shares it, decides when to shrink it.
    ///
    /// # Errors
    ///
    /// The bytes are no request, or one beyond the limits; the client's connection cannot be
    /// used any more.
    #[inline]
    pub fn next(&mut self, buf: &[u8], args: &mut Vec<Span>) -> Result<Framed, ProtocolError> {
        match buf.first() {
            Some(b'*') => self.array(buf, args),
            Some(_) => self.inline(buf, args),
            None => Ok(Framed::Incomplete { missing: 1 }),
        }
    }

    fn array(&mut self, buf: &[u8], args: &mut Vec<Span>) -> Result<Framed, ProtocolError> {
        let (mut position, mut remaining) = match self.progress.take() {
            Some(progress) => {
                *args = progress.spans;
                (progress.position, progress.remaining)
            }
            None => {
                args.clear();
                match number::header(buf.get(1..).unwrap_or_default()) {
                    // Redis ignores a negative count as it does zero.
                    Header::Number { value: ..=0, len } => {
                        return Ok(Framed::Skip { len: len + 1 });
                    }
                    Header::Number { value, len } => (len + 1, self.count(value)?),
                    Header::Incomplete => return Ok(Framed::Incomplete { missing: 1 }),
                    Header::Invalid => return Err(ProtocolError::InvalidMultibulkLength),
                    Header::TooLong => return Err(ProtocolError::MultibulkCountTooLong),
                }
            }
        };
        while remaining > 0 {
            match argument(&self.limits, buf, position)? {
                Argument::Present { start, end } => {
                    args.push(Span::new(start, end));
                    position = end + 2;
                    remaining -= 1;
                }
                Argument::Incomplete { missing } => {
                    if args.len() >= ARGS_WORTH_KEEPING {
                        let spans = std::mem::take(args);
                        self.progress = Some(Box::new(Progress { position, remaining, spans }));
                    }
                    return Ok(Framed::Incomplete { missing });
                }
            }
        }
        Ok(Framed::Request { len: position })
    }

    fn count(&self, value: i64) -> Result<usize, ProtocolError> {
        usize::try_from(value)
            .ok()
            .filter(|count| *count <= self.limits.elements_max)
            .ok_or(ProtocolError::InvalidMultibulkLength)
    }

    #[cold]
    fn inline(&mut self, buf: &[u8], args: &mut Vec<Span>) -> Result<Framed, ProtocolError> {
        args.clear();
        let seen = self.progress.take().map_or(0, |progress| progress.position);
        let window = buf.get(..self.limits.inline_bytes_max).unwrap_or(buf);
        let unseen = window.get(seen..).unwrap_or_default();
        let Some(at) = unseen.iter().position(|byte| matches!(byte, b'\n' | 0)) else {
            if window.len() == self.limits.inline_bytes_max {
                return Err(ProtocolError::InlineTooLong);
            }
            if window.len() >= INLINE_BYTES_WORTH_KEEPING {
                let progress = Progress { position: window.len(), ..Progress::default() };
                self.progress = Some(Box::new(progress));
            }
            return Ok(Framed::Incomplete { missing: 1 });
        };
        let (line, rest) = window.split_at_checked(seen + at).unwrap_or_default();
        if rest.first() == Some(&0) {
            return Err(ProtocolError::ZeroByteInline);
        }
        let len = line.len() + 1;
        let words = inline::split(line)?;
        if words.is_empty() {
            return Ok(Framed::Skip { len });
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut encoded = Vec::new();
        encode::request(&mut encoded, &words);
        // Framing the result finds the spans, and holds it to the same limits as any request.
        self.array(&encoded, args)?;
        Ok(Framed::Inline { len, encoded })
    }
}

/// Reads the argument at `position` of `buf`.
#[inline]
fn argument(
    limits: &RequestLimits,
    buf: &[u8],
    position: usize,
) -> Result<Argument, ProtocolError> {
    let header = match buf.get(position..) {
        Some([b'$', rest @ ..]) => number::header(rest),
        Some([other, ..]) => return Err(ProtocolError::ExpectedBulk(*other)),
        _ => return Ok(Argument::Incomplete { missing: 1 }),
    };
    let (value, header_len) = match header {
        Header::Number { value, len } => (value, len + 1),
        Header::Incomplete => return Ok(Argument::Incomplete { missing: 1 }),
        Header::Invalid => return Err(ProtocolError::InvalidBulkLength),
        Header::TooLong => return Err(ProtocolError::BulkCountTooLong),
    };
    let len = usize::try_from(value)
        .ok()
        .filter(|len| *len <= limits.bulk_bytes_max)
        .ok_or(ProtocolError::InvalidBulkLength)?;
    let start = position + header_len;
    // Saturating: a limit of `usize::MAX` lets any length come this far.
    let end = start.saturating_add(len);
    let next = end.saturating_add(2);
    if next > limits.request_bytes_max {
        return Err(ProtocolError::RequestTooLarge(limits.request_bytes_max));
    }
    match buf.get(end..next) {
        Some(b"\r\n") => Ok(Argument::Present { start, end }),
        Some(_) => Err(ProtocolError::BulkNotTerminated),
        None => Ok(Argument::Incomplete { missing: next - buf.len() }),
    }
}
