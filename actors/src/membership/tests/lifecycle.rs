//! Registration, going online and offline, the end of a session, the end.

use std::time::Duration;

use config::Topology;
use coordinator::codis1::{Event, Proxy, ProxyState, ServerType, SlotStatus, Stored as _};
use coordinator::{Access, Coordinator, Lifetime, Timeouts};

use super::super::*;
use super::world::{SESSION_TIMEOUT, World, group, run, run_after, slot_node};

#[test]
fn a_member_registers_and_waits() {
    run(Topology::Codis1, async |world: World| {
        world.until_is(MembershipState::Waiting).await;
        let expected = format!(
            r#"{{"id":"p1","addr":"vm:1","last_event":"","last_event_ts":0,"state":"offline","description":"","debug_var_addr":"vm:2","pid":{},"start_at":"start 0"}}"#,
            std::process::id()
        );
        assert_eq!(world.me().await, [expected]);
        assert!(world.has_fence().await);
        world.pass(SESSION_TIMEOUT * 3).await;
        assert!(!world.shared.lifecycle.is_online());
        assert_eq!(world.own().await.unwrap().start_at, "start 0");
    });
}

#[test]
fn online_means_that_all_slots_are_filled() {
    run(Topology::Reborn, async |world: World| {
        world.set_slot(5, SlotStatus::Offline, -1, -1).await;
        world.set_slot(6, SlotStatus::Migrate, 2, 1).await;
        world.go_online().await;
        assert!(world.shared.lifecycle.is_online());
        assert_eq!((world.primary(0).await, world.primary(5).await), ("a:1".into(), String::new()));
        let migrating = world.slot(6).await;
        assert_eq!(migrating.source.unwrap().addr.to_string(), "a:1");
        assert_eq!(world.primary(6).await, "b:1");
    });
}

#[test]
fn a_product_that_was_never_initialised_is_waited_for() {
    let before = async |dashboard: &Arc<dyn Coordinator>, paths: &coordinator::codis1::Paths| {
        dashboard.delete(&paths.actions(), None).await.unwrap();
    };
    run_after(before, async |world: World| {
        world.go_online().await;
        world.dashboard.create_directory(&world.paths.actions()).await.unwrap();
        world.order(Event::GroupRemove(group(1))).await;
    });
}

#[test]
fn routes_are_not_used_from_the_end_of_the_session_until_the_next_incarnation_is_filled() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.store.freeze();
        let short = SESSION_TIMEOUT / 2;
        world.pass(short).await;
        assert!(!world.slot(0).await.is_locked, "the session goes on");
        world.until("locked", async || world.slot(0).await.is_locked).await;
        assert_eq!(world.report().await.membership, MembershipState::Unregistered);
        world.store.thaw();
        // A change of which this member was not told.
        world.set_server(1, "a:1", ServerType::Offline).await;
        world.set_server(1, "c:1", ServerType::Primary).await;
        world.until_is(MembershipState::Online).await;
        let own = world.own().await.unwrap();
        assert_eq!((own.state, own.start_at.as_str()), (ProxyState::Online, "start 1"));
        let slot = world.slot(0).await;
        assert_eq!((slot.primary.unwrap().to_string(), slot.is_locked), ("c:1".to_owned(), false));
        assert!(world.has_fence().await);
        world.order(Event::GroupChanged(group(1))).await;
        assert_eq!(world.report().await.sessions, 2);
    });
}

#[test]
fn a_member_that_waits_when_its_session_ends_waits_again() {
    run(Topology::Codis1, async |world: World| {
        world.until_is(MembershipState::Waiting).await;
        world.store.freeze();
        world.until_is(MembershipState::Unregistered).await;
        world.store.thaw();
        world.until_is(MembershipState::Waiting).await;
        assert_eq!(world.own().await.unwrap().state, ProxyState::Offline);
    });
}

#[test]
fn put_offline_by_the_dashboard_a_member_waits_with_its_slots_locked() {
    run(Topology::Codis2, async |world: World| {
        world.go_online().await;
        world.set_state(ProxyState::Offline).await;
        world.until("locked", async || world.slot(9).await.is_locked).await;
        assert_eq!(world.report().await.membership, MembershipState::Waiting);
        world.set_state(ProxyState::Online).await;
        world.until("unlocked", async || !world.slot(9).await.is_locked).await;
    });
}

#[test]
fn marked_offline_the_proxy_ends_and_takes_its_fence_along() {
    for is_online in [false, true] {
        run(Topology::Codis1, async move |world: World| {
            if is_online {
                world.go_online().await;
            } else {
                world.until_is(MembershipState::Waiting).await;
            }
            world.set_state(ProxyState::MarkOffline).await;
            world.until("stopping", async || world.shared.lifecycle.is_closed()).await;
            // The proxy drains its clients; until then it is a member.
            assert!(world.has_fence().await && world.own().await.is_some());
            world.member.send(LeaveProduct).await.unwrap();
            assert!(!world.has_fence().await && world.own().await.is_none());
        });
    }
}

