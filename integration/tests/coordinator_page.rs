//! What the admin server tells and takes when the slots come from a coordinator: the built proxy,
//! a real ZooKeeper, and a dashboard of Codis 1.9 and Codis 2.0.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::old_dashboard::forms::SlotForm;
use integration::old_dashboard::{Flavour, OldDashboard};
use integration::raw_client::encode;
use integration::wait::{DEADLINE, wait_until};
use integration::{AdminClient, Browser, KeywayProxy, RedisServer, ZooKeeper};
use serde_json::{Value, json};

const ID: &str = "proxy_1";

/// A session that was lost has to end at the server before the proxy can register again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A product with a proxy.
struct Product {
    // Dropped in this order: the proxy says goodbye to a ZooKeeper that is there.
    proxy: KeywayProxy,
    dashboard: OldDashboard,
    zookeeper: ZooKeeper,
    _server: RedisServer,
}

/// A product whose proxy waits to be put online.
fn waiting(flavour: Flavour) -> Product {
    let (zookeeper, server) = (ZooKeeper::start(), RedisServer::start());
    let dashboard = OldDashboard::of_product(zookeeper.client(), flavour, &[(1, &[&server])]);
    let options = dashboard.proxy_options(ID, &zookeeper.addr().to_string());
    let proxy = options.allow_log("\"msg\":\"alarm\"").start();
    dashboard.wait_registered(ID);
    Product { proxy, dashboard, zookeeper, _server: server }
}

/// A product whose proxy is online.
fn online(flavour: Flavour) -> Product {
    let product = waiting(flavour);
    assert_eq!(product.dashboard.put_online(ID), Ok(()));
    wait_for(&product.proxy, "the proxy is online", |told| told["membership"] == "online");
    product
}

fn told(proxy: &KeywayProxy) -> Value {
    let answer = AdminClient::anonymous(proxy.admin_addr()).get("/keyway/coordinator");
    assert_eq!(answer.status, 200);
    answer.json().get("coordinator").cloned().unwrap_or_default()
}

/// Waits until the coordinator's state is told as wanted.
fn wait_for(proxy: &KeywayProxy, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, PATIENCE, || {
        let told = told(proxy);
        if is_wanted(&told) { Ok(told) } else { Err(told) }
    })
}

fn ready(proxy: &KeywayProxy) -> (u16, Value) {
    let answer = AdminClient::anonymous(proxy.admin_addr()).get("/readyz");
    (answer.status, answer.json())
}

/// The value of a metric, if there is one.
fn metric(proxy: &KeywayProxy, name: &str) -> Option<f64> {
    let text = AdminClient::anonymous(proxy.admin_addr()).get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

/// Breaks the node of a slot and tells of it, as nobody should.
fn break_slot(dashboard: &OldDashboard, slot: usize) {
    dashboard.client().put(&dashboard.slot_path(slot), "{\"id\":");
    dashboard.tell("slot_changed", &SlotForm::online(slot, 1).json());
}

/// `target/page`.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("page")
}

