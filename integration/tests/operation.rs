//! The process as an operator meets it: what it says at its start, its files, its end.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use integration::process::Process;
use integration::proxy::program;
use integration::raw_client::encode;
use integration::{DEADLINE, KeywayProxy, RawClient, RedisServer, TwoGroups, wait_until};
use rustix::process::Signal;
use tempfile::TempDir;

/// A proxy started by hand: both outputs go to files of the folder.
fn start(dir: &Path, arguments: &[&str]) -> Process {
    let output = |name| File::create(dir.join(name)).expect("make a file");
    let mut command = Command::new(program());
    command
        .arg("proxy")
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "2"])
        .args(arguments)
        .stdout(output("stdout"))
        .stderr(output("stderr"));
    Process::spawn("keyway", &mut command).expect("start keyway")
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

/// Waits until a file holds this text.
fn wait_text(dir: &Path, name: &str, text: &str) {
    wait_until(&format!("{text:?} in {name}"), DEADLINE, || {
        let seen = read(dir, name);
        if seen.contains(text) { Ok(()) } else { Err(seen) }
    });
}

fn stop(mut process: Process) {
    process.signal(Signal::TERM);
    let status = process.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
}

#[test]
fn a_banner_says_where_to_connect_and_what_was_found() {
    let dir = TempDir::new().expect("a folder");
    let (found, mut absent) = (RedisServer::start(), RedisServer::start());
    absent.kill();
    let addrs = [&found, &absent].map(|server| server.addr().to_string());
    let process = start(dir.path(), &[&addrs[0], &addrs[1]]);
    wait_text(dir.path(), "stderr", "proxy is listening");
    let banner = read(dir.path(), "stdout");
    let line = |start: &str| {
        let line = banner.lines().find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start:?} in:\n{banner}")).to_owned()
    };
    assert!(line("keyway ").contains("2 workers"), "{banner}");
    let clients: SocketAddr = line("clients")
        .split_whitespace()
        .nth(1)
        .and_then(|addr| addr.parse().ok())
        .unwrap_or_else(|| panic!("no address of clients in:\n{banner}"));
    assert_ne!(clients.port(), 0);
    assert!(line("clients").ends_with(&format!("redis-cli -h 127.0.0.1 -p {}", clients.port())));
    assert!(line("admin").contains("http://127.0.0.1:"), "{banner}");
    let backend = line(&format!("backend  {}", addrs[0]));
    assert!(backend.contains("512 slots  redis "), "{backend}");
    assert!(backend.ends_with(", primary"), "{backend}");
    let backend = line(&format!("backend  {}", addrs[1]));
    assert!(backend.contains("512 slots  does not answer: Connection refused"), "{backend}");
    assert_eq!(RawClient::connect(clients).text(&["PING"]), "+PONG\r\n");
    stop(process);
}

#[test]
fn a_log_for_machines_has_no_banner_and_one_object_per_line() {
    let dir = TempDir::new().expect("a folder");
    let server = RedisServer::start();
    let addr = server.addr().to_string();
    let process = start(dir.path(), &["--log-format", "json", &addr]);
    wait_text(dir.path(), "stderr", "proxy is listening");
    stop(process);
    assert_eq!(read(dir.path(), "stdout"), "");
    for line in read(dir.path(), "stderr").lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        for field in ["msg", "level", "ts"] {
            assert!(value.get(field).is_some(), "no {field} in {line}");
        }
    }
}

#[test]
fn the_pidfile_is_there_as_long_as_the_proxy() {
    let dir = TempDir::new().expect("a folder");
    let server = RedisServer::start();
    let path = dir.path().join("keyway.pid");
    let arguments = ["--pidfile", path.to_str().expect("text"), &server.addr().to_string()];
    let process = start(dir.path(), &arguments);
    wait_text(dir.path(), "stderr", "proxy is listening");
    assert_eq!(read(dir.path(), "keyway.pid").trim(), process.id().to_string());
    stop(process);
    assert!(!path.exists(), "the pidfile is still there");
}

#[test]
fn the_log_goes_to_a_file_that_is_appended_to() {
    let dir = TempDir::new().expect("a folder");
    let server = RedisServer::start();
    let path = dir.path().join("keyway.log");
    let arguments = ["--log", path.to_str().expect("text"), &server.addr().to_string()];
    for runs in 1..=2 {
        let process = start(dir.path(), &arguments);
        wait_until("the log of another run", DEADLINE, || {
            let seen = read(dir.path(), "keyway.log").matches("proxy is listening").count();
            if seen == runs { Ok(()) } else { Err(seen) }
        });
        stop(process);
    }
    let log = read(dir.path(), "keyway.log");
    assert_eq!(log.matches("stopped").count(), 2, "{log}");
}

