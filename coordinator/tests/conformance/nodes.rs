//! The rules of nodes, changes and watches.

use std::sync::Arc;
use std::time::Duration;

use coordinator::Access;
use coordinator::Change;
use coordinator::Coordinator;
use coordinator::CoordinatorError;
use coordinator::Lifetime;
use coordinator::NodePath;
use coordinator::Version;
use coordinator::follow;
use coordinator::follow_children;
use tokio::time::timeout;

use super::CALM;
use super::World;
use super::path;
use super::soon;

const PERSISTENT: Lifetime = Lifetime::Persistent;
const SESSION: Lifetime = Lifetime::Session;
const FILE: Access = Access::File;
const DIRECTORY: Access = Access::Directory;

/// All of them, each below a node of its own.
pub(super) async fn check(world: &impl World) {
    let client = world.connect(CALM).await;
    let client = client.as_ref();
    a_node_is_there_from_its_creation_to_its_deletion(client).await;
    a_node_needs_its_parent_and_a_path_of_its_own(client).await;
    data_is_any_bytes_up_to_the_limit(client).await;
    a_change_of_an_older_version_is_refused(client).await;
    children_are_listed_by_name(client).await;
    numbered_children_have_growing_names(client).await;
    several_changes_are_made_together_or_not_at_all(client).await;
    later_changes_see_the_earlier_ones(client).await;
    directories_are_created_with_all_above(client).await;
    a_watch_fires_with_creation_change_and_deletion(client).await;
    a_watch_of_children_fires_when_they_come_and_go(client).await;
    a_session_owns_its_nodes(client, world).await;
    nobody_misses_the_last_change(world).await;
    nobody_misses_the_last_child(world).await;
    two_who_change_the_same_version_do_not_both_succeed(world).await;
}

async fn stage(client: &dyn Coordinator, name: &str) -> NodePath {
    let stage = path("/stage").child(name).unwrap();
    client.create_directory(&stage).await.unwrap();
    stage
}

async fn data(client: &dyn Coordinator, path: &NodePath) -> Option<Vec<u8>> {
    client.read(path).await.unwrap().map(|node| node.data)
}

async fn a_node_is_there_from_its_creation_to_its_deletion(client: &dyn Coordinator) {
    let node = stage(client, "life").await.child("node").unwrap();
    assert_eq!(client.read(&node).await.unwrap(), None);

    client.create(&node, "one", PERSISTENT, FILE).await.unwrap();
    let read = client.read(&node).await.unwrap().unwrap();
    assert_eq!(read.data, b"one");
    assert_eq!(read.stat.version, Version(0));
    assert_eq!(read.stat.lifetime, PERSISTENT);
    assert!(!read.stat.is_ours);

    client.set(&node, "two", None).await.unwrap();
    let again = client.read(&node).await.unwrap().unwrap();
    assert_eq!((again.data.as_slice(), again.stat.version), (&b"two"[..], Version(1)));
    assert_eq!(again.stat.created, read.stat.created);

    client.delete(&node, None).await.unwrap();
    assert_eq!(client.read(&node).await.unwrap(), None);

    client.create(&node, "", PERSISTENT, FILE).await.unwrap();
    let reborn = client.read(&node).await.unwrap().unwrap();
    assert!(reborn.stat.created > read.stat.created, "an epoch that grows");
    assert_eq!(reborn.stat.version, Version(0));
}

async fn a_node_needs_its_parent_and_a_path_of_its_own(client: &dyn Coordinator) {
    let stage = stage(client, "parents").await;
    let (above, below) = (stage.child("above").unwrap(), stage.child("above").unwrap());
    let below = below.child("below").unwrap();
    let missing = client.create(&below, "", PERSISTENT, FILE).await;
    assert_eq!(missing, Err(CoordinatorError::NoNode { path: above.clone() }));

    client.create(&above, "", PERSISTENT, DIRECTORY).await.unwrap();
    client.create(&below, "", PERSISTENT, FILE).await.unwrap();
    let twice = client.create(&below, "", PERSISTENT, FILE).await;
    assert_eq!(twice, Err(CoordinatorError::NodeExists { path: below.clone() }));

    let early = client.delete(&above, None).await;
    assert_eq!(early, Err(CoordinatorError::NotEmpty { path: above.clone() }));
    client.delete(&below, None).await.unwrap();
    client.delete(&above, None).await.unwrap();
    let late = client.delete(&above, None).await;
    assert_eq!(late, Err(CoordinatorError::NoNode { path: above.clone() }));
    let late = client.set(&above, "", None).await;
    assert_eq!(late, Err(CoordinatorError::NoNode { path: above }));
}

