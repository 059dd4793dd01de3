//! Sentinels that replace primaries: the proxy follows them by itself.
//!
//! Two groups of a primary and a replica, three sentinels that watch both groups, and a proxy that
//! is filled, started and told of the sentinels as a dashboard does it.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::wait::{DEADLINE, Deadline};
use integration::{AdminClient, KeywayProxy, RedisServer, Sentinel, wait_until};
use serde_json::{Value, json};

const NAMES: [&str; 2] = ["codis-demo-1", "codis-demo-2"];

/// From the death of a primary until the proxy has the new one. Sentinels need two to four seconds
/// here, and again so long when they did not agree on who leads the failover.
const SWITCH_DEADLINE: Duration = Duration::from_secs(25);

/// What the proxy may complain about when a primary dies.
const COMPLAINTS: [&str; 6] = [
    "backend is down",
    "backend connection lost",
    "backend connection given up",
    "sentinel cannot be heard",
    "no majority of the sentinels can be heard",
    "no majority of the sentinels answers",
];

/// From the moment when the proxy hears of a new primary until a request to the hung old one has
/// its error: a second of patience, and what a busy machine takes.
const CUT_OFF_DEADLINE: Duration = Duration::from_secs(4);

/// The whole cast.
struct Cast {
    proxy: KeywayProxy,
    admin: AdminClient,
    sentinels: Vec<Sentinel>,
    primaries: [RedisServer; 2],
    replicas: [RedisServer; 2],
}

impl Cast {
    fn start() -> Self {
        let primaries = [RedisServer::start(), RedisServer::start()];
        let replicas =
            [0, 1].map(|group| RedisServer::options().replica_of(&primaries[group]).start());
        let watched = [(NAMES[0], &primaries[0]), (NAMES[1], &primaries[1])];
        let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(&watched, 2)).collect();
        for sentinel in &sentinels {
            NAMES.iter().for_each(|name| sentinel.wait_knows(name, 1, 2));
        }
        let options = COMPLAINTS
            .iter()
            .fold(KeywayProxy::options(), |options, complaint| options.allow_log(complaint));
        let proxy = options.config("session_recv_timeout = \"2m\"").start();
        let mut cast = Self { admin: proxy.admin(), proxy, sentinels, primaries, replicas };
        let primaries = [cast.primaries[0].addr(), cast.primaries[1].addr()];
        cast.fill(primaries);
        cast.admin.put("/api/proxy/start/{x}").expect_ok();
        cast.watch(&cast.sentinel_addrs());
        cast.wait_primaries(primaries);
        cast
    }

    fn fill(&mut self, primaries: [SocketAddr; 2]) {
        let slots: Value = (0..1024)
            .map(|id| {
                let group = id / 512;
                json!({"id": id, "backend_addr": primaries[group].to_string(),
                    "backend_addr_group_id": group + 1, "forward_method": 1})
            })
            .collect();
        self.admin.fill(&slots).expect_ok();
    }

    fn sentinel_addrs(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect()
    }

    fn watch(&mut self, servers: &[String]) {
        let body = json!({"servers": servers, "out_of_sync": true}).to_string();
        self.admin.put_body("/api/proxy/sentinels/{x}", body.as_bytes()).expect_ok();
    }

    fn stats(&mut self) -> Value {
        self.admin.stats()["sentinels"].clone()
    }

    /// Waits until the stats name these primaries.
    fn wait_primaries(&mut self, primaries: [SocketAddr; 2]) {
        let [one, two] = primaries.map(|addr| addr.to_string());
        let wanted = json!({"1": one, "2": two});
        wait_until("the primaries in the stats", SWITCH_DEADLINE, || match self.stats() {
            stats if stats["masters"] == wanted => Ok(()),
            stats => Err(stats),
        });
    }

    /// Waits until all slots are on these primaries.
    fn wait_slots(&mut self, primaries: [SocketAddr; 2]) {
        let [one, two] = primaries.map(|addr| addr.to_string());
        let wanted = json!([one, one, two, two]);
        wait_until("the primaries of the slots", SWITCH_DEADLINE, || {
            let slots = self.admin.slots();
            let seen = json!([0, 511, 512, 1023].map(|slot| &slots[slot]["backend_addr"]));
            if seen == wanted { Ok(()) } else { Err(seen) }
        });
    }

    /// Both groups take writes.
    fn check_writes(&self) {
        for group in Group::BOTH {
            let command = ["SET", &group.key("written"), "value"];
            assert_eq!(self.proxy.client().text(&command), "+OK\r\n");
        }
    }

    fn primary_addrs(&self) -> [SocketAddr; 2] {
        [self.primaries[0].addr(), self.primaries[1].addr()]
    }
}

