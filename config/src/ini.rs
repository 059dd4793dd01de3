//! Files of lines `key = value`, as Codis 1.9, Codis 2.0 and RebornDB have them.
//!
//! ```text
//! # a comment; a line that begins with a semicolon is one, too
//! product=orders
//! zk = 10.0.0.1:2181,10.0.0.2:2181
//! password = " # not a comment"
//! store_auth=
//! ```
//!
//! Blanks around the equals sign do not count, nor does a pair of quotes around a value; what is
//! between the two is taken as it stands, so that every text of one line can be written. There are
//! no sections, and no comments behind a value.
//!
//! Pure. What is wrong with a line is told by its place alone: it may hold a password.

/// A key with its value, and where in the text both begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'t> {
    pub(crate) key: &'t str,
    pub(crate) key_at: usize,
    pub(crate) value: &'t str,
    pub(crate) value_at: usize,
}

/// A line that is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where it begins.
    pub(crate) at: usize,
    /// What is wrong with it.
    pub(crate) text: &'static str,
}

/// What some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a text, line by line. Blank lines and comments are passed over.
pub(crate) fn parse(text: &str) -> impl Iterator<Item = Result<Entry<'_>, Fault>> {
    let mut next = 0;
    text.split('\n').filter_map(move |line| {
        let at = next;
        next += line.len() + 1;
        let line = if at == 0 { line.trim_start_matches(BYTE_ORDER_MARK) } else { line };
        // Counted from the end, since what was cut off stood at the beginning.
        let at = next - 1 - line.len();
        let (at, line) = trimmed(at, line);
        if line.is_empty() || line.starts_with(['#', ';']) { None } else { Some(entry(at, line)) }
    })
}

fn entry(at: usize, line: &str) -> Result<Entry<'_>, Fault> {
    let Some((key, value)) = line.split_once('=') else {
        let text = match line.starts_with('[') {
            true => "there are no sections in a file of this kind",
            false => "is no line of the form `key = value`",
        };
        return Err(Fault { at, text });
    };
    let (value_at, value) = trimmed(at + key.len() + 1, value);
    let (key_at, key) = trimmed(at, key);
    if key.is_empty() {
        return Err(Fault { at, text: "has no key before the equals sign" });
    }
    let (value_at, value) = unquoted(value_at, value)?;
    Ok(Entry { key, key_at, value, value_at })
}

fn unquoted(at: usize, value: &str) -> Result<(usize, &str), Fault> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Ok((at, value));
    };
    match value.get(1..).and_then(|rest| rest.strip_suffix(quote)) {
        Some(inner) => Ok((at + 1, inner)),
        None => Err(Fault { at, text: "the value begins with a quote and does not end with one" }),
    }
}

/// A text without the blanks around it, and where it begins then.
fn trimmed(at: usize, text: &str) -> (usize, &str) {
    let start = text.trim_start();
    (at + text.len() - start.len(), start.trim_end())
}

#[cfg(test)]
mod tests;