#[test]
fn leaving_without_a_coordinator_ends_in_time() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.store.freeze();
        let began = tokio::time::Instant::now();
        world.member.send(LeaveProduct).await.unwrap();
        assert!(began.elapsed() <= LEAVE_TIMEOUT);
    });
}

#[test]
fn a_member_whose_node_is_deleted_registers_anew_and_waits() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.dashboard.delete(&world.paths.proxy("p1").unwrap(), None).await.unwrap();
        world.until("locked", async || world.slot(9).await.is_locked).await;
        world.until_is(MembershipState::Waiting).await;
        let own = world.own().await.unwrap();
        assert_eq!((own.state, own.start_at.as_str()), (ProxyState::Offline, "start 1"));
    });
}

const FOREIGN_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    call: Duration::from_secs(5),
    session: Duration::from_secs(20),
};

fn other(id: &str, addr: &str, pid: i64) -> Proxy {
    let (id, addr, start_at) = (id.to_owned(), addr.to_owned(), "before".to_owned());
    Proxy { id, addr, pid, start_at, state: ProxyState::Online, ..Proxy::default() }
}

/// A process id that surely belongs to a process that lives: that of the first one.
const ALIVE: i64 = 1;
/// Beyond the largest process id.
const DEAD: i64 = 1 << 30;

async fn register(session: &dyn Coordinator, world: &World, proxy: &Proxy) {
    session.create_directory(&world.paths.proxies()).await.unwrap();
    let path = world.paths.proxy(&proxy.id).unwrap();
    session.create(&path, proxy.encode(), Lifetime::Session, Access::File).await.unwrap();
}

/// The member leaves its place to somebody, and comes again when its session is over.
async fn meet(world: &World, proxy: &Proxy) -> Arc<dyn Coordinator> {
    world.until_is(MembershipState::Waiting).await;
    world.dashboard.delete(&world.paths.proxy("p1").unwrap(), None).await.unwrap();
    let session: Arc<dyn Coordinator> = Arc::new(world.store.connect(FOREIGN_TIMEOUTS));
    register(&*session, world, proxy).await;
    session
}

#[test]
fn the_node_of_another_proxy_that_lives_is_waited_for() {
    for (id, addr) in [("p1", "vm:1"), ("p1", "elsewhere:1"), ("p2", "vm:1")] {
        run(Topology::Codis1, async move |world: World| {
            let session = meet(&world, &other(id, addr, ALIVE)).await;
            let has_alarm = async || {
                let alarms = world.report().await.alarms;
                alarms.iter().any(|alarm| alarm.text.contains("is another proxy"))
            };
            world.until("alarm", has_alarm).await;
            let theirs = world.paths.proxy(id).unwrap();
            assert!(world.dashboard.read(&theirs).await.unwrap().is_some(), "{id} {addr}");
            session.close().await.unwrap();
            world.until_is(MembershipState::Waiting).await;
            assert_eq!(world.own().await.unwrap().addr, "vm:1");
            assert!(!has_alarm().await);
        });
    }
}

#[test]
fn another_proxy_that_does_not_go_away_is_the_end() {
    run(Topology::Codis1, async |world: World| {
        let _session = meet(&world, &other("p2", "vm:1", ALIVE)).await;
        world.until("failure", async || world.failure.borrow().is_some()).await;
        assert!(world.own().await.is_none(), "the id is free for whoever is the right one");
        let text = world.failure.borrow().clone().unwrap();
        assert!(text.contains("`proxy_id`"), "{text}");
        world.member.send(LeaveProduct).await.unwrap();
    });
}

#[test]
fn the_node_of_a_predecessor_that_is_dead_is_replaced_at_once() {
    let before = async |dashboard: &Arc<dyn Coordinator>, paths: &coordinator::codis1::Paths| {
        dashboard.create_directory(&paths.proxies()).await.unwrap();
        for proxy in [other("p1", "vm:1", DEAD), other("p0", "vm:1", DEAD)] {
            let path = paths.proxy(&proxy.id).unwrap();
            dashboard.create(&path, proxy.encode(), Lifetime::Session, Access::File).await.unwrap();
        }
    };
    run_after(before, async |world: World| {
        let began = tokio::time::Instant::now();
        world.until_is(MembershipState::Waiting).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(world.own().await.unwrap().start_at, "start 0");
        let proxies = world.dashboard.list(&world.paths.proxies()).await.unwrap();
        assert_eq!(proxies.unwrap(), ["p1"]);
    });
}

#[test]
fn only_the_first_registration_of_a_process_replaces_a_predecessor() {
    run(Topology::Codis1, async |world: World| {
        // Two machines of one name would chase each other.
        let _session = meet(&world, &other("p1", "vm:1", DEAD)).await;
        world.until("failure", async || world.failure.borrow().is_some()).await;
    });
}

