//! Servers keep their data and sessions as told; the client sees what is there.

use std::time::Duration;

use super::*;
use crate::wait::DEADLINE;

#[test]
fn a_killed_server_comes_back_with_its_data_and_its_sessions() {
    let mut server = ZooKeeper::start();
    let client = server.client();
    client.create_directory("/zk/test");
    client.create("/zk/test/owned", "1", Lifetime::Session, Access::File);
    server.restart();
    assert_eq!(server.mode().as_deref(), Some("standalone"));
    let node = client.get("/zk/test/owned").expect("the session goes on");
    assert_eq!((node.data.as_str(), node.stat.owner), ("1", Some(client.session())));
    let other = server.client();
    drop(client);
    other.wait_gone("/zk/test/owned", DEADLINE);
}

#[test]
fn a_frozen_server_is_silent_until_it_is_thawed() {
    let mut server = ZooKeeper::start();
    server.freeze();
    assert!(server.ask("ruok").is_err());
    server.thaw();
    assert_eq!(server.ask("ruok").expect("it goes on"), "imok");
}

#[test]
fn nodes_are_written_read_and_deleted_with_their_access_lists() {
    let server = ZooKeeper::start();
    let client = server.client();
    client.create_directory("/a/b");
    let first = client.create("/a/b/", "one", Lifetime::Sequential, Access::File);
    client.delete(&first);
    let second = client.create("/a/b/", "two", Lifetime::Sequential, Access::Directory);
    assert_eq!((first.as_str(), second.as_str()), ("/a/b/0000000000", "/a/b/0000000001"));
    assert_eq!(client.access("/a/b"), "31 world:anyone");
    client.put("/a/file", "x");
    client.put("/a/file", "y");
    assert_eq!(client.access("/a/file"), "19 world:anyone");
    assert_eq!((client.data("/a/file").as_str(), client.data(&second).as_str()), ("y", "two"));
    assert_eq!(client.stat("/a/file").map(|stat| (stat.owner, stat.version)), Some((None, 1)));
    assert_eq!(client.children("/a"), ["b", "file"]);
    let twice = client.try_create("/a", "", Lifetime::Persistent, Access::File);
    assert_eq!(twice, Err(zookeeper_client::Error::NodeExists));
    client.delete_directory("/a/b");
    assert!(!client.exists("/a/b") && client.get("/a/b").is_none());
    assert!(client.children("/a/b").is_empty());
}

#[test]
fn an_ensemble_goes_on_without_its_leader_and_takes_it_back() {
    let mut ensemble = Ensemble::start();
    let client = ensemble.client();
    client.create_directory("/kept");
    let killed = ensemble.kill_leader();
    assert_ne!(ensemble.leader(), killed);
    client.put("/kept/since", "the election");
    ensemble.restart(killed);
    let third = ensemble.members()[killed].client();
    let found = third.wait_node("/kept/since", Duration::from_secs(5));
    assert_eq!(found.data, "the election");
}
