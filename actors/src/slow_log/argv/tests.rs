use command::CommandTable;

use super::*;

fn kept(request: &[&[u8]]) -> Vec<u8> {
    let table = CommandTable::load().unwrap();
    let mut frame = Vec::new();
    resp::encode::request(&mut frame, request);
    let mut spans = Vec::new();
    let framed = RequestFramer::new(RequestLimits::default()).next(&frame, &mut spans);
    assert_eq!(framed, Ok(Framed::Request { len: frame.len() }));
    let args = Args::new(&frame, &spans);
    let command = table.plan(&args).command.unwrap();
    let mut kept = Vec::new();
    keep(&frame, &args, command, &mut kept);
    assert!(kept.len() <= KEPT_BYTES_MAX, "{} bytes", kept.len());
    kept
}

#[track_caller]
fn check(request: &[&[u8]], expected: &[&[u8]]) {
    assert_eq!(argv(&kept(request)), expected);
}

#[test]
fn a_short_request_is_shown_whole() {
    check(&[b"GET", b"key"], &[b"GET", b"key"]);
    check(&[b"SET", b"a b", b"\r\n\x00\xff"], &[b"SET", b"a b", b"\r\n\x00\xff"]);
    check(&[b"SET", b"", b""], &[b"SET", b"", b""]);
}

#[test]
fn a_long_argument_is_cut_after_128_bytes_whether_the_request_is_short_or_long() {
    for len in [129, 300, 600, 100_000] {
        let value = vec![b'v'; len];
        let mut cut = vec![b'v'; 128];
        cut.extend_from_slice(format!("... ({} more bytes)", len - 128).as_bytes());
        check(&[b"SET", b"key", &value, b"EX", b"10"], &[b"SET", b"key", &cut, b"EX", b"10"]);
    }
    let fits = [b'v'; 128];
    check(&[b"SET", b"key", &fits], &[b"SET", b"key", &fits]);
}

#[test]
fn of_more_than_32_arguments_31_are_shown() {
    for len in [1, 40] {
        let key = vec![b'k'; len];
        let request = |count: usize| {
            let mut request: Vec<&[u8]> = vec![b"DEL"];
            request.resize(count, &key);
            request
        };
        check(&request(32), &request(32));
        let mut cut = request(31);
        cut.push(b"... (2 more arguments)");
        check(&request(33), &cut);
        cut.pop();
        cut.push(b"... (969 more arguments)");
        check(&request(1000), &cut);
    }
}

#[test]
fn only_short_requests_without_secrets_are_kept_as_they_came() {
    let table = CommandTable::load().unwrap();
    let check = |len: usize, command: &[u8], expected| {
        let command = table.lookup(command).unwrap();
        assert_eq!(is_kept_whole(&vec![b'x'; len], command), expected, "{len}");
    };
    check(512, b"get", true);
    check(513, b"get", false);
    check(20, b"auth", false);
}

#[test]
fn secrets_are_not_even_kept() {
    let requests: [&[&[u8]]; 5] = [
        &[b"AUTH", b"s3cret"],
        &[b"AUTH", b"user", b"s3cret"],
        &[b"HELLO", b"2", b"AUTH", b"user", b"s3cret"],
        &[b"CONFIG", b"SET", b"requirepass", b"s3cret"],
        &[b"MIGRATE", b"h", b"1", b"k", b"0", b"9", b"AUTH", b"s3cret"],
    ];
    for request in requests {
        let kept = kept(request);
        assert!(!kept.windows(6).any(|bytes| bytes == b"s3cret"), "{request:?}");
        assert_eq!(argv(&kept).len(), request.len());
    }
    check(&[b"AUTH", b"s3cret"], &[b"AUTH", b"(redacted)"]);
    check(&[b"CONFIG", b"SET", b"a", b"b"], &[b"CONFIG", b"SET", b"(redacted)", b"(redacted)"]);
}

#[test]
fn what_is_damaged_shows_nothing_and_does_no_harm() {
    assert_eq!(argv(b"~"), Vec::<Vec<u8>>::new());
    assert_eq!(argv(b"~\x01\x00\x00\x00\x05\x00\x00\x00ab"), Vec::<Vec<u8>>::new());
}
