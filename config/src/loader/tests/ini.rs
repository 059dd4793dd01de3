//! Files of lines `key = value`, and the names of earlier proxies.

use super::*;
use crate::{CoordinatorName, Topology};

fn from_ini(text: &str) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::new();
    loader.file("config.ini", text);
    loader.finish()
}

#[test]
fn the_file_of_a_codis_2_proxy_is_read() {
    let loaded = from_ini(
        "zk=zk1:2181,zk2:2181\nproduct=orders\nproxy_id=proxy_1\ndashboard_addr=d:18087\n\
         password=s3cret\ncoordinator=etcd\nproto=tcp4\nbackend_ping_period=7\n\
         session_max_timeout=90\nsession_max_bufsize=131072\nsession_max_pipeline=1024\n\
         zk_session_timeout=30000\ntopology = codis2\naddr=:9000\nhttp_addr=:9001\n",
    )
    .unwrap();
    assert_eq!(texts(&loaded.warnings), [""; 0]);
    let config = loaded.config;
    assert_eq!(config.coordinator_addr, "zk1:2181,zk2:2181");
    assert_eq!(config.coordinator_name, CoordinatorName::Etcd);
    assert_eq!((config.product_name.as_str(), config.proxy_id.as_str()), ("orders", "proxy_1"));
    assert_eq!(config.dashboard_addr, "d:18087");
    assert_eq!(config.session_auth.expose(), "s3cret");
    assert_eq!(config.product_auth.expose(), "s3cret");
    assert_eq!(config.backend_ping_period, Duration::from_secs(7));
    assert_eq!(config.session_recv_timeout, Duration::from_secs(90));
    assert_eq!(config.session_max_pipeline, 1024);
    assert_eq!(config.coordinator_session_timeout, Duration::from_secs(30));
    assert_eq!((config.topology, config.compat), (Topology::Codis2, Compat::Codis2));
}

#[test]
fn the_file_of_a_reborn_proxy_is_read() {
    let config = from_ini(
        "# reborn\ncoordinator_addr=zk1:2181\nproduct=test\nproxy_id=\nnet_timeout=6\nproto=tcp\n\
         store_auth=inner\nproxy_auth=outer\naddr=:9000\nhttp_addr=10.0.0.1:9001\npidfile=p.pid\n\
         topology=reborn\nproxy_id=p1",
    )
    .unwrap()
    .config;
    assert_eq!(config.proxy_addr, "0.0.0.0:9000");
    assert_eq!(config.admin_addr, "10.0.0.1:9001");
    assert_eq!(config.product_auth.expose(), "inner");
    assert_eq!(config.session_auth.expose(), "outer");
    assert_eq!(config.proto_type, ProtoType::Tcp);
    assert_eq!(config.pidfile.as_deref(), Some(std::path::Path::new("p.pid")));
    let six = Duration::from_secs(6);
    assert_eq!(config.backend_connect_timeout, six);
    assert_eq!(config.backend_recv_timeout, six);
    assert_eq!(config.backend_send_timeout, six);
}

#[test]
fn an_ini_file_takes_every_setting_and_an_empty_value_says_nothing() {
    let mut config = Config::default();
    for key in keys() {
        let value = match key.field.show(&mut config) {
            Shown::Text(text) => text,
            Shown::Count(count) => count.to_string(),
            Shown::Integer(number) => number.to_string(),
            Shown::Switch(switch) => switch.to_string(),
            Shown::Secret => String::new(),
        };
        for text in [format!("{}={value}", key.name), format!("{} =", key.name)] {
            assert_eq!(from_ini(&text).expect(&text).config, defaults(), "{text}");
        }
    }
}

#[test]
fn problems_of_an_ini_file_are_told_with_their_place() {
    let error = from_ini(
        "net_timeout = soon\nworkers=x\n[proxy]\nzk\nprodukt=a\nzookeper=a:1\nproduct=a\n product=b",
    )
    .expect_err("some lines are wrong");
    assert_eq!(
        texts(&error.problems),
        [
            "config.ini:1:15: `net_timeout` cannot be `soon`: write a number and ns, us, ms, s, m \
             or h, like `30s`",
            "config.ini:2:9: `workers` takes a whole number from 0 like 16, not `x`",
            "config.ini:3:1: there are no sections in a file of this kind",
            "config.ini:4:1: is no line of the form `key = value`",
        ]
    );
    assert_eq!(
        texts(&error.warnings),
        [
            "config.ini:5:1: unknown setting `produkt`, did you mean `product`?",
            "config.ini:6:1: unknown setting `zookeper`, did you mean `zk`?",
            "config.ini:8:2: `product` stands in line 7 already, this one counts",
        ]
    );
}

#[test]
fn the_end_of_its_name_says_of_which_kind_a_file_is() {
    for (name, text) in [("a.INI", "workers=3"), ("ini", "workers=3"), ("a.ini.toml", "workers=3")]
    {
        let mut loader = Loader::new();
        loader.file(name, text);
        assert_eq!(loader.finish().unwrap().config.workers, 3, "{name}");
    }
    let mut loader = Loader::new();
    loader.file("a.ini", "log_level=warn");
    assert_eq!(loader.finish().unwrap().config.log_level, LogLevel::Warn);
}

#[test]
fn a_flag_of_an_earlier_proxy_is_named_with_its_dashes() {
    let mut loader = Loader::new();
    loader.earlier_flag("--addr", "addr", ":9000");
    loader.earlier_flag("--net-timeout", "net_timeout", "x");
    let error = loader.finish().expect_err("no time");
    assert!(error.to_string().starts_with("--net-timeout: `net_timeout` cannot be `x`"), "{error}");
}