#[test]
fn a_proxy_tells_how_it_stands_with_its_coordinator() {
    let product = waiting(Flavour::Codis198);
    let Product { proxy, dashboard, zookeeper, .. } = &product;
    let seen = wait_for(proxy, "the proxy waits", |told| told["membership"] == "waiting");
    assert_eq!(seen["kind"], "zookeeper");
    assert_eq!(seen["addrs"], zookeeper.addr().to_string());
    assert_eq!(seen["contact"], "connected");
    assert_eq!(seen["node"], dashboard.proxy_path(ID));
    assert_eq!((&seen["sessions_total"], &seen["last_action"]), (&json!(1), &Value::Null));
    let (status, why) = ready(proxy);
    assert_eq!((status, &why["membership"]), (503, &json!("waiting")), "{why}");
    assert_eq!(why["reason"], "the dashboard has not put the proxy online yet");

    dashboard.put_online(ID).unwrap();
    wait_for(proxy, "the proxy is online", |told| told["membership"] == "online");
    let (status, why) = ready(proxy);
    assert_eq!((status, &why["reason"]), (200, &Value::Null), "{why}");
    let action = dashboard.set_range(0, 9, 1).unwrap();
    let seen = wait_for(proxy, "the action is answered", |told| {
        !told["last_action"]["answered_after_ms"].is_null()
    });
    assert_eq!(seen["last_action"]["sequence"], action.sequence);
    assert_eq!(seen["last_action"]["type"], "multi_slot_changed");
    assert_eq!((&seen["actions_answered_total"], &seen["actions_waiting"]), (&json!(1), &json!(0)));
    assert_eq!((&seen["alarms"], &seen["alarm_count"]), (&json!([]), &json!(0)));
    for (name, expected) in [
        ("connected", 1.0),
        ("sessions_total", 1.0),
        ("membership{state=\"online\"}", 1.0),
        ("membership{state=\"waiting\"}", 0.0),
        ("actions_answered_total", 1.0),
        ("actions_waiting", 0.0),
        ("alarms", 0.0),
    ] {
        assert_eq!(metric(proxy, &format!("keyway_coordinator_{name}")), Some(expected), "{name}");
    }
    let last = metric(proxy, "keyway_coordinator_last_action_timestamp_seconds");
    assert!(last > Some(1.7e9), "{last:?}");
    assert!(metric(proxy, "keyway_coordinator_session_age_seconds").is_some());
}

#[test]
fn alarms_are_there_as_long_as_nodes_are_broken() {
    let product = online(Flavour::Codis198);
    let Product { proxy, dashboard, .. } = &product;
    break_slot(dashboard, 7);
    let seen = wait_for(proxy, "the broken slot is told", |told| told["alarm_count"] == 1);
    let alarm = &seen["alarms"][0];
    assert!(alarm["text"].as_str().unwrap().starts_with("slots 7: "), "{alarm}");
    assert!(alarm["since"].as_str().unwrap().ends_with('Z'), "{alarm}");
    wait_for(proxy, "the action waits", |told| {
        told["actions_waiting"] == 1 && told["last_action"]["answered_after_ms"].is_null()
    });
    assert_eq!(metric(proxy, "keyway_coordinator_alarms"), Some(1.0));
    assert_eq!(metric(proxy, "keyway_coordinator_actions_waiting"), Some(1.0));
    assert_eq!(ready(proxy).0, 200, "the slot keeps its last route");

    dashboard.write_slot(&SlotForm::online(7, 1));
    let seen = wait_for(proxy, "the alarm is over", |told| told["alarm_count"] == 0);
    assert_eq!(seen["alarms"], json!([]));
    wait_for(proxy, "the action is answered", |told| told["actions_answered_total"] == 1);
    assert_eq!(metric(proxy, "keyway_coordinator_alarms"), Some(0.0));
}

/// ZooKeeper is away for longer than the session, and comes back.
#[test]
fn a_proxy_without_a_session_is_not_ready_and_says_why() {
    let mut product = online(Flavour::Codis20);
    let Product { proxy, zookeeper, .. } = &mut product;
    zookeeper.kill();
    wait_for(proxy, "contact is lost", |told| told["contact"] == "disconnected");
    assert_eq!(metric(proxy, "keyway_coordinator_connected"), Some(0.0));
    let seen = wait_for(proxy, "the session is over", |told| told["contact"] == "connecting");
    assert_eq!(seen["membership"], "unregistered");
    assert_eq!(seen["session_since"], Value::Null);
    assert!(seen["alarm_count"].as_u64() > Some(0), "{seen}");
    let (status, why) = ready(proxy);
    assert_eq!((status, &why["slots_locked"]), (503, &json!(1024)), "{why}");
    assert!(
        why["reason"].as_str().unwrap().contains("session with the coordinator is over"),
        "{why}"
    );
    zookeeper.restart();
    let seen = wait_for(proxy, "the proxy is back", |told| told["membership"] == "online");
    assert_eq!(seen["sessions_total"], 2);
    assert_eq!(ready(proxy).0, 200);
    wait_for(proxy, "the alarms are over", |told| told["alarm_count"] == 0);
}

