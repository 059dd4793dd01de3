//! The pages of the admin API as Codis' own programs ask for them: `codis-dashboard`, `codis-admin`,
//! `codis-ha`.

use integration::admin::{HttpReply, all_slots_on};
use integration::{AdminClient, KeywayProxy, RedisServer};
use serde_json::{Value, json};

const NOT_ONLINE: &str = "-ERR router is not online\r\n";

#[test]
fn a_dashboard_brings_a_proxy_online() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    assert_eq!(admin.get("/api/proxy/xping/{x}").text(), "\"OK\"");

    // Up to here the proxy is what a dashboard brings online when it sees it.
    let stats = admin.stats();
    assert_eq!((&stats["online"], &stats["closed"]), (&json!(false), &json!(false)));
    let offline: Value = (0..1024).map(|id| json!({ "id": id })).collect();
    assert_eq!(admin.slots(), offline);

    let slots = all_slots_on(&server);
    admin.fill(&slots).expect_ok();
    assert_eq!(admin.slots(), slots);
    let mut early = proxy.client();
    assert_eq!(String::from_utf8_lossy(&early.read_to_close()), NOT_ONLINE);

    for _ in 0..2 {
        admin.put("/api/proxy/start/{x}").expect_ok();
    }
    admin.put_body("/api/proxy/sentinels/{x}", br#"{"out_of_sync":false}"#).expect_ok();
    admin.put("/api/proxy/sentinels/{x}/rewatch").expect_ok();
    let stats = admin.stats();
    assert_eq!((&stats["online"], &stats["closed"]), (&json!(true), &json!(false)));
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
    assert_eq!(server.client().text(&["GET", "key"]), "$5\r\nvalue\r\n");
}

#[test]
fn the_model_names_what_others_reach() {
    let proxy = KeywayProxy::options()
        .config("proxy_datacenter = \"dc1\"")
        .argument("--host-admin=127.0.0.3:7")
        .start();
    let model = AdminClient::anonymous(proxy.admin_addr()).get("/proxy/model").json();
    assert_eq!(model["admin_addr"], "127.0.0.3:7");
    assert_eq!(model["proxy_addr"], proxy.addr().to_string());
    assert_eq!(model["product_name"], "codis-demo");
    assert_eq!(model["proto_type"], "tcp4");
    assert_eq!(model["datacenter"], "dc1");
    assert!(model.get("id").is_none() && model.get("jodis_path").is_none(), "{model}");
    assert!(model["pid"].is_u64(), "{model}");
}

#[test]
fn a_wrong_xauth_is_refused_everywhere_and_changes_nothing() {
    let proxy = KeywayProxy::options().config("product_auth = \"right\"").start();
    let mut right = AdminClient::connect(proxy.admin_addr(), "right");
    right.get("/api/proxy/xping/{x}").expect_ok();
    let mut wrong = AdminClient::connect(proxy.admin_addr(), "wrong");
    for path in ["xping/{x}", "stats/{x}", "stats/{x}/1", "slots/{x}"] {
        let cause = wrong.get(&format!("/api/proxy/{path}")).cause();
        assert_eq!(cause, "invalid xauth, please check product name & auth", "{path}");
    }
    for path in [
        "start/{x}",
        "stats/reset/{x}",
        "forcegc/{x}",
        "shutdown/{x}",
        "loglevel/{x}/NONE",
        "sentinels/{x}",
        "sentinels/{x}/rewatch",
    ] {
        let cause = wrong.put(&format!("/api/proxy/{path}")).cause();
        assert_eq!(cause, "invalid xauth, please check product name & auth", "{path}");
    }
    let fill = wrong.fill(&json!([{"id": 0, "backend_addr": "127.0.0.1:1"}]));
    assert_eq!(fill.cause(), "invalid xauth, please check product name & auth");
    assert_eq!(right.stats()["online"], false);
    assert_eq!(right.slots()[0], json!({"id": 0}));
    // Nothing that proves anything is written down.
    let log = proxy.log().text();
    for secret in [right.xauth(), wrong.xauth(), "right"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn pages_are_found_as_in_codis() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let root = admin.get("/");
    assert_eq!((root.status, root.header("location")), (302, Some("/proxy")));
    for path in ["/proxy", "/proxy/", "/proxy/model", "/proxy/stats", "/proxy/slots"] {
        let page = admin.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), Some("application/json; charset=utf-8"));
        let head = admin.request("HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    admin.get("/api/proxy/xping/{x}/").expect_ok();
    let is_missing =
        |reply: &HttpReply| (reply.status, reply.text().trim_end()) == (404, "404 page not found");
    for path in ["/nothing", "/api/proxy", "/api/proxy/xping", "/api/proxy/start/{x}", "/stats"] {
        assert!(is_missing(&admin.get(path)), "{path}");
    }
    for path in ["/proxy", "/api/proxy/xping/{x}", "/api/proxy/start", "/api/proxy/fillslots/"] {
        assert!(is_missing(&admin.put(path)), "{path}");
    }
    assert!(is_missing(&admin.request("POST", "/api/proxy/start/{x}", &[], b"")));
    assert_eq!(admin.stats()["online"], false);
}

#[test]
fn replies_are_indented_and_compressed_for_those_who_accept_it() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let plain = admin.get("/proxy/model");
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.text().starts_with("{\n    \"token\": \""), "{}", plain.text());
    let packed = admin.request("GET", "/proxy/model", &["Accept-Encoding: gzip"], b"");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.header("vary").is_some_and(|v| v.eq_ignore_ascii_case("accept-encoding")));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]));
}

