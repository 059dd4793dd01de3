//! Reports of figures (`metrics_report_*`), to receivers that the test plays.

use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

use integration::http_receiver::{HttpReceiver, HttpRequest};
use integration::ports::free_port;
use integration::wait::{DEADLINE, wait_until};
use integration::{KeywayProxy, RedisServer};

const LOST: &str = "reports are lost until their target takes them again";
const TAKEN: &str = "reports are taken again";

type Requests = Arc<Mutex<Vec<HttpRequest>>>;

/// A receiver that keeps what it gets.
fn receiver(port: u16, status: u16) -> (HttpReceiver, Requests) {
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    let receiver = HttpReceiver::start(port, move |request| {
        kept.lock().expect("no other panic").push(request.clone());
        (status, String::new())
    });
    (receiver, requests)
}

/// The next request that fulfils a condition.
fn wait_request(
    what: &str,
    requests: &Requests,
    mut is_it: impl FnMut(&HttpRequest) -> bool,
) -> HttpRequest {
    wait_until(what, DEADLINE, || {
        let requests = requests.lock().expect("no other panic");
        let found = requests.iter().find(|request| is_it(request)).cloned();
        found.ok_or_else(|| requests.last().map(|request| request.body.clone()))
    })
}

#[test]
fn the_overview_is_posted_each_period() {
    let server = RedisServer::start();
    let (receiver, requests) = receiver(0, 200);
    let proxy = KeywayProxy::options()
        .over([&server])
        .config(&format!("metrics_report_server = \"http://{}/in?a=b\"", receiver.addr()))
        .config("session_auth = \"secret1\"")
        .start();
    let mut client = proxy.client();
    assert_eq!(client.text(&["AUTH", "secret1"]), "+OK\r\n");
    assert_eq!(client.text(&["SET", "key", "value"]), "+OK\r\n");
    let total = |request: &HttpRequest| {
        let overview: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        overview["stats"]["ops"]["total"].as_u64()
    };
    let request =
        wait_request("both requests in a report", &requests, |request| total(request) == Some(2));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/in?a=b"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let overview: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
    let keys: Vec<&str> =
        overview.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["compile", "config", "model", "stats", "version"]);
    assert!(overview["stats"]["runtime"]["num_procs"].is_u64(), "{overview}");
    assert!(overview["stats"]["ops"].get("cmd").is_none(), "{overview}");
    assert!(!request.body.contains("secret1"));
}

#[test]
fn a_line_is_written_to_an_influxdb() {
    let (receiver, requests) = receiver(0, 204);
    let proxy = KeywayProxy::options()
        .config(&format!("metrics_report_influxdb_server = \"http://{}\"", receiver.addr()))
        .config("metrics_report_influxdb_database = \"codis\"")
        .config("metrics_report_influxdb_username = \"user\"")
        .config("metrics_report_influxdb_password = \"secret\"")
        .start();
    let request = wait_request("a line", &requests, |_| true);
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/write?consistency=&db=codis&precision=ns&rp=");
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    let (tags, rest) = request.body.split_once(' ').expect("tags and fields");
    let (fields, time) = rest.trim_end().split_once(' ').expect("fields and a time");
    let admin = proxy.admin_addr();
    assert!(tags.starts_with(&format!("codis_usage,admin_addr={admin},hostname=")), "{tags}");
    assert_eq!(fields.split(',').count(), 14, "{fields}");
    assert!(fields.contains(",runtime_gc_total_pausems=0i,"), "{fields}");
    assert!(time.len() == 19 && time.parse::<u64>().is_ok(), "{time}");
    assert!(!proxy.log().text().contains("secret"));
}

