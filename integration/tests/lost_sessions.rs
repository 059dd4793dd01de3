//! Sessions that end: no contact with ZooKeeper for too long. Dashboards do not count on the proxy
//! any more, so its routes may be old: it serves nothing until it has registered again, as a new
//! incarnation, and has read every slot.

use std::time::Duration;

use integration::counter::Counter;
use integration::old_dashboard::forms::{ServerForm, SlotForm};
use integration::old_dashboard::proxies::wait_serves;
use integration::old_dashboard::{Failure, Flavour, OldDashboard};
use integration::product::{SLOTS_OF_GROUPS, key_in};
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::{DEADLINE, Gate, KeywayProxy, Product, RawClient, ZooKeeper, wait_until};

/// The session of the proxies here.
const SESSION: &str = "2s";

/// How long a server or a proxy may take to see that a session is over.
const EXPIRY_DEADLINE: Duration = Duration::from_secs(8);

const SLOT: usize = SLOTS_OF_GROUPS[0];

/// What a proxy may warn of in an outage.
fn tolerant(options: ProxyOptions) -> ProxyOptions {
    options.allow_log("\"alarm\"").allow_log("session")
}

/// A product with a proxy behind a gate, and one that is always there.
struct Parted {
    // Dropped first: their end needs what follows.
    behind: KeywayProxy,
    beside: KeywayProxy,
    gate: Gate,
    product: Product,
}

impl Parted {
    fn start() -> Self {
        Self::of(Product::start(Flavour::Reborn), SESSION)
    }

    fn of(product: Product, session: &str) -> Self {
        let gate = Gate::before(product.zookeeper.addr());
        let dashboard = &product.dashboard;
        let options = |id: &str, addr: String| {
            let options = tolerant(dashboard.options_with_session(id, &addr, session));
            // Each worker has to notice by itself.
            let options = options.workers(4);
            dashboard.start_online(id, options.config("pre_migrate_timeout = \"1s\""))
        };
        let behind = options("behind", gate.addr().to_string());
        let beside = options("beside", product.zookeeper.addr().to_string());
        Self { behind, beside, gate, product }
    }

    /// Moves [`SLOT`] to group 2 past a proxy that is gone: its fence forbids that until an
    /// operator takes it away.
    fn move_past(&self, fence: &str) {
        let dashboard = &self.product.dashboard;
        let failed = dashboard.set_range(SLOT, SLOT, 2).map(drop);
        assert_eq!(failed, Err(Failure::Fenced(vec![fence.to_owned()])), "the fence must stay");
        dashboard.remove_fences();
        let told = dashboard.set_range(SLOT, SLOT, 2).expect("the other proxy answers");
        assert_eq!(told.receivers.len(), 1);
        let key = key_in(SLOT, "beside");
        assert_eq!(self.beside.client().text(&["SET", &key, "1"]), "+OK\r\n");
        assert_eq!(self.product.two.client().text(&["GET", &key]), "$1\r\n1\r\n");
    }
}

/// Goal: a proxy whose session is over may not be told of changes, so it serves nothing, knows that
/// by its own clock, and comes back as a new one. Method: it is cut off under load until its node is
/// gone; then a slot moves, past its fence; the old server must get no write any more.
fn check_cut_off(mut parted: Parted, close: impl FnOnce(&mut Gate)) {
    let dashboard = OldDashboard::new(parted.product.zookeeper.client(), Flavour::Reborn);
    let before = dashboard.proxy("behind").expect("it is registered");
    // On more than one worker.
    let [first, second, third] =
        ["first", "second", "third"].map(|name| Counter::new(&parted.behind, &key_in(SLOT, name)));
    let counters = [&first, &second, &third];
    let values = |parted: &Parted| counters.map(|counter| counter.value(&parted.product.one));
    close(&mut parted.gate);
    let happening = || {
        counters.iter().for_each(|counter| counter.wait_more(20));
        dashboard.client().wait_gone(&dashboard.proxy_path("behind"), EXPIRY_DEADLINE);
        let left_at = values(&parted);
        assert!(dashboard.fences().contains(&before.addr), "the fence must stay");
        parted.move_past(&before.addr);
        for counter in counters {
            let took = counter.wait_refused(EXPIRY_DEADLINE);
            assert!(took < Duration::from_secs(5), "requests waited for {took:?}");
        }
        assert_eq!(values(&parted), left_at, "served by an old route");
        parted.gate.pass();
        counters.iter().for_each(|counter| counter.wait_more(20));
        assert_eq!(values(&parted), left_at, "served by an old route");
    };
    first.run(|| second.run(|| third.run(happening)));
    let after = dashboard.proxy("behind").expect("it is registered again");
    assert_eq!((&after.id, &after.addr, after.pid), (&before.id, &before.addr, before.pid));
    assert_ne!(after.start_at, before.start_at, "it is another incarnation");
    wait_until("both are online", DEADLINE, || match dashboard.online_proxies().len() {
        2 => Ok(()),
        other => Err(other),
    });
    assert!(dashboard.fences().contains(&after.addr), "it has its fence again");
    dashboard.check_confirms();
}

