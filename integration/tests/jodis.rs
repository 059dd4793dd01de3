//! Jodis: the proxy's node in a real ZooKeeper and a real etcd, whatever happens to the node, the
//! coordinator and the proxy. Clients are served all the time.

use std::fmt::Display;
use std::time::Duration;

use integration::etcd::EtcdNode;
use integration::ports::free_port;
use integration::proxy::ProxyOptions;
use integration::zookeeper::client::{Access, Lifetime, Node};
use integration::{
    AdminClient, DEADLINE, Deadline, Ensemble, Etcd, Gate, KeywayProxy, RedisServer, ZooKeeper,
    ZooKeeperClient, wait_until,
};
use serde_json::{Value, json};

/// What happens at once, on a busy machine.
const SOON: Duration = Duration::from_secs(2);

/// Between two tries to connect are five seconds at most, and one may take as long.
const SOON_FOUND: Duration = Duration::from_secs(15);

const SESSION_OVER: &str = "the session with the coordinator is over";
const NOT_REGISTERED: &str = "the proxy is not registered with the coordinator";
const REGISTERED: &str = "registered with the coordinator";

/// A proxy over a server that registers in the coordinator at an address, with a session that is
/// soon over.
fn options(kind: &str, coordinator: impl Display, server: &RedisServer) -> ProxyOptions {
    patient(kind, coordinator, server, "3s")
}

/// The same with a session of this length.
fn patient(
    kind: &str,
    coordinator: impl Display,
    server: &RedisServer,
    session: &str,
) -> ProxyOptions {
    KeywayProxy::options()
        .over([server])
        .config(&format!("jodis_name = \"{kind}\""))
        .config(&format!("jodis_addr = \"{}\"", coordinator))
        .config(&format!("jodis_timeout = \"{session}\""))
}

fn model(proxy: &KeywayProxy) -> Value {
    proxy.admin().get("/api/proxy/model").json()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn path_of(proxy: &KeywayProxy) -> String {
    let model = model(proxy);
    let path = format!("/jodis/codis-demo/proxy-{}", text(&model, "token"));
    assert_eq!(text(&model, "jodis_path"), path);
    path
}

/// What the node of a proxy contains, byte by byte.
fn data_of(proxy: &KeywayProxy) -> String {
    let model = model(proxy);
    format!(
        "{{\n    \"addr\": \"{}\",\n    \"admin\": \"{}\",\n    \"start\": \"{}\",\n    \
         \"state\": \"online\",\n    \"token\": \"{}\"\n}}",
        proxy.addr(),
        proxy.admin_addr(),
        text(&model, "start_time"),
        text(&model, "token")
    )
}

/// Waits until the node is this proxy's, and returns it.
fn wait_registered(client: &ZooKeeperClient, proxy: &KeywayProxy, deadline: Duration) -> Node {
    let (path, data) = (path_of(proxy), data_of(proxy));
    wait_until("the node is this proxy's", deadline, || match client.get(&path) {
        Some(node) if node.data == data => Ok(node),
        other => Err(other),
    })
}

fn wait_registered_etcd(etcd: &Etcd, proxy: &KeywayProxy, deadline: Duration) -> EtcdNode {
    let data = data_of(proxy);
    etcd.wait_node(&path_of(proxy), deadline, |node| node.data == data)
}

fn assert_serves(proxy: &KeywayProxy) {
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

/// Clients are served during all of this.
fn while_serving(proxy: &KeywayProxy, length: Duration) {
    let (mut client, deadline) = (proxy.client(), Deadline::after(length));
    while deadline.remaining().is_some() {
        assert_eq!(client.text(&["SET", "key", "value"]), "+OK\r\n");
    }
}

#[test]
fn a_proxy_is_registered_as_codis_registers_it_once_it_takes_clients() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let client = zookeeper.client();
    let mut proxy = KeywayProxy::options()
        .config("jodis_name = \"zookeeper\"")
        .config(&format!("jodis_addr = \"{}\"", zookeeper.addr()))
        .start();
    let path = path_of(&proxy);
    let mut admin = proxy.admin();
    admin.fill(&integration::admin::all_slots_on(&server)).expect_ok();
    assert!(!client.exists("/jodis"), "registered before it takes clients");
    admin.put("/api/proxy/start/{x}").expect_ok();
    let node = wait_registered(&client, &proxy, DEADLINE);
    assert!(node.stat.owner.is_some(), "it must go away with the proxy");
    assert_eq!(node.stat.version, 0, "written once");
    assert_eq!(client.access(&path), "19 world:anyone");
    for above in ["/jodis", "/jodis/codis-demo"] {
        assert_eq!(client.access(above), "31 world:anyone");
        let above = client.get(above).expect("it is there");
        assert_eq!((above.data.as_str(), above.stat.owner), ("", None));
    }
    proxy.terminate();
    assert!(!client.exists(&path), "registered after its end");
    assert!(client.exists("/jodis/codis-demo"));
}

#[test]
fn with_credentials_the_nodes_belong_to_their_user() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let addrs = zookeeper.addr().to_string();
    let client = ZooKeeperClient::connect_as(&addrs, Some("alice:s3cret"));
    let proxy = options("zk", zookeeper.addr(), &server)
        .config("jodis_auth = \"alice:s3cret\"")
        .config("jodis_compatible = true")
        .start();
    let token = text(&model(&proxy), "token").to_owned();
    let path = format!("/zk/codis/db_codis-demo/proxy/{token}");
    assert_eq!(text(&model(&proxy), "jodis_path"), path);
    let node = client.wait_node(&path, DEADLINE);
    assert_eq!(node.data, data_of(&proxy));
    // The digest scheme's form: the name, and base64 of SHA-1 of the credentials.
    let alice = "digest:alice:uLxpHc/uhT86OXPoSjJTp1M8CJY=";
    assert_eq!(client.access(&path), format!("19 {alice}"));
    for above in ["/zk", "/zk/codis", "/zk/codis/db_codis-demo", "/zk/codis/db_codis-demo/proxy"] {
        assert_eq!(client.access(above), format!("31 {alice}"));
    }
    assert!(!proxy.log().text().contains("s3cret"));
}

