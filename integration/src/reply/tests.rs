//! Replies end where RESP says, whatever follows them.

use super::*;

fn check(reply: &[u8]) {
    let shown = reply.escape_ascii();
    for cut in 0..reply.len() {
        let head = &reply[..cut];
        assert_eq!(reply_len(head), Ok(None), "{shown} cut at {cut}");
    }
    let mut followed = reply.to_vec();
    followed.extend_from_slice(b"+next\r\n");
    assert_eq!(reply_len(&followed), Ok(Some(reply.len())), "{shown}");
}

#[test]
fn each_kind_of_reply_ends_where_its_header_says() {
    for reply in [
        "+OK\r\n",
        "-ERR no\r\n",
        ":-7\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "$5\r\na\r\nb!\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n$1\r\na\r\n:1\r\n",
        "*2\r\n*1\r\n*2\r\n+a\r\n$-1\r\n+b\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(123456789012345678901234567890\r\n",
        "=7\r\ntxt:abc\r\n",
        "!5\r\nERR x\r\n",
        "~1\r\n+a\r\n",
        ">2\r\n+invalidate\r\n_\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
        "|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n",
    ] {
        check(reply.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_reply_are_refused() {
    for bytes in ["?\r\n", "\r\n", "$x\r\n", "*1\r\nxyz\r\n", "$-2\r\n"] {
        assert!(reply_len(bytes.as_bytes()).is_err(), "{bytes:?}");
    }
}
