//! Tests of the configuration files. The targets themselves are tested by every run.

use super::*;

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn nutcracker_gets_all_backends() {
    let expected = "\
bench:
  listen: 127.0.0.1:1
  hash: fnv1a_64
  distribution: modula
  redis: true
  auto_eject_hosts: false
  servers:
   - 127.0.0.1:2:1
   - 127.0.0.1:3:1
";
    assert_eq!(nutcracker_config(addr(1), &[addr(2), addr(3)]), expected);
}

#[test]
fn haproxy_gets_one_backend_and_one_thread() {
    let text = haproxy_config(addr(1), addr(2));
    assert!(text.starts_with("global\n  nbthread 1\n  maxconn 6000\ndefaults\n  mode tcp\n"));
    assert!(text.ends_with("listen redis\n  bind 127.0.0.1:1\n  server redis 127.0.0.1:2\n"));
}

#[test]
fn target_names_are_those_of_the_option() {
    for kind in TargetKind::value_variants() {
        assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.to_string());
    }
}
