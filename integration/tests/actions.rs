//! Actions and their answers: who answers, with what, and when. An answer means that the proxy has
//! switched, and that nothing of the old routes is under way.

use std::time::Duration;

use integration::counter::Counter;
use integration::old_dashboard::actions::Told;
use integration::old_dashboard::forms::{
    ProxyForm, ServerForm, SlotForm, action_json, group_json, range_json,
};
use integration::old_dashboard::proxies::wait_serves;
use integration::old_dashboard::{Failure, Flavour, OldDashboard};
use integration::product::{MOMENT, SLOTS_OF_GROUPS, key_in, send_surely};
use integration::raw_client::encode;
use integration::zookeeper::{Access, Lifetime};
use integration::{DEADLINE, Deadline, KeywayProxy, Product, RawClient, RedisServer, wait_until};

/// Waits until the proxy has answered an action, and looks at the answer.
fn check_answered(dashboard: &OldDashboard, sequence: &str) {
    let proxy = dashboard.proxy("proxy_1").expect("it is registered");
    let path = dashboard.path(&format!("ActionResponse/{sequence}/proxy_1"));
    let node = dashboard.client().wait_node(&path, DEADLINE);
    let answer = ProxyForm::parse(&node.data).expect("the form of a proxy");
    assert_eq!(answer.json(), node.data, "byte for byte as dashboards write it");
    assert_eq!(
        (answer.id, answer.addr, answer.pid, answer.start_at),
        (proxy.id, proxy.addr, proxy.pid, proxy.start_at)
    );
    assert_eq!(node.stat.owner, None, "an answer outlives the proxy");
    assert_eq!(dashboard.client().access(&path), "19 world:anyone");
    assert_eq!(dashboard.answers(sequence), ["proxy_1"], "nobody else has answered");
}

/// Says that there is no answer within a moment.
fn check_unanswered(dashboard: &OldDashboard, told: &Told) {
    let path = dashboard.path(&format!("ActionResponse/{}", told.sequence));
    let answered = dashboard.client().wait_children(&path, MOMENT, |names| !names.is_empty());
    assert_eq!(answered, Err(Vec::new()), "answered before it had its effect");
}

/// The group that serves a slot, as a client of the proxy sees it.
fn serving(product: &Product, proxy: &KeywayProxy, slot: usize) -> Option<i32> {
    let key = key_in(slot, "who");
    if proxy.client().text(&["SET", &key, "1"]) != "+OK\r\n" {
        return None;
    }
    let has_it = |server: &RedisServer| server.client().text(&["DEL", &key]) == ":1\r\n";
    let group = if has_it(&product.one) { 1 } else { 2 };
    assert_eq!(group == 2, has_it(&product.two));
    Some(group)
}

#[test]
fn every_slot_that_is_initialised_under_a_proxy_goes_offline_and_comes_back_with_its_range() {
    let product = Product::start(Flavour::Codis198);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    dashboard.init_slots().expect("every action is answered");
    for slot in [0, 7, 511, 700, 1023] {
        let reply = proxy.client().text(&["GET", &key_in(slot, "key")]);
        assert!(reply.starts_with("-ERR"), "nobody has slot {slot}: {reply}");
    }
    dashboard.set_range(0, 511, 2).expect("the range is answered");
    assert_eq!(serving(&product, &proxy, 7), Some(2));
    assert_eq!(serving(&product, &proxy, 700), None);
    dashboard.set_range(512, 1023, 1).expect("the range is answered");
    assert_eq!((serving(&product, &proxy, 7), serving(&product, &proxy, 700)), (Some(2), Some(1)));
    dashboard.drop_range(0, 10).expect("the range is answered");
    assert_eq!((serving(&product, &proxy, 7), serving(&product, &proxy, 11)), (None, Some(2)));
}

