//! Canonical numbers only, in every length, and the same verdict however the bytes arrive.

use super::*;
use proptest::prelude::*;

fn check(line: &str, expected: Header) {
    assert_eq!(header(line.as_bytes()), expected, "{line:?}");
}

#[test]
fn canonical_numbers_are_read() {
    for (text, value) in [
        ("0", 0),
        ("7", 7),
        ("10", 10),
        ("-1", -1),
        ("536870912", 536_870_912),
        ("999999999999999999", 999_999_999_999_999_999),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        check(&format!("{text}\r\nmore"), Header::Number { value, len: text.len() + 2 });
        assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
    }
}

#[test]
fn other_forms_of_a_number_are_refused() {
    let overflows = ["9223372036854775808", "-9223372036854775809", "99999999999999999999"];
    for text in ["", "+1", "01", "-0", "-01", "00", "-", "--1", "1-", " 1", "1 ", "1x", "0x1"] {
        check(&format!("{text}\r\n"), Header::Invalid);
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
    for text in overflows {
        check(&format!("{text}\r\n"), Header::Invalid);
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_header_ends_with_both_bytes_of_its_line_end() {
    check("1\n", Header::Invalid);
    check("1\rX", Header::Invalid);
    check("0\r\r\n", Header::Invalid);
    check("1\r", Header::Incomplete);
    check("0\r", Header::Incomplete);
    check("-1", Header::Incomplete);
    check("", Header::Incomplete);
}

#[test]
fn a_number_without_end_is_refused_after_31_bytes() {
    check(&"1".repeat(31), Header::Incomplete);
    check(&"1".repeat(32), Header::TooLong);
    check(&"0".repeat(70_000), Header::TooLong);
    check(&format!("{}\r\n", "1".repeat(31)), Header::Invalid);
    check(&format!("{}\r\n", "1".repeat(32)), Header::TooLong);
}

proptest! {
    #[test]
    fn a_written_number_is_read_back(value in 0..=i64::MAX) {
        let mut text = Vec::new();
        write(&mut text, value.unsigned_abs());
        prop_assert_eq!(&text, &value.to_string().into_bytes());
        prop_assert_eq!(parse(&text), Some(value));
    }

    /// Once a prefix has a verdict, no further byte changes it.
    #[test]
    fn a_verdict_does_not_depend_on_what_follows(line in "[-0-9x\r\n]{0,40}") {
        let whole = header(line.as_bytes());
        for end in 0..line.len() {
            let part = header(&line.as_bytes()[..end]);
            prop_assert!(part == Header::Incomplete || part == whole, "at {}", end);
        }
    }
}

#[test]
fn the_largest_number_is_written_whole() {
    let mut text = Vec::new();
    write(&mut text, u64::MAX);
    assert_eq!(text, u64::MAX.to_string().as_bytes());
}