#[test]
fn wrong_credentials_are_told_and_the_proxy_serves() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    // The directory belongs to alice.
    let first = options("zookeeper", zookeeper.addr(), &server)
        .config("jodis_auth = \"alice:right\"")
        .start();
    first.wait_logged(REGISTERED);
    let proxy = options("zookeeper", zookeeper.addr(), &server)
        .config("jodis_auth = \"alice:wrong\"")
        .allow_log(NOT_REGISTERED)
        .start();
    let what = "the proxy is not registered with the coordinator, and tries on";
    proxy.wait_logged(what);
    let alarm = proxy.log().field_of(what, "alarm").expect("it says why");
    assert!(alarm.contains("no permission for node") && alarm.contains("`jodis_auth`"), "{alarm}");
    assert_serves(&proxy);
}

/// Goal: whoever looks for a proxy is not sent to one that is about to close. Method: the
/// coordinator is held, and the listener waits for it, up to a limit.
#[test]
fn the_node_is_deleted_before_the_listener_closes() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let mut gate = Gate::before(zookeeper.addr());
    let client = zookeeper.client();
    let mut proxy = options("zookeeper", gate.addr(), &server)
        .allow_log("the coordinator forgets the proxy only when the time of its session is over")
        .allow_log(SESSION_OVER)
        .start();
    wait_registered(&client, &proxy, DEADLINE);
    gate.freeze();
    proxy.request_stop();
    proxy.wait_logged("stopping: no more clients, finishing what is in flight");
    // It cannot deregister yet, and still takes clients.
    assert_serves(&proxy);
    let started = Deadline::after(DEADLINE);
    let status = proxy.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    gate.pass();
}

#[test]
fn an_order_to_shut_down_deregisters_as_well() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let client = zookeeper.client();
    let mut proxy = options("zookeeper", zookeeper.addr(), &server).start();
    wait_registered(&client, &proxy, DEADLINE);
    let path = path_of(&proxy);
    proxy.admin().put("/api/proxy/shutdown/{x}").expect_ok();
    assert!(proxy.wait_exit(DEADLINE).success());
    assert!(!client.exists(&path));
}

