//! Quoting, compared by hand with what a Redis 7.0.15 server answers to `ECHO`.

use super::*;
use proptest::prelude::*;

fn words(line: &str) -> Result<Vec<String>, ProtocolError> {
    let words = split(line.as_bytes())?;
    Ok(words.into_iter().map(|word| word.escape_ascii().to_string()).collect())
}

fn check(line: &str, expected: &[&str]) {
    assert_eq!(words(line).unwrap(), expected, "{line:?}");
}

#[test]
fn words_are_split_at_blanks() {
    check("", &[]);
    check(" \t \x0b\x0c\r", &[]);
    check(" GET  key\t", &["GET", "key"]);
    check("a\rb", &["a", "b"]);
    // These two are skipped before a word, yet do not end one.
    check("\x0ba\x0bb\x0c", &["a\\x0bb\\x0c"]);
}

#[test]
fn quotes_are_resolved_as_redis_does() {
    for (line, word) in [
        (r#""a b""#, "a b"),
        ("'a b'", "a b"),
        (r#""\n\r\t\b\a\x41\xfF""#, r"\n\r\t\x08\x07A\xff"),
        (r#""\q\"\\""#, r#"q\"\\"#),
        (r"'it\'s \n'", r"it\'s \\n"),
        (r#""""#, ""),
        ("''", ""),
        (r#"a"b c""#, "ab c"),
        ("a'b c'", "ab c"),
        (r#""\xZZ""#, "xZZ"),
        (r#""\x4""#, "x4"),
        (r#""\x""#, "x"),
        (r"\n", r"\\n"),
        ("\"a\rb\"", r"a\rb"),
        ("\"a\"\x0b", "a"),
        (r#""a'b""#, r"a\'b"),
        (r#"'a"b'"#, r#"a\"b"#),
    ] {
        check(&format!("ECHO {line}"), &["ECHO", word]);
    }
    check(r#""ECHO" "a" 'b'"#, &["ECHO", "a", "b"]);
}

#[test]
fn unbalanced_quotes_are_refused() {
    for line in [
        r#""a"b"#,
        "'a'b",
        r#""a"#,
        "'a",
        r#"a"b"c"#,
        r#""a\""#,
        r"'\x41\\'",
        r#""\"#,
        "\"",
        "'",
        r#""a"'b'"#,
    ] {
        let refused = words(&format!("ECHO {line}"));
        assert_eq!(refused, Err(ProtocolError::UnbalancedQuotes), "{line}");
    }
}

proptest! {
    #[test]
    fn any_word_survives_quoting(word in prop::collection::vec(any::<u8>(), 0..40)) {
        let quoted: String = word.iter().map(|byte| format!("\\x{byte:02X}")).collect();
        prop_assert_eq!(split(format!("\"{quoted}\"").as_bytes()), Ok(vec![word]));
    }

    #[test]
    fn any_line_is_split_or_refused(line in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(words) = split(&line) {
            let bytes: usize = words.iter().map(Vec::len).sum();
            prop_assert!(bytes <= line.len() && words.len() <= line.len().div_ceil(2));
        }
    }
}
