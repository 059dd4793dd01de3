//! Tests of the notation's way to bytes.

use serde_json::json;

use super::*;

fn encoded(value: &Value, protocol: Protocol) -> String {
    let mut out = Vec::new();
    encode(value, protocol, &mut out);
    String::from_utf8(out).expect("the notation is text")
}

#[test]
fn every_form_has_its_bytes_in_both_protocols() {
    let cases = [
        (json!("+OK"), "+OK\r\n", "+OK\r\n"),
        (json!("$two words"), "$9\r\ntwo words\r\n", "$9\r\ntwo words\r\n"),
        (json!(-2), ":-2\r\n", ":-2\r\n"),
        (json!(null), "$-1\r\n", "_\r\n"),
        (json!(["+a", 1]), "*2\r\n+a\r\n:1\r\n", "*2\r\n+a\r\n:1\r\n"),
        (json!({"set": ["+a", "+b"]}), "*2\r\n+a\r\n+b\r\n", "~2\r\n+a\r\n+b\r\n"),
        (
            json!({"map": ["+a", 1, "+b", []]}),
            "*4\r\n+a\r\n:1\r\n+b\r\n*0\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n",
        ),
    ];
    for (value, resp2, resp3) in cases {
        assert_eq!(encoded(&value, Protocol::Resp2), resp2);
        assert_eq!(encoded(&value, Protocol::Resp3), resp3);
    }
}

#[test]
fn maps_are_read_by_key() {
    let map = json!({"map": ["$since", "$1.0.0", "$flags", {"set": ["+RO", "+access"]}]});
    assert_eq!(map_text(&map, "since"), Some("1.0.0"));
    assert_eq!(map_text(&map, "until"), None);
    let flags: Vec<&str> = map_value(&map, "flags").map(texts).expect("flags").collect();
    assert_eq!(flags, ["RO", "access"]);
}
