//! The patterns of Redis: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a byte that means itself.
//!
//! Bounds: the work is at most the product of both lengths, also for patterns with many stars,
//! since only the last star is ever tried again.

#[cfg(test)]
mod tests;

/// Whether `pattern` matches the whole of `text`, in any mix of cases.
#[must_use]
pub fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on when what follows the last star does not match: the star takes one more byte.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            retry = Some((rest, text));
            pattern = rest;
            continue;
        }
        match (one(pattern, text.first().copied()), text) {
            (Some(rest), [_, text_rest @ ..]) => {
                pattern = rest;
                text = text_rest;
            }
            _ if pattern.is_empty() && text.is_empty() => return true,
            _ => match retry {
                Some((after_star, [_, shorter @ ..])) => {
                    pattern = after_star;
                    text = shorter;
                    retry = Some((after_star, shorter));
                }
                _ => return false,
            },
        }
    }
}

/// Matches one byte; returns the rest of the pattern.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?.to_ascii_lowercase();
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            (literal.to_ascii_lowercase() == byte).then_some(rest)
        }
        [] => None,
    }
}

/// Matches the class that follows a `[`. A class without an end reaches to the pattern's end.
fn class(class: &[u8], byte: u8) -> Option<&[u8]> {
    let (is_negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', literal, after @ ..] => {
                is_in |= literal.to_ascii_lowercase() == byte;
                after
            }
            [from, b'-', to, after @ ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                is_in |= (from.min(to)..=from.max(to)).contains(&byte);
                after
            }
            [literal, after @ ..] => {
                is_in |= literal.to_ascii_lowercase() == byte;
                after
            }
        };
    }
    (is_in != is_negated).then_some(rest)
}
