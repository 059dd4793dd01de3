use proptest::prelude::*;

use super::*;

fn check(key: &str, expected: u16) {
    assert_eq!(slot_of(key.as_bytes()).number(), expected, "slot of `{key}`");
}

/// Measured on a Codis 3.2 proxy and on codis-server (`SLOTSHASHKEY`).
#[test]
fn slots_equal_those_of_codis() {
    check("a", 579);
    check("foo", 289);
    check("hello", 646);
    check("user:1000", 995);
    check("{user:1000}.following", 995);
    check("", 0);
    check("{}b", 0);
    check("{a}b", 579);
    check("x{a}{b}", 579);
    check("{a", 780);
    check("a}", 408);
    check("foo{}{bar}", 0);
    check("foo{{bar}}zap", 313);
}

#[test]
fn a_closing_brace_before_the_opening_one_is_no_tag() {
    assert_eq!(hash_tag(b"}a{b}c"), b"b");
    assert_eq!(hash_tag(b"}{"), b"}{");
}

#[test]
fn slot_numbers_end_at_1023() {
    assert!(SlotId::new(1023).is_some());
    assert!(SlotId::new(1024).is_none());
    assert_eq!(SlotId::all().count(), SLOTS);
}

proptest! {
    #[test]
    fn keys_with_one_tag_share_a_slot(tag in "[^{}]{0,20}", before in "[^{}]{0,9}", after in ".{0,9}") {
        let key = format!("{before}{{{tag}}}{after}");
        prop_assert_eq!(slot_of(key.as_bytes()), slot_of(tag.as_bytes()));
    }

    #[test]
    fn any_bytes_have_a_slot(key in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(slot_of(&key).index() < SLOTS);
    }
}
