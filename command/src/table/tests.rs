//! Tests of the table: data and policies fit together, and names are found.

use super::*;
use crate::testing::table;

#[test]
fn data_and_policies_make_a_table() {
    let table = table();
    assert!(table.server_version().starts_with("7.0."));
    assert!(table.len() > 350, "{} commands", table.len());
    for (number, command) in table.commands().enumerate() {
        assert_eq!(command.id().index(), number);
        assert_eq!(table.get(command.id()).map(Command::name), Some(command.name()));
    }
}

#[test]
fn every_command_is_found_in_any_mix_of_cases() {
    let table = table();
    for command in table.commands() {
        for name in [command.name().to_owned(), command.name().to_uppercase()] {
            let found = table.lookup_full(name.as_bytes()).map(Command::id);
            assert_eq!(found, Some(command.id()), "{name}");
        }
    }
    assert_eq!(table.lookup(b"gEt").map(Command::name), Some("get"));
}

#[test]
fn what_only_resembles_a_name_is_not_found() {
    let table = table();
    let names: [&[u8]; 9] = [
        b"",
        b"ge",
        b"gett",
        b"get\0",
        b"get ",
        b"config|get",
        b"georadiusbymember_ro_and_more",
        &[b'x'; 300],
        b"\xff\xfe",
    ];
    for name in names {
        assert!(table.lookup(name).is_none(), "{}", String::from_utf8_lossy(name));
    }
    for name in [&b"config|"[..], b"config|get|x", b"get|x", b"|get", b"nosuch|get"] {
        assert!(table.lookup_full(name).is_none(), "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn nothing_that_changes_a_connection_is_forwarded() {
    for command in table().commands() {
        let is_forwarded = match command.policy() {
            Policy::Keyed
            | Policy::KeyedUnlessBlocking
            | Policy::Sort
            | Policy::FanOut(_)
            | Policy::AnyBackend
            | Policy::NamedSlot
            | Policy::NamedBackend => true,
            Policy::Container
            | Policy::Local(_)
            | Policy::ClusterDisabled
            | Policy::NotYet(_)
            | Policy::Refused(_) => false,
        };
        if !is_forwarded {
            continue;
        }
        let docs = data::parse(command.docs);
        let group = data::map_text(&docs, "group");
        let is_of_connection =
            matches!(group, Some("connection" | "transactions" | "pubsub" | "cluster"));
        assert!(!is_of_connection, "{}", command.name());
        let info = data::parse(command.info);
        let info = data::elements(&info).expect("an entry");
        let flags: Vec<&str> = data::texts(&info[2]).collect();
        assert!(!flags.contains(&"admin") && !flags.contains(&"pubsub"), "{}", command.name());
        let waits = flags.contains(&"blocking");
        assert!(!waits || command.policy() == Policy::KeyedUnlessBlocking, "{}", command.name());
    }
}

#[test]
fn keyed_commands_have_keys_and_others_have_none() {
    for command in table().commands() {
        match command.policy() {
            Policy::Keyed | Policy::KeyedUnlessBlocking | Policy::Sort | Policy::FanOut(_) => {
                assert!(command.has_keys(), "{}", command.name());
            }
            Policy::AnyBackend
            | Policy::NamedSlot
            | Policy::NamedBackend
            | Policy::Local(_)
            | Policy::Container => {
                assert!(!command.has_keys(), "{}", command.name());
            }
            Policy::ClusterDisabled | Policy::NotYet(_) | Policy::Refused(_) => {}
        }
    }
}

#[test]
fn replicas_get_only_commands_that_never_write() {
    let table = table();
    for command in table.commands() {
        assert!(command.access() == Access::Write || command.is_readonly(), "{}", command.name());
        assert!(!(command.is_readonly() && command.is_write()), "{}", command.name());
    }
    let access = |name: &[u8]| table.lookup(name).map(Command::access);
    for name in [&b"get"[..], b"mget", b"zrange", b"eval_ro", b"sort_ro"] {
        assert_eq!(access(name), Some(Access::Read));
    }
    for name in [&b"set"[..], b"eval", b"evalsha", b"evalsha_ro", b"fcall", b"sort", b"touch"] {
        assert_eq!(access(name), Some(Access::Write));
    }
}

#[test]
fn the_arguments_of_commands_with_secrets_are_hidden() {
    let table = table();
    let hides = |name: &[u8]| table.lookup_full(name).map(Command::hides_arguments);
    for name in [&b"auth"[..], b"hello", b"migrate", b"config|set", b"acl|setuser"] {
        assert_eq!(hides(name), Some(true), "{name:?}");
    }
    for name in [&b"get"[..], b"eval", b"config|get", b"client|setname"] {
        assert_eq!(hides(name), Some(false), "{name:?}");
    }
}

#[test]
fn a_container_is_supported_when_a_sub_command_is() {
    let table = table();
    let is_supported = |name: &[u8]| table.lookup(name).map(Command::is_supported);
    for name in [&b"client"[..], b"object", b"memory", b"config", b"xgroup", b"latency", b"slowlog"]
    {
        assert_eq!(is_supported(name), Some(true));
    }
    for name in [&b"acl"[..], b"cluster", b"script", b"module"] {
        assert_eq!(is_supported(name), Some(false));
    }
}
