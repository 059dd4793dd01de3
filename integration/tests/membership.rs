//! A proxy comes to a product in ZooKeeper, and leaves it: its node, its fence, and what its
//! dashboard and its clients see of that.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use integration::http_receiver::{HttpReceiver, HttpRequest};
use integration::old_dashboard::forms::{ProxyForm, SlotForm};
use integration::old_dashboard::proxies::wait_serves;
use integration::old_dashboard::{Failure, Flavour};
use integration::ports::free_port;
use integration::product::{SLOTS_OF_GROUPS, key_in, send_surely};
use integration::proxy::{KeywayProxy, ProxyOptions};
use integration::{DEADLINE, Deadline, OldDashboard, Product, RedisServer, ZooKeeper, wait_until};

/// A node of a dead proxy is there for as long as its session, and a little.
const EXPIRY_DEADLINE: Duration = Duration::from_secs(10);

/// What a proxy warns of when it finds what its predecessor left.
const PREDECESSOR: &str = "the node of an earlier run is deleted";

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the machine's name");
    name.trim().to_owned()
}

#[test]
fn a_proxy_registers_with_a_node_of_its_session_and_a_fence_that_stays() {
    for flavour in [Flavour::Codis192, Flavour::Codis20, Flavour::Reborn] {
        let zookeeper = ZooKeeper::start();
        let dashboard = OldDashboard::new(zookeeper.client(), flavour);
        let options = dashboard.proxy_options("proxy_1", &zookeeper.addr().to_string());
        let proxy = options.start();
        let form = dashboard.wait_registered("proxy_1");
        let client = dashboard.client();
        let node = client.get(&dashboard.proxy_path("proxy_1")).expect("it is registered");
        // Byte for byte as the dashboards write it, with every member that they have.
        assert_eq!(node.data, form.json());
        let expected = ProxyForm {
            id: "proxy_1".to_owned(),
            addr: format!("{}:{}", hostname(), proxy.addr().port()),
            last_event: String::new(),
            last_event_ts: 0,
            state: "offline".to_owned(),
            description: String::new(),
            debug_var_addr: format!("{}:{}", hostname(), proxy.admin_addr().port()),
            pid: i64::from(proxy.process_id()),
            start_at: form.start_at.clone(),
        };
        assert_eq!(form, expected);
        assert!(!form.start_at.is_empty());
        let fence = dashboard.path(&format!("fence/{}", form.addr));
        let fence_node = client.wait_node(&fence, DEADLINE);
        assert_eq!((fence_node.data.as_str(), fence_node.stat.owner), ("", None));
        assert!(node.stat.owner.is_some(), "the node must go with the session");
        for (path, access) in [
            (dashboard.proxy_path("proxy_1"), "19 world:anyone"),
            (fence, "19 world:anyone"),
            (dashboard.path("proxy"), "31 world:anyone"),
            (dashboard.path("fence"), "31 world:anyone"),
            (flavour.prefix().to_owned(), "31 world:anyone"),
        ] {
            assert_eq!(client.access(&path), access, "{path}");
        }
    }
}

#[test]
fn a_proxy_that_waits_answers_with_an_error_and_serves_once_it_is_put_online() {
    let product = Product::start(Flavour::Codis198);
    let proxy = product.options("proxy_1").start();
    let registered = product.dashboard.wait_registered("proxy_1");
    let reply = proxy.client().text(&["GET", "key"]);
    assert_eq!(reply, "-ERR router is not online\r\n");
    // Nothing can be changed while it waits.
    let fenced = product.dashboard.check_fences();
    assert_eq!(fenced, Err(Failure::Fenced(vec![registered.addr])));
    product.dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    product.check_routes(&proxy);
    product.dashboard.check_confirms();
}

/// Goal: a proxy may be there before its product. Method: an empty ZooKeeper; then the product is
/// made as a dashboard makes it, slot by slot in the end.
#[test]
fn a_product_that_is_not_initialised_is_waited_for() {
    let zookeeper = ZooKeeper::start();
    let server = RedisServer::start();
    let dashboard = OldDashboard::new(zookeeper.client(), Flavour::Reborn);
    let options = dashboard.proxy_options("proxy_1", &zookeeper.addr().to_string());
    let proxy = options.allow_log("was the product initialised").start();
    dashboard.wait_registered("proxy_1");
    let refused = dashboard.put_online("proxy_1");
    assert!(refused.is_ok(), "there is no slot yet that would not be online: {refused:?}");
    let reply = proxy.client().text(&["GET", "key"]);
    assert!(reply.starts_with("-ERR"), "nothing is there to serve from: {reply}");
    dashboard.create_directories();
    dashboard.add_server(1, server.addr(), "master").expect("it is online and answers");
    dashboard.client().create_many(
        (0..1024).map(|slot| (dashboard.slot_path(slot), SlotForm::online(slot, 1).json())),
    );
    dashboard.set_range(0, 3, 1).expect("it is online and answers");
    wait_serves(&proxy, DEADLINE);
}

