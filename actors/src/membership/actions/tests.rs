use coordinator::codis1::{Group, Slot, SlotRange};
use proptest::prelude::*;

use super::*;

fn names(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|number| Sequence(*number).to_string()).collect()
}

fn numbers(new: &[(Sequence, String)]) -> Vec<u64> {
    new.iter().map(|(sequence, _)| sequence.0).collect()
}

fn waiting(name: &str) -> WaitingAction {
    let event = Event::GroupRemove(Group::default());
    let action = Action { event, desc: String::new(), ts: "1".to_owned(), receivers: Vec::new() };
    WaitingAction::new(name.to_owned(), &action)
}

#[test]
fn each_action_is_new_once_whatever_its_number() {
    let mut actions = Actions::default();
    actions.begin_after(&names(&[2, 4]));
    assert_eq!(numbers(&actions.take_listing(&names(&[4, 2, 10, 8]))), [8, 10]);
    assert_eq!(numbers(&actions.take_listing(&names(&[10, 8]))), [0_u64; 0]);
    // A dashboard was slow to write what it had a number for.
    assert_eq!(numbers(&actions.take_listing(&names(&[10, 6, 8]))), [6]);
    let foreign = ["lock", "", "12x", "name_0000000012"].map(str::to_owned);
    assert_eq!(numbers(&actions.take_listing(&foreign)), [12]);
}

#[test]
fn an_action_that_is_withdrawn_waits_no_longer() {
    let mut actions = Actions::default();
    let new = actions.take_listing(&names(&[2, 4]));
    for (sequence, name) in new {
        actions.enter(sequence, waiting(&name));
    }
    assert_eq!(actions.waiting_count(), 2);
    actions.take_listing(&names(&[4, 6]));
    assert_eq!(actions.waiting().map(|(sequence, _)| sequence.0).collect::<Vec<_>>(), [4]);
    actions.remove(Sequence(4));
    assert_eq!(actions.waiting_count(), 0);
}

fn slots_of(event: &Event) -> Vec<u16> {
    // Slot 3 migrates from group 1 to group 2; the others are of group 1.
    let groups_of = |slot: SlotId| match slot.number() {
        3 => Groups { target: Some(2), source: Some(1) },
        0..=4 => Groups { target: Some(1), source: None },
        _ => Groups::default(),
    };
    Scope::of(event).slots(groups_of).into_iter().map(SlotId::number).collect()
}

#[test]
fn an_action_is_about_the_slots_that_it_may_have_changed() {
    let slot = |id| Slot { id, ..Slot::default() };
    let range = |from, to| Event::MultiSlotChanged(SlotRange { from, to, ..SlotRange::default() });
    let group = |id| Group { id, ..Group::default() };
    assert_eq!(slots_of(&Event::SlotChanged(slot(7))), [7]);
    assert_eq!(slots_of(&Event::SlotMigrate(slot(1023))), [1023]);
    for id in [-1, 1024, i32::MAX, i32::MIN] {
        assert_eq!(slots_of(&Event::SlotPreMigrate(slot(id))), [0_u16; 0], "{id}");
    }
    assert_eq!(slots_of(&range(1022, 4000)), [1022, 1023]);
    assert_eq!(slots_of(&range(-1, -1)), [0_u16; 0]);
    assert_eq!(slots_of(&range(5, 4)), [0_u16; 0]);
    assert_eq!(slots_of(&range(-3, 1)), [0, 1]);
    assert_eq!(slots_of(&Event::GroupChanged(group(1))), [0, 1, 2, 3, 4]);
    assert_eq!(slots_of(&Event::GroupChanged(group(2))), [3]);
    assert_eq!(slots_of(&Event::GroupRemove(group(1))), [0_u16; 0]);
}

proptest! {
    /// However a listing grows and shrinks, every name is handed out exactly once while it stays.
    #[test]
    fn no_action_is_missed_or_seen_twice(listings in proptest::collection::vec(
        proptest::collection::btree_set(0_u64..40, 0..20), 1..20,
    )) {
        let mut actions = Actions::default();
        let mut before = std::collections::BTreeSet::new();
        for listing in listings {
            let listed: Vec<u64> = listing.iter().copied().collect();
            let new = actions.take_listing(&names(&listed));
            let expected: Vec<u64> = listing.difference(&before).copied().collect();
            prop_assert_eq!(numbers(&new), expected);
            before = listing;
        }
    }

    #[test]
    fn no_range_reaches_beyond_the_slots(from in any::<i32>(), to in any::<i32>()) {
        let event = Event::MultiSlotChanged(SlotRange { from, to, ..SlotRange::default() });
        for slot in slots_of(&event) {
            prop_assert!(from <= i32::from(slot) && i32::from(slot) <= to);
        }
    }
}