async fn data_is_any_bytes_up_to_the_limit(client: &dyn Coordinator) {
    let node = stage(client, "data").await.child("node").unwrap();
    for bytes in [vec![], vec![0, 255, 10, 34], "žluťoučký".into(), vec![b'x'; 200_000]] {
        let _ = client.delete(&node, None).await;
        client.create(&node, bytes.clone(), PERSISTENT, FILE).await.unwrap();
        assert_eq!(data(client, &node).await, Some(bytes));
    }
    let too_much = client.set(&node, vec![0; coordinator::DATA_BYTES_MAX + 1], None).await;
    assert!(matches!(too_much, Err(CoordinatorError::TooLarge { .. })), "{too_much:?}");
}

async fn a_change_of_an_older_version_is_refused(client: &dyn Coordinator) {
    let node = stage(client, "versions").await.child("node").unwrap();
    client.create(&node, "0", PERSISTENT, FILE).await.unwrap();
    client.set(&node, "1", Some(Version(0))).await.unwrap();
    let stale = Err(CoordinatorError::StaleVersion { path: node.clone() });
    assert_eq!(client.set(&node, "x", Some(Version(0))).await, stale);
    assert_eq!(client.set(&node, "x", Some(Version(2))).await, stale);
    assert_eq!(client.delete(&node, Some(Version(0))).await, stale);
    let check = [Change::Check { path: node.clone(), version: Version(0) }];
    assert_eq!(client.multi(&check).await.map(|_| ()), stale);
    assert_eq!(data(client, &node).await, Some(b"1".to_vec()));
    let check = [Change::Check { path: node.clone(), version: Version(1) }];
    assert_eq!(client.multi(&check).await, Ok(vec![node.clone()]));
    client.delete(&node, Some(Version(1))).await.unwrap();
}

async fn children_are_listed_by_name(client: &dyn Coordinator) {
    let stage = stage(client, "lists").await;
    let node = stage.child("node").unwrap();
    assert_eq!(client.list(&node).await.unwrap(), None);
    client.create(&node, "", PERSISTENT, DIRECTORY).await.unwrap();
    assert_eq!(client.list(&node).await.unwrap(), Some(vec![]));
    // Neighbours in the order of bytes that are no children: `-` and `0` enclose `/`.
    for name in ["node-x", "node0", "nod"] {
        client.create(&stage.child(name).unwrap(), "", PERSISTENT, FILE).await.unwrap();
    }
    for name in ["b", "a", "slot_10", "slot_9"] {
        let child = node.child(name).unwrap();
        client.create(&child, "", PERSISTENT, DIRECTORY).await.unwrap();
        client.create(&child.child("deeper").unwrap(), "", PERSISTENT, FILE).await.unwrap();
    }
    let names = client.list(&node).await.unwrap().unwrap();
    assert_eq!(names, ["a", "b", "slot_10", "slot_9"]);
    let top = client.list(&NodePath::root()).await.unwrap().unwrap();
    assert!(top.contains(&"stage".to_owned()), "{top:?}");
}

async fn numbered_children_have_growing_names(client: &dyn Coordinator) {
    let stage = stage(client, "numbers").await;
    let mut numbers = Vec::new();
    for prefix in ["", "lock-", "", "lock-"] {
        let node = client.create_sequential(&stage, prefix, "x", PERSISTENT, FILE).await.unwrap();
        assert_eq!(node.parent(), Some(stage.clone()));
        let number = node.name().strip_prefix(prefix).unwrap();
        assert_eq!(number.len(), 10, "{node}");
        numbers.push(number.parse::<u64>().unwrap());
        assert_eq!(data(client, &node).await, Some(b"x".to_vec()));
        // As Codis does it: the node is deleted and created again without being numbered.
        client.delete(&node, None).await.unwrap();
        client.create(&node, "", PERSISTENT, DIRECTORY).await.unwrap();
    }
    assert!(numbers.is_sorted_by(|earlier, later| earlier < later), "{numbers:?}");
    let nowhere = stage.child("nowhere").unwrap();
    let orphan = client.create_sequential(&nowhere, "", "", PERSISTENT, FILE).await;
    assert_eq!(orphan, Err(CoordinatorError::NoNode { path: nowhere }));
}

