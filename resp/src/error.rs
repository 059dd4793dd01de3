//! What can be wrong with the bytes of a client and with those of a backend.
//!
//! Both end the connection they came from: after a framing error nobody knows where the next
//! request or reply starts.

use thiserror::Error;

/// Why the bytes of a client are refused.
///
/// The text of `Display` is what the client is told, after the prefix `ERR`. Where Redis refuses
/// the same bytes it is Redis' own text, since people search for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The count of a request's header is not a number or beyond the limit.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The count of a request's header has more digits than any number.
    #[error("Protocol error: too big mbulk count string")]
    MultibulkCountTooLong,
    /// An argument does not start as a bulk string; the byte is the one found.
    #[error("Protocol error: expected '$', got '{}'", Printable(*.0))]
    ExpectedBulk(u8),
    /// The length of an argument is not a number, negative or beyond the limit.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// The length of an argument has more digits than any number.
    #[error("Protocol error: too big bulk count string")]
    BulkCountTooLong,
    /// An argument is longer than its header says. Redis does not look; we forward the bytes, so
    /// we do.
    #[error("Protocol error: bulk is not followed by CRLF")]
    BulkNotTerminated,
    /// An inline request does not end within the limit.
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    /// An inline request has a quote without its partner, or text right after a closing quote.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// An inline request contains a zero byte. Redis would wait for ever for such a line to end.
    #[error("Protocol error: zero byte in inline request")]
    ZeroByteInline,
    /// The arguments of one request add up to more than the limit.
    #[error("Protocol error: request is larger than {0} bytes")]
    RequestTooLarge(usize),
}

/// Why the bytes of a backend are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// The first byte of a reply is none of the types of RESP2 and RESP3.
    #[error("unknown reply type `{}`", Printable(*.0))]
    UnknownType(u8),
    /// A reply of unannounced length. No server sends these today.
    #[error("streamed reply of type `{}` is not supported", Printable(*.0))]
    Streamed(u8),
    /// The length or count in a header is not one.
    #[error("invalid length in the header of a reply of type `{}`", Printable(*.0))]
    InvalidLength(u8),
    /// A bulk longer than any server sends.
    #[error("bulk reply of `{0}` bytes is longer than 512 MiB")]
    BulkTooLong(u64),
    /// An array, set or map larger than any server sends, or too many nested in one reply.
    #[error("reply has too many elements")]
    TooManyElements,
    /// A simple string, error or number that does not end within 64 KiB.
    #[error("reply line is longer than 64 KiB")]
    LineTooLong,
    /// A bulk is longer than its header says.
    #[error("bulk reply is not followed by CRLF")]
    BulkNotTerminated,
    /// A number, boolean, null or verbatim string with other contents than its type allows.
    #[error("malformed reply of type `{}`", Printable(*.0))]
    Malformed(u8),
    /// Arrays within arrays beyond the depth that a decoded value may have.
    #[error("reply is nested deeper than {0} levels")]
    TooDeep(usize),
    /// The elements were asked of a reply that is not an array.
    #[error("reply is not an array")]
    NotAnArray,
    /// The reply ends before all of its elements have come.
    #[error("reply is incomplete")]
    Incomplete,
}

/// A byte of the peer within a message: as it is, or escaped when it cannot be shown. Line breaks
/// become spaces, as in Redis.
struct Printable(u8);

impl std::fmt::Display for Printable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            byte @ b' '..=b'~' => write!(formatter, "{}", char::from(byte)),
            b'\r' | b'\n' => formatter.write_str(" "),
            byte => write!(formatter, "\\x{byte:02x}"),
        }
    }
}
