//! Tests of the split: which keys go where, and in what order.

use super::*;
use crate::Plan;
use crate::testing::Request;
use crate::testing::table;

/// The sub-requests of a line, each as its destination and its words.
fn split(line: &str, mut destination_of: impl FnMut(SlotId) -> usize) -> Vec<(usize, String)> {
    let request = Request::words(line);
    let Plan::FanOut(fan_out) = table().plan(&request.args()).plan else {
        panic!("`{line}` is not split");
    };
    let mut out = b"earlier parts".to_vec();
    let (parts, merge) = fan_out.split(&request.frame, |_, slot| destination_of(slot), &mut out);
    assert_eq!(merge.parts(), parts.len());
    assert!(out.starts_with(b"earlier parts"));
    let words = |part: &Part| {
        let request = String::from_utf8_lossy(&out[part.range.clone()]).into_owned();
        let words: Vec<&str> = request.split("\r\n").skip(2).step_by(2).collect();
        assert!(request.starts_with(&format!("*{}\r\n", words.len())), "{request}");
        words.join(" ")
    };
    parts.iter().map(|part| (part.destination, words(part))).collect()
}

#[test]
fn keys_of_one_destination_stay_together_and_in_order() {
    let odd_slots = |slot: SlotId| usize::from(slot.number() % 2);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|key| odd_slots(slot_of(key.as_bytes())));
    assert_eq!([a, b, c, d], [1, 1, 1, 0], "slots of the keys changed (H-1)");
    let parts = split("mget d a c d b", odd_slots);
    assert_eq!(parts, [(0, "MGET d d".to_owned()), (1, "MGET a c b".to_owned())]);
    let parts = split("mset a 1 d 2 a 3 d 4", odd_slots);
    assert_eq!(parts, [(1, "MSET a 1 a 3".to_owned()), (0, "MSET d 2 d 4".to_owned())]);
}

#[test]
fn each_destination_gets_one_part() {
    let parts = split("del a b c d", |slot| slot.index());
    assert_eq!(parts.len(), 4);
    let parts = split("exists a b c d", |_| 7);
    assert_eq!(parts, [(7, "EXISTS a b c d".to_owned())]);
}

#[test]
fn a_part_knows_the_slot_of_its_first_key() {
    let request = Request::words("unlink a b c");
    let Plan::FanOut(fan_out) = table().plan(&request.args()).plan else {
        panic!("not split");
    };
    let mut out = Vec::new();
    let (parts, _) = fan_out.split(&request.frame, |_, _| 0, &mut out);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].slot, slot_of(b"a"));
}

#[test]
fn many_keys_are_split_in_linear_order() {
    let keys: Vec<String> = (0..20_000).map(|number| format!("key:{number}")).collect();
    let parts = split(&format!("touch {}", keys.join(" ")), |slot| slot.index() % 3);
    let count: usize = parts.iter().map(|(_, words)| words.split(' ').count() - 1).sum();
    assert_eq!((parts.len(), count), (3, keys.len()));
}

#[test]
fn a_request_for_one_slot_can_be_split_into_its_keys() {
    let request = Request::words("MSET {t}a 1 {t}b 2 {t}a 3");
    let fan_out = table().by_key(&request.args()).unwrap();
    assert_eq!(fan_out.keys(), 3);
    let mut out = Vec::new();
    let (parts, _) = fan_out.split(&request.frame, |place, _| place, &mut out);
    let last = &out[parts[2].range.clone()];
    assert_eq!((parts.len(), last), (3, &b"*3\r\n$4\r\nMSET\r\n$4\r\n{t}a\r\n$1\r\n3\r\n"[..]));
    for whole in ["MGET a", "MSET a 1", "SINTER {t}a {t}b", "MSET a", "NOSUCH a b"] {
        assert_eq!(table().by_key(&Request::words(whole).args()), None, "{whole}");
    }
}
