//! `/metrics` of the built proxy, and who may read it.

use integration::{AdminClient, KeywayProxy, RedisServer};

/// The value of a sample, if the text has it.
fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line?.parse().ok()
}

#[test]
fn prometheus_reads_what_clients_did() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().over([&server]).start();
    let mut client = proxy.client();
    for _ in 0..5 {
        client.text(&["SET", "key", "value"]);
    }
    client.text(&["GET", "key"]);
    client.text(&["INCR", "key"]);
    client.text(&["PING"]);
    client.text(&["NONSENSE"]);
    let reply = AdminClient::anonymous(proxy.admin_addr()).get("/metrics");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    let backend = format!("backend=\"{}\",role=\"primary\"", server.addr());
    for (sample, expected) in [
        ("keyway_online", 1.0),
        ("keyway_clients", 1.0),
        ("keyway_requests_total", 9.0),
        ("keyway_requests_rejected_total", 1.0),
        ("keyway_backend_error_replies_total", 1.0),
        ("keyway_command_requests_total{command=\"set\"}", 5.0),
        ("keyway_command_errors_total{command=\"incr\"}", 1.0),
        ("keyway_request_duration_seconds_count{class=\"read\"}", 1.0),
        ("keyway_request_duration_seconds_count{class=\"write\"}", 6.0),
        ("keyway_request_duration_seconds_bucket{class=\"write\",le=\"+Inf\"}", 6.0),
        (&format!("keyway_backend_up{{{backend}}}"), 1.0),
        (&format!("keyway_backend_duration_seconds_count{{{backend}}}"), 7.0),
        (&format!("keyway_backend_slots{{{backend}}}"), 1024.0),
        ("keyway_slots{state=\"normal\"}", 1024.0),
        ("keyway_slots{state=\"offline\"}", 0.0),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample} in:\n{text}");
    }
    assert!(value(&text, "keyway_resident_memory_bytes") > Some(0.0));
}

/// The metrics tell addresses and commands, so they are kept like every other page.
#[test]
fn metrics_and_the_pages_numbers_need_the_read_token() {
    let proxy = KeywayProxy::options().config("admin_read_token = \"right\"").start();
    let mut admin = AdminClient::anonymous(proxy.admin_addr());
    for path in ["/metrics", "/keyway/live", "/keyway/config"] {
        assert_eq!(admin.get(path).status, 401, "{path}");
        let headers = ["Authorization: Bearer right"];
        assert_eq!(admin.request("GET", path, &headers, b"").status, 200, "{path}");
    }
}

#[test]
fn programs_of_codis_are_sent_on_and_browsers_get_the_page() {
    let proxy = KeywayProxy::options().start();
    let mut admin = AdminClient::anonymous(proxy.admin_addr());
    for headers in [&[][..], &["Accept: application/json"][..], &["Accept: */*"][..]] {
        let reply = admin.request("GET", "/", headers, b"");
        assert_eq!((reply.status, reply.header("location")), (302, Some("/proxy")), "{headers:?}");
    }
    let accept = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    let reply = admin.request("GET", "/", &[accept], b"");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(reply.text().starts_with("<!doctype html>"));
}
