//! Reads from replicas.
//!
//! The slots come from a file with `replica_groups`. Which server answered is read from the
//! servers' own command counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use integration::groups::{Group, wait_reply};
use integration::raw_client::encode;
use integration::{DEADLINE, KeywayProxy, RedisServer, TwoGroups, wait_until};

const READS: u64 = 50;

/// Writes a value to each group through the proxy and waits until the replicas have it.
fn write_everywhere(groups: &TwoGroups) {
    for (group, replica) in Group::BOTH.into_iter().zip(&groups.replicas) {
        let key = group.key("key");
        let set = groups.client().text(&["SET", &key, "value"]);
        assert_eq!(set, "+OK\r\n");
        wait_until("the replica has the key", DEADLINE, || {
            match replica.client().text(&["EXISTS", &key]) {
                seen if seen == ":1\r\n" => Ok(()),
                seen => Err(seen),
            }
        });
    }
}

/// Reads through the proxy and returns how many reads each of the two servers has answered.
fn read(groups: &TwoGroups, group: Group, replica: &RedisServer) -> (u64, u64) {
    let before = (groups.primary(group).calls("get"), replica.calls("get"));
    let mut client = groups.client();
    for _ in 0..READS {
        let value = client.text(&["GET", &group.key("key")]);
        assert_eq!(value, "$5\r\nvalue\r\n");
    }
    (groups.primary(group).calls("get") - before.0, replica.calls("get") - before.1)
}

/// Waits until the proxy's reads go to one of the servers alone: connections open in their time.
fn wait_reads(groups: &TwoGroups, group: Group, replica: &RedisServer, expected: (u64, u64)) {
    let what = format!("{expected:?} reads of {group:?} on the primary and the replica");
    wait_until(&what, DEADLINE, || {
        let seen = read(groups, group, replica);
        if seen == expected { Ok(()) } else { Err(seen) }
    });
}

#[test]
fn reads_go_to_the_replica_and_writes_to_the_primary() {
    let groups = TwoGroups::with_replicas(KeywayProxy::options(), &RedisServer::options());
    write_everywhere(&groups);
    for (group, replica) in Group::BOTH.into_iter().zip(&groups.replicas) {
        wait_reads(&groups, group, replica, (0, READS));
        assert_eq!(groups.primary(group).calls("set"), 1);
    }
}

#[test]
fn multi_key_reads_go_to_the_replicas_of_both_groups() {
    let groups = TwoGroups::with_replicas(KeywayProxy::options(), &RedisServer::options());
    write_everywhere(&groups);
    for (group, replica) in Group::BOTH.into_iter().zip(&groups.replicas) {
        wait_reads(&groups, group, replica, (0, READS));
    }
    let keys = Group::BOTH.map(|group| group.key("key"));
    // A worker's first read opens its connections to the replicas; until then primaries serve it.
    wait_until("a read of replicas alone", DEADLINE, || {
        let before = Group::BOTH.map(|group| groups.primary(group).calls("mget"));
        let values = groups.client().text(&["MGET", &keys[0], &keys[1]]);
        assert_eq!(values, "*2\r\n$5\r\nvalue\r\n$5\r\nvalue\r\n");
        let after = Group::BOTH.map(|group| groups.primary(group).calls("mget"));
        if after == before { Ok(()) } else { Err(after) }
    });
    for replica in &groups.replicas {
        assert!(replica.calls("mget") > 0);
    }
}

#[test]
fn primary_only_leaves_the_replicas_alone() {
    let options = KeywayProxy::options().config("backend_primary_only = true");
    let groups = TwoGroups::with_replicas(options, &RedisServer::options());
    write_everywhere(&groups);
    for (group, replica) in Group::BOTH.into_iter().zip(&groups.replicas) {
        assert_eq!(read(&groups, group, replica), (READS, 0), "{group:?}");
    }
}

#[test]
fn a_dead_replica_is_replaced_by_its_primary() {
    let options = KeywayProxy::options()
        .allow_log("\"backend is down\"")
        .allow_log("\"backend connection lost\"");
    let mut groups = TwoGroups::with_replicas(options, &RedisServer::options());
    write_everywhere(&groups);
    wait_reads(&groups, Group::One, &groups.replicas[0], (0, READS));
    groups.replicas[0].kill();
    let key = Group::One.key("key");
    wait_reply(&groups.proxy, &["GET", &key], "$5\r\nvalue\r\n", DEADLINE);
    let before = groups.one.calls("get");
    let mut client = groups.client();
    for _ in 0..READS {
        assert_eq!(client.text(&["GET", &key]), "$5\r\nvalue\r\n");
    }
    assert_eq!(groups.one.calls("get") - before, READS);
}

