//! Random requests enter, are let go and leave, next to a model that knows every order.

use proptest::prelude::*;

use super::*;

fn keys(names: &[u8]) -> Keys {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| (0, Bytes::copy_from_slice(&[*name]))).collect()
}

#[test]
fn a_request_of_two_keys_holds_back_what_comes_after_it_for_either() {
    let mut queues = KeyQueues::default();
    let both = queues.enter(keys(b"ab"), 1, |_| KeyState::Unasked);
    let after = queues.enter(keys(b"a"), 2, |_| KeyState::Unasked);
    let other = queues.enter(keys(b"c"), 3, |_| KeyState::LetGo);
    assert!(queues.is_first(both) && !queues.is_first(after) && queues.is_first(other));
    let [a, b] = [keys(b"a"), keys(b"b")].map(|keys| keys[0].clone());
    queues.set_state(&a, KeyState::LetGo);
    assert!(!queues.is_let_go(both) && queues.is_let_go(after) && queues.is_let_go(other));
    queues.set_state(&b, KeyState::LetGo);
    assert!(queues.is_let_go(both));
    assert_eq!(queues.leave(both).map(|(_, payload)| payload), Some(1));
    assert!(queues.is_first(after));
    assert_eq!((queues.state(&a), queues.state(&b)), (Some(KeyState::LetGo), None));
    assert_eq!(queues.leave(both).map(|(_, payload)| payload), None);
}

#[test]
fn those_that_wait_for_some_keys_are_told_once_and_in_order() {
    let mut queues = KeyQueues::default();
    let ids: Vec<_> = [&b"ab"[..], b"b", b"c", b"ac"]
        .into_iter()
        .map(|names| queues.enter(keys(names), (), |_| KeyState::Unasked))
        .collect();
    let waiting = queues.waiting_for(&keys(b"ab"));
    assert_eq!(waiting.into_iter().collect::<Vec<_>>(), [ids[0], ids[1], ids[3]]);
}

#[derive(Clone, Debug)]
enum Step {
    Enter(Vec<u8>),
    LetGo(u8),
    /// The first requests that may, leave.
    Go,
    /// A request leaves from wherever it stands.
    Fail(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(b'a'..b'f', 1..4).prop_map(Step::Enter),
        3 => (b'a'..b'f').prop_map(Step::LetGo),
        2 => Just(Step::Go),
        1 => any::<prop::sample::Index>().prop_map(Step::Fail),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn requests_that_share_a_key_leave_in_order_and_all_can_leave(steps in steps()) {
        let mut queues = KeyQueues::default();
        // The requests that are there, in the order in which they entered.
        let mut model: Vec<(EntryId, Keys)> = Vec::new();
        for step in steps.into_iter().chain((b'a'..b'f').map(Step::LetGo)).chain([Step::Go]) {
            match step {
                Step::Enter(names) => {
                    let keys = keys(&names);
                    let id = queues.enter(keys.clone(), (), |_| KeyState::Unasked);
                    model.push((id, keys));
                }
                Step::LetGo(name) => queues.set_state(&keys(&[name])[0], KeyState::LetGo),
                Step::Fail(index) if !model.is_empty() => {
                    let (id, _) = model.remove(index.index(model.len()));
                    prop_assert!(queues.leave(id).is_some());
                }
                Step::Fail(_) => {}
                Step::Go => {
                    while let Some(place) = model.iter().position(|(id, _)| {
                        queues.is_first(*id) && queues.is_let_go(*id)
                    }) {
                        let (id, own) = model.remove(place);
                        // INVARIANT M-3: none that entered before shares a key with it.
                        let is_blocked = model[..place]
                            .iter()
                            .any(|(_, keys)| keys.iter().any(|key| own.contains(key)));
                        prop_assert!(!is_blocked);
                        prop_assert!(queues.leave(id).is_some());
                        // A key that nobody waits for is forgotten; asked anew, it is known.
                        for key in &own {
                            queues.set_state(key, KeyState::LetGo);
                        }
                    }
                }
            }
            // INVARIANT K-1.
            for (id, own) in &model {
                prop_assert_eq!(queues.keys(*id), own.as_slice());
                for key in own {
                    prop_assert!(queues.waiting_for(std::slice::from_ref(key)).contains(id));
                }
            }
        }
        prop_assert!(model.is_empty());
        prop_assert!(queues.payloads().next().is_none());
        prop_assert!(!queues.is_waited_for(&keys(b"a")[0]));
    }
}
