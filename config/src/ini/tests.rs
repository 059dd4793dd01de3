use proptest::prelude::*;

use super::*;
use crate::error::position;

fn entries(text: &str) -> Vec<(&str, &str)> {
    parse(text).map(|entry| entry.expect(text)).map(|entry| (entry.key, entry.value)).collect()
}

/// Reads a text of one faulty line, and compares the fault's place and text.
fn check_fault(text: &str, place: (usize, usize), expected: &str) {
    let fault = parse(text).find_map(Result::err).expect(text);
    assert_eq!((position(text, fault.at), fault.text), (place, expected), "{text:?}");
}

#[test]
fn lines_are_keys_and_values() {
    assert_eq!(
        entries(
            "# Codis\r\n\r\n; too\nproduct=test\r\n\tzk = a:1,b:2 \nempty=\nblank = \nurl=a=b\n  #=1\nlast=1"
        ),
        [
            ("product", "test"),
            ("zk", "a:1,b:2"),
            ("empty", ""),
            ("blank", ""),
            ("url", "a=b"),
            ("last", "1"),
        ]
    );
    assert_eq!(entries(""), []);
    assert_eq!(entries("\u{feff}a=1"), [("a", "1")]);
}

#[test]
fn quotes_keep_what_is_between_them() {
    assert_eq!(
        entries("a = \" x # y \"\nb='it''s'\nc=\"\"\nd = a\"b\"\ne='\"'"),
        [("a", " x # y "), ("b", "it''s"), ("c", ""), ("d", "a\"b\""), ("e", "\"")]
    );
}

#[test]
fn places_are_those_of_key_and_value() {
    let text = "\n  zk =  \"a:1\"";
    let entry = parse(text).next().expect("an entry").expect("a good one");
    assert_eq!(position(text, entry.key_at), (2, 3));
    assert_eq!(position(text, entry.value_at), (2, 10));
    let text = "\u{feff}a=1";
    let entry = parse(text).next().expect("an entry").expect("a good one");
    assert_eq!(text.get(entry.key_at..), Some("a=1"));
}

#[test]
fn what_is_no_entry_is_a_fault_with_its_place() {
    check_fault("a=1\n  zk", (2, 3), "is no line of the form `key = value`");
    check_fault("[proxy]", (1, 1), "there are no sections in a file of this kind");
    check_fault(" = 1", (1, 2), "has no key before the equals sign");
    let open = "the value begins with a quote and does not end with one";
    check_fault("a = \"x", (1, 5), open);
    check_fault("a = \"", (1, 5), open);
    check_fault("a = \"x\" # y", (1, 5), open);
}

#[test]
fn a_fault_does_not_end_the_reading() {
    let read: Vec<_> = parse("a\nb=1\nc\n").map(|entry| entry.is_ok()).collect();
    assert_eq!(read, [false, true, false]);
}

proptest! {
    #[test]
    fn any_text_is_read_within_its_bounds(text in any::<String>()) {
        for entry in parse(&text) {
            match entry {
                Ok(entry) => {
                    prop_assert!(text.get(entry.key_at..).is_some_and(|t| t.starts_with(entry.key)));
                    prop_assert!(
                        text.get(entry.value_at..).is_some_and(|t| t.starts_with(entry.value))
                    );
                }
                Err(fault) => prop_assert!(text.get(fault.at..).is_some()),
            }
        }
    }

    #[test]
    fn what_looks_like_a_file_is_read_without_a_panic(text in "([a#;=\"' \\[\\]\r\n\té]){0,64}") {
        prop_assert!(parse(&text).count() <= text.split('\n').count());
    }

    #[test]
    fn what_is_written_is_read_back(
        written in prop::collection::vec(("[a-z_]{1,20}", "[^\r\n]{0,20}"), 0..8)
    ) {
        let text: String =
            written.iter().map(|(key, value)| format!("{key} = \"{value}\"\r\n")).collect();
        let read = entries(&text);
        let expected: Vec<_> =
            written.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        prop_assert_eq!(read, expected);
    }
}