#[test]
fn a_replica_that_dies_under_load_costs_no_read() {
    // Goal: reads that a dying replica has taken are read from the primary instead. Method: the
    // replica is killed between the pipelines of clients that never stop reading.
    let options = KeywayProxy::options()
        .allow_log("\"backend is down\"")
        .allow_log("\"backend connection lost\"");
    let mut groups = TwoGroups::with_replicas(options, &RedisServer::options());
    write_everywhere(&groups);
    wait_reads(&groups, Group::One, &groups.replicas[0], (0, READS));
    let get = encode(&["GET", &Group::One.key("key")]);
    let is_over = AtomicBool::new(false);
    let pipelines = AtomicU64::new(0);
    let wait_pipelines = |more: u64| {
        let wanted = pipelines.load(Ordering::Relaxed) + more;
        wait_until("pipelines of reads", DEADLINE, || {
            let seen = pipelines.load(Ordering::Relaxed);
            if seen >= wanted { Ok(()) } else { Err(seen) }
        });
    };
    let clients: Vec<_> = (0..8).map(|_| groups.client()).collect();
    std::thread::scope(|scope| {
        for mut client in clients {
            let (get, is_over, pipelines) = (&get, &is_over, &pipelines);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    client.send(get.repeat(100));
                    let values = client.read_replies(100);
                    assert!(values == b"$5\r\nvalue\r\n".repeat(100), "{}", values.escape_ascii());
                    pipelines.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_pipelines(50);
        groups.replicas[0].kill();
        wait_pipelines(50);
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_replica_without_its_primary_is_skipped_until_it_is_in_sync_again() {
    // Goal: `-MASTERDOWN` of a replica sends reads to the primary, and the replica is used again
    // once it is well. Method: the replica is told to follow a port where nobody listens.
    let replica = RedisServer::options().option("replica-serve-stale-data", "no");
    let options = KeywayProxy::options().config("backend_ping_period = \"1s\"");
    let groups = TwoGroups::with_replicas(options, &replica);
    write_everywhere(&groups);
    let replica = &groups.replicas[0];
    wait_reads(&groups, Group::One, replica, (0, READS));
    replica.client().command(&["REPLICAOF", "127.0.0.1", "1"]);
    let stale = replica.client().text(&["GET", "key"]);
    assert!(stale.starts_with("-MASTERDOWN"), "{stale}");
    let key = Group::One.key("key");
    wait_reply(&groups.proxy, &["GET", &key], "$5\r\nvalue\r\n", DEADLINE);
    wait_reads(&groups, Group::One, replica, (READS, 0));
    let port = groups.one.addr().port().to_string();
    replica.client().command(&["REPLICAOF", "127.0.0.1", &port]);
    wait_reads(&groups, Group::One, replica, (0, READS));
}

#[test]
fn a_loading_replica_is_skipped_until_it_has_loaded() {
    // Goal: `-LOADING` of a replica sends reads to the primary. Method: the replica syncs anew and
    // loads slowly, with a delay for each key and short turns for its clients in between.
    let options = KeywayProxy::options().config("backend_ping_period = \"1s\"");
    let replica = RedisServer::options().option("loading-process-events-interval-bytes", "1024");
    let groups = TwoGroups::with_replicas(options, &replica);
    write_everywhere(&groups);
    let replica = &groups.replicas[0];
    wait_reads(&groups, Group::One, replica, (0, READS));
    let mut filler = groups.one.client();
    for number in 0..5000 {
        filler.command(&["SET", &format!("filler:{number}"), &"x".repeat(100)]);
    }
    let mut control = replica.client();
    control.command(&["CONFIG", "SET", "key-load-delay", "2000"]);
    control.command(&["REPLICAOF", "NO", "ONE"]);
    let port = groups.one.addr().port().to_string();
    control.command(&["REPLICAOF", "127.0.0.1", &port]);
    wait_until("the replica loads", DEADLINE, || match replica.client().text(&["GET", "key"]) {
        reply if reply.starts_with("-LOADING") => Ok(()),
        reply => Err(reply),
    });
    let key = Group::One.key("key");
    wait_reply(&groups.proxy, &["GET", &key], "$5\r\nvalue\r\n", DEADLINE);
    assert_eq!(read(&groups, Group::One, replica), (READS, 0));
    let is_loading = replica.info("persistence", "loading");
    assert_eq!(is_loading.as_deref(), Some("1"), "it loaded too fast");
    control.command(&["CONFIG", "SET", "key-load-delay", "0"]);
    wait_reads(&groups, Group::One, replica, (0, READS));
}
