use std::time::Duration;

use super::*;
use crate::settings::keys;
use crate::value::Shown;
use crate::{Compat, LogLevel, ProtoType};

mod ini;

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::new();
    loader.file("proxy.toml", text);
    loader.finish()
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// Loads a file that must be refused and compares what is said of it.
fn check_refused(text: &str, expected: &[&str]) {
    let error = from_file(text).expect_err(text);
    assert_eq!(texts(&error.problems), expected, "{text}");
}

/// Loads a file that must be accepted and compares its warnings.
fn check_warnings(text: &str, expected: &[&str]) {
    let loaded = from_file(text).unwrap();
    assert_eq!(texts(&loaded.warnings), expected, "{text}");
}

/// The defaults, with the proxy that `auto` stands for.
fn defaults() -> Config {
    Config { compat: Compat::Redis, ..Config::default() }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let loaded = from_file("").unwrap();
    assert_eq!(loaded.config, defaults());
    assert!(loaded.warnings.is_empty());
}

// The name becomes a part of paths in a coordinator's store.
#[test]
fn a_product_name_is_a_word() {
    for name in ["orders", "Orders_2.eu-west", "_x"] {
        check_warnings(&format!("product_name = \"{name}\""), &[]);
    }
    for name in ["a/b", "a b", "-a", "..", "é", "a\\n"] {
        let error = from_file(&format!("product_name = \"{name}\"")).expect_err(name);
        assert!(texts(&error.problems)[0].contains("may have letters, digits"), "{name}");
    }
}

