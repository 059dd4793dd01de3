//! Tests of the answers to COMMAND. The expected bytes were seen on a Redis 7.0.15.

use super::*;
use crate::testing::Request;
use crate::testing::table;

fn answer(line: &str, protocol: Protocol) -> String {
    let mut out = Vec::new();
    table().answer_command(&Request::words(line).args(), protocol, &mut out);
    String::from_utf8(out).expect("text")
}

fn resp2(line: &str) -> String {
    answer(line, Protocol::Resp2)
}

/// The bulk strings of an array.
fn names(reply: &str) -> Vec<&str> {
    reply.split("\r\n").skip(2).step_by(2).collect()
}

#[test]
fn info_is_what_redis_says() {
    let resp2_entry = concat!(
        "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n",
        "*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n",
        "+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n",
        "$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n",
        "*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n",
    );
    assert_eq!(resp2("COMMAND INFO get nosuch"), format!("*2\r\n{resp2_entry}$-1\r\n"));
    let resp3_entry = concat!(
        "*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n",
        "~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n",
        "+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n",
        "$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n",
        "%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n",
    );
    let expected = format!("*2\r\n{resp3_entry}_\r\n");
    assert_eq!(answer("command info GET nosuch", Protocol::Resp3), expected);
}

#[test]
fn info_of_a_container_lists_its_supported_sub_commands() {
    let info = resp2("command info memory");
    let start = concat!(
        "*1\r\n*10\r\n$6\r\nmemory\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*1\r\n+@slow\r\n",
        "*0\r\n*0\r\n*2\r\n*10\r\n",
    );
    assert!(info.starts_with(start), "{info}");
    assert!(info.contains("memory|usage") && info.contains("memory|help"));
    assert!(!info.contains("memory|doctor"));
}

#[test]
fn unsupported_commands_are_not_told_of() {
    let nulls = "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n";
    assert_eq!(resp2("command info multi shutdown config|set acl"), nulls);
    assert_eq!(resp2("command docs multi shutdown config|set acl"), "*0\r\n");
    assert_eq!(resp2("command getkeys blpop k 0"), "-ERR Invalid command specified\r\n");
    let list = resp2("command list");
    assert!(names(&list).contains(&"config|get") && !names(&list).contains(&"config|set"));
}

#[test]
fn all_commands_are_counted_listed_and_described_alike() {
    let list = resp2("command list");
    let commands = names(&list).into_iter().filter(|name| !name.contains('|'));
    let count = commands.count();
    assert!(count > 150, "{count}");
    assert_eq!(resp2("command count"), format!(":{count}\r\n"));
    assert!(resp2("command").starts_with(&format!("*{count}\r\n*10\r\n")));
    assert_eq!(resp2("command"), resp2("command info"));
    assert!(resp2("command docs").starts_with(&format!("*{}\r\n", 2 * count)));
    assert!(answer("command docs", Protocol::Resp3).starts_with(&format!("%{count}\r\n")));
}

#[test]
fn every_answer_is_one_complete_reply() {
    let lines = ["command", "command docs", "command list", "command help", "command info get x"];
    for line in lines {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let reply = answer(line, protocol);
            let mut framer = resp::reply::ReplyFramer::default();
            let scan = framer.scan(reply.as_bytes());
            let complete = resp::reply::ReplyScan::Complete { len: reply.len() };
            assert_eq!(scan.expect("a valid reply"), complete, "{line}");
        }
    }
}

#[test]
fn docs_are_what_redis_says() {
    let entry = concat!(
        "$3\r\nget\r\n*10\r\n$7\r\nsummary\r\n$22\r\nGet the value of a key\r\n$5\r\nsince\r\n",
        "$5\r\n1.0.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n",
        "$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n",
        "$14\r\nkey_spec_index\r\n:0\r\n",
    );
    assert_eq!(resp2("command docs nosuch GET"), format!("*2\r\n{entry}"));
    let docs = resp2("command docs xinfo");
    assert!(docs.contains("$11\r\nsubcommands\r\n*8\r\n$15\r\nxinfo|consumers\r\n"), "{docs}");
}

