//! ZooKeeper restarts, freezes, loses its leader or cannot be reached, proxies die or stand still:
//! under load. As long as the session goes on clients notice nothing; `lost_sessions` has the rest.

use std::thread;
use std::time::Duration;

use integration::counter::Counter;
use integration::old_dashboard::forms::SlotForm;
use integration::old_dashboard::proxies::wait_serves;
use integration::old_dashboard::{Flavour, OldDashboard};
use integration::ports::free_port;
use integration::product::{MOMENT, SLOTS_OF_GROUPS, key_in};
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::workload::{Endpoint, Report, Workload};
use integration::{DEADLINE, Ensemble, Gate, KeywayProxy, Product, RedisServer};

const CLIENTS: usize = 4;

/// Requests that meet an outage, at least.
const REQUESTS_MEANWHILE: u64 = 500;

/// A session that no outage here ends.
const LONG: &str = "20s";

const SLOT: usize = SLOTS_OF_GROUPS[0];

/// What a proxy may warn of in an outage.
fn tolerant(options: ProxyOptions) -> ProxyOptions {
    options.allow_log("\"alarm\"").allow_log("session")
}

/// Runs clients while something happens, and checks what they have seen.
fn under_load(proxies: &[&KeywayProxy], happening: impl FnOnce(&Workload)) -> Report {
    let endpoints = proxies.iter().map(|proxy| Endpoint::new(proxy.addr())).collect();
    let workload = Workload::new(endpoints, &["a", "b", "c"], u64::from(std::process::id()));
    let workload = workload.in_one_database();
    let (mut report, ()) = workload.run_while(CLIENTS, || {
        workload.wait_requests(REQUESTS_MEANWHILE);
        happening(&workload);
        workload.wait_requests(REQUESTS_MEANWHILE);
    });
    report.history.merge(workload.read_all());
    assert_eq!(report.history.check(), Ok(()));
    report
}

/// What tells that a proxy is the one that it was: the node's creation, and the start.
fn incarnation(dashboard: &OldDashboard, id: &str) -> Option<(i64, String)> {
    let node = dashboard.client().get(&dashboard.proxy_path(id))?;
    Some((node.stat.czxid, dashboard.proxy(id)?.start_at))
}

/// An outage that is shorter than the session: no client sees an error, the proxy stays who it is,
/// and is there for its dashboard at once.
fn check_unnoticed(dashboard: &OldDashboard, proxy: &KeywayProxy, outage: impl FnOnce(&Workload)) {
    let before = incarnation(dashboard, "proxy_1");
    assert!(before.is_some());
    let report = under_load(&[proxy], outage);
    assert!(report.errors.is_empty(), "clients have noticed it: {:?}", report.errors);
    dashboard.check_confirms();
    assert_eq!(incarnation(dashboard, "proxy_1"), before, "the session went on");
}

#[test]
fn clients_do_not_notice_that_zookeeper_restarts() {
    let mut product = Product::start(Flavour::Codis198);
    let addr = product.zookeeper.addr().to_string();
    let options = tolerant(product.dashboard.options_with_session("proxy_1", &addr, LONG));
    let proxy = product.dashboard.start_online("proxy_1", options);
    let Product { dashboard, zookeeper, .. } = &mut product;
    check_unnoticed(dashboard, &proxy, |workload| {
        for _ in 0..2 {
            zookeeper.kill();
            workload.wait_requests(REQUESTS_MEANWHILE);
            zookeeper.restart();
            workload.wait_requests(REQUESTS_MEANWHILE);
        }
    });
    product.check_routes(&proxy);
}

#[test]
fn clients_do_not_notice_that_zookeeper_stands_still() {
    let mut product = Product::start(Flavour::Reborn);
    let addr = product.zookeeper.addr().to_string();
    let options = tolerant(product.dashboard.options_with_session("proxy_1", &addr, LONG));
    let proxy = product.dashboard.start_online("proxy_1", options);
    let Product { dashboard, zookeeper, .. } = &mut product;
    check_unnoticed(dashboard, &proxy, |workload| {
        zookeeper.freeze();
        workload.wait_requests(10 * REQUESTS_MEANWHILE);
        zookeeper.thaw();
    });
    product.check_routes(&proxy);
}

