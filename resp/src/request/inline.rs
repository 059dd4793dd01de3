//! Inline requests: what a person types into telnet, with the quoting of `redis-cli`.
//!
//! ```text
//!   SET key "two words\n" 'it''s wrong' -> refused: text right after a closing quote
//!   SET key "\x41\"\\" 'it\'s'          -> SET, key, A"\, it's
//! ```
//!
//! Within double quotes `\n \r \t \b \a \xHH` stand for one byte and `\` before anything else is
//! dropped; within single quotes only `\'` is special. A quote may open within a word and then
//! belongs to it, but the closing quote ends the word.
//!
//! The line has neither a line feed nor a zero byte; `RequestFramer` bounds its length.

#[cfg(test)]
mod tests;

use crate::ProtocolError;

/// Splits a line into its words, with quotes and escapes resolved.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        rest = rest.get(blanks..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(words);
        }
        let mut text = Vec::new();
        rest = word(rest, &mut text)?;
        words.push(text);
    }
}

/// Reads one word into `text` and returns what follows it.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            // Not all blanks end a word: vertical tab and form feed do not.
            [] | [b' ' | b'\t' | b'\r', ..] => return Ok(rest),
            [b'"', after @ ..] => return double_quoted(after, text),
            [b'\'', after @ ..] => return single_quoted(after, text),
            [byte, after @ ..] => {
                text.push(*byte);
                after
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', after @ ..] => return closed(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push(hex_digit(*high) << 4 | hex_digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                text.push(unescape(*escaped));
                after
            }
            [byte, after @ ..] => {
                text.push(*byte);
                after
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', after @ ..] => return closed(after),
            [b'\\', b'\'', after @ ..] => {
                text.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                text.push(*byte);
                after
            }
        }
    }
}

/// Checks what follows a closing quote: the end or a blank.
fn closed(after: &[u8]) -> Result<&[u8], ProtocolError> {
    match after.first() {
        Some(byte) if !is_blank(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(after),
    }
}

/// What C's `isspace` says.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => b'\x08',
        b'a' => b'\x07',
        other => other,
    }
}

/// The value of a hexadecimal digit.
fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}
