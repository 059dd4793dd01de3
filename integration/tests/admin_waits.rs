//! A change of slots waits for the requests of its slots, within a limit; nothing else waits for it.

use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::wait::{DEADLINE, Deadline};
use integration::{KeywayProxy, TwoGroups, wait_until};
use routing::slot_of;
use serde_json::json;

/// A dashboard gives a proxy a second; nothing of what happens elsewhere may take from that.
const STATS_DEADLINE: Duration = Duration::from_millis(100);

#[test]
fn stats_do_not_wait_for_a_change_of_slots_that_waits_for_a_backend() {
    // Goal: a frozen backend and a change of its slots never make a proxy look dead.
    // Method: freeze a backend with a request in flight, order the change, ask for stats once.
    let mut groups = TwoGroups::start();
    let key = Group::One.key("key");
    let slot = slot_of(key.as_bytes()).number();
    groups.one.client().command(&["SET", &key, "old"]);
    groups.two.client().command(&["SET", &key, "new"]);
    let mut client = groups.client();
    assert_eq!(client.text(&["GET", &key]), "$3\r\nold\r\n");
    let (mut admin, mut other) = (groups.proxy.admin(), groups.proxy.admin());

    groups.one.freeze();
    client.send(encode(&["GET", &key]));
    wait_until("the request is in flight", DEADLINE, || match &other.stats()["ops"]["total"] {
        total if *total == 2 => Ok(()),
        total => Err(total.clone()),
    });
    let slots = json!([{"id": slot, "backend_addr": groups.two.addr().to_string()}]);
    let path = "/api/proxy/fillslots/{x}";
    admin.begin("PUT", path, &[], slots.to_string().as_bytes());
    wait_until("the order has arrived", DEADLINE, || {
        groups.proxy.log().field_of("admin order", "order").ok_or("no such line")
    });
    let clock = Deadline::after(DEADLINE);
    let stats = other.stats();
    let taken = clock.elapsed();
    assert!(taken < STATS_DEADLINE, "stats took {taken:?}");
    assert_eq!(stats["online"], true);
    for path in ["/api/proxy/xping/{x}", "/proxy/model", "/proxy", "/proxy/slots"] {
        let clock = Deadline::after(DEADLINE);
        assert_eq!(other.get(path).status, 200, "{path}");
        assert!(clock.elapsed() < Duration::from_secs(1), "{path} took {:?}", clock.elapsed());
    }
    // Not in place before the request in flight is answered.
    assert_eq!(other.slots()[usize::from(slot)]["backend_addr_group_id"], 1);

    groups.one.thaw();
    admin.finish(false).expect("a reply").expect_ok();
    assert_eq!(client.read_reply(), b"$3\r\nold\r\n");
    assert_eq!(client.text(&["GET", &key]), "$3\r\nnew\r\n");
}

#[test]
fn a_change_of_slots_is_given_up_at_its_deadline() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .config("fill_timeout = \"300ms\"")
            .allow_log("fill_timeout")
            .allow_log("slots not filled"),
    );
    let key = Group::One.key("key");
    let slot = slot_of(key.as_bytes()).number();
    groups.one.client().command(&["SET", &key, "old"]);
    let (mut client, mut admin) = (groups.client(), groups.proxy.admin());
    assert_eq!(client.text(&["GET", &key]), "$3\r\nold\r\n");
    groups.one.freeze();
    client.send(encode(&["GET", &key]));
    wait_until("the request is in flight", DEADLINE, || match &admin.stats()["ops"]["total"] {
        total if *total == 2 => Ok(()),
        total => Err(total.clone()),
    });
    let two = groups.two.addr().to_string();
    let cause = admin.fill(&json!([{"id": slot, "backend_addr": two}])).cause();
    assert!(cause.contains("still under way after 300ms, nothing was changed"), "{cause}");
    let one = groups.one.addr().to_string();
    assert_eq!(admin.slots()[usize::from(slot)]["backend_addr"], one);
    groups.one.thaw();
    assert_eq!(client.read_reply(), b"$3\r\nold\r\n");
    assert_eq!(client.text(&["GET", &key]), "$3\r\nold\r\n");
}