async fn several_changes_are_made_together_or_not_at_all(client: &dyn Coordinator) {
    let stage = stage(client, "together").await;
    let [one, two, new] = ["one", "two", "new"].map(|name| stage.child(name).unwrap());
    client.create(&one, "1", PERSISTENT, FILE).await.unwrap();
    client.create(&two, "2", PERSISTENT, FILE).await.unwrap();
    let set = |path: &NodePath, version| Change::Set {
        path: path.clone(),
        data: b"set".to_vec(),
        version: Some(Version(version)),
    };
    let create = Change::Create {
        path: new.clone(),
        data: b"new".to_vec(),
        lifetime: PERSISTENT,
        access: FILE,
    };
    let delete = Change::Delete { path: two.clone(), version: None };

    let wrong = [create.clone(), set(&one, 0), delete.clone(), set(&two, 7)];
    let failed = client.multi(&wrong).await;
    assert_eq!(failed, Err(CoordinatorError::NoNode { path: two.clone() }));
    let wrong = [create.clone(), set(&one, 7), delete.clone()];
    let failed = client.multi(&wrong).await;
    assert_eq!(failed, Err(CoordinatorError::StaleVersion { path: one.clone() }));
    assert_eq!(data(client, &one).await, Some(b"1".to_vec()));
    assert_eq!(data(client, &two).await, Some(b"2".to_vec()));
    assert_eq!(data(client, &new).await, None);

    let right = [create, set(&one, 0), delete];
    let paths = client.multi(&right).await.unwrap();
    assert_eq!(paths, [new.clone(), one.clone(), two.clone()]);
    assert_eq!(data(client, &one).await, Some(b"set".to_vec()));
    assert_eq!(data(client, &two).await, None);
    assert_eq!(data(client, &new).await, Some(b"new".to_vec()));
    assert_eq!(client.multi(&[]).await, Ok(vec![]));
}

