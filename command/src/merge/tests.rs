//! Tests of the merge: a fan-out over many servers answers as one server does.

use std::collections::HashMap;

use proptest::prelude::*;
use routing::slot_of;

use super::*;
use crate::Plan;
use crate::testing::Request;
use crate::testing::table;

type Store = HashMap<Vec<u8>, Vec<u8>>;

/// What a server with this store replies to a multi-key request.
fn execute(store: &mut Store, args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let (name, keys) = args.split_first().expect("a name");
    let name = name.to_ascii_lowercase();
    let mut count = 0;
    match &name[..] {
        b"mget" => {
            encode::array_header(&mut out, keys.len());
            for key in keys {
                match store.get(key) {
                    Some(value) => encode::bulk(&mut out, value),
                    None => encode::null_bulk(&mut out),
                }
            }
            return out;
        }
        b"mset" => {
            for pair in keys.chunks(2) {
                store.insert(pair[0].clone(), pair[1].clone());
            }
            encode::simple_string(&mut out, "OK");
            return out;
        }
        b"del" | b"unlink" => keys.iter().for_each(|key| {
            count += i64::from(store.remove(key).is_some());
        }),
        b"exists" | b"touch" => keys.iter().for_each(|key| {
            count += i64::from(store.contains_key(key));
        }),
        other => panic!("unexpected command {}", String::from_utf8_lossy(other)),
    }
    encode::integer(&mut out, count);
    out
}

/// The arguments of an encoded request.
fn arguments(request: &[u8]) -> Vec<Vec<u8>> {
    let content = |element: &[u8]| {
        let start = element.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
        element[start..element.len() - 2].to_vec()
    };
    let elements = reply::elements(request).expect("a request is an array");
    elements.map(|element| content(element.expect("a complete request"))).collect()
}

/// A fan-out that is waiting for its replies: the sub-requests and their merge.
fn fanned_out(line: &str) -> (Vec<Vec<u8>>, Merge) {
    let request = Request::words(line);
    let Plan::FanOut(fan_out) = table().plan(&request.args()).plan else {
        panic!("`{line}` is not split");
    };
    let mut out = Vec::new();
    let (parts, merge) = fan_out.split(&request.frame, |_, slot| slot.index(), &mut out);
    (parts.iter().map(|part| out[part.range.clone()].to_vec()).collect(), merge)
}

