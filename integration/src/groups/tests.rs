//! Keys are found for each group.

use super::*;

#[test]
fn a_key_of_a_group_hashes_to_a_slot_of_that_group() {
    for group in Group::BOTH {
        for name in ["a", "user", "list"] {
            let key = group.key(name);
            assert_eq!(Group::of(slot_of(key.as_bytes())), group, "{key}");
            assert_eq!(key, group.key(name));
        }
    }
}
