//! Tests of the options.

use clap::CommandFactory;

use super::*;

fn options(arguments: &[&str]) -> Options {
    Options::try_parse_from([&["bench"], arguments].concat()).unwrap()
}

#[test]
fn the_options_are_consistent() {
    Options::command().debug_assert();
}

#[test]
fn all_targets_and_workloads_are_run_by_default() {
    let options = options(&[]);
    assert_eq!(options.kinds().len(), 4);
    assert!(workloads::names().all(|name| options.has_workload(name)));
}

#[test]
fn targets_are_run_once_and_unknown_names_are_refused() {
    let chosen = options(&["--targets", "direct,haproxy,direct", "--only", "idle,get64-p1"]);
    assert_eq!(chosen.kinds(), [TargetKind::Haproxy, TargetKind::Direct]);
    assert!(chosen.has_workload("idle") && !chosen.has_workload("set64-p1"));
    assert!(Options::try_parse_from(["bench", "--only", "get"]).is_err());
    assert!(Options::try_parse_from(["bench", "--targets", "envoy"]).is_err());
    assert!(Options::try_parse_from(["bench", "--rounds", "0"]).is_err());
}

#[test]
fn floors_need_both_proxies() {
    assert!(options(&["--floors"]).check().is_ok());
    assert!(options(&["--floors", "--targets", "keyway,direct"]).check().is_err());
}