#[test]
fn a_proxy_that_is_cut_off_for_too_long_serves_nothing_until_it_is_back() {
    check_cut_off(Parted::start(), Gate::cut);
}

#[test]
fn a_proxy_whose_coordinator_is_silent_for_too_long_serves_nothing_until_it_is_back() {
    check_cut_off(Parted::start(), Gate::freeze);
}

/// Goal: ZooKeeper does not let everybody have the session that they want, and its word counts.
#[test]
fn a_session_lasts_as_long_as_zookeeper_says() {
    let zookeeper = ZooKeeper::start_with("maxSessionTimeout=2000\n");
    let product = Product::start_on(zookeeper, Flavour::Reborn);
    check_cut_off(Parted::of(product, "60s"), Gate::freeze);
}

/// Goal: a proxy that stood still and wakes up after its session is over does not begin with what
/// its clients have sent meanwhile.
#[test]
fn a_proxy_that_was_suspended_serves_nothing_by_its_old_routes() {
    let mut parted = Parted::start();
    let dashboard = OldDashboard::new(parted.product.zookeeper.client(), Flavour::Reborn);
    let before = dashboard.proxy("behind").expect("it is registered");
    let key = key_in(SLOT, "counted");
    let mut clients: Vec<RawClient> = (0..16).map(|_| parted.behind.client()).collect();
    for client in &mut clients {
        assert!(client.text(&["INCR", &key]).starts_with(':'));
    }
    parted.behind.freeze();
    let left_at = parted.product.one.client().text(&["GET", &key]);
    for client in &mut clients {
        client.send(encode(&["INCR", &key]));
    }
    dashboard.client().wait_gone(&dashboard.proxy_path("behind"), EXPIRY_DEADLINE);
    parted.move_past(&before.addr);
    parted.behind.thaw();
    for client in &mut clients {
        // An error, or served by the new route: both are right.
        let _ = client.try_read_reply();
    }
    assert_eq!(parted.product.one.client().text(&["GET", &key]), left_at, "served by an old route");
    wait_serves(&parted.behind, EXPIRY_DEADLINE);
    let after = dashboard.proxy("behind").expect("it is registered again");
    assert_ne!(after.start_at, before.start_at, "it is another incarnation");
    dashboard.check_confirms();
}

#[test]
fn a_proxy_is_back_when_zookeeper_stood_still_for_longer_than_its_session() {
    let mut product = Product::start(Flavour::Codis198);
    let addr = product.zookeeper.addr().to_string();
    let options = tolerant(product.dashboard.options_with_session("proxy_1", &addr, SESSION));
    let options = options.config("pre_migrate_timeout = \"1s\"");
    let proxy = product.dashboard.start_online("proxy_1", options);
    let before = product.dashboard.proxy("proxy_1").expect("it is registered");
    let counter = Counter::new(&proxy, &key_in(SLOT, "counted"));
    counter.run(|| {
        counter.wait_more(50);
        product.zookeeper.freeze();
        counter.wait_refused(EXPIRY_DEADLINE);
        let left_at = counter.value(&product.one);
        counter.wait_refused(EXPIRY_DEADLINE);
        assert_eq!(counter.value(&product.one), left_at, "it serves without a session");
        product.zookeeper.thaw();
        counter.wait_more(50);
    });
    let after = product.dashboard.proxy("proxy_1").expect("it is registered again");
    assert_ne!(after.start_at, before.start_at, "it is another incarnation");
    assert_eq!(product.dashboard.fences(), [after.addr]);
    product.dashboard.check_confirms();
    product.check_routes(&proxy);
}