#[test]
fn two_proxies_on_one_port_are_one_too_many() {
    let dir = TempDir::new().expect("a folder");
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().over([&server]).start();
    let output = Command::new(program())
        .args(["proxy", "--listen", &proxy.addr().to_string(), "--admin", "127.0.0.1:0"])
        .arg(server.addr().to_string())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("start keyway");
    assert_eq!(output.status.code(), Some(1), "{}", output.status);
    let text = String::from_utf8_lossy(&output.stderr);
    let expected =
        format!("listen for clients on `{}`: is another proxy running there?", proxy.addr());
    assert!(text.contains(&expected), "{text}");
    assert_eq!(proxy.client().text(&["PING"]), "+PONG\r\n");
}

#[test]
fn settings_come_from_the_environment_and_flags_win() {
    let dir = TempDir::new().expect("a folder");
    let server = RedisServer::start();
    let log = File::create(dir.path().join("stderr")).expect("make a file");
    let mut command = Command::new(program());
    command
        .args(["proxy", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .arg(server.addr().to_string())
        .env("KEYWAY_LISTEN", "no address")
        .env("KEYWAY_ADMIN", "127.0.0.1:0")
        .env("KEYWAY_SESSION_AUTH", "secret")
        .stdout(Stdio::null())
        .stderr(log);
    let process = Process::spawn("keyway", &mut command).expect("start keyway");
    wait_text(dir.path(), "stderr", "proxy is listening");
    let log = read(dir.path(), "stderr");
    let line = log.lines().find(|line| line.contains("proxy is listening")).expect("the line");
    let line: serde_json::Value = serde_json::from_str(line).expect("an object");
    let addr = line["listen"].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
    let mut client = RawClient::connect(addr);
    assert_eq!(client.text(&["PING"]), "-NOAUTH Authentication required.\r\n");
    assert_eq!(client.text(&["AUTH", "secret"]), "+OK\r\n");
    assert!(!log.contains("secret"), "a password in the log");
    stop(process);
}

#[test]
fn sigint_and_sigterm_under_load_answer_what_was_taken_and_exit_with_0() {
    // Goal: no reply is cut, none is missing between others. Method: a client sends without end;
    // when the proxy stops, what it has answered is a whole number of replies in order.
    for signal in [Signal::INT, Signal::TERM] {
        let dir = TempDir::new().expect("a folder");
        let server = RedisServer::start();
        let addr = server.addr().to_string();
        let mut process = start(dir.path(), &["--log-format", "json", &addr]);
        wait_text(dir.path(), "stderr", "proxy is listening");
        let log = read(dir.path(), "stderr");
        let line = log.lines().find(|line| line.contains("proxy is listening")).expect("the line");
        let line: serde_json::Value = serde_json::from_str(line).expect("an object");
        let addr = line["listen"].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
        let mut client = RawClient::connect(addr);
        client.send(encode(&["INCR", "counter"]).repeat(20_000));
        assert_eq!(client.read_reply(), b":1\r\n");
        process.signal(signal);
        let rest = client.read_to_close();
        let rest = String::from_utf8(rest).expect("text");
        let mut last = 1;
        for line in rest.split_terminator("\r\n") {
            last += 1;
            assert_eq!(line, format!(":{last}"));
        }
        assert!(rest.is_empty() || rest.ends_with("\r\n"), "a reply is cut");
        let status = process.wait_exit(DEADLINE);
        assert!(status.success(), "{status}");
        // Whatever was executed was answered.
        let counter = server.client().text(&["GET", "counter"]);
        assert_eq!(counter, format!("${}\r\n{last}\r\n", last.to_string().len()));
    }
}

#[test]
fn clients_that_do_not_finish_in_time_are_cut_off() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .config("shutdown_timeout = \"1s\"")
            .allow_log("\"clients were cut off: they did not finish within shutdown_timeout\""),
    );
    let key = integration::groups::Group::Two.key("key");
    let mut client = groups.client();
    assert_eq!(client.text(&["GET", &key]), "$-1\r\n");
    groups.two.freeze();
    client.send([encode(&["PING"]), encode(&["GET", &key])].concat());
    assert_eq!(client.read_reply(), b"+PONG\r\n");
    groups.proxy.request_stop();
    let status = groups.proxy.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
    client.expect_closed();
}
