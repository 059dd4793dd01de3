use routing::{SlotAssignment, SlotId};

use super::*;

fn addr(port: u16) -> BackendAddr {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn entry(fields: &[(&str, &str)]) -> Value {
    Value::Array(fields.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]).collect())
}

fn described(group: u32, port: u16, config_epoch: u64, is_settled: bool) -> Description {
    Description { group, addr: addr(port), config_epoch, is_settled }
}

#[test]
fn a_majority_is_more_than_half() {
    for (sentinels, expected) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
        assert_eq!(majority(sentinels), expected, "{sentinels}");
    }
}

#[test]
fn a_name_is_the_product_and_the_number_of_a_group() {
    for (name, expected) in [
        ("shop-1", Some(1)),
        ("shop-4294967295", Some(4_294_967_295)),
        ("shop-4294967296", None),
        ("shop-0", None),
        ("shop-01", None),
        ("shop-+1", None),
        ("shop--1", None),
        ("shop-1x", None),
        ("shop-", None),
        ("shop", None),
        ("shop-eu-1", None),
        ("shopping-1", None),
        ("1", None),
        ("", None),
    ] {
        assert_eq!(group_of(name, "shop"), expected, "{name}");
    }
    assert_eq!(group_of("shop-eu-1", "shop-eu"), Some(1));
}

#[test]
fn doubles_count_once() {
    let addrs = [1, 2, 1, 3, 4].map(addr).to_vec();
    assert_eq!(without_doubles(addrs, 3), [1, 2, 3].map(addr));
}

#[test]
fn a_message_of_the_product_is_a_switch() {
    let check = |parts: &[&str], expected| {
        let message = Value::Array(parts.iter().map(|part| bulk(part)).collect());
        assert_eq!(is_switch(&message, "shop"), expected, "{parts:?}");
    };
    let text = "shop-1 127.0.0.1 1 127.0.0.1 2";
    check(&["message", "+switch-master", text], true);
    check(&["message", "+switch-master", "other-1 127.0.0.1 1 127.0.0.1 2"], false);
    check(&["subscribe", "+switch-master", text], false);
    check(&["message", "+switch-master"], false);
    assert!(!is_switch(&Value::NullArray, "shop"));
}

#[test]
fn an_answer_is_read_as_far_as_it_is_about_the_product() {
    let fields = [
        ("name", "shop-7"),
        ("ip", "127.0.0.1"),
        ("port", "6379"),
        ("flags", "master"),
        ("config-epoch", "3"),
    ];
    let with = |name: &'static str, value: &'static str| {
        entry(&fields.map(|(known, old)| (known, if known == name { value } else { old })))
    };
    let of = |entry: Value| descriptions(&Value::Array(vec![entry]), "shop").unwrap();
    assert_eq!(of(entry(&fields)), [described(7, 6379, 3, true)]);
    let busy = of(with("flags", "master,o_down,failover_in_progress"));
    assert_eq!(busy, [described(7, 6379, 3, false)]);
    assert_eq!(of(with("ip", "::1"))[0].addr.as_str(), "[::1]:6379");
    for (name, value) in [
        ("name", "other-7"),
        ("port", "0"),
        ("ip", ""),
        ("config-epoch", "-1"),
        ("flags", "master"),
    ] {
        let expected = usize::from(name == "flags");
        assert_eq!(of(with(name, value)).len(), expected, "{name} {value}");
    }
    assert_eq!(of(entry(&fields[..4])), []);
    assert_eq!(of(Value::Integer(1)), []);
    assert_eq!(descriptions(&Value::Error("ERR".to_owned()), "shop"), None);
}

#[test]
fn the_newest_configuration_counts() {
    let chosen = |descriptions: &[Description]| choose(descriptions.to_vec());
    let old = described(1, 1, 4, true);
    let new = described(1, 2, 5, true);
    let other = described(2, 9, 0, true);
    let expected = Primaries::from([(1, addr(2)), (2, addr(9))]);
    assert_eq!(chosen(&[old.clone(), new.clone(), other.clone()]), expected);
    assert_eq!(chosen(&[other, new.clone(), old]), expected);
    // The leader of the failover has the epoch already and the address not yet.
    let leader = described(1, 1, 5, false);
    assert_eq!(chosen(&[leader.clone(), new.clone()])[&1], addr(2));
    assert_eq!(chosen(&[new, leader])[&1], addr(2));
    assert_eq!(chosen(&[]), Primaries::new());
}

#[test]
fn a_switch_is_one_per_group_and_old_primary() {
    let mut table = SlotTable::offline();
    let filled = [(0, 1, 1), (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 1)];
    let changes = filled.map(|(slot, port, group)| {
        (SlotId::new(slot).unwrap(), SlotAssignment::primary_only(addr(port), group))
    });
    table.fill(1, changes).unwrap();
    let primaries = Primaries::from([(1, addr(8)), (2, addr(2)), (5, addr(5))]);
    let switch = |old| PrimarySwitch { group: 1, old: addr(old), new: addr(8) };
    assert_eq!(switches(&table, &primaries), [switch(1), switch(4)]);
    assert_eq!(switches(&table, &Primaries::new()), []);
}