#[test]
fn clients_do_not_notice_that_the_way_to_zookeeper_is_closed() {
    let product = Product::start(Flavour::Codis20);
    let mut gate = Gate::before(product.zookeeper.addr());
    let addr = gate.addr().to_string();
    let options = tolerant(product.dashboard.options_with_session("proxy_1", &addr, LONG));
    let proxy = product.dashboard.start_online("proxy_1", options);
    check_unnoticed(&product.dashboard, &proxy, |workload| {
        gate.cut();
        workload.wait_requests(REQUESTS_MEANWHILE);
        gate.pass();
        product.dashboard.check_confirms();
        gate.freeze();
        workload.wait_requests(REQUESTS_MEANWHILE);
        gate.pass();
    });
    product.check_routes(&proxy);
}

#[test]
fn clients_do_not_notice_that_the_leader_of_the_ensemble_dies() {
    let mut ensemble = Ensemble::start();
    let (one, two) = (RedisServer::start(), RedisServer::start());
    let groups: [(i32, &[&RedisServer]); 2] = [(1, &[&one]), (2, &[&two])];
    let client = ensemble.client();
    let dashboard = OldDashboard::of_product(client, Flavour::Codis198, &groups);
    let options = tolerant(dashboard.options_with_session("proxy_1", &ensemble.addrs(), LONG));
    let proxy = dashboard.start_online("proxy_1", options);
    check_unnoticed(&dashboard, &proxy, |workload| {
        for _ in 0..2 {
            let killed = ensemble.kill_leader();
            workload.wait_requests(REQUESTS_MEANWHILE);
            assert_ne!(ensemble.leader(), killed);
            dashboard.check_confirms();
            ensemble.restart(killed);
            workload.wait_requests(REQUESTS_MEANWHILE);
        }
    });
}

/// Goal: nobody has an answer from a proxy that does not know what it is about.
#[test]
fn an_action_that_is_told_in_an_outage_is_answered_with_its_effect() {
    let product = Product::start(Flavour::Codis192);
    let mut gate = Gate::before(product.zookeeper.addr());
    let dashboard = &product.dashboard;
    let addr = gate.addr().to_string();
    let options = tolerant(dashboard.options_with_session("proxy_1", &addr, LONG));
    let proxy = dashboard.start_online("proxy_1", options);
    let counter = Counter::new(&proxy, &key_in(SLOT, "counted"));
    counter.run(|| {
        for (group, is_cut) in [(2, true), (1, false)] {
            counter.wait_more(50);
            if is_cut {
                gate.cut();
            } else {
                gate.freeze();
            }
            let form = SlotForm::online(SLOT, group);
            dashboard.write_slot(&form);
            let told = dashboard.tell("slot_changed", &form.json());
            let path = dashboard.path(&format!("ActionResponse/{}", told.sequence));
            let answered =
                dashboard.client().wait_children(&path, MOMENT, |names| !names.is_empty());
            assert_eq!(answered, Err(Vec::new()), "the proxy cannot have heard of it");
            gate.pass();
            assert_eq!(dashboard.wait_answers(&told), Ok(()));
            let old = if group == 2 { &product.one } else { &product.two };
            let value = counter.value(old);
            counter.wait_more(50);
            assert_eq!(counter.value(old), value, "the old group is written to after the answer");
        }
    });
    assert_eq!(counter.errors(), 0, "the session went on");
}

#[test]
fn a_proxy_that_was_suspended_for_a_moment_goes_on() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    let addr = product.zookeeper.addr().to_string();
    let options = tolerant(dashboard.options_with_session("proxy_1", &addr, LONG));
    let mut proxy = dashboard.start_online("proxy_1", options);
    let before = incarnation(dashboard, "proxy_1");
    proxy.freeze();
    let mut client = proxy.client();
    let key = key_in(SLOT, "meanwhile");
    client.send(encode(&["SET", &key, "1"]));
    let told = dashboard.tell("slot_changed", &dashboard.slot(SLOT).json());
    let path = dashboard.path(&format!("ActionResponse/{}", told.sequence));
    let answered = dashboard.client().wait_children(&path, MOMENT, |names| !names.is_empty());
    assert_eq!(answered, Err(Vec::new()), "it stands still");
    proxy.thaw();
    assert_eq!(client.read_reply(), b"+OK\r\n");
    assert_eq!(dashboard.wait_answers(&told), Ok(()));
    assert_eq!(incarnation(dashboard, "proxy_1"), before, "the session went on");
    product.check_routes(&proxy);
}