#[test]
fn the_dashboards_of_old_products_read_figures_and_set_the_log() {
    let product = online(Flavour::Codis198);
    let proxy = &product.proxy;
    let mut client = proxy.client();
    for request in [&["SET", "key", "value"][..], &["GET", "key"], &["GET", "key"]] {
        client.send(encode(request));
    }
    client.read_replies(3);
    let mut admin = AdminClient::anonymous(proxy.admin_addr());
    let vars = admin.get("/debug/vars").json();
    let router = vars["router"].as_object().unwrap();
    assert!(router.values().all(Value::is_u64), "{vars}");
    for (name, expected) in [("ops", 3), ("connections", 1), ("GET", 2), ("SET", 1), ("Migrate", 0)]
    {
        assert_eq!(router[name], expected, "{name} in {vars}");
    }
    let ranges = router.iter().filter(|(name, _)| name.contains("ms"));
    assert_eq!(ranges.map(|(_, count)| count.as_u64().unwrap()).sum::<u64>(), 3, "{vars}");
    assert!(router["FillSlot"].as_u64() > Some(0), "{vars}");
    assert!(vars["memstats"]["Alloc"].as_u64() > Some(0), "{vars}");
    assert!(vars["evtbus"].is_string() && vars["startAt"].is_string(), "{vars}");
    assert_eq!(vars["cmdline"].as_array().unwrap().len(), 1);

    for (method, level) in [("GET", "debug"), ("PUT", "warn"), ("GET", "INFO")] {
        let answer = admin.request(method, &format!("/setloglevel?level={level}"), &[], b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{level}");
    }
    for wrong in ["/setloglevel?level=loud", "/setloglevel?level=", "/setloglevel"] {
        assert_eq!(admin.get(wrong).status, 400, "{wrong}");
    }
}

#[test]
fn figures_for_codis_2_have_its_form() {
    let product = online(Flavour::Codis20);
    let Product { proxy, dashboard, .. } = &product;
    proxy.client().command(&["SET", "key", "value"]);
    let vars = AdminClient::anonymous(proxy.admin_addr()).get("/debug/vars").json();
    let router = &vars["router"];
    assert_eq!(router["ops"], 1);
    let set = &router["cmds"][0];
    assert_eq!((&set["cmd"], &set["calls"]), (&json!("SET"), &json!(1)), "{router}");
    assert!(set["usecs"].is_u64() && set["usecs_percall"].is_u64(), "{router}");
    assert!(router["build"]["version"].as_str().unwrap().starts_with("keyway "), "{router}");
    let (info, node) = (&router["info"], dashboard.proxy(ID).unwrap());
    assert_eq!(info["id"], node.id);
    assert_eq!(info["addr"], node.addr);
    assert_eq!(info["debug_var_addr"], node.debug_var_addr);
    assert_eq!((&info["state"], &info["pid"]), (&json!("online"), &json!(node.pid)));
}

#[test]
fn a_proxy_without_a_coordinator_says_so_and_has_no_figures_of_old() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let answer = admin.get("/keyway/coordinator");
    assert_eq!(answer.json(), json!({"topology": "codis3", "coordinator": null}));
    assert_eq!(admin.get("/keyway/live").json()["coordinator"], Value::Null);
    for path in ["/debug/vars", "/setloglevel?level=info"] {
        assert_eq!(admin.get(path).status, 404, "{path}");
    }
    assert!(!admin.get("/metrics").text().contains("keyway_coordinator"));
}

#[test]
fn readers_of_the_coordinators_state_need_the_read_token() {
    let zookeeper = ZooKeeper::start();
    let dashboard = OldDashboard::new(zookeeper.client(), Flavour::Codis192);
    let options = dashboard.proxy_options(ID, &zookeeper.addr().to_string());
    let proxy = options.config("admin_read_token = \"right\"").start();
    let mut admin = AdminClient::anonymous(proxy.admin_addr());
    for path in ["/keyway/coordinator", "/debug/vars", "/setloglevel?level=info"] {
        assert_eq!(admin.get(path).status, 401, "{path}");
        let headers = ["Authorization: Bearer right"];
        assert_eq!(admin.request("GET", path, &headers, b"").status, 200, "{path}");
    }
}

