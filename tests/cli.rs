//! The program as its users run it: what it prints, where, and with which exit status.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The program with an environment that holds no setting.
fn keyway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyway"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEYWAY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    keyway(arguments).output().expect("run the program")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program writes UTF-8")
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = keyway(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the program");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(input).expect("it reads its input");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// A file for one test, called by the test's own name.
fn write_file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("write a file");
    path
}

/// Runs a command that must fail with this status and write exactly this to standard error.
fn check_refused(arguments: &[&str], status: i32, expected: &str) {
    let output = run(arguments);
    assert_eq!(text(&output.stderr), expected, "{arguments:?}");
    assert_eq!(output.status.code(), Some(status), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// Runs a proxy that must be refused as a wrong command line, with this first line.
fn check_usage(arguments: &[&str], expected: &str) {
    let output = run(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().next(), Some(expected), "{arguments:?}");
    assert!(stderr.contains("--help"), "{stderr}");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
}

#[test]
fn the_version_is_one_line() {
    let output = run(&["--version"]);
    let expected = format!("keyway {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&output.stdout), expected);
    assert!(output.status.success());
}

#[test]
fn the_help_says_what_it_is_and_shows_examples() {
    let output = run(&["--help"]);
    let help = text(&output.stdout);
    assert!(help.starts_with("Keyway: many Redis or Valkey servers behind one address\n"));
    assert!(help.contains("keyway proxy 127.0.0.1:6379 127.0.0.1:6380 "));
    assert!(help.contains("keyway proxy --config proxy.toml --fillslots slots.json"));
    for line in help.lines() {
        assert!(line.len() <= 100, "{line}");
    }
    assert!(output.status.success());
}

#[test]
fn without_arguments_the_help_goes_to_standard_error() {
    let output = run(&[]);
    assert!(text(&output.stderr).contains("Usage: keyway"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_default_file_passes_the_check() {
    let file = run(&["--default-config"]);
    assert!(file.status.success());
    assert_eq!(run(&["proxy", "--default-config"]).stdout, file.stdout);
    let output = run_with_input(&["check", "-"], &file.stdout);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout), "<stdin>: ok\n");
    assert!(output.status.success());
}

#[test]
fn a_file_with_warnings_passes_the_check_and_tells_them() {
    let path = write_file("warnings.toml", "sesion_auth = \"x\"\n");
    let path = path.to_str().unwrap();
    let output = run(&["check", path]);
    let expected = format!(
        "warning: {path}:1:1: unknown setting `sesion_auth`, did you mean `session_auth`?\n"
    );
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(text(&output.stdout), format!("{path}: ok, with 1 warning\n"));
    assert!(output.status.success());
}

#[test]
fn a_bad_file_is_refused_with_line_and_column() {
    let path = write_file(
        "bad.toml",
        "# comment\nworkers = \"4\"\nsession_recv_timeout = \"30x\"\nwrokers = 1\n",
    );
    let path = path.to_str().unwrap();
    let expected = format!(
        "warning: {path}:4:1: unknown setting `wrokers`, did you mean `workers`?\n\
         error: {path}:2:11: `workers` takes a whole number from 0 like 16, not a text\n\
         error: {path}:3:24: `session_recv_timeout` cannot be `30x`: \
         write a number and ns, us, ms, s, m or h, like `30s`\n"
    );
    check_refused(&["check", path], 1, &expected);
    check_refused(&["proxy", "--config", path], 1, &expected);
    check_refused(&["proxy", "-c", path, "127.0.0.1:6379"], 1, &expected);
}

#[test]
fn a_missing_file_is_named() {
    check_refused(
        &["check", "/no/such.toml"],
        1,
        "error: read `/no/such.toml`: No such file or directory (os error 2)\n",
    );
    check_refused(
        &["proxy", "--fillslots", "/no/such.json"],
        1,
        "error: read `/no/such.json`: No such file or directory (os error 2)\n",
    );
}

#[test]
fn a_bad_slot_file_is_refused_with_its_element() {
    let path = write_file("slots.json", "[{\"id\":0},\n {\"id\":5,\"migrate_from\":\"a:1\"}]");
    let path = path.to_str().unwrap();
    let expected = format!(
        "error: {path}:2:31: element 1: slot `5` has a `migrate_from` but no `backend_addr`\n"
    );
    check_refused(&["proxy", "--fillslots", path], 1, &expected);
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    check_usage(
        &["proxy"],
        "error: nothing says which server has each slot: name servers, or give --fillslots, \
         --dashboard, --filesystem, --zookeeper, --etcd, --topology or --config",
    );
    check_usage(
        &["proxy", "a:1", "--workers", "many"],
        "error: --workers: `workers` takes a whole number from 0 like 16, not `many`",
    );
    check_usage(
        &["proxy", "a:1", "--ncpu=x"],
        "error: --workers: `workers` takes a whole number from 0 like 16, not `x`",
    );
    check_usage(
        &["proxy", "a:1", "b"],
        "error: server 2: `b` is not an address, write host:port: `127.0.0.1:6379`, `[::1]:6379`",
    );
    check_usage(
        &["proxy", "redis://a/1", "redis://b/2"],
        "error: all servers must name the same database, `a:6379` names 1 and `b:6379` names 2",
    );
    check_usage(
        &["proxy", "a:1", "--fillslots", "slots.json"],
        "error: the argument '[SERVER]...' cannot be used with '--fillslots <FILE>'",
    );
    check_usage(
        &["proxy", "a:1", "--dashboard", "d:1"],
        "error: the argument '[SERVER]...' cannot be used with '--dashboard <ADDR>'",
    );
    check_usage(
        &["proxy", "--dashboard", "d:1", "--filesystem", "store"],
        "error: the argument '--dashboard <ADDR>' cannot be used with '--filesystem <DIR>'",
    );
    check_usage(
        &["proxy", "--dashboard", "d"],
        "error: --dashboard: `d` is not an address, write host:port: `127.0.0.1:6379`, `[::1]:6379`",
    );
    check_usage(
        &["proxy", "a:1", "--product_name="],
        "error: a value is required for '--product_name <NAME>' but none was supplied",
    );
    for flag in ["--zookeeper", "--etcd"] {
        let expected =
            format!("error: the argument '[SERVER]...' cannot be used with '{flag} <ADDRS>'");
        check_usage(&["proxy", "a:1", flag, "x"], &expected);
    }
}

/// What makes every proxy give up after its settings were read, and before it opens a socket.
const NEVER_STARTS: [&str; 2] = ["--ulimit", "4000000000000"];

#[test]
fn a_member_of_a_product_needs_no_servers() {
    let by_flag: &[&str] =
        &["--topology", "codis2", "--coordinator", "zk1:2181,zk2:2181", "--proxy-id", "p1"];
    let file = write_file("member.ini", "zk=zk1:2181\nproxy_id=p1\ntopology=codis1\n");
    let by_file = ["--config", file.to_str().unwrap()];
    for arguments in [by_flag, &by_file] {
        let output = keyway(&["proxy"]).args(arguments).args(NEVER_STARTS).output().unwrap();
        assert!(text(&output.stderr).contains("open files"), "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
    let by_environment = keyway(&["proxy", "--id", "p1"])
        .args(NEVER_STARTS)
        .env("KEYWAY_TOPOLOGY", "reborn")
        .env("KEYWAY_COORDINATOR_ADDR", "zk1:2181")
        .output()
        .unwrap();
    assert!(text(&by_environment.stderr).contains("open files"));
    check_usage(
        &["proxy", "--topology", "codis1", "--proxy-id", "p1", "--addr=:9000", "--http-addr=:9001"],
        "error: --topology: `coordinator_addr` is needed with `topology = \"codis1\"`: give the \
         addresses of the product's coordinator, like `10.0.0.1:2181,10.0.0.2:2181`",
    );
}

#[test]
fn what_names_servers_cannot_be_used_by_a_member_of_a_product() {
    let path = write_file("member-slots.json", "[]");
    for (given, shown) in [
        (vec!["a:1"], "SERVER"),
        (vec!["--fillslots", path.to_str().unwrap()], "--fillslots"),
        (vec!["--dashboard", "d:18080"], "--dashboard"),
        (vec!["--filesystem", "store"], "--filesystem"),
    ] {
        let member = ["proxy", "--topology=reborn", "--coordinator=zk1:2181", "--proxy-id=p1"];
        let expected = format!(
            "error: {shown} cannot be used with topology `reborn`: the slots come from the \
             coordinator"
        );
        check_usage(&[&member[..], &given].concat(), &expected);
    }
}

#[test]
fn the_flags_of_proxies_before_codis_3_are_taken() {
    let log = write_file("earlier.log", "");
    let output = keyway(&["proxy", "a:1", "--cpu=3", "--addr", ":9000", "--http-addr=:9001"])
        .args(["--net-timeout=7", "--proto=tcp", "--proxy-auth=hunter2", "--log-format=json"])
        .args(["--log-filesize=1gb", "--dump-path=dump", "--pidfile=earlier.pid", "-L"])
        .arg(&log)
        .args(NEVER_STARTS)
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("open files"), "{}", text(&output.stderr));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("--log-filesize is ignored"), "{log}");
    assert!(log.contains("--dump-path is ignored"), "{log}");
    assert!(!log.contains("hunter2"));

    check_usage(
        &["proxy", "a:1", "--net-timeout=soon"],
        "error: --net-timeout: `net_timeout` cannot be `soon`: write a number and ns, us, ms, s, m \
         or h, like `30s`",
    );
    check_usage(
        &["proxy", "a:1", "--addr=9000"],
        "error: --addr: `proxy_addr` cannot be used: `9000` is not an address, write host:port: \
         `127.0.0.1:6379`, `[::1]:6379`",
    );
    check_usage(
        &["proxy", "a:1", "--addr=:1", "--listen=a:2"],
        "error: the argument '--addr <ADDR>' cannot be used with '--listen <ADDR>'",
    );
}

#[test]
fn a_file_of_an_earlier_proxy_is_checked() {
    let path = write_file("config.ini", "zk=zk1:2181\nproduct=test\nnet_timeout=x\n");
    let path = path.to_str().unwrap();
    let output = run(&["check", path]);
    let expected = format!(
        "warning: {path}:1:4: `coordinator_addr` has no effect with `topology = \"codis3\"`: set \
         `topology` to `codis1`, `codis2` or `reborn` (--topology, KEYWAY_TOPOLOGY)\n\
         error: {path}:3:13: `net_timeout` cannot be `x`: write a number and ns, us, ms, s, m or \
         h, like `30s`\n"
    );
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn no_password_of_the_command_line_is_repeated() {
    for arguments in [
        ["proxy", "redis://app:hunter2@a:x", "b:1"],
        ["proxy", "app:hunter2@a:1", "b:1"],
        ["proxy", "redis://app:hunter2", "b:1"],
        ["proxy", "rediss://app:hunter2@a", "b:1"],
        ["proxy", "--session_auth=hunter2", "--workers=x"],
        ["proxy", "--product_auth=hunter2", "nowhere"],
        ["proxy", "--zookeeper-auth=u:hunter2", "--zookeeper="],
        ["proxy", "--etcd-auth=u:hunter2", "a:1"],
        ["proxy", "--proxy-auth=hunter2", "--workers=x"],
        ["admin", "--product-auth=hunter2", "dance"],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!text(&output.stderr).contains("hunter2"), "{arguments:?}");
    }
}

#[test]
fn the_environment_is_checked_too() {
    let output =
        keyway(&["proxy", "127.0.0.1:6379"]).env("KEYWAY_WORKERS", "many").output().unwrap();
    assert_eq!(
        text(&output.stderr),
        "error: environment variable KEYWAY_WORKERS: \
         `workers` takes a whole number from 0 like 16, not `many`\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn too_few_open_files_are_refused_when_more_are_demanded() {
    let pidfile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("refused.pid");
    let output = keyway(&["proxy", "127.0.0.1:6379", "--log-level=NONE"])
        .args(["--ulimit", "4000000000000"])
        .arg("--pidfile")
        .arg(&pidfile)
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`open_files_min` (--ulimit) demands 4000000000000"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!pidfile.exists());
}

// The proxy gives up after it has started its log, because of the demand for open files.
#[test]
fn the_log_is_appended_to_its_file_as_json() {
    let path = write_file("proxy.log", "");
    for _ in 0..2 {
        let output = keyway(&["proxy", "127.0.0.1:6379", "--log-format=JSON", "--max-ncpu=3"])
            .args(["--ulimit", "4000000000000"])
            .arg("--log")
            .arg(&path)
            .env("KEYWAY_JODIS_NAME", "zookeeper")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        // The log is in the file, the reason of the failure where its user looks.
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    for line in &lines {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
        assert!(line.contains("\"level\":\"WARN\""), "{line}");
        assert!(line.contains("\"ts\":\"20") && line.contains("\"msg\":\""), "{line}");
    }
    assert!(lines[0].contains("\"place\":\"environment variable KEYWAY_JODIS_NAME\""));
    assert!(lines[0].contains("`jodis_addr` is empty, so the proxy does not register"));
    assert!(lines[1].contains("--max-ncpu is ignored"));
}

#[test]
fn a_log_file_that_cannot_be_opened_is_named() {
    check_refused(
        &["proxy", "127.0.0.1:6379", "-l", "/no/such/folder/log"],
        1,
        "error: open log file `/no/such/folder/log`: No such file or directory (os error 2)\n",
    );
}

#[test]
fn metrics_are_described_when_asked_for() {
    let output = run(&["metrics", "--describe"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("\n| `keyway_requests_total` | counter |"));
    assert_eq!(run(&["metrics"]).status.code(), Some(2));
}

#[test]
fn completions_exist_for_each_shell() {
    for (shell, expected) in [
        ("bash", "complete -F _keyway"),
        ("zsh", "#compdef keyway"),
        ("fish", "complete -c keyway"),
    ] {
        let output = run(&["completions", shell]);
        let script = text(&output.stdout);
        assert!(script.contains(expected), "{shell}: {script}");
        assert!(script.contains("fillslots"), "{shell}");
        assert!(output.status.success());
    }
}

#[test]
fn the_program_and_each_command_have_a_manual_page() {
    for (arguments, title, content) in [
        (vec!["man"], "keyway", "Valkey"),
        (vec!["man", "proxy"], "keyway-proxy", "fillslots"),
        (vec!["man", "admin"], "keyway-admin", "loglevel"),
        (vec!["man", "check"], "keyway-check", "standard input"),
    ] {
        let output = run(&arguments);
        let page = text(&output.stdout);
        assert!(page.contains(&format!(".TH {title} 1")), "{page}");
        assert!(page.contains(content), "{page}");
        assert!(output.status.success());
    }
}
