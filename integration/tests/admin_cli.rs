//! `keyway admin`: an operator's questions and orders, with the program itself.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use integration::admin::all_slots_on;
use integration::{DEADLINE, Deadline, KeywayProxy, RedisServer};
use serde_json::{Value, json};

/// The program for a proxy, with an environment that holds no setting.
fn admin(proxy: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(integration::proxy::program());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEYWAY_") {
            command.env_remove(name);
        }
    }
    command.args(["admin", "--proxy", &proxy.to_string()]).args(arguments);
    command
}

fn run(proxy: SocketAddr, arguments: &[&str]) -> Output {
    admin(proxy, arguments).output().expect("run the program")
}

/// What the program prints when the proxy does what it is asked.
fn text(proxy: &KeywayProxy, arguments: &[&str]) -> String {
    printed(&run(proxy.admin_addr(), arguments))
}

fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that the program fails with this status and returns what it says.
fn failure(output: &Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(output.stdout.is_empty());
    errors
}

fn fill(proxy: &KeywayProxy, slots: &str) -> Output {
    let mut command = admin(proxy.admin_addr(), &["fill", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run the program");
    let mut input = child.stdin.take().expect("its input is a pipe");
    std::io::Write::write_all(&mut input, slots.as_bytes()).expect("it reads its input");
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_proxy_is_filled_started_watched_and_ended() {
    let server = RedisServer::start();
    let mut proxy = KeywayProxy::options().start();
    let addr = proxy.admin_addr();
    assert_eq!(text(&proxy, &["ping"]), format!("{addr} is there\n"));
    let slots = text(&proxy, &["slots"]);
    assert_eq!(slots.lines().nth(1), Some("0-1023  -      -        -         offline"));
    assert!(text(&proxy, &["stats"]).starts_with("state           waiting for `start`\n"));

    let filled = fill(&proxy, &all_slots_on(&server).to_string());
    assert_eq!(printed(&filled), format!("{addr} has filled 1024 slots\n"));
    let locked = json!([{"id": 7, "backend_addr": server.addr().to_string(), "locked": true}]);
    assert_eq!(printed(&fill(&proxy, &locked.to_string())), format!("{addr} has filled 1 slot\n"));
    assert_eq!(text(&proxy, &["start"]), format!("{addr} serves clients\n"));

    let slots = text(&proxy, &["slots"]);
    let ranges: Vec<Vec<&str>> =
        slots.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let server = server.addr().to_string();
    let of = |range, group, state| vec![range, "group", group, &*server, "-", state];
    let expected = [of("0-6", "1", "ok"), of("7", "0", "locked"), of("8-1023", "1", "ok")];
    assert_eq!(ranges, expected);
    // `a` has slot 579.
    assert_eq!(proxy.client().text(&["SET", "a", "value"]), "+OK\r\n");
    let stats = text(&proxy, &["stats"]);
    assert!(stats.starts_with("state           online\nrequests        1\n"), "{stats}");
    assert!(stats.contains("\nCOMMAND  CALLS"), "{stats}");
    assert!(stats.contains("\nSET          1"), "{stats}");

    assert_eq!(text(&proxy, &["reset"]), format!("{addr} counts from zero\n"));
    assert!(text(&proxy, &["stats"]).contains("\nrequests        0\n"));
    assert_eq!(text(&proxy, &["loglevel", "warn"]), format!("{addr} logs at level warn\n"));
    text(&proxy, &["reset"]);

    let ended = text(&proxy, &["shutdown"]);
    assert_eq!(ended, format!("{addr} finishes what is under way, and ends\n"));
    assert!(proxy.wait_exit(DEADLINE).success());
    // Orders are logged at level info: of the two resets only the one before the change of level.
    let lines = proxy.log().lines();
    let resets = lines.iter().filter(|line| line.text().contains("stats/reset"));
    assert_eq!(resets.count(), 1);
}

#[test]
fn json_is_what_the_proxy_answers() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().over([&server]).start();
    let mut direct = proxy.admin();
    for (order, path) in [("model", "/api/proxy/model"), ("slots", "/api/proxy/slots/{x}")] {
        let expected = direct.get(path).text();
        assert_eq!(text(&proxy, &["--json", order]).trim_end(), expected.trim_end());
    }
    let stats: Value = serde_json::from_str(&text(&proxy, &["stats", "--json"])).unwrap();
    assert!(stats.pointer("/runtime/num_procs").is_some(), "{stats}");
    assert_eq!(text(&proxy, &["reset", "--json"]), "\"OK\"\n");
}

#[test]
fn a_wrong_password_gives_the_message_of_the_proxy() {
    let options = KeywayProxy::options().config("product_name = \"lab\"");
    let proxy = options.config("product_auth = \"s3cret\"").start();
    let addr = proxy.admin_addr();
    let refused =
        format!("error: {addr} refuses: invalid xauth, please check product name & auth\n");
    for wrong in [
        &["ping"][..],
        &["shutdown", "--product-auth", "other"],
        &["stats", "--product-auth", "s3cret", "--product-name", "other"],
    ] {
        assert_eq!(failure(&run(addr, wrong), 1), refused, "{wrong:?}");
    }
    // Everybody may read the model; the product's name is known from it.
    assert!(text(&proxy, &["model"]).starts_with("product     lab\n"));
    text(&proxy, &["ping", "--product-auth", "s3cret"]);
    let with_variable = admin(addr, &["ping"]).env("KEYWAY_PRODUCT_AUTH", "s3cret").output();
    printed(&with_variable.expect("run the program"));
}

#[test]
fn the_configuration_file_of_a_proxy_says_where_it_is_and_what_it_wants() {
    let secret = "product_auth = \"s3cret\"";
    let proxy = KeywayProxy::options().config(secret).start();
    let folder = tempfile::tempdir().expect("make a folder");
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, format!("admin_addr = \"{}\"\n{secret}\n", proxy.admin_addr())).unwrap();
    let output = Command::new(integration::proxy::program())
        .args(["admin", "ping", "--config"])
        .arg(&file)
        .env_remove("KEYWAY_ADMIN")
        .output();
    assert_eq!(printed(&output.unwrap()), format!("{} is there\n", proxy.admin_addr()));
}

#[test]
fn a_slot_file_that_is_wrong_changes_nothing_and_is_told_with_its_place() {
    let proxy = KeywayProxy::options().start();
    let wrong = fill(&proxy, "[{\"id\": 0, \"backend_addr\": \"127.0.0.1:1\"},\n {\"id\": 1024}]");
    let told = failure(&wrong, 1);
    assert!(told.starts_with("error: <stdin>:2:"), "{told}");
    let refused = fill(&proxy, "[{\"id\": 3, \"backend_addr\": \"no address\"}]");
    let told = failure(&refused, 1);
    assert!(
        told.starts_with(&format!("error: {} refuses: slot 3: ", proxy.admin_addr())),
        "{told}"
    );
    assert!(text(&proxy, &["slots"]).contains("\n0-1023  -"));
}

#[test]
fn a_proxy_that_cannot_be_reached_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
    let free = listener.local_addr().expect("it has an address");
    drop(listener);
    // Packets to TEST-NET-1 are answered by nobody; where the network refuses them, that is told.
    for nowhere in [free, "192.0.2.1:11080".parse().unwrap()] {
        let deadline = Deadline::after(Duration::from_secs(5));
        let told = failure(&run(nowhere, &["stats"]), 1);
        assert!(told.starts_with("error: ") && told.contains(&nowhere.to_string()), "{told}");
        assert!(deadline.remaining().is_some(), "{told}");
    }
}

#[test]
fn a_command_line_that_is_wrong_ends_with_two() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for wrong in [&["loglevel", "loud"][..], &["fill"], &["dance"], &["--proxy", "no address"]] {
        let told = failure(&run(nowhere, wrong), 2);
        assert!(told.contains("--help"), "{told}");
    }
}
