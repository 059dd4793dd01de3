//! Tests of key extraction. The expected keys are what Redis 7.0 says to COMMAND GETKEYS, except
//! where a comment says otherwise.

use proptest::prelude::*;

use super::*;
use crate::testing::Request;
use crate::testing::table;

/// The keys of a request; `None` when they cannot be found.
fn keys_of(line: &str) -> Option<Vec<String>> {
    let table = table();
    let request = Request::words(line);
    let args = request.args();
    let command = table.resolve(&args).expect("a known command");
    let mut positions = SmallVec::new();
    find(command, &args, &mut positions).ok()?;
    let key = |position: &KeyPosition| {
        String::from_utf8_lossy(args.get(position.index).expect("a position within")).into_owned()
    };
    Some(positions.iter().map(key).collect())
}

/// Requests of every command whose keys move, and of one command for each form of key specs.
const CASES: &[(&str, &str)] = &[
    ("get k", "k"),
    ("mget a b c", "a b c"),
    ("mset a 1 b 2", "a b"),
    ("msetnx a 1 b 2", "a b"),
    ("rename a b", "a b"),
    ("lcs a b LEN", "a b"),
    ("bitop and dest a b", "dest a b"),
    ("pfmerge dest a b", "dest a b"),
    ("sdiffstore dest a b", "dest a b"),
    ("geosearchstore dest src FROMMEMBER m BYRADIUS 1 km", "dest src"),
    ("smove a b member", "a b"),
    ("copy a b DB 3 REPLACE", "a b"),
    ("blpop a b 0", "a b"),
    ("brpoplpush a b 0", "a b"),
    ("object encoding k", "k"),
    ("memory usage k SAMPLES 3", "k"),
    ("xgroup create k g $ MKSTREAM", "k"),
    ("xgroup setid k g 0", "k"),
    ("xinfo stream k FULL", "k"),
    ("eval script 2 a b arg", "a b"),
    ("eval_ro script 1 a arg", "a"),
    ("evalsha sha 1 a", "a"),
    ("evalsha_ro sha 1 a", "a"),
    ("fcall f 2 a b", "a b"),
    ("fcall_ro f 1 a x y", "a"),
    ("zunionstore dest 2 a b WEIGHTS 1 2", "dest a b"),
    ("zinterstore dest 2 a b AGGREGATE MAX", "dest a b"),
    ("zdiffstore dest 1 a", "dest a"),
    ("zunion 2 a b WITHSCORES", "a b"),
    ("zinter 2 a b", "a b"),
    ("zdiff 2 a b WITHSCORES", "a b"),
    ("zintercard 2 a b LIMIT 1", "a b"),
    ("sintercard 2 a b LIMIT 1", "a b"),
    ("lmpop 2 a b LEFT COUNT 2", "a b"),
    ("zmpop 1 a MIN", "a"),
    ("blmpop 0 2 a b LEFT", "a b"),
    ("bzmpop 0 1 a MAX", "a"),
    ("georadius k 1 2 3 km STORE dest", "k dest"),
    ("georadius k 1 2 3 km COUNT 1 ASC STOREDIST dest", "k dest"),
    ("georadiusbymember k m 1 km store dest", "k dest"),
    ("georadiusbymember k store 1 km", "k"),
    // Redis names the first destination here and writes to the last one; both count.
    ("georadius k 1 2 3 km STORE a STORE b", "k a b"),
    ("sort k", "k"),
    ("sort k BY nosort LIMIT 0 5 GET # ASC ALPHA STORE dest", "k dest"),
    ("sort k store a store b", "k b"),
    ("sort k by store", "k"),
    ("sort k get store store dest", "k dest"),
    ("sort_ro k BY nosort DESC", "k"),
    ("sort_ro k STORE dest", "k"),
    ("xread STREAMS a b 0 0", "a b"),
    ("xread COUNT 2 streams a $", "a"),
    ("xread COUNT 2 BLOCK 5 STREAMS a b c 0 0 0", "a b c"),
    ("xreadgroup GROUP g c STREAMS a >", "a"),
    ("xreadgroup GROUP g c COUNT 1 BLOCK 0 NOACK STREAMS a b > >", "a b"),
    ("xreadgroup GROUP g streams STREAMS a >", "a"),
    // A group of this name leads Redis' own COMMAND GETKEYS astray, but not its XREADGROUP.
    ("xreadgroup COUNT 1 GROUP streams c STREAMS a >", "a"),
];

#[test]
fn keys_are_found_where_redis_finds_them() {
    for (line, expected) in CASES {
        let expected: Vec<String> = expected.split(' ').map(str::to_owned).collect();
        assert_eq!(keys_of(line), Some(expected), "{line}");
    }
}

#[test]
fn every_command_with_moving_keys_has_a_case() {
    for command in table().commands() {
        let info = data::parse(command.info);
        let info = data::elements(&info).expect("an entry");
        let has_moving_keys = data::texts(&info[2]).any(|flag| flag == "movablekeys");
        let has_case = CASES.iter().any(|(line, _)| {
            let name = line.split(' ').next().unwrap_or_default();
            name == command.name()
        });
        // MIGRATE is refused, so nobody needs its keys.
        assert!(!has_moving_keys || has_case || command.name() == "migrate", "{}", command.name());
    }
}

#[test]
fn keys_cannot_be_found_when_they_are_missing_or_their_number_is_wrong() {
    let lines = [
        "sort",
        "eval script x a",
        "eval script -1 a",
        "eval script 0",
        "eval script 3 a b",
        "eval script 01 a",
        "eval script +1 a",
        "eval script 18446744073709551617 a",
        "zunionstore dest 3 a b",
        "sintercard 0 a",
        "lmpop 3 a LEFT",
        "xread STREAMS a",
        "xread COUNT 1 FOO STREAMS a 0",
        "xreadgroup GROUP g STREAMS a >",
    ];
    for line in lines {
        assert_eq!(keys_of(line), None, "{line}");
    }
}

#[test]
fn block_is_an_option_only_where_redis_takes_it_for_one() {
    let blocks = [
        ("xread BLOCK 0 STREAMS a 0", true),
        ("xread count 1 block 5 streams a 0", true),
        ("xread STREAMS block 0", false),
        ("xread STREAMS a block b 0 0 0", false),
        ("xreadgroup GROUP block block STREAMS a >", false),
        ("xreadgroup GROUP g c NOACK BLOCK 1 STREAMS a >", true),
    ];
    for (line, expected) in blocks {
        assert_eq!(has_block_option(&Request::words(line).args()), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn positions_lie_within_the_request(
        number in any::<prop::sample::Index>(),
        args in prop::collection::vec(
            prop_oneof![
                "[0-9]{1,3}", "STREAMS|STORE|BY|GET|GROUP|BLOCK|COUNT|LIMIT", "[a-c]", ".{0,4}"
            ],
            0..12,
        ),
    ) {
        let table = table();
        let command = table.commands().nth(number.index(table.len())).expect("an index within");
        let mut words: Vec<String> = command.name().split('|').map(str::to_owned).collect();
        words.extend(args);
        let request = Request::new(&words);
        let mut positions = SmallVec::new();
        let _ = find(command, &request.args(), &mut positions);
        prop_assert!(positions.iter().all(|position| position.index < words.len()));
        prop_assert!(positions.iter().all(|position| position.index > 0));
    }
}
