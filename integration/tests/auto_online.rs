//! `--dashboard`, `--filesystem`, `--zookeeper` and `--etcd`: the proxy asks a dashboard to bring it
//! online, which it is told of or finds in a coordinator. The dashboard is played by the test: it
//! calls the proxy's admin API as one of Codis does. The coordinators are real.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::sync_channel;

use integration::admin::all_slots_on;
use integration::http_receiver::{HttpReceiver, HttpRequest};
use integration::ports::free_port;
use integration::proxy::program;
use integration::wait::DEADLINE;
use integration::zookeeper::client::{Access, Lifetime};
use integration::{AdminClient, Etcd, Gate, KeywayProxy, RedisServer, ZooKeeper, ZooKeeperClient};
use serde_json::{Value, json};
use tempfile::TempDir;

const NOT_YET: &str = "no dashboard has brought the proxy online yet";
const ONLINE: &str = "a dashboard has brought the proxy online";

/// The xauth of dashboards of the product `codis-demo`.
const XAUTH: &str = "95b62887719520f17e312eaa76d28f2b";

/// Answers the questions of a proxy as a dashboard of this product.
fn dashboard_of(
    product: &'static str,
    slots: Value,
) -> impl FnMut(&HttpRequest) -> (u16, String) + Send + 'static {
    move |request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/topom/model") => {
            let model = json!({"token": "t", "admin_addr": "h:1", "product_name": product});
            (200, format!("{model:#}"))
        }
        ("PUT", path) => {
            let proxy = path.strip_prefix(&format!("/api/topom/proxy/online/{XAUTH}/"));
            let Some(proxy) = proxy.and_then(|addr| addr.parse().ok()) else {
                return (404, format!("no order of a proxy: {path}"));
            };
            bring_online(proxy, &slots);
            (200, "\"OK\"".to_owned())
        }
        // The proxy warns of the answer, and the test fails of the warning.
        other => (404, format!("nothing that a proxy asks: {other:?}")),
    }
}

/// The calls of a dashboard, in its order.
fn bring_online(proxy: SocketAddr, slots: &Value) {
    let mut admin = AdminClient::connect(proxy, "");
    admin.get("/api/proxy/xping/{x}").expect_ok();
    admin.fill(slots).expect_ok();
    admin.put("/api/proxy/start/{x}").expect_ok();
    admin.put_body("/api/proxy/sentinels/{x}", br#"{"out_of_sync": false}"#).expect_ok();
}

/// Where coordinators have the model of the dashboard of `codis-demo`.
const STORED: &str = "/codis3/codis-demo/topom";

/// What is there.
fn stored(dashboard: SocketAddr) -> String {
    let model = json!({"token": "t", "admin_addr": dashboard.to_string(), "pid": 1});
    format!("{model:#}")
}

/// Writes the model of a dashboard as the store of a filesystem coordinator has it.
fn store_dashboard(store: &Path, dashboard: SocketAddr) {
    let folder = store.join("data/codis3/codis-demo");
    std::fs::create_dir_all(&folder).expect("make the store");
    std::fs::write(folder.join("new"), stored(dashboard)).expect("write the model");
    std::fs::rename(folder.join("new"), folder.join("topom")).expect("put it in its place");
}

#[test]
fn a_proxy_has_a_dashboard_bring_it_online() {
    let server = RedisServer::start();
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    let proxy = KeywayProxy::options()
        .argument("--dashboard")
        .argument(&dashboard.addr().to_string())
        .start();
    proxy.wait_logged(ONLINE);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
    assert!(!proxy.log().text().contains(XAUTH));
}

#[test]
fn a_dashboard_that_comes_late_is_found() {
    let server = RedisServer::start();
    let port = free_port();
    let proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"500ms\"")
        .argument(&format!("--dashboard=127.0.0.1:{port}"))
        .allow_log(NOT_YET)
        .start();
    proxy.wait_logged(NOT_YET);
    let _dashboard = HttpReceiver::start(port, dashboard_of("codis-demo", all_slots_on(&server)));
    proxy.wait_logged(ONLINE);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

#[test]
fn a_dashboard_is_found_in_the_store_of_a_coordinator_as_soon_as_it_is_there() {
    let server = RedisServer::start();
    let store = TempDir::new().expect("make a folder");
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    let proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"300ms\"")
        .argument("--filesystem")
        .argument(&store.path().display().to_string())
        .allow_log(NOT_YET)
        .start();
    proxy.wait_logged(NOT_YET);
    store_dashboard(store.path(), dashboard.addr());
    proxy.wait_logged(ONLINE);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

#[test]
fn a_dashboard_is_found_in_zookeeper_as_soon_as_it_is_there() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    let proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"300ms\"")
        .argument(&format!("--zookeeper={}", zookeeper.addr()))
        .allow_log(NOT_YET)
        .start();
    proxy.wait_logged(NOT_YET);
    assert!(proxy.log().text().contains("has no `/codis3/codis-demo/topom`: is the dashboard"));
    let client = zookeeper.client();
    client.create_directory("/codis3/codis-demo");
    client.create(STORED, &stored(dashboard.addr()), Lifetime::Persistent, Access::File);
    proxy.wait_logged(ONLINE);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

