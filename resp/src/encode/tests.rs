//! The exact bytes of each writer.

use super::*;

fn check(write: impl Fn(&mut Vec<u8>), expected: &str) {
    let mut out = b"kept".to_vec();
    write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("kept{expected}"));
}

#[test]
fn every_writer_appends_its_form() {
    check(|out| simple_string(out, "OK"), "+OK\r\n");
    check(|out| error(out, "ERR no"), "-ERR no\r\n");
    check(|out| integer(out, 0), ":0\r\n");
    check(|out| integer(out, -12), ":-12\r\n");
    check(|out| integer(out, i64::MIN), ":-9223372036854775808\r\n");
    check(|out| integer(out, i64::MAX), ":9223372036854775807\r\n");
    check(|out| bulk(out, b""), "$0\r\n\r\n");
    check(|out| bulk(out, b"a\r\nb"), "$4\r\na\r\nb\r\n");
    check(null_bulk, "$-1\r\n");
    check(null_array, "*-1\r\n");
    check(|out| array_header(out, 1024), "*1024\r\n");
    check(|out| map_header(out, 3), "%3\r\n");
    check(|out| verbatim_text(out, "a\nb"), "=7\r\ntxt:a\nb\r\n");
    check(|out| bulk_header(out, 7), "$7\r\n");
    check(|out| request(out, &[b"GET", b"key"]), "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
}

#[test]
fn line_breaks_cannot_smuggle_a_second_reply() {
    check(|out| error(out, "ERR a\r\n+OK\r\n"), "-ERR a  +OK  \r\n");
    check(|out| simple_string(out, "a\rb\nc"), "+a b c\r\n");
}