/// The joined reply to `line`, whose parts are answered by `replies`.
fn joined(line: &str, replies: &[&'static str]) -> String {
    let (parts, mut merge) = fanned_out(line);
    assert_eq!(parts.len(), replies.len());
    for (number, reply) in replies.iter().enumerate() {
        let is_complete = merge.settle(number, Bytes::from_static(reply.as_bytes()));
        assert_eq!(is_complete, number + 1 == replies.len());
    }
    let mut out = b"earlier replies".to_vec();
    merge.finish(&mut out);
    let out = String::from_utf8(out).expect("text");
    out.strip_prefix("earlier replies").expect("earlier replies stay").to_owned()
}

#[test]
fn replies_are_joined_in_the_order_of_the_keys() {
    let replies = ["*2\r\n$1\r\nA\r\n$1\r\nA\r\n", "*1\r\n$-1\r\n"];
    assert_eq!(joined("mget a b a", &replies), "*3\r\n$1\r\nA\r\n$-1\r\n$1\r\nA\r\n");
    assert_eq!(joined("mget a b a", &["*2\r\n_\r\n_\r\n", "*1\r\n_\r\n"]), "*3\r\n_\r\n_\r\n_\r\n");
    assert_eq!(joined("del a b", &[":1\r\n", ":0\r\n"]), ":1\r\n");
    assert_eq!(joined("exists a b a", &[":2\r\n", ":1\r\n"]), ":3\r\n");
    assert_eq!(joined("mset a 1 b 2", &["+OK\r\n", "+OK\r\n"]), "+OK\r\n");
}

#[test]
fn the_first_failing_part_is_the_reply() {
    let first = "-ERR first\r\n";
    let second = "-LOADING second\r\n";
    assert_eq!(joined("mget a b", &["*1\r\n$-1\r\n", second]), second);
    assert_eq!(joined("mget a b", &[first, second]), first);
    assert_eq!(joined("del a b", &[":1\r\n", second]), second);
    assert_eq!(joined("mset a 1 b 2", &[first, "+OK\r\n"]), first);
}

#[test]
fn a_reply_of_the_wrong_form_is_an_error() {
    let expected = format!("-{UNEXPECTED_PART_REPLY}\r\n");
    let cases: [(&str, [&'static str; 2]); 8] = [
        ("mget a b", ["*1\r\n$-1\r\n", "+OK\r\n"]),
        ("mget a b", ["*1\r\n$-1\r\n", "*0\r\n"]),
        ("mget a b", ["*1\r\n$-1\r\n", "*2\r\n$-1\r\n$-1\r\n"]),
        ("mget a b", ["*1\r\n$-1\r\n", "*1\r\n$5\r\nab"]),
        ("mget a b", ["*1\r\n$-1\r\n", "*-1\r\n"]),
        ("del a b", [":1\r\n", "+OK\r\n"]),
        ("del a b", ["$1\r\n1\r\n", ":1\r\n"]),
        ("mset a 1 b 2", ["+OK\r\n", ":1\r\n"]),
    ];
    for (line, replies) in cases {
        assert_eq!(joined(line, &replies), expected, "{line} {replies:?}");
    }
}

#[test]
fn parts_may_answer_in_any_order_but_only_once() {
    let (_, mut merge) = fanned_out("mget a b");
    assert!(!merge.settle(1, Bytes::from_static(b"*1\r\n$1\r\nB\r\n")));
    assert!(!merge.settle(1, Bytes::from_static(b"*1\r\n$1\r\nX\r\n")));
    assert!(!merge.settle(9, Bytes::from_static(b":1\r\n")));
    assert!(merge.settle(0, Bytes::from_static(b"*1\r\n$1\r\nA\r\n")));
    let mut out = Vec::new();
    merge.finish(&mut out);
    assert_eq!(out, b"*2\r\n$1\r\nA\r\n$1\r\nB\r\n");
}

#[test]
fn a_part_that_never_answered_is_an_error() {
    let (_, mut merge) = fanned_out("del a b");
    assert!(!merge.settle(0, Bytes::from_static(b":1\r\n")));
    let mut out = Vec::new();
    merge.finish(&mut out);
    assert_eq!(out, format!("-{UNEXPECTED_PART_REPLY}\r\n").as_bytes());
}

proptest! {
    // Several requests in a row against one server and against many, whose slots are spread at
    // random: the replies are the same bytes, and so are the stores afterwards.
    #[test]
    fn many_servers_answer_as_one(
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["mget", "MSET", "del", "unlink", "Exists", "touch"]),
                prop::collection::vec(("[a-h]{1,2}", ".{0,3}"), 1..12),
            ),
            1..8,
        ),
        destinations in prop::collection::vec(0_usize..5, 1..40),
    ) {
        let mut one = Store::new();
        let mut many = vec![Store::new(); 5];
        let destination = |slot: routing::SlotId| destinations[slot.index() % destinations.len()];
        for (name, items) in requests {
            let mut words: Vec<Vec<u8>> = vec![name.as_bytes().to_vec()];
            for (key, value) in items {
                words.push(key.into_bytes());
                if name == "MSET" {
                    words.push(value.into_bytes());
                }
            }
            let expected = execute(&mut one, &words);
            let request = Request::new(&words);
            let mut reply = Vec::new();
            match table().plan(&request.args()).plan {
                Plan::Forward { slot, .. } => {
                    reply = execute(&mut many[destination(slot)], &words);
                }
                Plan::FanOut(fan_out) => {
                    let mut out = Vec::new();
                    let (parts, mut merge) = fan_out
                        .split(&request.frame, |_, slot| destination(slot), &mut out);
                    for (number, part) in parts.iter().enumerate() {
                        let args = arguments(&out[part.range.clone()]);
                        prop_assert_eq!(destination(slot_of(&args[1])), part.destination);
                        let part_reply = execute(&mut many[part.destination], &args);
                        merge.settle(number, part_reply.into());
                    }
                    merge.finish(&mut reply);
                }
                other => panic!("not routed: {other:?}"),
            }
            prop_assert_eq!(reply, expected);
        }
        let together: Store = many.into_iter().flatten().collect();
        prop_assert_eq!(together, one);
    }
}
