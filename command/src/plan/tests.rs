//! Tests of the plan of a request.

use proptest::prelude::*;

use super::*;
use crate::policy::ClientCommand;
use crate::policy::FanOutKind;
use crate::testing::Request;
use crate::testing::plan;
use crate::testing::rejection;
use crate::testing::table;

const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";

fn forward(key: &str, access: Access) -> Plan {
    Plan::Forward { slot: slot_of(key.as_bytes()), access }
}

fn keyless(access: Access) -> Plan {
    Plan::Forward { slot: KEYLESS_SLOT, access }
}

#[test]
fn keyed_requests_go_to_the_slot_of_their_keys() {
    let cases = [
        ("GET k", "k", Access::Read),
        ("set k v", "k", Access::Write),
        ("RENAME {u}a {u}b", "u", Access::Write),
        ("msetnx {u}a 1 {u}b 2", "u", Access::Write),
        ("EVAL script 2 {u}a {u}b other", "u", Access::Write),
        ("zunionstore {u}d 2 {u}a {u}b", "u", Access::Write),
        ("OBJECT ENCODING k", "k", Access::Read),
        ("memory usage k", "k", Access::Read),
        ("xgroup create k g $", "k", Access::Write),
        ("XREAD COUNT 1 STREAMS {u}a {u}b 0 0", "u", Access::Read),
        ("xreadgroup GROUP g c STREAMS k >", "k", Access::Write),
        ("MOVE k 3", "k", Access::Write),
        ("pfmerge k", "k", Access::Write),
        ("mget k", "k", Access::Read),
        ("mget {u}a {u}b", "u", Access::Read),
        ("del {u}a {u}b", "u", Access::Write),
        ("mset {u}a 1 {u}b 2", "u", Access::Write),
    ];
    for (line, key, access) in cases {
        assert_eq!(plan(line), forward(key, access), "{line}");
    }
}

#[test]
fn requests_without_keys_go_to_one_backend() {
    assert_eq!(plan("EVAL script 0"), keyless(Access::Write));
    assert_eq!(plan("eval_ro script 0 arg"), keyless(Access::Read));
    assert_eq!(plan("OBJECT HELP"), keyless(Access::Write));
    assert_eq!(plan("xinfo help"), keyless(Access::Write));
}

#[test]
fn requests_that_redis_will_refuse_are_forwarded_for_its_words() {
    for line in ["EVAL script x k", "EVAL script -1", "sintercard 9 k", "xread COUNT 1 STREAMS k"] {
        assert!(matches!(plan(line), Plan::Forward { .. }), "{line}");
    }
}

#[test]
fn keys_in_several_slots_are_refused_when_the_command_cannot_be_split() {
    let lines = [
        "rename a b",
        "msetnx a 1 b 2",
        "sinterstore {u}d {u}a b",
        "eval script 2 a b",
        "georadius {u}k 1 2 3 km STORE {u}a STORE b",
        "xread STREAMS a b 0 0",
        "pfmerge a b",
        "lmpop 2 a b LEFT",
    ];
    for line in lines {
        assert_eq!(rejection(line), CROSS_SLOT, "{line}");
    }
}

#[test]
fn multi_key_commands_are_split_when_their_keys_lie_in_several_slots() {
    let cases = [
        ("mget a b a", FanOutKind::Mget, 3),
        ("MSET a 1 b 2", FanOutKind::Mset, 2),
        ("del a b", FanOutKind::Del, 2),
        ("unlink a b", FanOutKind::Unlink, 2),
        ("exists a b", FanOutKind::Exists, 2),
        ("touch a b c d", FanOutKind::Touch, 4),
    ];
    for (line, kind, keys) in cases {
        let Plan::FanOut(request) = plan(line) else { panic!("{line}") };
        assert_eq!(request.kind(), kind);
        assert_eq!(request.slots().count(), keys);
        assert_eq!(request.slots().next(), Some(slot_of(b"a")));
    }
}

#[test]
fn the_checks_run_in_the_order_of_redis() {
    let cases = [
        ("nosuch a", "ERR unknown command 'nosuch', with args beginning with: 'a' "),
        ("get", "ERR wrong number of arguments for 'get' command"),
        ("GET a b", "ERR wrong number of arguments for 'get' command"),
        ("mset a 1 b", "ERR wrong number of arguments for 'mset' command"),
        ("multi now", "ERR wrong number of arguments for 'multi' command"),
        ("shutdown a b c d e f", "ERR command 'shutdown' is not allowed through this proxy"),
        ("config", "ERR wrong number of arguments for 'config' command"),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("config nosuch x", "ERR unknown subcommand 'nosuch'. Try CONFIG HELP."),
        ("cluster", "ERR wrong number of arguments for 'cluster' command"),
        ("cluster info", "ERR This instance has cluster support disabled"),
        ("readonly", "ERR This instance has cluster support disabled"),
        ("multi", "ERR command 'multi' is not supported by this proxy yet (transactions)"),
        ("xread BLOCK 0 STREAMS k 0", "ERR command 'xread' is not supported by this proxy yet"),
        ("slaveof no one", "ERR command 'slaveof' is not allowed through this proxy (it acts"),
    ];
    for (line, expected) in cases {
        let text = rejection(line);
        assert!(text.starts_with(expected), "{line}: {text}");
    }
}