#[test]
fn the_cause_of_an_influxdb_is_told_once_and_so_is_its_recovery() {
    let mut refusals = 2;
    let receiver = HttpReceiver::start(0, move |_| match refusals {
        0 => (204, String::new()),
        _ => {
            refusals -= 1;
            (404, r#"{"error":"database not found"}"#.to_owned())
        }
    });
    let proxy = KeywayProxy::options()
        .config(&format!("metrics_report_influxdb_server = \"http://{}\"", receiver.addr()))
        .config("metrics_report_influxdb_database = \"codis\"")
        .allow_log("database not found")
        .start();
    proxy.wait_logged(TAKEN);
    assert_eq!(proxy.log().text().matches(LOST).count(), 1);
}

#[test]
fn a_url_that_nobody_serves_is_tried_until_somebody_does() {
    let port = free_port();
    let proxy = KeywayProxy::options()
        .config(&format!("metrics_report_server = \"http://127.0.0.1:{port}/path?secret\""))
        .allow_log(LOST)
        .start();
    proxy.wait_logged(LOST);
    let (_receiver, _) = receiver(port, 200);
    proxy.wait_logged(TAKEN);
    let log = proxy.log();
    assert_eq!(log.field_of(LOST, "target"), Some(format!("127.0.0.1:{port}")));
    assert!(!log.text().contains("secret"));
}

#[test]
fn a_receiver_that_never_answers_holds_up_nothing() {
    let server = RedisServer::start();
    let silent = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = silent.local_addr().expect("own address");
    let mut proxy = KeywayProxy::options()
        .over([&server])
        .config(&format!("metrics_report_server = \"http://{addr}\""))
        .allow_log("no answer within 900ms")
        .start();
    proxy.wait_logged(LOST);
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
    proxy.terminate();
}

/// The gauges of one report, as names without their place, and the place.
fn receive(socket: &UdpSocket) -> (String, Vec<String>) {
    let mut datagram = [0; 2048];
    let length = socket.recv(&mut datagram).expect("a datagram");
    let text = String::from_utf8_lossy(datagram.get(..length).unwrap_or_default()).into_owned();
    let (place, _) = text.split_once(".ops_total:").expect("the first gauge");
    let gauges = text.lines().map(|line| line.replacen(place, "", 1)).collect();
    (place.to_owned(), gauges)
}

fn udp_socket(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("bind");
    socket.set_read_timeout(Some(DEADLINE)).expect("set a deadline");
    socket
}

#[test]
fn gauges_are_sent_to_a_statsd() {
    let socket = udp_socket(0);
    let addr = socket.local_addr().expect("own address");
    let proxy = KeywayProxy::options()
        .config(&format!("metrics_report_statsd_server = \"{addr}\""))
        .config("metrics_report_statsd_prefix = \"first\"")
        .start();
    let (place, gauges) = receive(&socket);
    let [admin, clients] =
        [proxy.admin_addr(), proxy.addr()].map(|addr| addr.to_string().replace(['.', ':'], "_"));
    assert_eq!(place, format!("first.codis-demo.{admin}.{clients}"));
    assert_eq!(gauges.first().map(String::as_str), Some(".ops_total:0|g"));
    let (next, _) = receive(&socket);
    assert_eq!(next, place);
}

#[test]
fn a_statsd_that_is_not_there_at_start_gets_gauges_once_it_is() {
    let port = free_port();
    let proxy = KeywayProxy::options()
        .config(&format!("metrics_report_statsd_server = \"localhost:{port}\""))
        .allow_log(LOST)
        .start();
    proxy.wait_logged(LOST);
    let socket = udp_socket(port);
    let (place, _) = receive(&socket);
    assert!(place.starts_with("codis-demo."), "{place}");
    proxy.wait_logged(TAKEN);
    assert_eq!(proxy.log().text().matches(LOST).count(), 1);
}

#[test]
fn targets_that_cannot_be_meant_are_refused_at_start() {
    for (line, text) in [
        ("metrics_report_server = \"https://h\"", "reports are sent without TLS"),
        ("metrics_report_server = \"http://u:secret@h\"", "must not hold a user or a password"),
        ("metrics_report_influxdb_server = \"http://h\"", "is needed with"),
        ("metrics_report_statsd_server = \"h\"", "is not an address"),
    ] {
        let file = tempfile::NamedTempFile::new().expect("make a file");
        std::fs::write(file.path(), line).expect("write it");
        let output = std::process::Command::new(integration::proxy::program())
            .arg("check")
            .arg(file.path())
            .output()
            .expect("run the check");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(stderr.contains(text) && !stderr.contains("secret"), "{stderr}");
    }
}
