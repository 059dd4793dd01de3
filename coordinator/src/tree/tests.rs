use proptest::prelude::*;

use super::*;
use crate::Access;

fn path(text: &str) -> NodePath {
    NodePath::new(text).unwrap()
}

fn create(text: &str, lifetime: Lifetime) -> Change {
    Change::Create { path: path(text), data: vec![], lifetime, access: Access::File }
}

fn numbered(text: &str) -> Change {
    Change::CreateSequential {
        parent: path(text),
        prefix: "n".to_owned(),
        data: vec![],
        lifetime: Lifetime::Persistent,
        access: Access::File,
    }
}

/// Any change of a tree with few paths, so that they often meet.
fn any_change() -> impl Strategy<Value = Change> {
    let paths = prop::sample::select(vec!["/", "/a", "/b", "/a/a", "/a/b", "/a/a/a"]);
    (paths, 0..6, 0..3_i64).prop_map(|(text, kind, version)| {
        let version = Version(version);
        match kind {
            0 => create(text, Lifetime::Persistent),
            1 => create(text, Lifetime::Session),
            2 => numbered(text),
            3 => Change::Set { path: path(text), data: vec![b'x'], version: Some(version) },
            4 => Change::Delete { path: path(text), version: None },
            _ => Change::Check { path: path(text), version },
        }
    })
}

#[test]
fn the_end_of_a_session_takes_its_nodes_and_no_others() {
    let mut tree = Tree::default();
    tree.apply(&[create("/a", Lifetime::Session)], 1).unwrap();
    tree.apply(&[create("/b", Lifetime::Session)], 2).unwrap();
    tree.apply(&[create("/c", Lifetime::Persistent)], 1).unwrap();
    assert_eq!(tree.owners(), [1, 2]);
    assert!(tree.end_session(1));
    assert!(!tree.end_session(1));
    let names = tree.list(&NodePath::root()).unwrap();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn data_that_is_not_text_is_stored_too() {
    for data in [b"text".to_vec(), vec![0, 159, 146, 150], vec![]] {
        let mut tree = Tree::default();
        let change = Change::Set { path: NodePath::root(), data: data.clone(), version: None };
        tree.apply(&[change], 1).unwrap();
        let stored = serde_json::to_string(&tree).unwrap();
        let read: Tree = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, tree);
        assert_eq!(read.read(&NodePath::root(), 1).unwrap().data, data);
    }
}

proptest! {
    #[test]
    fn changes_are_all_or_nothing(
        before in prop::collection::vec(any_change(), 0..20),
        changes in prop::collection::vec(any_change(), 0..8),
    ) {
        let mut tree = Tree::default();
        for change in before {
            let _ = tree.apply(&[change], 1);
        }
        let was = tree.clone();
        match tree.apply(&changes, 1) {
            // The same one by one.
            Ok(paths) => {
                let mut single = was;
                for (change, path) in changes.iter().zip(paths) {
                    prop_assert_eq!(single.apply(std::slice::from_ref(change), 1).unwrap(), [path]);
                }
                let data = |tree: &Tree| -> Vec<_> {
                    tree.nodes.iter().map(|(path, node)| (path.clone(), node.version)).collect()
                };
                prop_assert_eq!(data(&single), data(&tree));
            }
            Err(_) => prop_assert_eq!(&tree, &was),
        }
        // C-3, and sessions' nodes have no children.
        for path in tree.nodes.keys().filter(|path| *path != "/") {
            let above = NodePath::new(path.clone()).unwrap().parent().unwrap();
            prop_assert!(tree.nodes.get(above.as_str()).unwrap().owner.is_none());
        }
    }

    #[test]
    fn a_mark_changes_exactly_when_the_node_does(
        changes in prop::collection::vec(any_change(), 1..40),
    ) {
        let mut tree = Tree::default();
        let node = path("/a");
        for change in changes {
            let was = tree.clone();
            let is_ok = tree.apply(std::slice::from_ref(&change), 1).is_ok();
            let is_own = change.path() == &node && !matches!(change, Change::Check { .. });
            let is_children = matches!(change, Change::CreateSequential { .. });
            let changed = tree.mark(&node, Aspect::Data) != was.mark(&node, Aspect::Data);
            prop_assert_eq!(changed, is_ok && is_own && !is_children, "{:?}", change);
            let listed = tree.mark(&node, Aspect::Children) != was.mark(&node, Aspect::Children);
            prop_assert_eq!(listed, tree.list(&node) != was.list(&node), "{:?}", change);
        }
    }
}
