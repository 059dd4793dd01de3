//! Tests of patterns against the rules of Redis.

use super::*;

#[test]
fn patterns_match_as_in_redis() {
    let cases = [
        ("*", "", true),
        ("*", "abc", true),
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        ("abc", "ABC", true),
        ("ABC", "abc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*c", "abbbc", true),
        ("a*c", "abbbd", false),
        ("a*b*c", "aXbYbZc", true),
        ("*xinfo", "xinfo|help", false),
        ("xinfo*", "xinfo|help", true),
        ("[abc]", "b", true),
        ("[abc]", "d", false),
        ("[^abc]", "d", true),
        ("[^abc]", "B", false),
        ("[a-c]x", "Bx", true),
        ("[c-a]", "b", true),
        ("[a-c", "b", true),
        ("[\\]]", "]", true),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("\\", "\\", true),
        ("a**", "a", true),
        ("?", "", false),
    ];
    for (pattern, text, expected) in cases {
        let found = glob_matches(pattern.as_bytes(), text.as_bytes());
        assert_eq!(found, expected, "`{pattern}` on `{text}`");
    }
}

#[test]
fn many_stars_do_not_take_for_ever() {
    let pattern = b"*a".repeat(200);
    let text = b"b".repeat(20_000);
    assert!(!glob_matches(&pattern, &text));
}