#[test]
fn actions_of_every_type_are_answered_with_the_proxy_s_own_json() {
    for flavour in [Flavour::Codis192, Flavour::Codis20, Flavour::Reborn] {
        let product = Product::start(flavour);
        let _proxy = product.start_online("proxy_1");
        let dashboard = &product.dashboard;
        let slot = dashboard.slot(7).json();
        let group = group_json(1, &dashboard.servers(1));
        for (kind, target) in [
            ("slot_changed", slot.as_str()),
            ("slot_premigrate", &slot),
            ("slot_changed", &slot),
            ("slot_migrate", &slot),
            ("multi_slot_changed", &range_json(0, 511, "online", 1)),
            ("group_changed", &group),
            ("group_remove", &group),
        ] {
            let told = dashboard.confirmed(kind, target);
            let told = told.unwrap_or_else(|failure| panic!("{flavour:?} {kind}: {failure}"));
            check_answered(dashboard, &told.sequence);
        }
    }
}

/// Goal: old dashboards wait for everyone whom they have told, whatever about.
#[test]
fn actions_that_change_nothing_are_answered_too() {
    let product = Product::start(Flavour::Reborn);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    for (kind, target) in [
        ("group_remove", group_json(77, &[])),
        ("group_changed", group_json(77, &[])),
        ("group_changed", group_json(78, &[ServerForm::new("slave", 78, "127.0.0.1:1")])),
        ("multi_slot_changed", range_json(-1, -1, "online", 1)),
        ("multi_slot_changed", range_json(1000, 2000, "online", 2)),
        ("multi_slot_changed", range_json(5000, 6000, "online", 2)),
        ("multi_slot_changed", range_json(10, 3, "online", 1)),
        ("slot_changed", SlotForm::online(5000, 1).json()),
    ] {
        let told = dashboard.confirmed(kind, &target);
        let told = told.unwrap_or_else(|failure| panic!("{kind} {target}: {failure}"));
        check_answered(dashboard, &told.sequence);
    }
    // Nobody waits for these.
    let told = dashboard.create_group(9);
    check_answered(dashboard, &told.sequence);
    let told = dashboard.remove_server(9, product.one.addr()).expect("it is no primary");
    check_answered(dashboard, &told.sequence);
    let told = dashboard.remove_group(9).expect("no slot uses it");
    check_answered(dashboard, &told.sequence);
    product.check_routes(&proxy);
}

#[test]
fn only_a_receiver_answers() {
    let product = Product::start(Flavour::Codis192);
    let _proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    let me = dashboard.proxy("proxy_1").expect("it is registered");
    let slot = dashboard.slot(7).json();
    let others = [
        Vec::new(),
        vec![ProxyForm { pid: me.pid + 1, ..me.clone() }.json()],
        vec![ProxyForm { start_at: "another time".to_owned(), ..me.clone() }.json()],
        vec![ProxyForm { id: "proxy_2".to_owned(), ..me.clone() }.json()],
        vec!["proxy_2".to_owned()],
        vec!["proxy_11".to_owned(), "proxy".to_owned()],
    ];
    let told = others.map(|receivers| dashboard.tell_these("slot_changed", &slot, &receivers));
    let changed = ProxyForm { state: "mark_offline".to_owned(), addr: String::new(), ..me.clone() };
    let mine = [
        vec!["proxy_1".to_owned()],
        vec![me.json()],
        // What else stands there changes while an action is under way.
        vec![changed.json()],
        vec![ProxyForm { pid: 1, ..me.clone() }.json(), me.json()],
    ];
    for receivers in mine {
        let sequence = dashboard.tell_these("slot_changed", &slot, &receivers);
        check_answered(dashboard, &sequence);
    }
    // They are handled in their order, so those before have been looked at by now.
    for sequence in told {
        assert!(dashboard.answers(&sequence).is_empty(), "{sequence} is not for this proxy");
    }
}

/// Freezes the primary of group 1 with a request under way; returns the client that waits for it,
/// and the key.
fn with_request_under_way(product: &mut Product, proxy: &KeywayProxy) -> (RawClient, String) {
    let key = key_in(SLOTS_OF_GROUPS[0], "under way");
    let mut client = proxy.client().with_deadline(Duration::from_secs(15));
    // The connection is there before the server stops to take any.
    assert_eq!(client.text(&["SET", &key, "0"]), "+OK\r\n");
    product.one.freeze();
    send_surely(&mut client, &["INCR", &key]);
    (client, key)
}