#[test]
fn a_dashboard_of_a_user_is_found_in_zookeeper_by_that_user_alone() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let addrs = zookeeper.addr().to_string();
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    let alice = ZooKeeperClient::connect_as(&addrs, Some("alice:right"));
    alice.create_directory("/codis3/codis-demo");
    alice.create(STORED, &stored(dashboard.addr()), Lifetime::Persistent, Access::Private);
    let refused = KeywayProxy::options()
        .argument(&format!("--zookeeper={addrs}"))
        .argument("--zookeeper-auth=alice:wrong")
        .allow_log("no permission for node `/codis3/codis-demo/topom`")
        .start();
    refused.wait_logged(NOT_YET);
    let proxy = KeywayProxy::options()
        .argument(&format!("--zookeeper={addrs}"))
        .argument("--zookeeper-auth=alice:right")
        .start();
    proxy.wait_logged(ONLINE);
    assert!(!proxy.log().text().contains("alice:right"));
}

#[test]
fn a_dashboard_is_found_in_etcd() {
    let (server, mut etcd) = (RedisServer::start(), Etcd::start());
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    etcd.require_password("s3cret");
    let proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"300ms\"")
        .argument(&format!("--etcd={}", etcd.addr()))
        .argument("--etcd-auth=root:s3cret")
        .allow_log(NOT_YET)
        .start();
    proxy.wait_logged(NOT_YET);
    etcd.put(STORED, &stored(dashboard.addr()));
    proxy.wait_logged(ONLINE);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

#[test]
fn a_coordinator_that_is_not_there_ends_the_proxy_after_thirty_tries() {
    let text = "no dashboard has brought the proxy online in 30 tries";
    for flag in ["--zookeeper", "--etcd"] {
        let mut proxy = KeywayProxy::options()
            .config("dashboard_retry_delay = \"10ms\"")
            .argument(&format!("{flag}=127.0.0.1:{}", free_port()))
            .allow_log(NOT_YET)
            .allow_log(text)
            .start();
        assert_eq!(proxy.wait_exit(DEADLINE).code(), Some(1));
        let log = proxy.log().text();
        assert_eq!(log.matches(NOT_YET).count(), 30, "{log}");
        assert!(log.contains("cannot connect to the coordinator at `127.0.0.1:"), "{log}");
    }
}

#[test]
fn a_coordinator_that_says_nothing_does_not_hold_up_the_end() {
    let zookeeper = ZooKeeper::start();
    let mut gate = Gate::before(zookeeper.addr());
    gate.freeze();
    let mut proxy =
        KeywayProxy::options().argument(&format!("--zookeeper={}", gate.addr())).start();
    proxy.terminate();
}