/// Goal: what could not be understood keeps its last route, unless that may be old. Method: a proxy
/// is cut off, a slot moves past it, and then the slot's new group loses its primary.
#[test]
fn a_slot_with_wrong_nodes_is_not_served_by_a_route_from_before_the_lost_session() {
    let mut parted = Parted::start();
    let dashboard = OldDashboard::new(parted.product.zookeeper.client(), Flavour::Reborn);
    let before = dashboard.proxy("behind").expect("it is registered");
    parted.gate.cut();
    dashboard.client().wait_gone(&dashboard.proxy_path("behind"), EXPIRY_DEADLINE);
    parted.move_past(&before.addr);
    let two = parted.product.two.addr().to_string();
    dashboard.write_server(&ServerForm::new("offline", 2, &two));
    parted.gate.pass();
    // It is back: another slot of the group that has not changed is served.
    let other = key_in(SLOT + 1, "other");
    wait_until("the proxy serves again", EXPIRY_DEADLINE, || {
        match parted.behind.client().text(&["SET", &other, "1"]).as_str() {
            "+OK\r\n" => Ok(()),
            refused => Err(refused.to_owned()),
        }
    });
    let key = key_in(SLOT, "old");
    let reply = parted.behind.client().text(&["SET", &key, "1"]);
    assert_eq!(
        parted.product.one.client().text(&["EXISTS", &key]),
        ":0\r\n",
        "served by a route from before the session was lost: {reply}"
    );
    assert!(reply.starts_with('-'), "nobody can serve it: {reply}");
    dashboard.write_server(&ServerForm::new("master", 2, &two));
    wait_until("the slot is served", EXPIRY_DEADLINE, || {
        match parted.behind.client().text(&["SET", &key, "1"]).as_str() {
            "+OK\r\n" => Ok(()),
            refused => Err(refused.to_owned()),
        }
    });
    assert_eq!(parted.product.two.client().text(&["GET", &key]), "$1\r\n1\r\n");
    dashboard.check_confirms();
}

/// Goal: only who was online comes back online by itself.
#[test]
fn a_proxy_that_waited_when_its_session_ended_waits_again() {
    let product = Product::start(Flavour::Codis20);
    let mut gate = Gate::before(product.zookeeper.addr());
    let dashboard = &product.dashboard;
    let addr = gate.addr().to_string();
    let proxy = tolerant(dashboard.options_with_session("proxy_1", &addr, SESSION)).start();
    let before = dashboard.wait_registered("proxy_1");
    gate.cut();
    dashboard.client().wait_gone(&dashboard.proxy_path("proxy_1"), EXPIRY_DEADLINE);
    // Its fence is there all the time.
    assert_eq!(dashboard.fences(), [before.addr.as_str()]);
    gate.pass();
    let after = dashboard.wait_registered("proxy_1");
    assert_ne!(after.start_at, before.start_at, "it is another incarnation");
    assert!(proxy.client().text(&["GET", "key"]).starts_with("-ERR"), "it waits");
    dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    product.check_routes(&proxy);
    dashboard.check_confirms();
}

/// Goal: requests that wait for the end of an outage are carried out once, in their order, and by
/// the route of then.
#[test]
fn requests_that_wait_for_the_proxy_s_return_are_carried_out_by_the_new_routes() {
    let product = Product::start(Flavour::Codis192);
    let mut gate = Gate::before(product.zookeeper.addr());
    let dashboard = &product.dashboard;
    let addr = gate.addr().to_string();
    let options = tolerant(dashboard.options_with_session("proxy_1", &addr, SESSION));
    let proxy = dashboard.start_online("proxy_1", options);
    gate.freeze();
    dashboard.client().wait_gone(&dashboard.proxy_path("proxy_1"), EXPIRY_DEADLINE);
    let key = key_in(SLOT, "waiting");
    let mut clients: Vec<RawClient> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send([encode(&["INCR", &key]), encode(&["RPUSH", "list", "x"])].concat());
    }
    dashboard.write_slot(&SlotForm::online(SLOT, 2));
    gate.pass();
    let replies: Vec<Vec<u8>> = clients.iter_mut().map(|client| client.read_replies(2)).collect();
    assert!(replies.iter().all(|reply| reply.starts_with(b":")), "they wait for thirty seconds");
    assert_eq!(product.two.client().text(&["GET", &key]), "$2\r\n20\r\n", "each was done once");
    assert_eq!(product.one.client().text(&["EXISTS", &key]), ":0\r\n", "by the new route");
    dashboard.check_confirms();
}

/// Goal: sessions may end again and again.
#[test]
fn a_proxy_comes_back_each_time_its_session_ends() {
    let product = Product::start(Flavour::Codis198);
    let mut gate = Gate::before(product.zookeeper.addr());
    let dashboard = &product.dashboard;
    let addr = gate.addr().to_string();
    let options = tolerant(dashboard.options_with_session("proxy_1", &addr, "1s"));
    let proxy = dashboard.start_online("proxy_1", options);
    let counter = Counter::new(&proxy, &key_in(SLOT, "counted"));
    counter.run(|| {
        for round in 0..3 {
            let before = dashboard.proxy("proxy_1").expect("it is registered");
            if round % 2 == 0 {
                gate.cut();
            } else {
                gate.freeze();
            }
            dashboard.client().wait_gone(&dashboard.proxy_path("proxy_1"), EXPIRY_DEADLINE);
            gate.pass();
            counter.wait_more(50);
            let after = dashboard.proxy("proxy_1").expect("it is registered again");
            assert_ne!(after.start_at, before.start_at, "it is another incarnation");
            dashboard.check_confirms();
        }
    });
    assert_eq!(counter.errors(), 0, "requests wait for so short a time");
}
