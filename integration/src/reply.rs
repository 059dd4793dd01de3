//! Where a reply ends: the length of one RESP2 or RESP3 value at the head of some bytes.
//!
//! Written apart from the proxy's own parser, so that one mistake cannot hide in both. Pure.
//! Streamed RESP3 values (`$?`, `*?`) are not known: no server sends them.

/// The length in bytes of the reply at the head of `bytes`, or `None` while it is incomplete.
///
/// # Errors
/// The reason, when the bytes are no reply.
pub fn reply_len(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    let mut values_due: u64 = 1;
    while values_due > 0 {
        let Some(rest) = bytes.get(at..) else {
            return Ok(None);
        };
        let Some(line_len) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let Some((kind, number)) = rest.get(..line_len).and_then(<[u8]>::split_first) else {
            return Err(format!("an empty line at byte {at}"));
        };
        at += line_len + 2;
        values_due -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
            // Data and a line end follow; a null bulk has neither.
            b'$' | b'=' | b'!' => at += count(number)?.map_or(0, |len| len + 2),
            b'*' | b'~' | b'>' => values_due += elements(number, 1)?,
            b'%' => values_due += elements(number, 2)?,
            // An attribute stands before the value that it describes.
            b'|' => values_due += elements(number, 2)? + 1,
            other => return Err(format!("a reply of type `{}`", other.escape_ascii())),
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

fn elements(number: &[u8], each: u64) -> Result<u64, String> {
    let pairs = u64::try_from(count(number)?.unwrap_or(0)).map_err(|error| error.to_string())?;
    Ok(pairs * each)
}

/// The count behind a type byte; `None` for the null forms.
fn count(number: &[u8]) -> Result<Option<usize>, String> {
    if number == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(number).map_err(|error| error.to_string())?;
    let count = text.parse().map_err(|error| format!("a count of `{text}`: {error}"))?;
    Ok(Some(count))
}

#[cfg(test)]
mod tests;