#[test]
fn requests_that_name_a_slot_or_a_backend_go_there() {
    let slot = SlotId::new(1023).expect("the last slot");
    let to_primary = Plan::Forward { slot, access: Access::Write };
    assert_eq!(plan("slotsscan 1023 0"), to_primary);
    assert_eq!(plan("SLOTSSCAN 1023 0 COUNT 10"), to_primary);
    assert_eq!(plan("slotsinfo 127.0.0.1:6379"), Plan::NamedBackend);
    for (line, expected) in [
        ("slotsscan 1024 0", "ERR parse slotnum '1024' failed, out of range"),
        ("slotsscan 1", "ERR wrong number of arguments for 'slotsscan' command"),
        ("slotsinfo", "ERR wrong number of arguments for 'slotsinfo' command"),
        ("slotsinfo a b", "ERR wrong number of arguments for 'slotsinfo' command"),
    ] {
        assert_eq!(rejection(line), expected);
    }
}

#[test]
fn local_commands_are_told_apart() {
    let cases = [
        ("PING", LocalCommand::Ping),
        ("hello 3", LocalCommand::Hello),
        ("COMMAND", LocalCommand::Command),
        ("command count", LocalCommand::Command),
        ("config get maxmemory", LocalCommand::ConfigGet),
        ("CLIENT SetName x", LocalCommand::Client(ClientCommand::SetName)),
        ("client setinfo LIB-NAME x", LocalCommand::Client(ClientCommand::SetInfo)),
        ("client no-touch ON", LocalCommand::Client(ClientCommand::NoTouch)),
    ];
    for (line, expected) in cases {
        assert_eq!(plan(line), Plan::Local(expected), "{line}");
    }
}

#[test]
fn the_command_is_named_even_when_its_request_is_refused() {
    let table = table();
    let name = |line: &str| {
        let request = Request::words(line);
        table.plan(&request.args()).command.map(|command| command.name().to_owned())
    };
    assert_eq!(name("get").as_deref(), Some("get"));
    assert_eq!(name("config set a b").as_deref(), Some("config|set"));
    assert_eq!(name("nosuch"), None);
    assert_eq!(name("config nosuch"), None);
}

#[test]
fn a_request_without_a_name_is_unknown() {
    let planned = table().plan(&Args::new(b"", &[]));
    assert!(planned.command.is_none());
    assert!(matches!(planned.plan, Plan::Reject(Rejection::UnknownCommand { .. })));
}

#[test]
fn the_keys_of_a_request_are_found_each_once_and_never_its_values() {
    let keys = |line: &str| {
        let request = Request::words(line);
        let keys = table().request_keys(&request.args());
        keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys("SET k v"), ["k"]);
    assert_eq!(keys("MSET {t}a {t}b {t}c v {t}a w"), ["{t}a", "{t}c"]);
    assert_eq!(keys("EVAL script 2 {t}a {t}b value"), ["{t}a", "{t}b"]);
    assert_eq!(keys("eval script 0 value"), Vec::<String>::new());
    assert_eq!(keys("ZUNIONSTORE {t}d 2 {t}a {t}b WEIGHTS 1 2"), ["{t}d", "{t}a", "{t}b"]);
    assert_eq!(keys("OBJECT ENCODING k"), ["k"]);
    assert_eq!(keys("XREAD COUNT 1 STREAMS {t}a {t}b 0 0"), ["{t}a", "{t}b"]);
    assert_eq!(keys("PFMERGE k"), ["k"]);
    assert_eq!(keys("PUBLISH channel message"), Vec::<String>::new());
    assert_eq!(keys("NOSUCH k"), Vec::<String>::new());
}

proptest! {
    #[test]
    fn a_plan_is_found_for_any_bytes(
        name in prop::collection::vec(any::<u8>(), 0..30),
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..12),
    ) {
        let mut words = vec![name];
        words.extend(args);
        let request = Request::new(&words);
        let planned = table().plan(&request.args());
        if let Plan::Reject(rejection) = planned.plan {
            let text = rejection.to_client();
            prop_assert!(!text.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        }
    }

    #[test]
    fn a_plan_is_found_for_any_arguments_of_any_command(
        number in any::<prop::sample::Index>(),
        args in prop::collection::vec("[a-cA-Z0-9*{}#]{0,7}|STORE|STREAMS|BY|GET|BLOCK", 0..10),
    ) {
        let table = table();
        let command = table.commands().nth(number.index(table.len())).expect("an index within");
        let mut words: Vec<String> = command.name().split('|').map(str::to_owned).collect();
        words.extend(args);
        let request = Request::new(&words);
        let planned = table.plan(&request.args());
        if let (Some(planned_command), Plan::Forward { .. }) = (planned.command, &planned.plan) {
            prop_assert!(planned_command.is_supported());
        }
    }
}