/// Replaces the primary of group 1 without a word to it, and tells the proxies.
fn replace_primary(dashboard: &OldDashboard, old: &RedisServer, new: &RedisServer) -> Told {
    let server = |kind, server: &RedisServer| ServerForm::new(kind, 1, &server.addr().to_string());
    dashboard.write_server(&server("offline", old));
    dashboard.write_server(&server("master", new));
    dashboard.tell("group_changed", &group_json(1, &dashboard.servers(1)))
}

#[test]
fn an_answer_waits_for_what_is_under_way_to_the_old_primary() {
    let (mut product, spare) = (Product::start(Flavour::Codis198), RedisServer::start());
    let proxy = product.start_online("proxy_1");
    let (mut client, key) = with_request_under_way(&mut product, &proxy);
    let told = replace_primary(&product.dashboard, &product.one, &spare);
    check_unanswered(&product.dashboard, &told);
    // What is asked from now on waits for the new primary.
    let mut late = proxy.client();
    late.send(encode(&["SET", &key, "late"]));
    product.one.thaw();
    check_answered(&product.dashboard, &told.sequence);
    assert_eq!(client.read_reply(), b":1\r\n", "what was under way has its reply");
    assert_eq!(late.read_reply(), b"+OK\r\n");
    assert_eq!(product.one.client().text(&["GET", &key]), "$1\r\n1\r\n");
    assert_eq!(spare.client().text(&["GET", &key]), "$4\r\nlate\r\n");
}

/// Goal: a dashboard expels who has not answered within ten seconds.
#[test]
fn an_answer_does_not_wait_for_ever_for_a_primary_that_is_frozen() {
    let (mut product, spare) = (Product::start(Flavour::Codis198), RedisServer::start());
    let proxy = product
        .options("proxy_1")
        .allow_log("fill")
        .allow_log("backend")
        .allow_log("sent an error");
    let proxy = product.dashboard.start_online("proxy_1", proxy);
    let (mut client, key) = with_request_under_way(&mut product, &proxy);
    let told = replace_primary(&product.dashboard, &product.one, &spare);
    product.dashboard.wait_answers(&told).expect("within ten seconds");
    // Nothing of the old route can follow the answer: the request was given up before it.
    let reply = String::from_utf8_lossy(&client.with_deadline(MOMENT).read_reply()).into_owned();
    assert!(reply.starts_with("-"), "{reply}");
    client = proxy.client();
    assert_eq!(client.text(&["SET", &key, "new"]), "+OK\r\n");
    product.one.thaw();
    assert_eq!(spare.client().text(&["GET", &key]), "$3\r\nnew\r\n");
}

#[test]
fn ten_thousand_old_actions_are_passed_over() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    dashboard.create_history(10_000, &["proxy_1".to_owned()]);
    let clock = Deadline::after(DEADLINE);
    let proxy = product.start_online("proxy_1");
    let took = clock.elapsed();
    assert!(took < Duration::from_secs(10), "it took {took:?} to come online");
    let told = dashboard.confirmed("slot_changed", &dashboard.slot(7).json());
    let told = told.expect("a new action is answered");
    check_answered(dashboard, &told.sequence);
    for number in (0..10_000).step_by(97).chain([9_999]) {
        let answers = dashboard.answers(&format!("{number:010}"));
        assert!(answers.is_empty(), "{number} was not for this run of the proxy");
    }
    product.check_routes(&proxy);
}

/// Goal: the collection of old actions takes away what proxies are about to read or to answer.
#[test]
fn actions_that_are_collected_while_they_are_handled_do_no_harm() {
    let product = Product::start(Flavour::Codis20);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    let collector = OldDashboard::new(product.zookeeper.client(), Flavour::Codis20);
    let slot = dashboard.slot(7).json();
    std::thread::scope(|scope| {
        let told = scope.spawn(|| {
            for _ in 0..300 {
                dashboard.tell("slot_changed", &slot);
            }
        });
        while !told.is_finished() {
            collector.collect_all_but(0);
        }
    });
    dashboard.check_confirms();
    collector.collect_garbage(1);
    let left = dashboard.client().children(&dashboard.path("actions"));
    assert!(left.len() <= 501, "{} actions are left", left.len());
    dashboard.check_confirms();
    product.check_routes(&proxy);
}