#[test]
fn slots_follow_when_a_primary_dies() {
    let mut cast = Cast::start();
    let [_, two] = cast.primary_addrs();
    assert_eq!(cast.stats().get("switched"), None);
    cast.primaries[0].kill();
    let promoted = [cast.replicas[0].addr(), two];
    cast.wait_slots(promoted);
    cast.check_writes();
    cast.wait_primaries(promoted);
    let stats = cast.stats();
    assert_eq!(stats["switched"], true);
    assert_eq!(stats["servers"], json!(cast.sentinel_addrs()));
    let slot = &cast.admin.slots()[5];
    assert_eq!((&slot["backend_addr_group_id"], &slot["forward_method"]), (&json!(1), &json!(1)));

    // Whoever fills the slots now has seen the new primary.
    cast.fill(promoted);
    assert_eq!(cast.stats().get("switched"), None);
    cast.check_writes();
}

#[test]
fn slots_follow_when_a_failover_is_ordered() {
    let mut cast = Cast::start();
    let [one, _] = cast.primary_addrs();
    let ordered = cast.sentinels[1].client().text(&["SENTINEL", "FAILOVER", NAMES[1]]);
    assert_eq!(ordered, "+OK\r\n");
    cast.wait_slots([one, cast.replicas[1].addr()]);
    cast.check_writes();
    assert_eq!(cast.stats()["switched"], true);
}

#[test]
fn a_hung_primary_does_not_delay_the_switch() {
    let mut cast = Cast::start();
    let [_, two] = cast.primary_addrs();
    let mut client = cast.proxy.client().with_deadline(SWITCH_DEADLINE);
    assert_eq!(client.text(&["SET", &Group::One.key("a"), "1"]), "+OK\r\n");
    cast.primaries[0].freeze();
    client.send(encode(&["SET", &Group::One.key("a"), "2"]));
    cast.proxy.wait_logged_within("sentinels replaced a primary", SWITCH_DEADLINE);
    let cut_off = Deadline::after(CUT_OFF_DEADLINE);
    // The request went to the hung primary: nobody knows whether it was executed.
    let reply = String::from_utf8_lossy(&client.read_reply()).into_owned();
    assert!(reply.starts_with("-ERR") && reply.contains("may have been executed"), "{reply}");
    assert_eq!(client.text(&["SET", &Group::One.key("a"), "3"]), "+OK\r\n");
    assert!(cut_off.remaining().is_some(), "after {:?}", cut_off.elapsed());
    cast.wait_slots([cast.replicas[0].addr(), two]);
}

/// Goal: an order to fill slots, which waits for a hung primary, does not delay the switch. Method:
/// the order is given when the primary hangs, before the sentinels know.
#[test]
fn an_order_that_waits_for_the_hung_primary_does_not_delay_the_switch() {
    let mut cast = Cast::start();
    let [one, two] = cast.primary_addrs();
    let key = Group::One.key("a");
    let mut client = cast.proxy.client().with_deadline(SWITCH_DEADLINE);
    assert_eq!(client.text(&["SET", &key, "1"]), "+OK\r\n");
    cast.primaries[0].freeze();
    client.send(encode(&["SET", &key, "2"]));
    wait_until("the request is at the hung primary", DEADLINE, || {
        match cast.admin.stats()["ops"]["total"].as_u64() {
            Some(2) => Ok(()),
            total => Err(total),
        }
    });
    let slots: Value = (0..512)
        .map(|id| json!({"id": id, "backend_addr": one.to_string(), "backend_addr_group_id": 1}))
        .collect();
    let mut order = cast.proxy.admin();
    order.begin("PUT", "/api/proxy/fillslots/{x}", &[], slots.to_string().as_bytes());
    cast.wait_slots([cast.replicas[0].addr(), two]);
    order.finish(false).expect("an answer").expect_ok();
    let reply = String::from_utf8_lossy(&client.read_reply()).into_owned();
    assert!(reply.contains("may have been executed"), "{reply}");
    assert_eq!(client.text(&["SET", &key, "3"]), "+OK\r\n");
}

/// The promoted replica goes on to serve reads, now as the primary, and the old primary comes back
/// without harm.
#[test]
fn reads_of_replicas_go_on_through_a_switch() {
    let mut cast = Cast::start();
    let [one, two] = cast.primary_addrs();
    let replica = cast.replicas[0].addr();
    let slots: Value = (0..512)
        .map(|id| {
            json!({"id": id, "backend_addr": one.to_string(), "backend_addr_group_id": 1,
                "replica_groups": [[replica.to_string()]]})
        })
        .collect();
    cast.admin.fill(&slots).expect_ok();
    let key = Group::One.key("a");
    let mut client = cast.proxy.client().with_deadline(SWITCH_DEADLINE);
    assert_eq!(client.text(&["SET", &key, "1"]), "+OK\r\n");
    let replicated = || match cast.replicas[0].client().text(&["GET", &key]) {
        reply if reply == "$1\r\n1\r\n" => Ok(()),
        reply => Err(reply),
    };
    wait_until("the key is on the replica", DEADLINE, replicated);
    cast.primaries[0].freeze();
    wait_until("the slots are switched", SWITCH_DEADLINE, || {
        // A server that is promoted closes its connections, so that for a moment reads go to the
        // primary, which hangs. They get an error then, never a wrong value.
        let reply = client.text(&["GET", &key]);
        assert!(reply == "$1\r\n1\r\n" || reply.contains("may have been executed"), "{reply}");
        match cast.admin.slots()[0].clone() {
            slot if slot["backend_addr"] == replica.to_string() => Ok(()),
            slot => Err(slot),
        }
    });
    assert_eq!(cast.admin.slots()[0]["replica_groups"], json!([[replica.to_string()]]));
    assert_eq!(client.text(&["GET", &key]), "$1\r\n1\r\n");
    assert_eq!(client.text(&["SET", &key, "2"]), "+OK\r\n");
    cast.primaries[0].thaw();
    // The sentinels make it a replica of the new primary.
    wait_until("the old primary is a replica", SWITCH_DEADLINE, || {
        match cast.primaries[0].info("replication", "role") {
            Some(role) if role == "slave" => Ok(()),
            role => Err(role),
        }
    });
    assert_eq!(client.text(&["GET", &key]), "$1\r\n2\r\n");
    cast.wait_slots([replica, two]);
}

