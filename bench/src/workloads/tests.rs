//! Tests of the table: names, commands, request counts.

use super::*;

fn workload(name: &str) -> Workload {
    *WORKLOADS.iter().find(|workload| workload.name == name).unwrap()
}

#[test]
fn names_are_unique() {
    let mut all: Vec<&str> = names().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), WORKLOADS.len() + 1);
}

#[test]
fn commands_name_random_keys() {
    assert_eq!(workload("get64-p1").command(), ["GET", "small:__rand_int__"]);
    assert_eq!(workload("mget10-p16").command().len(), 11);
    let set = workload("set64k").command();
    assert_eq!(set[1], "large:__rand_int__");
    assert_eq!(set[2].len(), 65_536);
}

#[test]
fn key_names_have_twelve_digits() {
    assert_eq!(SMALL.names().next().unwrap(), "small:000000000000");
    assert_eq!(LARGE.names().last().unwrap(), "large:000000000199");
}

#[test]
fn request_counts_fill_all_pipelines_evenly() {
    let check = |name: &str, wanted, expected| {
        assert_eq!(workload(name).whole_requests(wanted), expected);
    };
    check("get64-p1", 0, 50);
    check("get64-p1", 100, 100);
    check("get64-p16", 801, 1600);
    check("get64-c1000", 1, 1000);
}