/// Goal: the collection closes the answers of an action before it deletes them; whoever answers in
/// between has done nothing wrong, and neither has the operator. Method: the moment is made to last;
/// a warning in the proxy's log fails the test.
#[test]
fn an_action_whose_answers_are_being_collected_raises_no_alarm() {
    let product = Product::start(Flavour::Codis20);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    let client = dashboard.client();
    let receiver = dashboard.proxy("proxy_1").expect("it is registered").json();
    let slot = dashboard.slot(7).json();
    let action = action_json("slot_changed", &slot, &[receiver], 1);
    let (name, responses) = ("actions/0000000007", "ActionResponse/0000000007");
    let responses = dashboard.path(responses);
    client.create(&responses, &action, Lifetime::Persistent, Access::Directory);
    client.put(&format!("{responses}/proxy_0"), "");
    client.close(&responses);
    client.put(&dashboard.path(name), &action);
    let answered = client.wait_children(&responses, MOMENT, |names| names.len() > 1);
    assert!(answered.is_err(), "nobody can answer there: {answered:?}");
    client.delete(&dashboard.path(name));
    client.delete_directory(&responses);
    dashboard.check_confirms();
    product.check_routes(&proxy);
}

#[test]
fn an_action_that_cannot_be_understood_gets_no_answer_and_stops_nothing() {
    let product = Product::start(Flavour::Codis198);
    let options = product.options("proxy_1").allow_log("\"alarm\"");
    let proxy = product.dashboard.start_online("proxy_1", options);
    let dashboard = &product.dashboard;
    let client = dashboard.client();
    let receiver = dashboard.proxy("proxy_1").expect("it is registered").json();
    let mut told = vec![
        dashboard.tell_these("rebalance", "{}", std::slice::from_ref(&receiver)),
        dashboard.tell_these("slot_changed", "[]", std::slice::from_ref(&receiver)),
        dashboard.tell_these("slot_changed", "{\"id\":\"seven\"}", &[receiver]),
    ];
    for (number, text) in ["", "no JSON", "{}", "[]", "\u{0}"].iter().enumerate() {
        let name = format!("{:010}", 1_000 + number);
        let path = dashboard.path(&format!("ActionResponse/{name}"));
        client.create(&path, text, Lifetime::Persistent, Access::Directory);
        client.put(&dashboard.path(&format!("actions/{name}")), text);
        told.push(name);
    }
    // Neither do names that no dashboard would give.
    for name in ["lock", "action_x", "-1", "99999999999999999999999"] {
        client.put(&dashboard.path(&format!("actions/{name}")), "{}");
    }
    dashboard.check_confirms();
    dashboard.set_range(7, 7, 2).expect("the proxy answers");
    assert_eq!(serving(&product, &proxy, 7), Some(2));
    for sequence in told {
        assert!(dashboard.answers(&sequence).is_empty(), "{sequence} is answered");
    }
}

/// Goal: two dashboards, or a slow one, may show a lower number after a higher one.
#[test]
fn a_lower_number_that_appears_late_is_answered_as_well() {
    let product = Product::start(Flavour::Reborn);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    let receiver = dashboard.proxy("proxy_1").expect("it is registered").json();
    let first = dashboard.tell("slot_changed", &dashboard.slot(7).json());
    let second = dashboard.tell("slot_changed", &dashboard.slot(7).json());
    check_answered(dashboard, &second.sequence);
    let between = format!("{:010}", second.sequence.parse::<u64>().expect("a number") - 1);
    assert!(first.sequence < between && between < second.sequence);
    dashboard.write_slot(&SlotForm::online(7, 2));
    let range = range_json(7, 7, "online", 2);
    let action = action_json("multi_slot_changed", &range, &[receiver], 1);
    let client = dashboard.client();
    let responses = dashboard.path(&format!("ActionResponse/{between}"));
    client.create(&responses, &action, Lifetime::Persistent, Access::Directory);
    let path = dashboard.path(&format!("actions/{between}"));
    client.create(&path, &action, Lifetime::Persistent, Access::File);
    check_answered(dashboard, &between);
    assert_eq!(serving(&product, &proxy, 7), Some(2));
}