/// Says that the fence went, and the node after it.
fn check_gone(dashboard: &OldDashboard, form: &ProxyForm) {
    let client = dashboard.client();
    client.wait_gone(&dashboard.proxy_path(&form.id), DEADLINE);
    assert!(
        !client.exists(&dashboard.path(&format!("fence/{}", form.addr))),
        "the node has gone and the fence has not"
    );
    let changed = |name: &str| client.stat(&dashboard.path(name)).map(|stat| stat.pzxid);
    assert!(changed("fence") < changed("proxy"), "the fence goes first");
}

/// A proxy that waits, or that has been put online and serves.
fn come(product: &Product, is_online: bool) -> (KeywayProxy, ProxyForm) {
    let proxy = product.options("proxy_1").start();
    let form = product.dashboard.wait_registered("proxy_1");
    if is_online {
        product.dashboard.put_online("proxy_1").expect("all slots are online");
        wait_serves(&proxy, DEADLINE);
    }
    (proxy, form)
}

#[test]
fn a_proxy_that_is_marked_offline_deletes_its_fence_and_its_node_and_ends() {
    let product = Product::start(Flavour::Codis20);
    for is_online in [false, true] {
        let (mut proxy, form) = come(&product, is_online);
        product.dashboard.mark_offline("proxy_1").expect("it is there");
        check_gone(&product.dashboard, &form);
        let status = proxy.wait_exit(DEADLINE);
        assert!(status.success(), "online: {is_online}, {status}");
    }
}

#[test]
fn a_proxy_that_is_told_to_end_takes_leave_first() {
    let product = Product::start(Flavour::Codis192);
    for is_online in [false, true] {
        let (mut proxy, form) = come(&product, is_online);
        proxy.terminate();
        check_gone(&product.dashboard, &form);
        product.dashboard.check_fences().expect("nothing is left");
    }
}

/// Goal: what a dying proxy leaves keeps it from being passed by, until somebody vouches for its
/// death; its next run is such a somebody.
#[test]
fn a_killed_proxy_leaves_its_fence_for_good_and_its_node_for_a_while() {
    let product = Product::start(Flavour::Reborn);
    let dashboard = &product.dashboard;
    let options = product.options("proxy_1").ports(free_port(), free_port());
    let mut proxy = dashboard.start_online("proxy_1", options.clone());
    let form = dashboard.proxy("proxy_1").expect("it is registered");
    proxy.crash();
    assert!(dashboard.proxy("proxy_1").is_some(), "the session cannot be over yet");
    dashboard.client().wait_gone(&dashboard.proxy_path("proxy_1"), EXPIRY_DEADLINE);
    let fenced = dashboard.set_range(0, 0, 1).map(drop);
    assert_eq!(fenced, Err(Failure::Fenced(vec![form.addr.clone()])));
    let proxy = dashboard.start_online("proxy_1", options);
    dashboard.check_confirms();
    product.check_routes(&proxy);
    // Another one that dies and is not started again: an operator vouches.
    let mut other = product.start_online("proxy_2");
    other.crash();
    dashboard.client().wait_gone(&dashboard.proxy_path("proxy_2"), EXPIRY_DEADLINE);
    assert!(dashboard.check_fences().is_err());
    dashboard.remove_fences();
    dashboard.check_confirms();
}

#[test]
fn a_proxy_restarts_before_the_session_of_its_last_run_is_over() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    let options = product.options("proxy_1").ports(free_port(), free_port()).allow_log(PREDECESSOR);
    let mut proxy = dashboard.start_online("proxy_1", options.clone());
    for _ in 0..2 {
        let before = dashboard.proxy("proxy_1").expect("it is registered");
        proxy.crash();
        proxy = options.clone().start();
        let form = dashboard.wait_registered("proxy_1");
        assert_eq!(form.addr, before.addr);
        assert_ne!((form.pid, &form.start_at), (before.pid, &before.start_at));
        dashboard.put_online("proxy_1").expect("all slots are online");
        wait_serves(&proxy, DEADLINE);
        dashboard.check_confirms();
        product.check_routes(&proxy);
    }
}

