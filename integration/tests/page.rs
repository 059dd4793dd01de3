//! The live page in a real browser: Chromium without a screen.
//!
//! The pictures are written to `target/page/` for people to look at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use integration::raw_client::encode;
use integration::redis_server::RedisServer;
use integration::wait::{DEADLINE, Deadline, wait_until};
use integration::{Browser, KeywayProxy, RawClient};
use serde_json::{Value, json};

const LOCKED: std::ops::Range<usize> = 100..116;
const OFFLINE: std::ops::Range<usize> = 1016..1024;

/// A client that sends requests until it is dropped.
struct Load {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn on(proxy: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut client = RawClient::connect(proxy);
            let keys = served_keys();
            while !flag.load(Ordering::Relaxed) {
                send_some(&mut client, &keys);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Requests of several kinds. Errors are welcome: a backend is going to be killed.
fn send_some(client: &mut RawClient, keys: &[String]) {
    for key in keys {
        client.text(&["SET", key, "value"]);
        for _ in 0..3 {
            client.text(&["GET", key]);
        }
    }
    if let [first, second, third, ..] = keys {
        client.text(&["MGET", first, second, third]);
    }
    client.text(&["PING"]);
}

/// Keys whose slots are neither locked nor offline.
fn served_keys() -> Vec<String> {
    let keys = (0..200).map(|number| format!("key{number}"));
    keys.filter(|key| {
        let slot = usize::from(routing::slot_of(key.as_bytes()).number());
        !LOCKED.contains(&slot) && !OFFLINE.contains(&slot)
    })
    .collect()
}

/// A proxy with two groups of slots, some of them locked and some offline.
fn proxy_over([first, second]: &[RedisServer; 2]) -> KeywayProxy {
    let lost = "\"backend connection lost\"";
    let options = KeywayProxy::options().allow_log("\"backend is down\"").allow_log(lost);
    let proxy = options.start();
    let slot = |id: usize| {
        if OFFLINE.contains(&id) {
            return json!({ "id": id });
        }
        let (group, server) = if id < 512 { (1, first) } else { (2, second) };
        json!({
            "id": id,
            "backend_addr": server.addr().to_string(),
            "backend_addr_group_id": group,
            "locked": LOCKED.contains(&id),
        })
    };
    let mut admin = proxy.admin();
    admin.fill(&(0..1024).map(slot).collect::<Value>()).expect_ok();
    admin.put("/api/proxy/start/{x}").expect_ok();
    proxy
}

/// A script that reads a part of a backend's row.
fn row_of(server: &RedisServer, what: &str) -> String {
    format!("return document.querySelector('tr[data-addr=\"{}\"]').{what}", server.addr())
}

fn is_above_zero(id: &str) -> String {
    format!("return Number(document.getElementById('{id}').dataset.value) > 0")
}

/// `target/page`.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("page")
}

/// Opens the page, puts the proxy under load, kills a backend, ends the proxy; looks each time.
#[test]
fn the_page_shows_load_and_a_killed_backend() {
    let mut servers = [RedisServer::start(), RedisServer::start()];
    let mut proxy = proxy_over(&servers);
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    browser.wait_for("the page is live", "return document.body.dataset.state === 'live'");
    assert_eq!(browser.run(&row_of(&servers[1], "dataset.state")), "unused");
    let summary = browser.run("return document.getElementById('slots-summary').textContent");
    assert!(summary.as_str().unwrap().starts_with("16 locked, 8 offline"), "{summary}");

    let load = Load::on(proxy.addr());
    for id in ["requests", "clients", "memory", "processor", "p50", "p99", "p999"] {
        browser.wait_for(&format!("{id} moves"), &is_above_zero(id));
    }
    browser.wait_for(
        "GET is the top command",
        "return document.querySelector('#commands td')?.textContent === 'GET'",
    );
    let good = browser.run(&row_of(&servers[1], "querySelector('.state').textContent"));
    assert_eq!(good, "● Ready");

    servers[1].kill();
    let is_down = row_of(&servers[1], "dataset.state") + " === 'down'";
    browser.wait_for("the killed backend is down", &is_down);
    browser.wait_for("errors are shown", &is_above_zero("errors"));
    let state = row_of(&servers[1], "querySelector('.state')");
    let color = state.replacen("return ", "return getComputedStyle(", 1) + ").color";
    assert_eq!(browser.run(&color), "rgb(179, 38, 30)", "it is red");
    assert_eq!(browser.run(&(state + ".textContent")), "✕ Down");
    assert_eq!(browser.run(&row_of(&servers[0], "dataset.state")), "ready");

    browser.screenshot(&pictures(), "light.png");
    browser.set_theme("dark");
    browser.screenshot(&pictures(), "dark.png");
    browser.set_width(400);
    let is_narrow = "return document.documentElement.scrollWidth <= innerWidth";
    browser.wait_for("the page fits a phone", is_narrow);
    browser.screenshot(&pictures(), "phone.png");

    drop(load);
    proxy.terminate();
    browser.wait_for(
        "the page says that nobody answers",
        "return document.body.dataset.state === 'lost' && !document.getElementById('lost').hidden",
    );
}

/// Freezes a backend, orders a change that waits for it, and looks at the slots meanwhile.
#[test]
fn the_page_shows_slots_that_a_change_holds() {
    const MOVED: std::ops::Range<u16> = 0..40;
    let mut servers = [RedisServer::start(), RedisServer::start()];
    let mut proxy = proxy_over(&servers);
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    browser.wait_for("the page is live", "return document.body.dataset.state === 'live'");
    let is_held =
        "return /held: a change is under way/.test(document.getElementById('groups').textContent)";
    assert_eq!(browser.run(is_held), false);

    let key = (0..)
        .map(|number| format!("key{number}"))
        .find(|key| MOVED.contains(&routing::slot_of(key.as_bytes()).number()))
        .unwrap();
    let (mut client, mut parked) = (proxy.client(), proxy.client());
    assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n");
    servers[0].freeze();
    client.send(encode(&["GET", &key]));
    let in_flight = format!(
        "return {} === '1'",
        row_of(&servers[0], "cells[4].textContent").trim_start_matches("return ")
    );
    browser.wait_for("the request is in flight", &in_flight);
    let (mut admin, second) = (proxy.admin(), servers[1].addr().to_string());
    let slots: Value = MOVED.map(|id| json!({ "id": id, "backend_addr": second })).collect();
    admin.begin("PUT", "/api/proxy/fillslots/{x}", &[], slots.to_string().as_bytes());
    browser.wait_for("the slots are held", is_held);
    parked.send(encode(&["GET", &key]));
    let summary = "return document.getElementById('slots-summary').textContent";
    browser.wait_for("a request waits", &format!("{summary}.includes('requests that wait: 1 (')"));
    let text = browser.run(summary);
    let expected = "40 held, 16 locked, 8 offline, a change is in progress, requests that wait: 1";
    assert!(text.as_str().unwrap().starts_with(expected), "{text}");
    let point = "const map = document.getElementById('slots'); \
                 const box = map.getBoundingClientRect(); \
                 map.dispatchEvent(new PointerEvent('pointermove', \
                     { clientX: box.left + 2, clientY: box.top + 2 })); \
                 return document.getElementById('slot').textContent";
    assert!(browser.run(point).as_str().unwrap().starts_with("Slot 0: held, group 1"));
    browser.screenshot(&pictures(), "held-light.png");
    browser.set_theme("dark");
    browser.screenshot(&pictures(), "held-dark.png");

    servers[0].thaw();
    admin.finish(false).expect("a reply").expect_ok();
    assert_eq!(client.read_reply(), b"$5\r\nvalue\r\n");
    assert_eq!(parked.read_reply(), b"$-1\r\n");
    browser.wait_for("no slot is held", &is_held.replace("return ", "return !"));
    proxy.terminate();
}

/// A request is held up by stopping its backend, until the proxy has surely seen that.
#[test]
fn the_page_shows_the_slowest_requests() {
    let mut server = RedisServer::start();
    let proxy = KeywayProxy::options().over([&server]).start();
    let mut client = proxy.client();
    client.command(&["SET", "slow-key", "value"]);
    server.freeze();
    client.send(integration::raw_client::encode(&["SET", "slow-key", "private"]));
    let clock = Deadline::after(DEADLINE);
    wait_until("the request is slow", DEADLINE, || {
        if clock.elapsed() > Duration::from_millis(100) { Ok(()) } else { Err(clock.elapsed()) }
    });
    server.thaw();
    client.read_replies(1);

    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    browser.wait_for(
        "the slow request is shown",
        "return document.querySelector('#slow code')?.textContent === 'SET slow-key …'",
    );
    let row = browser.run("return document.querySelector('#slow tr').textContent");
    let row = row.as_str().unwrap();
    assert!(row.contains(&server.addr().to_string()), "{row}");
    let page = browser.run("return document.body.textContent");
    assert!(!page.as_str().unwrap().contains("private"), "values are not shown");
    let live = proxy.admin().get("/keyway/live").json();
    let slowest = &live["slow_requests"][0];
    assert!(slowest["backend_us"].as_u64() >= Some(100_000), "{slowest}");
    browser.screenshot(&pictures(), "slow.png");
}

/// The page itself is public and holds nothing; its numbers need the token.
#[test]
fn the_page_asks_for_the_read_token() {
    let proxy = KeywayProxy::options().config("admin_read_token = \"right\"").start();
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    let is_asking = "return document.body.dataset.state === 'locked' \
                     && !document.getElementById('login').hidden";
    browser.wait_for("the page asks for the token", is_asking);
    let give = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}'; \
             document.querySelector('#login button').click()"
        )
    };
    browser.run(&give("wrong"));
    browser.wait_for(
        "the page says that the token is wrong",
        "return !document.getElementById('login-error').hidden",
    );
    browser.run(&give("right"));
    browser.wait_for(
        "the page is shown",
        "return document.getElementById('login').hidden \
         && document.getElementById('config').rows.length > 10",
    );
    let settings = browser.run("return document.getElementById('config').textContent");
    assert!(!settings.as_str().unwrap().contains("admin_read_token"), "{settings}");
}

/// Nothing on the page is forbidden by its own policy, and nothing fails to load.
#[test]
fn the_page_keeps_its_own_policy() {
    let proxy = KeywayProxy::options().start();
    let mut admin = integration::AdminClient::anonymous(proxy.admin_addr());
    let page = admin.request("GET", "/", &["Accept: text/html"], b"");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
    for (file, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let reply = admin.get(&format!("/page/{file}"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{file}");
    }
    assert_eq!(admin.get("/page/../Cargo.toml").status, 404);

    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", proxy.admin_addr()));
    browser.wait_for(
        "the settings are shown",
        "return document.getElementById('config').rows.length > 10",
    );
    let hosts = browser.run(
        "return performance.getEntriesByType('resource') \
         .filter((entry) => new URL(entry.name).host !== location.host).length",
    );
    assert_eq!(hosts, 0, "the page loads from its own server alone");
    let is_styled = "return getComputedStyle(document.querySelector('.tiles')).display === 'grid'";
    assert_eq!(browser.run(is_styled), true);
}