/// Goal: nobody is passed by between `online` and the first look at the actions. Method: the action
/// follows at once on the word.
#[test]
fn an_action_right_after_online_is_answered() {
    let product = Product::start(Flavour::Codis192);
    let dashboard = &product.dashboard;
    for id in ["proxy_1", "proxy_2", "proxy_3"] {
        let proxy = product.options(id).start();
        dashboard.wait_registered(id);
        dashboard.put_online(id).expect("all slots are online");
        dashboard.write_slot(&SlotForm::online(7, 2));
        let told = dashboard.confirmed("slot_changed", &SlotForm::online(7, 2).json());
        let told = told.unwrap_or_else(|failure| panic!("{id}: {failure}"));
        assert_eq!(told.receivers.len(), 1, "the one that is online");
        wait_serves(&proxy, DEADLINE);
        assert_eq!(serving(&product, &proxy, 7), Some(2));
    }
    wait_until("all have left", DEADLINE, || match dashboard.proxies().len() {
        0 => Ok(()),
        left => Err(left),
    });
}

/// Goal: this is what an answer is for. Method: clients of two proxies count without a pause while
/// a slot changes its group again and again; once all have answered, the group that had it must not
/// be written to any more.
#[test]
fn after_the_answers_nothing_reaches_the_old_group() {
    let product = Product::start(Flavour::Reborn);
    let proxies = ["proxy_1", "proxy_2"].map(|id| product.start_online(id));
    let key = |name: &str| key_in(SLOTS_OF_GROUPS[0], name);
    let [a, b] = [0, 1].map(|proxy| [key(&format!("a{proxy}")), key(&format!("b{proxy}"))]);
    let counters = [
        Counter::new(&proxies[0], &a[0]),
        Counter::new(&proxies[0], &a[1]),
        Counter::new(&proxies[1], &b[0]),
        Counter::new(&proxies[1], &b[1]),
    ];
    let values = |server: &RedisServer| -> Vec<String> {
        counters.iter().map(|counter| counter.value(server)).collect()
    };
    let change = || {
        for round in 0..20 {
            let (target, old) = if round % 2 == 0 { (2, &product.one) } else { (1, &product.two) };
            let told = product.dashboard.set_range(SLOTS_OF_GROUPS[0], SLOTS_OF_GROUPS[0], target);
            let left_at = values(old);
            assert_eq!(told.map(|told| told.receivers.len()), Ok(2));
            counters.iter().for_each(|counter| counter.wait_more(5));
            assert_eq!(values(old), left_at, "written to after all have answered");
        }
    };
    let [first, second, third, last] = &counters;
    first.run(|| second.run(|| third.run(|| last.run(change))));
    for counter in &counters {
        assert_eq!(counter.errors(), 0, "a change of a route is no error");
    }
}

/// Goal: a dashboard expels who does not answer, and that is the end of it. Method: a proxy stands
/// still for longer than it is given, but not for as long as its session lasts.
#[test]
fn a_proxy_that_does_not_answer_in_time_is_expelled_and_leaves_nothing_behind() {
    let product = Product::start(Flavour::Codis198);
    let limit = Duration::from_secs(1);
    let client = product.zookeeper.client();
    let dashboard = OldDashboard::new(client, Flavour::Codis198).with_confirm_limit(limit);
    let addr = product.zookeeper.addr().to_string();
    let options = dashboard.options_with_session("proxy_1", &addr, "20s");
    let mut slow = dashboard.start_online("proxy_1", options.allow_log("\"alarm\""));
    let fast = product.start_online("proxy_2");
    slow.freeze();
    std::thread::scope(|scope| {
        let failed = scope.spawn(|| dashboard.set_range(7, 7, 2).map(drop));
        let marked = "it is marked offline";
        wait_until(marked, DEADLINE, || match product.dashboard.proxy("proxy_1") {
            Some(proxy) if proxy.state == "mark_offline" => Ok(()),
            other => Err(other.map(|proxy| proxy.state)),
        });
        slow.thaw();
        let failed = failed.join().expect("no panic");
        assert_eq!(failed, Err(Failure::Silent(vec!["proxy_1".to_owned()])));
    });
    let status = slow.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
    assert_eq!(dashboard.fences().len(), 1, "only that of the other");
    dashboard.check_confirms();
    assert_eq!(serving(&product, &fast, 7), Some(2));
}