/// Starts a second proxy beside one that serves: it must not disturb it, must say why it does not
/// come in, and comes in when the first has left.
fn check_second(product: &Product, first: ProxyOptions, id: &str, second: ProxyOptions) {
    let dashboard = &product.dashboard;
    let client = dashboard.client();
    let mut proxy = dashboard.start_online("proxy_1", first);
    let before = client.get(&dashboard.proxy_path("proxy_1")).expect("it is registered");
    let fences = dashboard.fences();
    let second = second.allow_log("is another proxy with the id or the address").start();
    wait_until("the second proxy says why it does not come in", DEADLINE, || {
        let text = second.log().text();
        let reason = "is another proxy with the id or the address of this one";
        if text.contains(reason) { Ok(()) } else { Err(text) }
    });
    dashboard.check_confirms();
    product.check_routes(&proxy);
    assert!(second.client().text(&["GET", "key"]).starts_with("-ERR"), "it serves nobody");
    let after = client.get(&dashboard.proxy_path("proxy_1")).expect("it is registered");
    assert_eq!(after, before, "the node of the first is untouched");
    assert_eq!(dashboard.fences(), fences, "the fence of the first is untouched");
    proxy.terminate();
    let form = dashboard.wait_registered(id);
    assert_eq!(form.pid, i64::from(second.process_id()));
    dashboard.put_online(id).expect("all slots are online");
    wait_serves(&second, DEADLINE);
    dashboard.check_confirms();
}

#[test]
fn a_second_proxy_with_the_id_of_one_that_serves_stays_outside() {
    let product = Product::start(Flavour::Codis20);
    check_second(&product, product.options("proxy_1"), "proxy_1", product.options("proxy_1"));
}

#[test]
fn a_second_proxy_with_the_address_of_one_that_serves_stays_outside() {
    let product = Product::start(Flavour::Codis198);
    let here = "host_proxy = \"127.0.0.1:19000\"";
    for id in ["proxy_1", "proxy_2"] {
        let first = product.options("proxy_1").config(here);
        check_second(&product, first, id, product.options(id).config(here));
    }
}

#[test]
fn a_second_proxy_that_stays_outside_ends_without_touching_the_first() {
    let product = Product::start(Flavour::Reborn);
    let here = "host_proxy = \"127.0.0.1:19000\"";
    let dashboard = &product.dashboard;
    let first = dashboard.start_online("proxy_1", product.options("proxy_1").config(here));
    let reason = "is another proxy with the id or the address";
    let zookeeper = product.zookeeper.addr().to_string();
    let options = dashboard.options_with_session("proxy_1", &zookeeper, "2s");
    let options = options.config(here).allow_log(reason);
    let mut second = options.clone().start();
    wait_until("the second proxy is refused", DEADLINE, || {
        if second.log().text().contains(reason) { Ok(()) } else { Err("it is not") }
    });
    second.terminate();
    dashboard.check_confirms();
    assert_eq!(dashboard.fences(), ["127.0.0.1:19000"]);
    // It gives up by itself, too: two sessions and some seconds are enough to know.
    let mut third = options.start();
    let status = third.wait_exit(Duration::from_secs(20));
    assert!(!status.success(), "who cannot come in has failed");
    dashboard.check_confirms();
    product.check_routes(&first);
    assert_eq!(dashboard.fences(), ["127.0.0.1:19000"]);
}

