//! The script of the matrix: the text files under `families/`, read into steps.
//!
//! ```text
//!   # a comment
//!   SET {str}a "a \"quoted\"\r\n argument"     a request; its replies are equal byte for byte
//!   ~sorted SMEMBERS {set}words                a request whose replies have another relation
//!   ! CONFIG SET maxmemory-policy allkeys-lfu  sent to every server itself, not to the proxy
//! ```
//!
//! Each family has its own keys, so all files together are one script that can be run as one
//! pipeline. Within quotes `\r \n \t \" \\ \xHH` are escapes.

#![expect(clippy::panic, reason = "a malformed script fails its tests")]

use crate::relation::Relation;

const FAMILIES: &[(&str, &str)] = &[
    ("strings", include_str!("families/strings.txt")),
    ("bits", include_str!("families/bits.txt")),
    ("hashes", include_str!("families/hashes.txt")),
    ("lists", include_str!("families/lists.txt")),
    ("sets", include_str!("families/sets.txt")),
    ("sorted_sets", include_str!("families/sorted_sets.txt")),
    ("places", include_str!("families/places.txt")),
    ("streams", include_str!("families/streams.txt")),
    ("keys", include_str!("families/keys.txt")),
    ("fan_out", include_str!("families/fan_out.txt")),
    ("scripts", include_str!("families/scripts.txt")),
    ("connection", include_str!("families/connection.txt")),
];

/// A request as its arguments.
pub(crate) type Request = Vec<Vec<u8>>;

/// A line of the script.
#[derive(Debug)]
pub(crate) enum Step {
    /// Prepares every server, past the proxy.
    Setup(Request),
    /// Is run on the single server and through the proxy.
    Case(Case),
}

/// A request and how its two replies relate.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) relation: Relation,
    /// The family and line where it stands, for people.
    pub(crate) place: String,
}

/// All families, one after the other.
pub(crate) fn steps() -> Vec<Step> {
    FAMILIES
        .iter()
        .flat_map(|(family, text)| {
            text.lines()
                .enumerate()
                .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
                .map(move |(number, line)| step(line, &format!("{family}.txt:{}", number + 1)))
        })
        .collect()
}

fn step(line: &str, place: &str) -> Step {
    if let Some(setup) = line.strip_prefix("! ") {
        return Step::Setup(arguments(setup, place));
    }
    let (relation, request) = match line.strip_prefix('~') {
        None => (Relation::Equal, line),
        Some(named) => {
            let (name, request) = named.split_once(' ').unwrap_or((named, ""));
            let relation = Relation::named(name);
            (relation.unwrap_or_else(|| panic!("{place}: no relation `{name}`")), request)
        }
    };
    Step::Case(Case { request: arguments(request, place), relation, place: place.to_owned() })
}

fn arguments(text: &str, place: &str) -> Request {
    let mut arguments = Request::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (argument, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted).unwrap_or_else(|| panic!("{place}: broken quotes")),
            None => {
                let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
                (word.as_bytes().to_vec(), after)
            }
        };
        arguments.push(argument);
        rest = after.trim_start();
    }
    arguments
}

/// What stands before the closing quote, unescaped, and what follows it.
fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        let mut characters = rest.chars();
        match characters.next()? {
            '"' => return Some((bytes, characters.as_str())),
            '\\' => {
                let escape = characters.next()?;
                if escape == 'x' {
                    let digits = characters.as_str();
                    bytes.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
                    rest = digits.get(2..)?;
                    continue;
                }
                bytes.push(match escape {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '"' => b'"',
                    '\\' => b'\\',
                    _ => return None,
                });
            }
            plain => bytes.extend(plain.encode_utf8(&mut [0; 4]).bytes()),
        }
        rest = characters.as_str();
    }
}

#[test]
fn a_line_is_read_as_its_relation_and_its_arguments() {
    let Step::Case(case) = step(r#"~sorted SET "a \x00\r\n\"\\" "" b"#, "here") else {
        panic!("a case")
    };
    assert_eq!(case.relation, Relation::Sorted);
    let expected: [&[u8]; 4] = [b"SET", b"a \0\r\n\"\\", b"", b"b"];
    assert_eq!(case.request, expected);
}