#[test]
fn a_killed_proxy_that_comes_back_is_registered_at_once() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let client = zookeeper.client();
    let (clients, admin) = (free_port(), free_port());
    // The predecessor's session goes on for a minute.
    let launch =
        || patient("zookeeper", zookeeper.addr(), &server, "1m").ports(clients, admin).start();
    let mut proxy = launch();
    let before = wait_registered(&client, &proxy, DEADLINE);
    let path = path_of(&proxy);
    proxy.kill();
    assert_eq!(client.get(&path).as_ref(), Some(&before), "the old session must go on");
    let proxy = launch();
    assert_eq!(path_of(&proxy), path);
    let after = wait_registered(&client, &proxy, SOON);
    assert_ne!(after.stat.owner, before.stat.owner);
}

#[test]
fn a_node_that_somebody_deletes_or_overwrites_is_back_at_once() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let client = zookeeper.client();
    let proxy = options("zookeeper", zookeeper.addr(), &server)
        .allow_log("somebody has overwritten the node of the proxy")
        .start();
    let path = path_of(&proxy);
    let first = wait_registered(&client, &proxy, DEADLINE);
    client.delete(&path);
    let second = wait_registered(&client, &proxy, SOON);
    assert_ne!(second.stat.czxid, first.stat.czxid);
    client.set(&path, "nonsense");
    wait_registered(&client, &proxy, SOON);
    client.delete(&path);
    // Or it is there again already, which is what this is about.
    let _ = client.try_create(&path, "mine", Lifetime::Persistent, Access::File);
    let node = wait_registered(&client, &proxy, DEADLINE);
    assert!(node.stat.owner.is_some());
    // The whole directory.
    client.delete_directory("/jodis/codis-demo");
    wait_registered(&client, &proxy, DEADLINE);
}

#[test]
fn a_restart_of_zookeeper_changes_nothing() {
    let (server, mut zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let proxy = patient("zookeeper", zookeeper.addr(), &server, "30s").start();
    let client = zookeeper.client();
    let before = wait_registered(&client, &proxy, DEADLINE);
    zookeeper.kill();
    assert_serves(&proxy);
    zookeeper.restart();
    assert_eq!(wait_registered(&client, &proxy, DEADLINE).stat, before.stat);
    // The watch outlives it, too.
    client.delete(&path_of(&proxy));
    wait_registered(&client, &proxy, SOON);
}

#[test]
fn the_death_of_the_leader_of_an_ensemble_changes_nothing() {
    let server = RedisServer::start();
    let mut ensemble = Ensemble::start();
    let client = ensemble.client();
    let mut proxy = patient("zookeeper", ensemble.addrs(), &server, "30s").start();
    let before = wait_registered(&client, &proxy, DEADLINE);
    let _ = ensemble.kill_leader();
    assert_serves(&proxy);
    assert_eq!(wait_registered(&client, &proxy, DEADLINE).stat, before.stat);
    client.delete(&path_of(&proxy));
    wait_registered(&client, &proxy, DEADLINE);
    let path = path_of(&proxy);
    proxy.terminate();
    assert!(!client.exists(&path));
}

#[test]
fn a_coordinator_that_was_away_for_longer_than_the_session_gets_the_node_again() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let mut gate = Gate::before(zookeeper.addr());
    let client = zookeeper.client();
    let proxy = options("zookeeper", gate.addr(), &server)
        .allow_log(SESSION_OVER)
        .allow_log(NOT_REGISTERED)
        .start();
    let path = path_of(&proxy);
    wait_registered(&client, &proxy, DEADLINE);
    gate.cut();
    while_serving(&proxy, Duration::from_secs(3));
    client.wait_gone(&path, DEADLINE);
    proxy.wait_logged("the proxy is not registered with the coordinator, and tries on");
    assert_serves(&proxy);
    gate.pass();
    wait_registered(&client, &proxy, SOON_FOUND);
}

#[test]
fn a_proxy_that_was_frozen_for_longer_than_the_session_is_back_at_once() {
    let (server, zookeeper) = (RedisServer::start(), ZooKeeper::start());
    let client = zookeeper.client();
    let mut proxy = options("zookeeper", zookeeper.addr(), &server).allow_log(SESSION_OVER).start();
    let path = path_of(&proxy);
    wait_registered(&client, &proxy, DEADLINE);
    proxy.freeze();
    client.wait_gone(&path, DEADLINE);
    proxy.thaw();
    wait_registered(&client, &proxy, SOON);
    assert_serves(&proxy);
}