#[test]
fn the_default_file_gives_the_defaults() {
    let loaded = from_file(&crate::default_file()).unwrap();
    assert_eq!(loaded.config, defaults());
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_codis_file_is_read_with_its_forms() {
    let config = from_file(
        r#"
product_name = "orders"
session_auth = "s3cret"
proxy_addr = "0.0.0.0:19000"
admin_addr = "0.0.0.0:11080"
proxy_max_clients = 20000
proxy_max_offheap_size = "2gb"
session_recv_timeout = 90
session_send_timeout = "1.5"
backend_send_bufsize = 65536
backend_ping_period = "0"
backend_primary_only = true
"#,
    )
    .unwrap()
    .config;
    assert_eq!(config.product_name, "orders");
    assert_eq!(config.session_auth.expose(), "s3cret");
    assert_eq!(config.proxy_max_clients, 20_000);
    assert_eq!(config.proxy_max_offheap_size, 2 << 30);
    assert_eq!(config.session_recv_timeout, Duration::from_secs(90));
    assert_eq!(config.session_send_timeout, Duration::from_millis(1500));
    assert_eq!(config.backend_send_bufsize, 65_536);
    assert_eq!(config.backend_ping_period, Duration::ZERO);
    assert!(config.backend_primary_only);
    assert_eq!(config.proto_type, ProtoType::Tcp4);
}

#[test]
fn every_setting_of_a_wrong_type_is_refused_with_line_and_column() {
    for key in keys() {
        let text = format!("\n  {} = [1]\n", key.name);
        let error = from_file(&text).expect_err(&text);
        let expected =
            Origin::File { name: "proxy.toml".to_owned(), line: 2, column: 6 + key.name.len() };
        let problem = &error.problems[0];
        assert_eq!(problem.origin, expected, "{text}");
        let start = format!("`{}` takes ", key.name);
        assert!(problem.text.starts_with(&start), "{problem}");
        assert!(problem.text.ends_with(", not a list"), "{problem}");
    }
}

#[test]
fn wrong_values_say_what_to_write() {
    check_refused(
        "workers = \"4\"",
        &["proxy.toml:1:11: `workers` takes a whole number from 0 like 16, not a text"],
    );
    check_refused(
        "workers = -1",
        &["proxy.toml:1:11: `workers` takes a whole number from 0, not `-1`"],
    );
    check_refused(
        "session_recv_timeout = \"30x\"",
        &["proxy.toml:1:24: `session_recv_timeout` cannot be `30x`: \
           write a number and ns, us, ms, s, m or h, like `30s`"],
    );
    check_refused(
        "session_bulk_bytes_max = \"1 GB\"",
        &["proxy.toml:1:26: `session_bulk_bytes_max` cannot be `1 GB`: \
           write a number and b, kb, mb, gb, tb or pb, like `64mb`"],
    );
    check_refused(
        "backend_primary_only = \"yes\"",
        &["proxy.toml:1:24: `backend_primary_only` takes true or false, not a text"],
    );
    check_refused(
        "log_level = \"loud\"",
        &["proxy.toml:1:13: `log_level` takes one of `none`, `error`, `warn`, `info`, `debug`, \
           not `loud`"],
    );
    check_refused(
        "proto_type = \"unix\"",
        &["proxy.toml:1:14: `proto_type` cannot be `unix`: \
           Keyway listens on TCP only, use `tcp4`, `tcp6` or `tcp`"],
    );
}

#[test]
fn columns_count_characters_and_lines_count_from_one() {
    check_refused(
        "# größe\n\"workers\" = \"ä\" # ü",
        &["proxy.toml:2:13: `workers` takes a whole number from 0 like 16, not a text"],
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let error = from_file("workers = 1\nproduct_name = \"x").expect_err("an open text");
    let origin = Origin::File { name: "proxy.toml".to_owned(), line: 2, column: 18 };
    assert_eq!(error.problems[0].origin, origin);
    let error = from_file("workers = 1\nworkers = 2").expect_err("a key given twice");
    assert!(error.to_string().starts_with("proxy.toml:2:1: "), "{error}");
}

#[test]
fn all_problems_are_told_in_the_order_of_the_file() {
    check_refused(
        "product_name = \"\"\nworkers = true\nbackend_max_pipeline = 0",
        &[
            "proxy.toml:1:16: `product_name` must not be empty",
            "proxy.toml:2:11: `workers` takes a whole number from 0 like 16, not a yes or no",
            "proxy.toml:3:24: `backend_max_pipeline` must be at least 1",
        ],
    );
}

#[test]
fn an_unknown_setting_is_a_warning_that_names_the_closest_one() {
    check_warnings(
        "sesion_auth = \"x\"\n[tables]\na = 1",
        &[
            "proxy.toml:1:1: unknown setting `sesion_auth`, did you mean `session_auth`?",
            "proxy.toml:2:2: unknown setting `tables`, see `keyway --default-config` for all",
        ],
    );
}

#[test]
fn settings_without_effect_are_warned_of_only_when_they_ask_for_something() {
    check_warnings("proxy_heap_placeholder = \"1gb\"\nsession_recv_bufsize = 0", &[]);
    check_warnings(
        "backend_primary_parallel = 2",
        &["proxy.toml:1:28: `backend_primary_parallel` has no effect: there is one connection \
           per worker, server and database, set `workers` instead"],
    );
}

#[test]
fn rules_between_settings_name_the_one_that_was_given() {
    check_refused(
        "backend_retry_delay_max = \"10ms\"",
        &["proxy.toml:1:27: `backend_retry_delay_min` must be at most `backend_retry_delay_max`, \
           which is 10ms"],
    );
    check_refused(
        "session_request_bytes_max = \"1kb\"",
        &["proxy.toml:1:29: `session_inline_bytes_max` must be at most \
           `session_request_bytes_max`, which is 1kb"],
    );
    check_refused(
        "session_output_pause_bytes = \"2gb\"",
        &["proxy.toml:1:30: `session_output_pause_bytes` must be at most \
           `session_output_bytes_max`, which is 600mb"],
    );
    check_warnings(
        "session_request_bytes_max = \"2gb\"",
        &["proxy.toml:1:29: `proxy_max_offheap_size` is below `session_request_bytes_max` (2gb): \
           requests larger than 1gb find no room"],
    );
}

#[test]
fn values_beyond_their_limits_are_refused() {
    for text in [
        "workers = 1025",
        "proxy_max_offheap_size = 0",
        "session_request_bytes_max = \"4gb\"",
        "session_max_pipeline = 0",
        "session_elements_max = 0",
        "backend_number_databases = 0",
        "backend_number_databases = 65537",
        "backend_connect_timeout = 0",
        "backend_retry_delay_min = 0",
        "proxy_addr = \"\"",
        "proxy_addr = \":19000\"",
        "admin_addr = \"localhost\"",
        "admin_addr = \"127.0.0.1:19000\"",
        "host_proxy = \"10.0.0.1:0\"",
        "proxy_addr = \"[::1]:19000\"",
        "proto_type = \"tcp6\"",
        "session_user = \"app\"",
        "product_user = \"app\"",
        "session_recv_timeout = \"8761h\"",
        "workers = 0x10",
        "workers = 1979-05-27",
    ] {
        let error = from_file(text).expect_err(text);
        assert_eq!(error.problems.len(), 1, "{text}: {error}");
        assert!(error.to_string().starts_with("proxy.toml:1:"), "{error}");
    }
}

#[test]
fn values_at_their_limits_are_accepted() {
    for text in [
        "workers = 1024",
        "proxy_max_clients = 0",
        "proxy_max_offheap_size = \"1mb\"\nsession_request_bytes_max = \"1mb\"",
        "backend_retry_delay_min = \"5s\"",
        "proxy_addr = \"127.0.0.1:0\"\nadmin_addr = \"127.0.0.1:0\"",
        "proxy_addr = \"[::1]:19000\"\nproto_type = \"tcp\"",
        "session_user = \"app\"\nsession_auth = \"x\"",
        "session_recv_timeout = \"8760h\"",
        "workers = 1_000",
    ] {
        check_warnings(text, &[]);
    }
}

#[test]
fn a_short_ping_period_is_raised() {
    let loaded = from_file("backend_ping_period = \"200ms\"").unwrap();
    assert_eq!(loaded.config.backend_ping_period, Duration::from_secs(1));
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let load = |with_environment: bool, with_flag: bool| {
        let mut loader = Loader::new();
        loader.file("proxy.toml", "workers = 1\nproduct_name = \"file\"");
        if with_environment {
            loader.environment([("KEYWAY_WORKERS", "2"), ("WORKERS", "9")]);
        }
        if with_flag {
            loader.flag("--workers", "workers", "3");
        }
        let config = loader.finish().unwrap().config;
        assert_eq!(config.product_name, "file");
        config.workers
    };
    assert_eq!(load(false, false), 1);
    assert_eq!(load(true, false), 2);
    assert_eq!(load(true, true), 3);
    assert_eq!(load(false, true), 3);
}

#[test]
fn every_setting_can_be_given_by_the_environment() {
    let mut config = Config::default();
    for key in keys() {
        let variable = format!("KEYWAY_{}", key.name.to_uppercase());
        let value = match key.field.show(&mut config) {
            Shown::Text(text) => text,
            Shown::Count(count) => count.to_string(),
            Shown::Integer(number) => number.to_string(),
            Shown::Switch(switch) => switch.to_string(),
            Shown::Secret => "secret".to_owned(),
        };
        let mut loader = Loader::new();
        loader.environment([(variable.clone(), value)]);
        let loaded = loader.finish().unwrap();
        let is_told = loaded.warnings.iter().any(|w| w.text.contains("unknown"));
        assert!(!is_told, "{variable}");
    }
}

#[test]
fn the_threshold_of_the_slow_log_is_a_number_of_microseconds_or_minus_one() {
    let load = |value: &str| {
        let mut loader = Loader::new();
        loader.environment([("KEYWAY_SLOWLOG_LOG_SLOWER_THAN", value)]);
        loader.finish().map(|loaded| loaded.config.slowlog_log_slower_than)
    };
    assert_eq!(load("-1").unwrap(), -1);
    assert_eq!(load("0").unwrap(), 0);
    assert_eq!(load("2500").unwrap(), 2500);
    let refused = |value: &str| load(value).unwrap_err().to_string();
    assert!(refused("-2").contains("must be at least -1"), "{}", refused("-2"));
    assert!(refused("10ms").contains("takes a whole number"), "{}", refused("10ms"));
}

#[test]
fn the_environment_is_judged_like_a_file() {
    let mut loader = Loader::new();
    loader.environment([
        ("KEYWAY_WORKERS", "many"),
        ("KEYWAY_LOG_LEVEL", "DEBUG"),
        ("KEYWAY_WORKER", "1"),
        ("KEYWAY_SERVICE_HOST", "10.0.0.1"),
        ("KEYWAY_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("KEYWAY_CONFIG", "proxy.toml"),
        ("KEYWAY_BIN", "target/debug/keyway"),
    ]);
    let error = loader.finish().expect_err("workers");
    let expected = "environment variable KEYWAY_WORKERS: `workers` takes a whole number from 0 like 16, \
         not `many`";
    assert_eq!(texts(&error.problems), [expected]);
    let expected =
        "environment variable KEYWAY_WORKER: unknown setting `worker`, did you mean `workers`?";
    assert_eq!(texts(&error.warnings), [expected]);
}

#[test]
fn the_short_variables_are_settings_too() {
    let mut loader = Loader::new();
    loader.environment([
        ("KEYWAY_PROXY_ADDR", "127.0.0.1:2"),
        ("KEYWAY_LISTEN", "127.0.0.1:1"),
        ("KEYWAY_ADMIN", "127.0.0.1:3"),
    ]);
    let config = loader.finish().unwrap().config;
    assert_eq!(config.proxy_addr, "127.0.0.1:2");
    assert_eq!(config.admin_addr, "127.0.0.1:3");
}

#[test]
fn words_are_read_in_either_case() {
    let mut loader = Loader::new();
    loader.flag("--log-level", "log_level", "WARN");
    assert_eq!(loader.finish().unwrap().config.log_level, LogLevel::Warn);
}

#[test]
fn a_flag_is_named_with_its_dashes() {
    let mut loader = Loader::new();
    loader.flag("--listen", "proxy_addr", "nowhere");
    let error = loader.finish().expect_err("an address without a port");
    let text = error.to_string();
    assert!(text.starts_with("--listen: `proxy_addr` cannot be used"), "{text}");
}

#[test]
fn no_secret_is_shown() {
    let loaded = from_file("session_auth = \"hunter2\"\njodis_auth = \"u:hunter2\"").unwrap();
    let shown = format!("{loaded:?} {:?}", loaded.config.to_public_json());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(loaded.config.session_auth.to_string(), "***");
}
