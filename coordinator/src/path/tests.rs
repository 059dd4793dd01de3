use proptest::prelude::*;

use super::*;

fn path(text: &str) -> NodePath {
    NodePath::new(text).unwrap()
}

#[test]
fn a_path_follows_the_rules() {
    for text in ["/", "/a", "/a/b", "/slots/slot_7", "/fence/vm:19000", "/žluťoučký", "/..."] {
        assert_eq!(path(text).as_str(), text);
    }
    let long = format!("/{}", "a".repeat(NAME_BYTES_MAX + 1));
    let deep = "/abcdefg".repeat(PATH_BYTES_MAX / 8 + 1);
    let wrong = ["", "a", "a/b", "//", "/a/", "/a//b", "/.", "/a/..", "/a\n", "/a\0", &long, &deep];
    for text in wrong {
        let error = NodePath::new(text).unwrap_err().to_string();
        assert!(error.contains("is not the path of a node: "), "{error}");
    }
}

#[test]
fn a_path_knows_its_neighbours() {
    assert_eq!(NodePath::root().parent(), None);
    assert_eq!(NodePath::root().name(), "");
    assert_eq!(path("/a").parent(), Some(NodePath::root()));
    assert_eq!(path("/a/b").parent(), Some(path("/a")));
    assert_eq!(path("/a/b").name(), "b");
    assert_eq!(NodePath::root().child("a").unwrap(), path("/a"));
    assert_eq!(path("/a").child("b").unwrap(), path("/a/b"));
    for name in ["", "b/c", "..", "/"] {
        assert!(path("/a").child(name).is_err(), "{name}");
    }
    assert_eq!(path("/a").child_name("/a/b"), Some("b"));
    assert_eq!(NodePath::root().child_name("/a"), Some("a"));
    for other in ["/a", "/a/", "/a/b/c", "/ab", "/ab/c", "/"] {
        assert_eq!(path("/a").child_name(other), None, "{other}");
    }
    assert_eq!(path("/a").sequential_child("n-", 7), path("/a/n-0000000007"));
}

proptest! {
    #[test]
    fn a_child_leads_back_to_its_parent(above in "(/[a-z.:_0-9]{1,5}){0,3}", name in "[a-z_:]{1,9}") {
        let above = if above.is_empty() { "/".to_owned() } else { above };
        if let Ok(above) = NodePath::new(above) {
            let child = above.child(&name).unwrap();
            prop_assert_eq!(child.parent(), Some(above.clone()));
            prop_assert_eq!(child.name(), &name);
            prop_assert_eq!(above.child_name(child.as_str()), Some(name.as_str()));
        }
    }

    #[test]
    fn no_text_is_too_strange(text: String) {
        if let Ok(path) = NodePath::new(text.clone()) {
            prop_assert_eq!(path.as_str(), text);
        }
    }
}