#[test]
fn a_proxy_that_is_put_offline_serves_no_more_until_it_is_put_online_again() {
    let product = Product::start(Flavour::Codis20);
    let dashboard = &product.dashboard;
    let proxy = product.start_online("proxy_1");
    let online = dashboard.proxy("proxy_1").expect("it is registered");
    let offline = ProxyForm { state: "offline".to_owned(), ..online };
    dashboard.client().set(&dashboard.proxy_path("proxy_1"), &offline.json());
    proxy.wait_logged("put offline by the dashboard");
    // What is changed now passes it by, which is why it must not serve.
    let key = key_in(SLOTS_OF_GROUPS[0], "passed by");
    let sent = Deadline::after(DEADLINE);
    let mut client = proxy.client();
    client.send(integration::raw_client::encode(&["SET", &key, "1"]));
    dashboard.write_slot(&SlotForm::online(SLOTS_OF_GROUPS[0], 2));
    dashboard.put_online("proxy_1").expect("all slots are online");
    let reply = String::from_utf8_lossy(&client.read_reply()).into_owned();
    assert_eq!(product.one.client().text(&["EXISTS", &key]), ":0\r\n", "the route is old");
    assert!(reply == "+OK\r\n" || reply.starts_with("-"), "{reply} after {:?}", sent.elapsed());
    wait_serves(&proxy, DEADLINE);
    assert_eq!(proxy.client().text(&["SET", &key, "2"]), "+OK\r\n");
    assert_eq!(product.two.client().text(&["GET", &key]), "$1\r\n2\r\n");
}

/// Goal: what changes while a proxy is offline passes it by, so a slot whose nodes are wrong when it
/// comes back must not have its route of before.
#[test]
fn a_slot_with_wrong_nodes_is_not_served_by_a_route_from_before_the_proxy_was_put_offline() {
    let product = Product::start(Flavour::Codis20);
    let dashboard = &product.dashboard;
    let options = product.options("proxy_1").config("pre_migrate_timeout = \"1s\"");
    let proxy = dashboard.start_online("proxy_1", options.allow_log("\"alarm\""));
    let online = dashboard.proxy("proxy_1").expect("it is registered");
    let offline = ProxyForm { state: "offline".to_owned(), ..online };
    dashboard.client().set(&dashboard.proxy_path("proxy_1"), &offline.json());
    proxy.wait_logged("put offline by the dashboard");
    let slot = SLOTS_OF_GROUPS[0];
    dashboard.write_slot(&SlotForm::online(slot, 3));
    dashboard.put_online("proxy_1").expect("all slots are online");
    let [key, other] = [slot, slot + 1].map(|slot| key_in(slot, "passed by"));
    wait_until("the proxy serves again", DEADLINE, || {
        match proxy.client().text(&["SET", &other, "1"]).as_str() {
            "+OK\r\n" => Ok(()),
            refused => Err(refused.to_owned()),
        }
    });
    let reply = proxy.client().text(&["SET", &key, "1"]);
    let stored = product.one.client().text(&["EXISTS", &key]);
    assert_eq!(stored, ":0\r\n", "served by an old route: {reply}");
    dashboard.write_slot(&SlotForm::online(slot, 2));
    wait_serves(&proxy, DEADLINE);
    dashboard.confirmed("slot_changed", &dashboard.slot(slot).json()).expect("it answers");
    assert_eq!(proxy.client().text(&["SET", &key, "2"]), "+OK\r\n");
    assert_eq!(product.two.client().text(&["GET", &key]), "$1\r\n2\r\n");
}

/// Goal: a proxy of Codis 2.0 needs no operator. Method: its dashboard refuses once, as one that is
/// not ready does, and puts it online when it is asked again.
#[test]
fn a_proxy_of_codis_2_asks_its_dashboard_to_put_it_online() {
    let product = Product::start(Flavour::Codis20);
    let dashboard = OldDashboard::new(product.zookeeper.client(), Flavour::Codis20);
    let (told, asked) = sync_channel(1);
    let receiver = HttpReceiver::start(0, move |request: &HttpRequest| {
        // Only the first one is looked at.
        let _ = told.try_send(request.clone());
        match dashboard.put_online("proxy_1") {
            Ok(()) => (200, "{\"msg\":\"OK\",\"ret\":0}".to_owned()),
            Err(failure) => (500, failure.to_string()),
        }
    });
    let slot = SLOTS_OF_GROUPS[0];
    product.dashboard.write_slot(&SlotForm::pre_migrate(slot, 1));
    let proxy = product
        .options("proxy_1")
        .config(&format!("dashboard_addr = \"{}\"", receiver.addr()))
        .config("dashboard_retry_delay = \"200ms\"")
        .allow_log("the dashboard does not put the proxy online yet")
        .start();
    let request = asked.recv_timeout(DEADLINE).expect("the proxy asks");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/proxy"));
    let wish = ProxyForm::parse(&request.body).expect("the form of a proxy");
    assert_eq!((wish.id.as_str(), wish.state.as_str()), ("proxy_1", "online"));
    proxy.wait_logged("the dashboard does not put the proxy online yet");
    product.dashboard.write_slot(&SlotForm::online(slot, 1));
    wait_serves(&proxy, DEADLINE);
    product.check_routes(&proxy);
    product.dashboard.check_confirms();
}