#[test]
fn old_actions_are_nobodys() {
    let before = async |dashboard: &Arc<dyn Coordinator>, paths: &coordinator::codis1::Paths| {
        for number in 0..50 {
            let name = format!("{number:010}");
            dashboard.create_directory(&paths.response(&name).unwrap()).await.unwrap();
            let event = Event::SlotChanged(slot_node(1, SlotStatus::Online, 1, -1));
            // Very old dashboards name proxies by their id alone.
            let action = coordinator::codis1::Action {
                event,
                desc: String::new(),
                ts: "1".to_owned(),
                receivers: vec!["p1".to_owned()],
            };
            let path = paths.action(&name).unwrap();
            let life = Lifetime::Persistent;
            dashboard.create(&path, action.encode(), life, Access::File).await.unwrap();
        }
    };
    run_after(before, async |world: World| {
        world.go_online().await;
        world.order(Event::GroupRemove(group(1))).await;
        for number in 0..50 {
            assert!(!world.is_answered(&format!("{number:010}")).await, "{number}");
        }
        assert_eq!(world.report().await.actions_answered, 1);
    });
}

#[test]
fn a_route_from_before_a_lost_session_is_not_used_while_nobody_knows_the_new_one() {
    run(Topology::Reborn, async |world: World| {
        world.go_online().await;
        world.store.freeze();
        world.until_is(MembershipState::Unregistered).await;
        world.store.thaw();
        // Others have been told that the slot is another group's, which then loses its primary.
        world.set_slot(7, SlotStatus::Online, 2, -1).await;
        world.set_server(2, "b:1", ServerType::Offline).await;
        world.until_is(MembershipState::Online).await;
        assert!(world.slot(7).await.is_locked);
        assert!(!world.slot(8).await.is_locked, "the others are served");
        world.set_server(2, "b:1", ServerType::Primary).await;
        world.until("repaired", async || world.primary(7).await == "b:1").await;
        assert!(!world.slot(7).await.is_locked);
    });
}

#[test]
fn a_proxy_that_comes_back_does_so_also_when_the_coordinator_goes_away_once_more() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        for _ in 0..3 {
            world.store.freeze();
            world.until_is(MembershipState::Unregistered).await;
            world.store.thaw();
            // Gone again before the proxy has read its slots.
            let has_session = async || world.report().await.session_since.is_some();
            world.until("session", has_session).await;
        }
        world.until_is(MembershipState::Online).await;
        assert_eq!(world.own().await.unwrap().state, ProxyState::Online);
        world.until("unlocked", async || !world.slot(0).await.is_locked).await;
    });
}

/// The node of an incarnation of the member, as it is after its session is over by our clock and
/// not yet by the coordinator's: it belongs to a session that is not the member's.
async fn leave_old_node(world: &World, state: ProxyState) -> Arc<dyn Coordinator> {
    let own = Proxy { state, ..world.own().await.unwrap() };
    let session: Arc<dyn Coordinator> = Arc::new(world.store.connect(FOREIGN_TIMEOUTS));
    world.dashboard.delete(&world.paths.proxy("p1").unwrap(), None).await.unwrap();
    register(&*session, world, &own).await;
    session
}

#[test]
fn the_node_of_the_last_incarnation_is_replaced_at_once_and_what_it_says_counts() {
    run(Topology::Codis1, async |world: World| {
        world.until_is(MembershipState::Waiting).await;
        let _session = leave_old_node(&world, ProxyState::Offline).await;
        let began = tokio::time::Instant::now();
        let is_new = async || world.own().await.is_some_and(|own| own.start_at == "start 1");
        world.until("registered anew", is_new).await;
        assert!(began.elapsed() < Duration::from_secs(5));
    });
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let _session = leave_old_node(&world, ProxyState::MarkOffline).await;
        world.until("stopping", async || world.shared.lifecycle.is_closed()).await;
        world.member.send(LeaveProduct).await.unwrap();
        assert!(world.own().await.is_none() && !world.has_fence().await);
    });
}

#[test]
fn an_action_that_names_the_last_incarnation_is_answered_by_the_next_one() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let before = world.me().await;
        world.store.freeze();
        world.until_is(MembershipState::Unregistered).await;
        world.store.thaw();
        // The dashboard has listed the proxies before it saw the end of the session.
        let action = world.publish(Event::GroupChanged(group(1)), before).await;
        world.until("answer", async || world.is_answered(&action).await).await;
        assert_eq!(world.own().await.unwrap().start_at, "start 1");
    });
}

#[test]
fn slots_are_lent_only_while_the_proxy_is_online() {
    run(Topology::Codis1, async |world: World| {
        let is_lent = || {
            let now_us = world.shared.started.elapsed().as_micros();
            !world.shared.lease.is_over(u64::try_from(now_us).unwrap())
        };
        world.until_is(MembershipState::Waiting).await;
        assert!(!is_lent());
        world.go_online().await;
        assert!(is_lent());
        world.pass(SESSION_TIMEOUT * 4).await;
        assert!(is_lent(), "as long as there is contact");
        world.set_state(ProxyState::Offline).await;
        world.until_is(MembershipState::Waiting).await;
        assert!(!is_lent());
        world.set_state(ProxyState::Online).await;
        world.until_is(MembershipState::Online).await;
        assert!(is_lent());
        world.store.freeze();
        world.pass(SESSION_TIMEOUT + Duration::from_secs(1)).await;
        assert!(!is_lent());
    });
}
