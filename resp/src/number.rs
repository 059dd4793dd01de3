//! Decimal numbers as RESP writes them, and the header lines that end with one.
//!
//! One form only, the one Redis itself reads (`string2ll`): an optional minus, no plus, no leading
//! zero, no blank, within `i64`. Everything else is refused, so that no two readers of the same
//! bytes can see different lengths.

#[cfg(test)]
mod tests;

/// The longest number of a header line, in bytes. The longest legal one has 20 (`i64::MIN`).
const NUMBER_BYTES_MAX: usize = 31;

/// Digits that fit an `i64` whatever they are: the fast path needs no overflow check.
const DIGITS_SAFE: usize = 18;

/// What stands after the type byte of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A number; `len` is the length of number and CRLF.
    Number { value: i64, len: usize },
    /// The CRLF has not come yet; nothing wrong so far.
    Incomplete,
    /// Not a canonical number, or not followed by CRLF.
    Invalid,
    /// More digits than any number has.
    TooLong,
}

/// Reads the number and the CRLF at the start of `line`.
///
/// The answer does not depend on how much follows the first wrong byte, so bytes that arrive one
/// by one give the same verdict as bytes that arrive at once.
#[inline]
pub(crate) fn header(line: &[u8]) -> Header {
    if matches!(line.first(), Some(b'1'..=b'9')) {
        let mut value = 0;
        for (index, byte) in line.iter().take(DIGITS_SAFE + 1).enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 && index < DIGITS_SAFE {
                value = value * 10 + i64::from(digit);
            } else if line.get(index..index + 2) == Some(b"\r\n") {
                return Header::Number { value, len: index + 2 };
            } else {
                break;
            }
        }
    }
    header_of_any_form(line)
}

/// The same for zero, negative, very long, incomplete and wrong numbers.
#[cold]
fn header_of_any_form(line: &[u8]) -> Header {
    let is_number_byte = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
    let end = line.iter().take(NUMBER_BYTES_MAX + 1).position(|byte| !is_number_byte(byte));
    let Some(end) = end else {
        return if line.len() > NUMBER_BYTES_MAX { Header::TooLong } else { Header::Incomplete };
    };
    match line.get(end..) {
        Some([b'\r', b'\n', ..]) => match line.get(..end).and_then(parse) {
            Some(value) => Header::Number { value, len: end + 2 },
            None => Header::Invalid,
        },
        Some([b'\r']) => Header::Incomplete,
        _ => Header::Invalid,
    }
}

/// Reads a whole canonical number.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !is_negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value: i64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(byte - b'0');
        // Built downwards: the negative range reaches one further than the positive one.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// Appends `value` in decimal.
pub(crate) fn write(out: &mut Vec<u8>, mut value: u64) {
    // `u64::MAX` has 20 digits.
    let mut digits = [0; 20];
    let mut unused = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        unused -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(unused..).unwrap_or_default());
}
