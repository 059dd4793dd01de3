use super::*;
use crate::settings;

#[test]
fn every_name_stands_for_settings_and_is_none_itself() {
    for key in KEYS {
        assert!(settings::key(key.name).is_none(), "{}", key.name);
        for name in key.settings {
            assert!(settings::key(name).is_some(), "{name}");
        }
    }
}

#[test]
fn values_become_those_of_our_settings() {
    let check = |name: &str, value: &str, expected: &str| {
        assert_eq!(key(name).expect(name).value(value), expected, "{name} = {value}");
    };
    check("addr", ":9000", "0.0.0.0:9000");
    check("addr", "10.0.0.1:9000", "10.0.0.1:9000");
    check("http_addr", ":9001", "0.0.0.0:9001");
    check("zk_session_timeout", "30000", "30000ms");
    check("zk_session_timeout", "101", "101ms");
    check("zk_session_timeout", "100", "100");
    check("zk_session_timeout", "30s", "30s");
    check("zk_session_timeout", "x", "x");
    check("net_timeout", "5", "5");
}
