use std::collections::BTreeSet;

use super::*;
use crate::CommandTable;
use crate::Plan;
use crate::testing::Request;
use crate::testing::table;

const EARLIER: [Dialect; 3] = [Dialect::Codis2, Dialect::Codis1, Dialect::Reborn];

/// Commands of Codis' servers that the proxy does not know, and so refuses in every dialect.
const UNKNOWN: [&str; 9] = [
    "debug|object",
    "debug|segfault",
    "slotscheck",
    "slotsdel",
    "slotsmgrt",
    "slotsmgrtone",
    "slotsmgrtslot",
    "slotsmgrttagone",
    "slotsmgrttagslot",
];

fn speaking(dialect: Dialect) -> CommandTable {
    CommandTable::load().expect("the embedded data makes a table").in_dialect(dialect)
}

/// The reply of a dialect to a line of words that it refuses.
fn refusal(table: &CommandTable, line: &str) -> String {
    let request = Request::words(line);
    match table.plan(&request.args()).plan {
        Plan::Reject(rejection) => {
            let mut out = Vec::new();
            rejection.encode_in(table.dialect(), &request.args(), &mut out);
            String::from_utf8(out).expect("a text")
        }
        other => panic!("`{line}` is not refused but {other:?}"),
    }
}

#[test]
fn every_forbidden_name_is_that_of_a_command() {
    let mut unknown = BTreeSet::new();
    for dialect in EARLIER {
        for name in dialect.forbidden() {
            if table().lookup_full(name.as_bytes()).is_none() {
                unknown.insert(name);
            }
        }
    }
    assert_eq!(unknown.into_iter().collect::<Vec<_>>(), UNKNOWN);
}

#[test]
fn a_dialect_refuses_all_that_it_forbids_and_never_less_than_the_proxy() {
    for dialect in EARLIER {
        let speaking = speaking(dialect);
        for (command, ours) in speaking.commands().zip(table().commands()) {
            assert!(ours.is_supported() || !command.is_supported(), "{}", command.name());
            if ours.policy() != command.policy() {
                assert_eq!(command.policy(), Policy::Refused(Refusal::Dialect));
            }
        }
        for name in dialect.forbidden() {
            let line = name.to_uppercase().replace('|', " ");
            let refused = refusal(&speaking, &line);
            assert!(refused.contains("not allowed"), "{line}: {refused}");
            // With the arguments that it takes, the policy alone must refuse it.
            if let Some(command) = speaking.lookup_full(name.as_bytes()) {
                assert!(!command.is_supported(), "{name}");
            }
        }
    }
}

#[test]
fn the_dialects_of_redis_and_codis_3_forbid_nothing_more() {
    for dialect in [Dialect::Redis, Dialect::Codis3] {
        let speaking = speaking(dialect);
        let is_same = speaking
            .commands()
            .zip(table().commands())
            .all(|(a, b)| a.policy() == b.policy() && a.is_supported() == b.is_supported());
        assert!(is_same, "{dialect:?}");
    }
}

#[test]
fn refusals_have_the_words_of_their_dialect() {
    let check = |dialect, line: &str, expected: &str| {
        assert_eq!(refusal(&speaking(dialect), line), expected, "{dialect:?}: {line}");
    };
    for (line, name) in [
        ("keys *", "KEYS"),
        ("KEYS", "KEYS"),
        ("Rename a b", "RENAME"),
        ("config set a b", "CONFIG"),
        ("psubscribe a", "PSUBSCRIBE"),
        ("publish a b", "PUBLISH"),
        ("object encoding a", "OBJECT"),
        ("object", "OBJECT"),
        ("script load x", "SCRIPT"),
        ("client kill x", "CLIENT"),
        ("client list", "CLIENT"),
        ("slotsmgrttagone h 1 2 k", "SLOTSMGRTTAGONE"),
        ("slotsinfo 0 1", "SLOTSINFO"),
        ("time", "TIME"),
        ("slowlog get", "SLOWLOG"),
        ("debug object a", "DEBUG"),
        // Refused by the proxy itself.
        ("psync a 1", "PSYNC"),
        ("replconf a", "REPLCONF"),
        ("wait 1 2", "WAIT"),
        ("acl whoami", "ACL"),
        ("migrate h 1 k 0 1", "MIGRATE"),
    ] {
        check(Dialect::Reborn, line, &format!("-{name} not allowed\r\n"));
        for dialect in [Dialect::Codis1, Dialect::Codis2] {
            check(dialect, line, &format!("-ERR command '{name}' is not allowed\r\n"));
        }
    }
    for dialect in [Dialect::Codis1, Dialect::Reborn] {
        assert!(refusal(&speaking(dialect), "sort k").contains("not allowed"));
    }
    assert!(refusal(&speaking(Dialect::Codis2), "restore k 0 x").contains("not allowed"));
    check(Dialect::Codis3, "keys *", "-ERR handle request, command 'KEYS' is not allowed\r\n");
}

#[test]
fn what_is_no_forbidden_command_is_served_or_refused_as_ever() {
    let is_served = |dialect, line: &str| {
        let request = Request::words(line);
        !matches!(speaking(dialect).plan(&request.args()).plan, Plan::Reject(_))
    };
    for line in ["get a", "client setname x", "client getname", "eval x 1 a", "restore k 0 x"] {
        assert!(is_served(Dialect::Codis1, line) && is_served(Dialect::Reborn, line), "{line}");
    }
    for line in ["get a", "sort k", "eval x 1 a", "command", "info", "mset a 1 b 2"] {
        assert!(is_served(Dialect::Codis2, line), "{line}");
    }
    let codis2 = speaking(Dialect::Codis2);
    let arity = |name: &str| format!("-ERR wrong number of arguments for '{name}' command\r\n");
    assert_eq!(refusal(&codis2, "get"), arity("get"));
    assert_eq!(refusal(&codis2, "select"), arity("SELECT"));
    assert_eq!(refusal(&codis2, "mset a 1 b"), arity("MSET"));
    assert_eq!(refusal(&codis2, "mset a"), arity("mset"));
    assert_eq!(
        refusal(&codis2, "nosuch"),
        "-ERR unknown command 'nosuch', with args beginning with: \r\n"
    );
}

#[test]
fn the_name_in_a_refusal_does_not_end_the_reply() {
    let reborn = speaking(Dialect::Reborn);
    let request = Request::new(&["keys\r\nx", "a"]);
    let Plan::Reject(rejection) = reborn.plan(&request.args()).plan else { panic!("refused") };
    let mut out = Vec::new();
    rejection.encode_in(Dialect::Reborn, &request.args(), &mut out);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
}
