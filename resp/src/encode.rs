//! Writers of RESP: each appends one reply, one request or one header to a buffer.
//!
//! Nothing here fails and nothing is formatted through `std::fmt`, since these run once per
//! request. The caller owns the buffer and its bound.

#[cfg(test)]
mod tests;

use crate::number;

const CRLF: &[u8] = b"\r\n";

/// Appends a simple string such as `+OK`; line breaks within `text` become spaces.
pub fn simple_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'+');
    single_line(out, text);
}

/// Appends an error; `text` starts with its prefix (`ERR`, `MOVED`...), and line breaks within it
/// become spaces.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.push(b'-');
    single_line(out, text);
}

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    if value < 0 {
        out.push(b'-');
    }
    number::write(out, value.unsigned_abs());
    out.extend_from_slice(CRLF);
}

/// Appends a bulk string.
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    bulk_header(out, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(CRLF);
}

/// Appends the null of RESP2 where a bulk string would stand.
pub fn null_bulk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"$-1\r\n");
}

/// Appends the null of RESP2 where an array would stand.
pub fn null_array(out: &mut Vec<u8>) {
    out.extend_from_slice(b"*-1\r\n");
}

/// Appends the header of an array; its `count` elements follow.
pub fn array_header(out: &mut Vec<u8>, count: usize) {
    header(out, b'*', count);
}

/// Appends the header of a map, which RESP2 does not have; its `pairs` keys and values follow in
/// turn.
pub fn map_header(out: &mut Vec<u8>, pairs: usize) {
    header(out, b'%', pairs);
}

/// Appends a text to be shown to people as it is, which RESP2 does not have.
pub fn verbatim_text(out: &mut Vec<u8>, text: &str) {
    header(out, b'=', text.len() + 4);
    out.extend_from_slice(b"txt:");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(CRLF);
}

/// Appends the header of a bulk string; its `len` bytes and a CRLF follow.
pub fn bulk_header(out: &mut Vec<u8>, len: usize) {
    header(out, b'$', len);
}

/// Appends a request: an array of bulk strings, of which the first is the command's name.
pub fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    array_header(out, args.len());
    for arg in args {
        bulk(out, arg);
    }
}

/// Appends a header of any type that announces a length or a count.
pub(crate) fn header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    number::write(out, u64::try_from(count).unwrap_or(u64::MAX));
    out.extend_from_slice(CRLF);
}

/// Appends `text` and a CRLF. A line break within would end the reply early and let the rest of
/// the text pass as a reply of its own.
pub(crate) fn single_line(out: &mut Vec<u8>, text: &str) {
    let is_break = |byte: u8| byte == b'\r' || byte == b'\n';
    out.extend(text.bytes().map(|byte| if is_break(byte) { b' ' } else { byte }));
    out.extend_from_slice(CRLF);
}
