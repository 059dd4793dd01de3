//! How the reply of the proxy relates to that of a single server.
//!
//! Nearly always they are equal. The other relations are for replies that two single servers do
//! not give alike either, because they tell of time, chance, or an order chosen at start.

/// How two replies relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The same bytes.
    Equal,
    /// The same values in any order.
    Sorted,
    /// The same types of values and lengths of arrays; errors and simple strings are equal.
    Shape,
    /// Two numbers that differ by a thousandth at most: a time that is left.
    About,
}

impl Relation {
    /// The relation with this name in the script.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "sorted" => Some(Self::Sorted),
            "shape" => Some(Self::Shape),
            "about" => Some(Self::About),
            _ => None,
        }
    }

    /// Whether both replies relate so.
    pub(crate) fn holds(self, expected: &[u8], seen: &[u8]) -> bool {
        match self {
            Self::Equal => expected == seen,
            Self::Sorted => sorted(expected) == sorted(seen),
            Self::Shape => shape(expected) == shape(seen),
            Self::About => match (number(expected), number(seen)) {
                (Some(expected), Some(seen)) => {
                    expected.abs_diff(seen) <= seen.unsigned_abs() / 1000
                }
                _ => false,
            },
        }
    }
}

fn sorted(reply: &[u8]) -> Vec<&[u8]> {
    let mut values = values(reply);
    values.sort_unstable();
    values
}

fn shape(reply: &[u8]) -> Vec<&[u8]> {
    values(reply).into_iter().map(shape_of).collect()
}

fn shape_of(value: &[u8]) -> &[u8] {
    match value {
        // Null is another type than a text.
        [b'$', digit, ..] if *digit != b'-' => b"$",
        [b':', ..] => b":",
        other => other,
    }
}

fn number(reply: &[u8]) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The values of a RESP2 reply one after the other; an array is its head and then its elements.
pub(crate) fn values(reply: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    let mut rest = reply;
    while let Some(line_end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, _) = rest.split_at(line_end);
        let text_len = match line {
            [b'$', digits @ ..] => {
                std::str::from_utf8(digits).ok().and_then(|len| len.parse().ok())
            }
            _ => None,
        };
        let len = line_end + 2 + text_len.map_or(0, |len: usize| len + 2);
        let (value, after) = rest.split_at(len);
        values.push(value);
        rest = after;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(relation: Relation, expected: &str, seen: &str, holds: bool) {
        let judged = relation.holds(expected.as_bytes(), seen.as_bytes());
        assert_eq!(judged, holds, "{relation:?} of {expected:?} and {seen:?}");
    }

    #[test]
    fn each_relation_holds_for_what_it_says_and_nothing_else() {
        check(Relation::Equal, ":1\r\n", ":1\r\n", true);
        check(Relation::Equal, ":1\r\n", ":2\r\n", false);
        let (ab, ba) = ("*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\na\r\n");
        check(Relation::Sorted, ab, ba, true);
        check(Relation::Sorted, ab, "*2\r\n$1\r\nb\r\n$1\r\nb\r\n", false);
        check(Relation::Shape, ab, "*2\r\n$2\r\nxy\r\n$0\r\n\r\n", true);
        check(Relation::Shape, ab, "*2\r\n$1\r\na\r\n$-1\r\n", false);
        check(Relation::Shape, "-ERR a\r\n", "-ERR b\r\n", false);
        check(Relation::About, ":100000\r\n", ":99999\r\n", true);
        check(Relation::About, ":100000\r\n", ":-1\r\n", false);
        check(Relation::About, ":-2\r\n", ":-1\r\n", false);
    }
}