#[test]
fn the_same_sentinels_again_change_nothing() {
    let mut cast = Cast::start();
    let before = cast.stats();
    cast.watch(&cast.sentinel_addrs());
    assert_eq!(cast.stats(), before);
    // A rewatch forgets what was said, and hears it again.
    cast.admin.put("/api/proxy/sentinels/{x}/rewatch").expect_ok();
    cast.wait_primaries(cast.primary_addrs());
    assert_eq!(cast.stats(), before);
    // The first order and the rewatch are all that began a watch.
    cast.proxy.terminate();
    let lines = cast.proxy.log().lines();
    let watches = lines.iter().filter(|line| line.field("msg") == Some("sentinels to watch"));
    assert_eq!(watches.count(), 2);
}

/// Goal: a primary under another name is left alone. Method: one group has such a name, and the
/// other one's failover shows that the proxy has listened.
#[test]
fn another_name_of_the_same_primary_is_no_switch() {
    let mut cast = Cast::start();
    let name = format!("localhost:{}", cast.primaries[0].addr().port());
    let slot = json!([{"id": 7, "backend_addr": name, "backend_addr_group_id": 1}]);
    cast.admin.fill(&slot).expect_ok();
    let ordered = cast.sentinels[0].client().text(&["SENTINEL", "FAILOVER", NAMES[1]]);
    assert_eq!(ordered, "+OK\r\n");
    cast.wait_slots([cast.primaries[0].addr(), cast.replicas[1].addr()]);
    assert_eq!(cast.admin.slots()[7]["backend_addr"], name);
}

#[test]
fn an_empty_list_ends_the_watch() {
    let mut cast = Cast::start();
    let primaries = cast.primary_addrs();
    cast.admin.put_body("/api/proxy/sentinels/{x}", br#"{"out_of_sync":false}"#).expect_ok();
    assert_eq!(cast.stats(), json!({}));
    cast.primaries[0].kill();
    wait_promoted(&cast.sentinels[0], &cast.replicas[0]);
    // Nobody tells the proxy.
    cast.wait_slots(primaries);
    assert_eq!(cast.stats(), json!({}));

    // When it hears of the sentinels again, it learns at once what it has missed.
    cast.watch(&cast.sentinel_addrs());
    cast.wait_slots([cast.replicas[0].addr(), primaries[1]]);
    cast.check_writes();
}

#[test]
fn two_of_three_sentinels_are_enough() {
    let mut cast = Cast::start();
    let [_, two] = cast.primary_addrs();
    cast.sentinels[2].kill();
    cast.primaries[0].kill();
    cast.wait_slots([cast.replicas[0].addr(), two]);
    cast.check_writes();
}

#[test]
fn a_hung_sentinel_does_not_hinder_the_others() {
    let mut cast = Cast::start();
    let [_, two] = cast.primary_addrs();
    cast.sentinels[2].freeze();
    cast.primaries[0].kill();
    cast.wait_slots([cast.replicas[0].addr(), two]);
    cast.check_writes();
}

/// Goal: one sentinel's word is not enough. Method: it knows of a failover, the others are dead.
#[test]
fn one_of_three_sentinels_is_not_enough() {
    let mut cast = Cast::start();
    let primaries = cast.primary_addrs();
    cast.watch(&[]);
    cast.primaries[0].kill();
    wait_promoted(&cast.sentinels[0], &cast.replicas[0]);
    cast.sentinels[1].kill();
    cast.sentinels[2].kill();
    cast.watch(&cast.sentinel_addrs());
    cast.proxy.wait_logged("no majority of the sentinels can be heard, trying again");
    cast.wait_slots(primaries);
    assert_eq!(cast.stats(), json!({"servers": cast.sentinel_addrs()}));
}

/// Waits until a sentinel names this server as the primary of the first group.
fn wait_promoted(sentinel: &Sentinel, replica: &RedisServer) {
    let port = replica.addr().port().to_string();
    wait_until("the replica is promoted", SWITCH_DEADLINE + DEADLINE, || {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAMES[0]];
        let answer = sentinel.client().text(&question);
        if answer.contains(&port) { Ok(()) } else { Err(answer) }
    });
}