#[test]
fn a_coordinator_that_is_not_there_at_the_start_is_found_later() {
    let server = RedisServer::start();
    let zookeeper = ZooKeeper::start();
    let mut gate = Gate::before(zookeeper.addr());
    gate.cut();
    let proxy = options("zookeeper", gate.addr(), &server).allow_log(NOT_REGISTERED).start();
    proxy.wait_logged("the proxy is not registered with the coordinator, and tries on");
    assert_serves(&proxy);
    gate.pass();
    wait_registered(&zookeeper.client(), &proxy, SOON_FOUND);
}

#[test]
fn etcd_has_the_node_for_as_long_as_the_proxy_takes_clients() {
    let (server, mut etcd) = (RedisServer::start(), Etcd::start());
    let mut proxy = options("etcd", etcd.addr(), &server)
        .allow_log("somebody has overwritten the node of the proxy")
        .start();
    let path = path_of(&proxy);
    let first = wait_registered_etcd(&etcd, &proxy, DEADLINE);
    assert!(first.lease.is_some(), "it must go away with the proxy");
    etcd.delete(&path);
    let second = wait_registered_etcd(&etcd, &proxy, SOON);
    assert_ne!(second.created, first.created);
    etcd.put(&path, "nonsense");
    wait_registered_etcd(&etcd, &proxy, SOON);
    etcd.restart();
    assert_serves(&proxy);
    wait_registered_etcd(&etcd, &proxy, DEADLINE);
    proxy.terminate();
    assert_eq!(etcd.get(&path), None);
}

#[test]
fn a_killed_proxy_that_comes_back_is_registered_in_etcd_at_once() {
    let (server, etcd) = (RedisServer::start(), Etcd::start());
    let (clients, admin) = (free_port(), free_port());
    let launch = || patient("etcd", etcd.addr(), &server, "1m").ports(clients, admin).start();
    let mut proxy = launch();
    let before = wait_registered_etcd(&etcd, &proxy, DEADLINE);
    let path = path_of(&proxy);
    proxy.kill();
    assert_eq!(etcd.get(&path).as_ref(), Some(&before), "the old lease must go on");
    let proxy = launch();
    let after = wait_registered_etcd(&etcd, &proxy, SOON);
    assert_ne!(after.lease, before.lease);
}

#[test]
fn an_etcd_that_is_silent_for_longer_than_the_lease_gets_the_node_again() {
    let (server, mut etcd) = (RedisServer::start(), Etcd::start());
    let proxy = options("etcd", etcd.addr(), &server)
        .allow_log(SESSION_OVER)
        .allow_log(NOT_REGISTERED)
        .start();
    wait_registered_etcd(&etcd, &proxy, DEADLINE);
    etcd.freeze();
    while_serving(&proxy, Duration::from_secs(5));
    etcd.thaw();
    let data = data_of(&proxy);
    etcd.wait_node(&path_of(&proxy), SOON_FOUND, |node| node.data == data);
    assert_serves(&proxy);
}

#[test]
fn an_etcd_that_refuses_the_password_is_told_and_the_proxy_serves() {
    let (server, mut etcd) = (RedisServer::start(), Etcd::start());
    etcd.require_password("right");
    let addr = etcd.addr();
    let proxy = options("etcd", addr, &server)
        .config("jodis_auth = \"root:wrong\"")
        .allow_log(NOT_REGISTERED)
        .start();
    let what = "the proxy is not registered with the coordinator, and tries on";
    proxy.wait_logged(what);
    let alarm = proxy.log().field_of(what, "alarm").expect("it says why");
    assert!(alarm.contains("refuses the user or the password"), "{alarm}");
    assert_serves(&proxy);
    let right = options("etcd", addr, &server).config("jodis_auth = \"root:right\"").start();
    wait_registered_etcd(&etcd, &right, DEADLINE);
    assert!(!right.log().text().contains("root:right"));
}

#[test]
fn a_proxy_that_nobody_starts_is_never_registered() {
    let zookeeper = ZooKeeper::start();
    let mut proxy = KeywayProxy::options()
        .config("jodis_name = \"zookeeper\"")
        .config(&format!("jodis_addr = \"{}\"", zookeeper.addr()))
        .start();
    // A new session shows that the proxy's, which began before, has done nothing.
    let mut admin = AdminClient::connect(proxy.admin_addr(), "");
    assert_eq!(admin.stats().get("online"), Some(&json!(false)));
    proxy.terminate();
    assert!(!zookeeper.client().exists("/jodis"));
}