/// Two masters would contradict each other; what is no business of a dashboard goes on.
#[test]
fn orders_that_belong_to_the_dashboard_are_refused() {
    let mut product = online(Flavour::Reborn);
    let proxy = &mut product.proxy;
    // The connection of an order whose body is not looked at is closed.
    let order = || proxy.admin();
    let refused = "the slots of this proxy come from its coordinator (topology = `reborn`)";
    for (path, body) in [
        ("fillslots/{x}", "[{\"id\": 7}]"),
        ("start/{x}", ""),
        ("sentinels/{x}", "{\"servers\": []}"),
        ("sentinels/{x}/rewatch", ""),
    ] {
        let answer = order().put_body(&format!("/api/proxy/{path}"), body.as_bytes());
        assert_eq!(answer.status, 800, "{path}");
        assert!(answer.cause().starts_with(refused), "{path}: {}", answer.cause());
    }
    let answer = order().post_body("/api/proxy/slots/move/{x}", b"{}");
    assert!(answer.cause().starts_with(refused), "{}", answer.cause());
    for path in ["stats/reset/{x}", "loglevel/{x}/debug", "forcegc/{x}"] {
        order().put(&format!("/api/proxy/{path}")).expect_ok();
    }
    assert_eq!(ready(proxy).0, 200, "nothing has changed");
    order().put("/api/proxy/shutdown/{x}").expect_ok();
    assert!(proxy.wait_exit(DEADLINE).success());
}

/// The panel is there with a coordinator, and shows alarms and lost contact until they are over.
#[test]
fn the_page_shows_the_coordinator() {
    let mut product = online(Flavour::Codis198);
    let Product { proxy, dashboard, zookeeper, .. } = &mut product;
    dashboard.set_range(0, 9, 1).unwrap();
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    let says = |id: &str, text: &str| {
        format!("return document.getElementById('{id}').innerText.includes('{text}')")
    };
    browser.wait_for("the contact is shown", &says("coordinator", "● Connected"));
    for text in
        ["● Online", &dashboard.proxy_path(ID), "multi_slot_changed", "1 answered", "1 so far"]
    {
        browser.wait_for(text, &says("coordinator", text));
    }
    browser.wait_for("the status is good", &says("status", "● Online"));
    let kind = "return document.querySelector('#coordinator .state').dataset.kind";
    assert_eq!(browser.run(kind), "good");

    break_slot(dashboard, 7);
    browser.wait_for("the alarm is shown", &says("alarms", "slots 7: "));
    browser.wait_for("the alarm has its time", &says("alarms", "since "));
    browser.wait_for("the action waits", &says("coordinator", "1 waiting"));
    browser.wait_for("the action has no answer", &says("coordinator", "not answered for"));
    browser.wait_for("the status tells of it", &says("status", "▲ Online, an alarm"));
    browser.screenshot(&pictures(), "coordinator.png");
    browser.set_theme("dark");
    browser.set_width(400);
    browser.screenshot(&pictures(), "coordinator-dark-phone.png");

    dashboard.write_slot(&SlotForm::online(7, 1));
    let is_over = "return document.getElementById('alarms').children.length === 0";
    browser.wait_for("the alarm is over", is_over);
    browser.wait_for("the status is good again", &says("status", "● Online"));

    zookeeper.freeze();
    browser.wait_for("the contact is lost", &says("coordinator", "▲ No contact"));
    assert_eq!(browser.run(kind), "warn");
    zookeeper.thaw();
    browser.wait_for("there is contact again", &says("coordinator", "● Connected"));
}

#[test]
fn the_page_has_no_panel_without_a_coordinator() {
    let proxy = KeywayProxy::options().start();
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    browser.wait_for("the page is live", "return document.body.dataset.state === 'live'");
    assert_eq!(browser.run("return document.getElementById('coordinator-card').hidden"), true);
}