#[test]
fn the_overview_has_every_part_and_no_secret() {
    let proxy = KeywayProxy::options()
        .config("product_auth = \"secret1\"\nsession_auth = \"secret2\"")
        .config("metrics_report_influxdb_password = \"secret3\"")
        .config("admin_read_token = \"secret4\"\nsession_recv_timeout = 90")
        .start();
    let mut admin = AdminClient::connect(proxy.admin_addr(), "secret1");
    let bearer = ["Authorization: Bearer secret4"];
    let reply = admin.request("GET", "/proxy", &bearer, b"");
    let overview = reply.json();
    let keys: Vec<&str> =
        overview.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["compile", "config", "model", "slots", "stats", "version"]);
    let config = &overview["config"];
    // Text with a unit, whatever the file has.
    assert_eq!(config["session_recv_timeout"], "90s");
    assert_eq!(config["proxy_max_offheap_size"], "1gb");
    assert_eq!(config["proxy_max_clients"], 1000);
    assert_eq!(overview["slots"].as_array().map(Vec::len), Some(1024));
    assert!(overview["stats"]["runtime"]["num_procs"].is_u64());
    for text in [reply.text(), proxy.log().text()] {
        assert!(!text.contains("secret") && !text.contains(admin.xauth()), "{text}");
    }
}

#[test]
fn reading_can_be_kept_for_those_with_a_token() {
    let proxy = KeywayProxy::options().config("admin_read_token = \"letmesee\"").start();
    let mut admin = proxy.admin();
    let by_xauth = format!("Authorization: bearer {}", admin.xauth());
    for path in ["/proxy", "/proxy/stats", "/proxy/slots", "/keyway/stats"] {
        let refused = admin.get(path);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
        let wrong = ["Authorization: Bearer letmese"];
        assert_eq!(admin.request("GET", path, &wrong, b"").status, 401, "{path}");
        let right = ["Authorization: Bearer letmesee"];
        assert_eq!(admin.request("GET", path, &right, b"").status, 200, "{path}");
        assert_eq!(admin.request("GET", path, &[&by_xauth], b"").status, 200, "{path}");
    }
    // What a dashboard and a supervisor begin with stays open.
    for (path, status) in [("/proxy/model", 200), ("/healthz", 200), ("/readyz", 503)] {
        assert_eq!(admin.get(path).status, status, "{path}");
    }
    assert_eq!(admin.stats()["online"], false);
}

#[test]
fn one_connection_serves_many_polls() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    for _ in 0..500 {
        let reply = admin.get("/api/proxy/stats/{x}");
        assert_eq!((reply.status, reply.header("connection")), (200, None));
        admin.put("/api/proxy/forcegc/{x}").expect_ok();
    }
}
