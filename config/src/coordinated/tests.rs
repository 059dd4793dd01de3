use crate::{Compat, ConfigError, Loaded, Loader, Problem};

/// A proxy that is a member of a product, and further lines.
fn member(lines: &str) -> Result<Loaded, ConfigError> {
    let head = "topology = \"codis2\"\ncoordinator_addr = \"zk1:2181\"\nproxy_id = \"p1\"\n";
    load(&format!("{head}{lines}"))
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::new();
    loader.file("proxy.toml", text);
    loader.finish()
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

fn check_refused(lines: &str, expected: &str) {
    let error = member(lines).expect_err(lines);
    assert_eq!(texts(&error.problems), [expected], "{lines}");
}

/// What is on the loopback has a test of its own.
const LOOPBACK: &str = "which only this machine reaches";

fn check_warned(loaded: Result<Loaded, ConfigError>, expected: &[&str]) {
    let mut found = texts(&loaded.unwrap().warnings);
    found.retain(|text| !text.contains(LOOPBACK));
    assert_eq!(found, expected);
}

#[test]
fn a_member_that_others_cannot_reach_is_warned_of() {
    let count = |lines: &str| {
        let warnings = texts(&member(lines).unwrap().warnings);
        warnings.iter().filter(|text| text.contains(LOOPBACK)).count()
    };
    assert_eq!(count(""), 2);
    assert_eq!(count("proxy_addr = \"0.0.0.0:9000\"\nadmin_addr = \"10.0.0.1:9001\""), 0);
    assert_eq!(count("host_proxy = \"a:1\"\nhost_admin = \"a:2\""), 0);
    let text = texts(&member("host_admin = \"a:2\"").unwrap().warnings).concat();
    assert!(text.contains("listen on `0.0.0.0`, or set `host_proxy`"), "{text}");
}

#[test]
fn a_member_of_a_product_needs_a_coordinator_and_a_name() {
    let error = load("workers = 1\ntopology = \"reborn\"").expect_err("neither is given");
    assert_eq!(
        texts(&error.problems),
        [
            "proxy.toml:2:12: `coordinator_addr` is needed with `topology = \"reborn\"`: give the \
             addresses of the product's coordinator, like `10.0.0.1:2181,10.0.0.2:2181`",
            "proxy.toml:2:12: `proxy_id` is needed with `topology = \"reborn\"`: give this proxy a \
             name that no other of the product has",
        ]
    );
    check_warned(member(""), &[]);
    check_warned(member("coordinator_name = \"etcd\"\nproxy_addr = \"0.0.0.0:9000\""), &[]);
}

#[test]
fn the_id_of_a_proxy_is_fit_for_the_name_of_a_node() {
    for id in ["proxy_1", "10.0.0.1:9000", "größe", "..."] {
        let text =
            format!("topology = \"codis1\"\ncoordinator_addr = \"zk:1\"\nproxy_id = \"{id}\"");
        check_warned(load(&text), &[]);
    }
    for id in [".", "..", "a/b", "/", "a b", "a\\n"] {
        let text =
            format!("topology = \"codis1\"\ncoordinator_addr = \"zk:1\"\nproxy_id = \"{id}\"");
        let error = load(&text).expect_err(id).to_string();
        assert!(
            error.starts_with("proxy.toml:3:12: `proxy_id` becomes the name of a node"),
            "{error}"
        );
    }
}

#[test]
fn addresses_that_the_tools_cannot_split_are_refused() {
    check_refused(
        "host_proxy = \"[::1]:9000\"",
        "proxy.toml:4:14: `host_proxy` cannot be an IPv6 address with `topology = \"codis2\"`: its \
         tools split an address at the only colon",
    );
    for lines in [
        "proto_type = \"tcp\"\nproxy_addr = \"[::1]:9000\"",
        "admin_addr = \"[::1]:9001\"",
        "host_admin = \"[::1]:9001\"",
        "proto_type = \"tcp6\"\nproxy_addr = \"localhost:9000\"",
    ] {
        assert!(member(lines).is_err(), "{lines}");
    }
}

#[test]
fn what_belongs_to_slots_that_the_proxy_keeps_itself_is_refused() {
    check_refused(
        "state_dir = \"/var/lib/keyway\"",
        "proxy.toml:4:13: `state_dir` cannot be used with `topology = \"codis2\"`: the slots come \
         from the coordinator",
    );
}

#[test]
fn lists_of_addresses_are_checked() {
    let form = "is not an address, write host:port: `127.0.0.1:6379`, `[::1]:6379`";
    let list = |list: &str| load(&format!("jodis_name = \"zk\"\njodis_addr = \"{list}\""));
    for good in ["a:1", "a:1,b:2", "a:1, [::1]:2"] {
        check_warned(list(good), &[]);
    }
    for (bad, shown) in [("a", "a"), ("a:1,", ""), ("a:1,http://b:2", "http://b:2")] {
        let error = list(bad).expect_err(bad).to_string();
        assert!(
            error.ends_with(&format!("`jodis_addr` cannot be used: `{shown}` {form}")),
            "{error}"
        );
    }
    assert!(load("coordinator_addr = \"zk1\"").is_err());
    assert!(member("dashboard_addr = \"d\"").is_err());
    check_warned(member("dashboard_addr = \"d:18087\""), &[]);
}

#[test]
fn times_fit_together() {
    check_refused(
        "coordinator_session_timeout = \"999ms\"",
        "proxy.toml:4:31: `coordinator_session_timeout` must be at least 1s",
    );
    check_warned(member("coordinator_session_timeout = \"1s\""), &[]);
    check_warned(
        member("backend_recv_timeout = \"31s\""),
        &["proxy.toml:4:24: `backend_recv_timeout` lets a request hold up a change of slots for \
           longer than the 30s after which the dashboard of the product expels the proxy"],
    );
    check_warned(
        member("backend_recv_timeout = \"2s\""),
        &[
            "proxy.toml:4:24: `migration_timeout` is not below `backend_recv_timeout`, which is 2s: \
           the connection is given up before the source can answer",
        ],
    );
    check_warned(load("backend_recv_timeout = \"31s\""), &[]);
}

#[test]
fn a_coordinator_without_a_topology_is_worth_a_warning() {
    let loaded = load("coordinator_addr = \"zk1:2181\"").unwrap();
    assert!(loaded.warnings[0].text.contains("set `topology` to `codis1`, `codis2` or `reborn`"));
}

#[test]
fn jodis_needs_a_kind_of_coordinator_and_an_address() {
    let check = |text: &str, expected: &str| {
        let error = load(text).expect_err(text);
        assert_eq!(texts(&error.problems), [expected], "{text}");
    };
    check(
        "jodis_addr = \"zk1:2181\"",
        "proxy.toml:1:14: `jodis_name` is needed with `jodis_addr`: `zookeeper` or `etcd`",
    );
    check(
        "jodis_addr = \"zk1:2181\"\njodis_name = \"filesystem\"",
        "proxy.toml:2:14: `jodis_name` cannot be `filesystem`: clients on other machines do not see \
         files here, use `zookeeper` or `etcd`",
    );
    check(
        "jodis_addr = \"zk1:2181\"\njodis_name = \"consul\"",
        "proxy.toml:2:14: `jodis_name` takes `zookeeper` or `etcd`, not `consul`",
    );
    check(
        "jodis_addr = \"zk1:2181\"\njodis_name = \"etcd\"\njodis_timeout = \"1ms\"",
        "proxy.toml:3:17: `jodis_timeout` must be at least 1s",
    );
    for name in ["zookeeper", "ZK", "etcd"] {
        let loaded = load(&format!("jodis_addr = \"a:1\"\njodis_name = \"{name}\"")).unwrap();
        assert_eq!(loaded.config.jodis_name, name.to_lowercase());
        assert!(loaded.warnings.is_empty());
    }
    let warning = "proxy.toml:1:14: `jodis_name` has no effect: `jodis_addr` is empty, so the proxy \
                   does not register";
    check_warned(load("jodis_name = \"zookeeper\""), &[warning]);
}

#[test]
fn jodis_has_no_effect_where_clients_find_the_proxy_by_its_node() {
    check_warned(
        member("jodis_name = \"zk\"\njodis_addr = \"zk1:2181\""),
        &[
            "proxy.toml:5:14: `jodis_addr` has no effect with `topology = \"codis2\"`: clients find the \
           proxy by its node in the coordinator of the product",
        ],
    );
}

#[test]
fn clients_find_the_proxy_whose_topology_it_is() {
    let compat = |topology: &str, compat: &str| {
        let text = format!(
            "topology = \"{topology}\"\ncoordinator_addr = \"zk1:2181\"\nproxy_id = \"p1\"\n\
             compat = \"{compat}\""
        );
        load(&text).unwrap().config.compat
    };
    assert_eq!(compat("codis3", "auto"), Compat::Redis);
    assert_eq!(compat("codis1", "auto"), Compat::Codis1);
    assert_eq!(compat("codis2", "auto"), Compat::Codis2);
    assert_eq!(compat("reborn", "auto"), Compat::Reborn);
    assert_eq!(compat("codis1", "redis"), Compat::Redis);
    assert_eq!(compat("codis3", "reborn"), Compat::Reborn);
    assert_eq!(load("").unwrap().config.compat, Compat::Redis);
}