async fn later_changes_see_the_earlier_ones(client: &dyn Coordinator) {
    let stage = stage(client, "sequence").await;
    let above = stage.child("above").unwrap();
    let below = above.child("below").unwrap();
    let create = |path: &NodePath| Change::Create {
        path: path.clone(),
        data: vec![],
        lifetime: PERSISTENT,
        access: DIRECTORY,
    };
    let delete = |path: &NodePath| Change::Delete { path: path.clone(), version: None };
    let numbered = Change::CreateSequential {
        parent: stage.clone(),
        prefix: "n-".to_owned(),
        data: vec![],
        lifetime: PERSISTENT,
        access: FILE,
    };
    let created = [create(&above), create(&below), numbered.clone(), numbered];
    let paths = client.multi(&created).await.unwrap();
    assert_eq!(paths.get(..2), Some(&[above.clone(), below.clone()][..]));
    let names: Vec<_> = paths.iter().skip(2).map(NodePath::name).collect();
    assert!(names.is_sorted_by(|earlier, later| earlier < later), "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("n-")), "{names:?}");
    assert_eq!(client.list(&above).await.unwrap(), Some(vec!["below".to_owned()]));

    let wrong_order = client.multi(&[delete(&above), delete(&below)]).await;
    assert_eq!(wrong_order, Err(CoordinatorError::NotEmpty { path: above.clone() }));
    client.multi(&[delete(&below), delete(&above)]).await.unwrap();
    assert_eq!(client.list(&above).await.unwrap(), None);
}

async fn directories_are_created_with_all_above(client: &dyn Coordinator) {
    let deep = stage(client, "deep").await.child("a").unwrap().child("b").unwrap();
    client.create_directory(&deep).await.unwrap();
    client.set(&deep, "kept", None).await.unwrap();
    client.create_directory(&deep).await.unwrap();
    assert_eq!(data(client, &deep).await, Some(b"kept".to_vec()));
    client.create_directory(&NodePath::root()).await.unwrap();
}

async fn a_watch_fires_with_creation_change_and_deletion(client: &dyn Coordinator) {
    let node = stage(client, "watched").await.child("node").unwrap();
    let (read, watch) = client.watch(&node).await.unwrap();
    assert_eq!(read, None);
    client.create(&node, "1", PERSISTENT, DIRECTORY).await.unwrap();
    soon("creation", watch.changed()).await.unwrap();

    let (read, watch) = client.watch(&node).await.unwrap();
    assert_eq!(read.unwrap().data, b"1");
    // Also when it is set to what it is.
    client.set(&node, "1", None).await.unwrap();
    soon("change", watch.changed()).await.unwrap();

    let (_, watch) = client.watch(&node).await.unwrap();
    let child = node.child("child").unwrap();
    client.create(&child, "", PERSISTENT, FILE).await.unwrap();
    client.delete(&child, None).await.unwrap();
    let mut changed = Box::pin(watch.changed());
    let fired = timeout(Duration::ZERO, &mut changed).await;
    assert!(fired.is_err(), "children are not data");
    client.delete(&node, None).await.unwrap();
    soon("deletion", changed).await.unwrap();
}

async fn a_watch_of_children_fires_when_they_come_and_go(client: &dyn Coordinator) {
    let stage = stage(client, "watched-children").await;
    let node = stage.child("node").unwrap();
    let child = node.child("child").unwrap();
    let (names, watch) = client.watch_children(&node).await.unwrap();
    assert_eq!(names, None);
    client.create(&node, "", PERSISTENT, DIRECTORY).await.unwrap();
    soon("creation of the node", watch.changed()).await.unwrap();

    let (names, watch) = client.watch_children(&node).await.unwrap();
    assert_eq!(names, Some(vec![]));
    client.create(&child, "", PERSISTENT, DIRECTORY).await.unwrap();
    soon("a child that comes", watch.changed()).await.unwrap();

    let (names, watch) = client.watch_children(&node).await.unwrap();
    assert_eq!(names, Some(vec!["child".to_owned()]));
    client.set(&child, "data", None).await.unwrap();
    client.create(&stage.child("node-x").unwrap(), "", PERSISTENT, FILE).await.unwrap();
    let mut changed = Box::pin(watch.changed());
    let fired = timeout(Duration::ZERO, &mut changed).await;
    assert!(fired.is_err(), "data of a child, and neighbours");
    client.delete(&child, None).await.unwrap();
    soon("a child that goes", changed).await.unwrap();

    let (names, watch) = client.watch_children(&node).await.unwrap();
    assert_eq!(names, Some(vec![]));
    client.delete(&node, None).await.unwrap();
    soon("deletion of the node", watch.changed()).await.unwrap();
}

async fn a_session_owns_its_nodes(client: &dyn Coordinator, world: &impl World) {
    let stage = stage(client, "owned").await;
    let [node, other] = ["node", "other"].map(|name| stage.child(name).unwrap());
    let owner = world.connect(CALM).await;
    // With the right to have children: it is the lifetime that forbids them.
    owner.create(&node, "1", SESSION, DIRECTORY).await.unwrap();
    let numbered = owner.create_sequential(&stage, "n-", "", SESSION, FILE).await.unwrap();
    client.create(&other, "1", SESSION, FILE).await.unwrap();
    let stat = owner.read(&node).await.unwrap().unwrap().stat;
    assert_eq!((stat.lifetime, stat.is_ours), (SESSION, true));
    let stat = client.read(&node).await.unwrap().unwrap().stat;
    assert_eq!((stat.lifetime, stat.is_ours), (SESSION, false));

    let below = node.child("below").unwrap();
    let refused = owner.create(&below, "", PERSISTENT, FILE).await;
    assert_eq!(refused, Err(CoordinatorError::NoChildren { path: node.clone() }));

    // Codis' dashboard writes the nodes of its proxies; they remain the proxies'.
    client.set(&node, "2", Some(Version(0))).await.unwrap();
    let stat = owner.read(&node).await.unwrap().unwrap().stat;
    assert_eq!((stat.lifetime, stat.is_ours, stat.version), (SESSION, true, Version(1)));

    let (_, watch) = client.watch(&node).await.unwrap();
    let (_, watch_children) = client.watch_children(&stage).await.unwrap();
    owner.close().await.unwrap();
    soon("the node goes with its session", watch.changed()).await.unwrap();
    soon("and its parent knows", watch_children.changed()).await.unwrap();
    soon("all of them", gone(client, &node)).await;
    soon("all of them", gone(client, &numbered)).await;
    assert_eq!(data(client, &other).await, Some(b"1".to_vec()));

    // Dropping is closing, only that nobody waits for it.
    let owner = world.connect(CALM).await;
    owner.create(&node, "3", SESSION, FILE).await.unwrap();
    drop(owner);
    soon("the node goes with a session that is dropped", gone(client, &node)).await;
}

/// Waits until a node is gone.
pub(super) async fn gone(client: &dyn Coordinator, path: &NodePath) {
    while let (Some(_), watch) = client.watch(path).await.unwrap() {
        watch.changed().await.unwrap();
    }
}

async fn nobody_misses_the_last_change(world: &impl World) {
    const CHANGES: usize = 200;
    let (reader, writer) = (world.connect(CALM).await, world.connect(CALM).await);
    let node = stage(writer.as_ref(), "last-change").await.child("node").unwrap();
    let done = Arc::new(tokio::sync::Notify::new());
    let seen = Arc::clone(&done);
    let mut last = 0;
    let apply = |read: Result<Option<coordinator::Node>, CoordinatorError>| {
        let Some(node) = read.unwrap() else {
            return;
        };
        let number: usize = String::from_utf8(node.data).unwrap().parse().unwrap();
        assert!(number >= last, "{number} after {last}");
        last = number;
        if number == CHANGES {
            seen.notify_one();
        }
    };
    let write = async {
        writer.create(&node, "0", PERSISTENT, FILE).await.unwrap();
        for number in 1..=CHANGES {
            writer.set(&node, number.to_string(), None).await.unwrap();
        }
        done.notified().await;
    };
    let follow = follow(reader.as_ref(), &node, apply);
    let both = async {
        tokio::select! {
            error = follow => panic!("{error}"),
            () = write => {}
        }
    };
    soon("the last change", both).await;
}

async fn nobody_misses_the_last_child(world: &impl World) {
    const CHILDREN: usize = 60;
    let (reader, writer) = (world.connect(CALM).await, world.connect(CALM).await);
    let node = stage(writer.as_ref(), "last-child").await;
    let done = Arc::new(tokio::sync::Notify::new());
    let seen = Arc::clone(&done);
    let apply = |names: Result<Option<Vec<String>>, CoordinatorError>| {
        if names.unwrap().is_some_and(|names| names.len() == CHILDREN) {
            seen.notify_one();
        }
    };
    let write = async {
        for _ in 0..CHILDREN {
            writer.create_sequential(&node, "", "", PERSISTENT, FILE).await.unwrap();
        }
        done.notified().await;
    };
    let follow = follow_children(reader.as_ref(), &node, apply);
    let both = async {
        tokio::select! {
            error = follow => panic!("{error}"),
            () = write => {}
        }
    };
    soon("the last child", both).await;
}

async fn two_who_change_the_same_version_do_not_both_succeed(world: &impl World) {
    const EACH: usize = 30;
    let (one, two) = (world.connect(CALM).await, world.connect(CALM).await);
    let node = stage(one.as_ref(), "race").await.child("node").unwrap();
    one.create(&node, "0", PERSISTENT, FILE).await.unwrap();
    let count = async |client: &dyn Coordinator| {
        for _ in 0..EACH {
            loop {
                let read = client.read(&node).await.unwrap().unwrap();
                let number: usize = String::from_utf8(read.data).unwrap().parse().unwrap();
                let next = (number + 1).to_string();
                match client.set(&node, next, Some(read.stat.version)).await {
                    Ok(()) => break,
                    Err(CoordinatorError::StaleVersion { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    soon("counting", async { tokio::join!(count(one.as_ref()), count(two.as_ref())) }).await;
    let total = (2 * EACH).to_string().into_bytes();
    assert_eq!(data(one.as_ref(), &node).await, Some(total));
}