/// Goal: the fence of a dead run stays, its node goes with its session. Method: the next run has
/// another address, so nobody can know that it is the same proxy.
#[test]
fn a_proxy_that_moves_to_another_address_waits_for_the_end_of_its_last_session() {
    let product = Product::start(Flavour::Codis20);
    let dashboard = &product.dashboard;
    let mut proxy = product.start_online("proxy_1");
    let before = dashboard.proxy("proxy_1").expect("it is registered");
    proxy.crash();
    let options = product.options("proxy_1");
    let proxy = options.allow_log("is another proxy with the id or the address").start();
    // What is there until then is online.
    let after = dashboard.wait_registered("proxy_1");
    assert_ne!(after.addr, before.addr);
    dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    assert_eq!(dashboard.check_fences(), Err(Failure::Fenced(vec![before.addr])));
    dashboard.remove_fences();
    dashboard.check_confirms();
}

#[test]
fn a_proxy_whose_node_is_deleted_serves_no_more_until_it_is_online_again() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    let options = product.options("proxy_1").config("pre_migrate_timeout = \"1s\"");
    let options = options.allow_log("somebody has deleted the node");
    let proxy = dashboard.start_online("proxy_1", options);
    let before = dashboard.proxy("proxy_1").expect("it is registered");
    dashboard.client().delete(&dashboard.proxy_path("proxy_1"));
    let after = dashboard.wait_registered("proxy_1");
    assert_ne!(after.start_at, before.start_at, "it is another incarnation");
    let key = key_in(SLOTS_OF_GROUPS[0], "expelled");
    let reply = proxy.client().text(&["SET", &key, "1"]);
    assert!(reply.starts_with("-"), "it serves although no dashboard knows of it: {reply}");
    assert_eq!(product.one.client().text(&["EXISTS", &key]), ":0\r\n");
    dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    product.check_routes(&proxy);
    dashboard.check_confirms();
}

/// Goal: whoever serves has a fence. Method: `remove_fence` takes away those of proxies that wait,
/// too; the proxy is put online after that.
#[test]
fn a_fence_that_was_removed_while_its_proxy_waited_is_there_when_it_serves() {
    let product = Product::start(Flavour::Reborn);
    let dashboard = &product.dashboard;
    let proxy = product.options("proxy_1").start();
    let form = dashboard.wait_registered("proxy_1");
    wait_until("the fence is up", DEADLINE, || match dashboard.fences() {
        fences if fences == [form.addr.as_str()] => Ok(()),
        fences => Err(fences),
    });
    dashboard.remove_fences();
    assert_eq!(dashboard.fences(), Vec::<String>::new());
    dashboard.put_online("proxy_1").expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    assert_eq!(dashboard.fences(), [form.addr], "the proxy serves without a fence");
}

/// Goal: a dashboard counts on a proxy that takes its leave until it has left. Method: a request
/// that its server does not answer holds the leave up.
#[test]
fn a_proxy_that_takes_its_leave_answers_actions_until_it_has_left() {
    let mut product = Product::start(Flavour::Codis198);
    let mut proxy = product.start_online("proxy_1");
    let form = product.dashboard.proxy("proxy_1").expect("it is registered");
    let key = key_in(SLOTS_OF_GROUPS[0], "last");
    let mut client = proxy.client();
    assert_eq!(client.text(&["SET", &key, "0"]), "+OK\r\n");
    product.one.freeze();
    send_surely(&mut client, &["INCR", &key]);
    proxy.request_stop();
    proxy.wait_logged("stopping: no more clients, finishing what is in flight");
    let other = product.dashboard.slot(SLOTS_OF_GROUPS[1]);
    let told = product.dashboard.tell("slot_changed", &other.json());
    assert_eq!(told.receivers.len(), 1, "it has not left");
    assert_eq!(product.dashboard.wait_answers(&told), Ok(()));
    assert_eq!(product.dashboard.fences(), [form.addr.as_str()]);
    product.one.thaw();
    assert_eq!(client.read_reply(), b":1\r\n");
    assert!(proxy.wait_exit(DEADLINE).success());
    check_gone(&product.dashboard, &form);
}