/// Goal: whatever becomes of ZooKeeper between, and during, two changes of a route, no server is
/// written to any more once the next one has the slot.
#[test]
fn routes_never_go_back_while_zookeeper_restarts() {
    let mut product = Product::start(Flavour::Codis20);
    let addr = product.zookeeper.addr().to_string();
    let options = tolerant(product.dashboard.options_with_session("proxy_1", &addr, LONG));
    let proxy = product.dashboard.start_online("proxy_1", options);
    let Product { dashboard, zookeeper, one, two } = &mut product;
    let (dashboard, counter) = (&*dashboard, Counter::new(&proxy, &key_in(SLOT, "counted")));
    counter.run(|| {
        for target in [2, 1] {
            thread::scope(|scope| {
                let restarted = scope.spawn(|| zookeeper.restart());
                let changed = dashboard.set_range(SLOT, SLOT, target).map(drop);
                restarted.join().expect("it comes back");
                assert_eq!(changed, Ok(()));
            });
            let (old, new) = if target == 2 { (&*one, &*two) } else { (&*two, &*one) };
            let (left_at, taken_at) = (counter.value(old), counter.value(new));
            counter.wait_more(50);
            assert_eq!(counter.value(old), left_at, "the old group is written to");
            assert_ne!(counter.value(new), taken_at, "the new group is written to");
        }
    });
    assert_eq!(counter.errors(), 0, "the session went on");
    // What was counted is there, on one server or the other.
    let number = |text: String| -> u64 {
        text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
    };
    let sum = number(counter.value(&product.one)) + number(counter.value(&product.two));
    assert_eq!(sum, counter.successes());
}

#[test]
fn a_proxy_that_dies_under_load_comes_back_with_all_that_was_written() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    let options = product.options("proxy_1").ports(free_port(), free_port());
    let options = options.allow_log("the node of an earlier run is deleted");
    let mut first = dashboard.start_online("proxy_1", options.clone());
    let second = product.start_online("proxy_2");
    let endpoints = [&first, &second].map(|proxy| Endpoint::new(proxy.addr()));
    let workload = Workload::new(endpoints.into(), &["a", "b"], u64::from(std::process::id()));
    let workload = workload.in_one_database();
    let (mut report, ()) = workload.run_while(CLIENTS, || {
        for _ in 0..2 {
            workload.wait_requests(REQUESTS_MEANWHILE);
            first.crash();
            // Its clients find the other one, as Jodis lets them.
            workload.endpoints[0].change(second.addr());
            workload.wait_requests(REQUESTS_MEANWHILE);
            first = dashboard.start_online("proxy_1", options.clone());
            workload.endpoints[0].change(first.addr());
        }
        workload.wait_requests(REQUESTS_MEANWHILE);
    });
    report.history.merge(workload.read_all());
    assert_eq!(report.history.check(), Ok(()));
    dashboard.check_confirms();
}

#[test]
fn a_proxy_starts_before_its_coordinator_does() {
    let product = Product::start(Flavour::Reborn);
    let mut gate = Gate::before(product.zookeeper.addr());
    gate.cut();
    let options = product.dashboard.proxy_options("proxy_1", &gate.addr().to_string());
    let proxy = tolerant(options).start();
    assert!(proxy.client().text(&["GET", "key"]).starts_with("-ERR"));
    integration::product::wait_alarm(&proxy, &["no session"]);
    gate.pass();
    product.dashboard.wait_registered("proxy_1");
    product.dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    product.dashboard.check_confirms();
}

/// Goal: a proxy that cannot take its leave ends nevertheless, says what it leaves behind, and takes
/// that away with its next run.
#[test]
fn a_proxy_that_is_told_to_end_in_an_outage_ends_and_leaves_its_fence() {
    let product = Product::start(Flavour::Codis192);
    let mut gate = Gate::before(product.zookeeper.addr());
    let dashboard = &product.dashboard;
    let options = dashboard.proxy_options("proxy_1", &gate.addr().to_string());
    let options = tolerant(options).ports(free_port(), free_port()).allow_log("the fence stays");
    let options = options.allow_log("the node of an earlier run is deleted");
    let mut proxy = dashboard.start_online("proxy_1", options.clone());
    let form = dashboard.proxy("proxy_1").expect("it is registered");
    gate.freeze();
    proxy.request_stop();
    let status = proxy.wait_exit(Duration::from_secs(20));
    assert!(status.success(), "{status}");
    assert!(proxy.log().text().contains("the fence stays"), "an operator must be told");
    assert_eq!(dashboard.fences(), [form.addr.as_str()]);
    gate.pass();
    let mut proxy = dashboard.start_online("proxy_1", options);
    dashboard.check_confirms();
    proxy.terminate();
    assert_eq!(dashboard.fences(), Vec::<String>::new());
}