#[test]
fn lists_are_filtered() {
    let xinfo = ["xinfo", "xinfo|consumers", "xinfo|groups", "xinfo|help", "xinfo|stream"];
    assert_eq!(names(&resp2("command list FILTERBY PATTERN XINF*")), xinfo);
    let geo = resp2("command list filterby aclcat GEO");
    assert!(geo.starts_with("*10\r\n$6\r\ngeoadd\r\n"), "{geo}");
    assert_eq!(resp2("command list filterby aclcat nosuch"), "*0\r\n");
    assert_eq!(resp2("command list filterby module json"), "*0\r\n");
    for line in [
        "command list x",
        "command list filterby nosuch x",
        "command list filterby pattern",
        "command list filterby pattern a b",
    ] {
        assert_eq!(resp2(line), "-ERR syntax error\r\n", "{line}");
    }
}

#[test]
fn keys_are_told_as_redis_tells_them() {
    let cases = [
        ("command getkeys mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("command getkeys memory usage k", "*1\r\n$1\r\nk\r\n"),
        ("command getkeys eval x 0", "*0\r\n"),
        ("command getkeys eval x abc", "*0\r\n"),
        ("command getkeys sintercard abc k", "-ERR Invalid arguments specified for command\r\n"),
        ("command getkeys config get x", "-ERR The command has no key arguments\r\n"),
        ("command getkeys config|get x", "-ERR Invalid command specified\r\n"),
        ("command getkeys config nosuch", "-ERR Invalid command specified\r\n"),
        ("command getkeys nosuch a", "-ERR Invalid command specified\r\n"),
        ("command getkeys get a b", "-ERR Invalid number of arguments specified for command\r\n"),
        ("command getkeys get", "-ERR wrong number of arguments for 'command|getkeys' command\r\n"),
    ];
    for (line, expected) in cases {
        assert_eq!(resp2(line), expected, "{line}");
    }
}

#[test]
fn flags_of_keys_are_told_as_redis_tells_them() {
    let one = |flags: &str| format!("*1\r\n*2\r\n$1\r\nk\r\n{flags}");
    let cases = [
        ("get k", "*2\r\n+RO\r\n+access\r\n"),
        ("set k v", "*2\r\n+OW\r\n+update\r\n"),
        ("set k v GET", "*3\r\n+RW\r\n+access\r\n+update\r\n"),
        ("bitfield k GET u8 0", "*2\r\n+RO\r\n+access\r\n"),
        ("bitfield k OVERFLOW FAIL INCRBY u8 0 1", "*3\r\n+RW\r\n+access\r\n+update\r\n"),
        ("eval script 1 k", "*3\r\n+RW\r\n+access\r\n+update\r\n"),
    ];
    for (line, flags) in cases {
        assert_eq!(resp2(&format!("command getkeysandflags {line}")), one(flags), "{line}");
    }
    let sort = answer("command getkeysandflags sort k STORE d", Protocol::Resp3);
    let expected =
        "*2\r\n*2\r\n$1\r\nk\r\n~2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nd\r\n~2\r\n+OW\r\n+update\r\n";
    assert_eq!(sort, expected);
}

#[test]
fn errors_of_command_are_those_of_redis() {
    let cases = [
        ("command nosuch", "-ERR unknown subcommand 'nosuch'. Try COMMAND HELP.\r\n"),
        ("command count x", "-ERR wrong number of arguments for 'command|count' command\r\n"),
    ];
    for (line, expected) in cases {
        assert_eq!(resp2(line), expected, "{line}");
    }
}

#[test]
fn help_leaves_out_what_is_not_supported() {
    let help = resp2("command help");
    assert!(help.starts_with("*21\r\n+COMMAND <subcommand> [<arg> [value] [opt] ...]."), "{help}");
    assert!(help.ends_with("+HELP\r\n+    Prints this help.\r\n"));
    let of = |name: &[u8]| {
        let mut out = Vec::new();
        let command = table().lookup_full(name).expect("a known command");
        table().answer_help(command, &mut out);
        String::from_utf8(out).expect("text")
    };
    let client = of(b"client|help");
    assert!(client.contains("+SETNAME <name>") && client.contains("+SETINFO"));
    assert!(!client.contains("TRACKING") && !client.contains("[OPTIN]"));
    assert!(!client.contains("PAUSE"));
    assert!(client.ends_with("+HELP\r\n+    Prints this help.\r\n"), "{client}");
    assert!(of(b"config|help").starts_with("*5\r\n+CONFIG <subcommand>"));
}