#[test]
fn the_dashboard_of_another_product_ends_the_proxy_at_once() {
    let (release, gate) = sync_channel(1);
    let mut answer = dashboard_of("other", json!([]));
    let dashboard = HttpReceiver::start(0, move |request| {
        // The proxy must have started before it ends.
        gate.recv().expect("the test releases each answer");
        assert_eq!(request.path, "/api/topom/model");
        answer(request)
    });
    let text = format!(
        "the dashboard at `{}` is of product `other`, this proxy is of product `codis-demo`",
        dashboard.addr()
    );
    let mut proxy = KeywayProxy::options()
        .argument(&format!("--dashboard={}", dashboard.addr()))
        .allow_log(&text)
        .start();
    release.send(()).expect("the dashboard waits");
    assert_eq!(proxy.wait_exit(DEADLINE).code(), Some(1));
    assert!(proxy.log().text().contains(&format!("error: {text}")), "{}", proxy.log().text());
}

#[test]
fn a_dashboard_that_never_comes_ends_the_proxy_after_ten_tries() {
    let text = "no dashboard has brought the proxy online in 10 tries";
    let mut proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"200ms\"")
        .argument(&format!("--dashboard=127.0.0.1:{}", free_port()))
        .allow_log(NOT_YET)
        .allow_log(text)
        .start();
    assert_eq!(proxy.wait_exit(DEADLINE).code(), Some(1));
    let log = proxy.log().text();
    assert_eq!(log.matches(NOT_YET).count(), 10, "{log}");
    assert!(log.contains(&format!("error: {text}")), "{log}");
}

#[test]
fn the_cause_of_a_refusing_dashboard_is_told_and_it_is_tried_again() {
    let server = RedisServer::start();
    let mut refusals = 1;
    let mut answer = dashboard_of("codis-demo", all_slots_on(&server));
    let dashboard = HttpReceiver::start(0, move |request| {
        if request.method == "PUT" && refusals > 0 {
            refusals -= 1;
            return (800, r#"{"Cause":"store is locked","Stack":null}"#.to_owned());
        }
        answer(request)
    });
    let proxy = KeywayProxy::options()
        .config("dashboard_retry_delay = \"10ms\"")
        .argument(&format!("--dashboard={}", dashboard.addr()))
        .allow_log("it refuses: store is locked")
        .start();
    proxy.wait_logged(NOT_YET);
    proxy.wait_logged(ONLINE);
}

#[test]
fn an_address_that_leads_to_another_proxy_is_told() {
    let server = RedisServer::start();
    let other = KeywayProxy::options().start();
    let dashboard = HttpReceiver::start(0, dashboard_of("codis-demo", all_slots_on(&server)));
    let mut proxy = KeywayProxy::options()
        .argument(&format!("--host-admin={}", other.admin_addr()))
        .argument(&format!("--dashboard={}", dashboard.addr()))
        .allow_log("has started another proxy")
        .start();
    proxy.wait_logged(NOT_YET);
    assert_eq!(other.client().text(&["SET", "key", "value"]), "+OK\r\n");
    proxy.terminate();
}

#[test]
fn a_signal_ends_the_tries() {
    // Three seconds to the next try: the end comes in between.
    let mut proxy = KeywayProxy::options()
        .argument(&format!("--dashboard=127.0.0.1:{}", free_port()))
        .allow_log(NOT_YET)
        .start();
    proxy.wait_logged(NOT_YET);
    proxy.terminate();
}

#[test]
fn a_dashboard_that_says_nothing_does_not_hold_up_the_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = silent.local_addr().expect("own address");
    let mut proxy = KeywayProxy::options().argument(&format!("--dashboard={addr}")).start();
    let _asked = silent.accept().expect("the proxy connects");
    proxy.terminate();
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["--dashboard="][..],
        &["--filesystem="],
        &["--dashboard=h"],
        &["--dashboard=h:1", "--filesystem=/s"],
        &["--dashboard=h:1", "h:6379"],
        &["--filesystem=/s", "--fillslots=f"],
        &["--zookeeper="],
        &["--zookeeper=h:1", "--etcd=h:1"],
        &["--etcd=h:1", "--dashboard=h:1"],
        &["--etcd-auth=u:p", "h:6379"],
    ] {
        let output = Command::new(program()).arg("proxy").args(arguments).output();
        let output = output.expect("run the proxy");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
