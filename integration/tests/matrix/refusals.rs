//! Requests that are refused: in the words of Redis where Redis refuses them too, and always
//! without a server having seen them.

use std::collections::BTreeSet;

use command::{Command, Policy};

use crate::relation::values;
use crate::script::{self, Request};
use crate::servers::{Servers, cases, check_none, difference, shown};
use crate::{called, table};

const CROSSSLOT: &[u8] = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n";

/// The commands that take several keys and are not split.
const MULTI_KEY_COMMANDS: &str = "bitop copy eval eval_ro evalsha evalsha_ro fcall fcall_ro \
    georadius georadiusbymember geosearchstore lcs lmove lmpop msetnx pfcount pfmerge rename \
    renamenx rpoplpush sdiff sdiffstore sinter sintercard sinterstore smove sort sunion \
    sunionstore xread xreadgroup zdiff zdiffstore zinter zintercard zinterstore zmpop \
    zrangestore zunion zunionstore";

/// A request with the command's name and so many arguments in all.
fn request_of(command: &Command, arguments: usize) -> Request {
    let mut request: Request =
        command.name().split('|').map(|part| part.to_ascii_uppercase().into_bytes()).collect();
    request.resize(arguments.max(request.len()), b"argument".to_vec());
    request
}

/// The least number of arguments that the command takes.
fn arguments_min(command: &Command) -> usize {
    command.arity().unsigned_abs() as usize
}

/// Whether the single server knows the command.
fn is_known_to_redis(command: &Command) -> bool {
    let is_of_codis = matches!(command.policy(), Policy::NamedSlot | Policy::NamedBackend);
    !is_of_codis && !command.since().starts_with("7.2")
}

fn words(line: &str) -> Request {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn a_wrong_number_of_arguments_is_refused_in_the_words_of_redis() {
    let servers = Servers::start();
    let mut requests = Vec::new();
    for command in table().commands().filter(|command| is_known_to_redis(command)) {
        let bare = request_of(command, 0).len();
        let wanted = arguments_min(command);
        requests.extend((bare..wanted).map(|arguments| request_of(command, arguments)));
        if command.arity() > 0 {
            requests.push(request_of(command, wanted + 1));
            requests.push(request_of(command, wanted + 20));
        }
    }
    // Lower case, which Redis shows as it came only for commands that it does not know.
    let lower: Vec<Request> =
        requests.iter().map(|request| words(&shown(request).to_lowercase())).collect();
    servers.check_same_replies(&requests);
    servers.check_same_replies(&lower);
}

#[test]
fn unknown_commands_and_sub_commands_are_refused_in_the_words_of_redis() {
    let servers = Servers::start();
    let long = vec![b'x'; 300];
    let binary: Vec<u8> = (1..=255).collect();
    let mut requests = vec![
        words("NOSUCH"),
        words("nosuch a b c"),
        words("config|get databases"),
        vec![b"".to_vec()],
        vec![b"".to_vec(), b"".to_vec(), b"".to_vec()],
        vec![long.clone()],
        vec![long.clone(), long.clone(), long.clone()],
        vec![binary.clone()],
        vec![b"NOSUCH".to_vec(), binary.clone(), binary.clone()],
        vec![b"NO\0SUCH".to_vec(), b"a\0b".to_vec(), b"c".to_vec()],
        vec![b"NO\r\nSUCH".to_vec(), b"a\r\n-b".to_vec()],
        vec![b"XINFO".to_vec(), long.clone()],
        vec![b"xinfo".to_vec(), b"no\r\nsuch\0one".to_vec(), binary],
        words(&format!("NOSUCH{}", " argument".repeat(100))),
    ];
    // Where the list of arguments breaks off.
    requests
        .extend((110..=130).map(|len| vec![b"NOSUCH".to_vec(), vec![b'x'; len], b"y".to_vec()]));
    requests.extend((120..=130).map(|len| vec![vec![b'x'; len], b"y".to_vec()]));
    for container in table().commands() {
        if container.policy() == Policy::Container {
            requests.push(words(&format!("{} nosuch", container.name().to_uppercase())));
            requests.push(words(&format!("{} nosuch a b", container.name())));
        }
    }
    servers.check_same_replies(&requests);
}

#[test]
fn commands_of_redis_cluster_are_refused_as_by_a_server_outside_of_a_cluster() {
    let servers = Servers::start();
    let before = servers.executed();
    let table = table();
    let of_cluster = table.commands().filter(|command| command.policy() == Policy::ClusterDisabled);
    let requests: Vec<Request> =
        of_cluster.map(|command| request_of(command, arguments_min(command))).collect();
    servers.check_same_replies(&requests);
    assert_eq!(servers.executed(), before);
}

#[test]
fn commands_that_are_not_supported_are_refused_by_name_and_reach_no_server() {
    let servers = Servers::start();
    let mut client = servers.proxy.client();
    let before = servers.executed();
    let mut requests: Vec<(String, Request)> = Vec::new();
    for command in table().commands() {
        if matches!(command.policy(), Policy::NotYet(_) | Policy::Refused(_)) {
            let request = request_of(command, arguments_min(command));
            requests.push((command.name().to_owned(), request));
        }
    }
    for line in ["XREAD BLOCK 0 STREAMS a 0", "XREADGROUP GROUP g c BLOCK 1 STREAMS a >"] {
        let name = line.split(' ').next().unwrap_or_default().to_lowercase();
        requests.push((name, words(line)));
    }
    let mut wrong = Vec::new();
    for (name, request) in &requests {
        let reply = client.command(request);
        let expected = format!("-ERR command '{name}' is not ");
        let is_one_line = reply.windows(2).filter(|pair| pair == b"\r\n").count() == 1;
        if !reply.starts_with(expected.as_bytes()) || !is_one_line {
            wrong.push(difference(request, expected.as_bytes(), &reply));
        }
        assert_eq!(client.text(&["ECHO", name]), format!("${}\r\n{name}\r\n", name.len()));
    }
    check_none("wrong refusals", &wrong);
    assert_eq!(servers.executed(), before);
}

#[test]
fn keys_in_two_slots_are_refused_for_every_multi_key_command_and_reach_no_server() {
    // Method: take each request of the script that has several keys, in the judgement of a real
    // server, and move the last of its keys to another slot.
    let servers = Servers::start();
    let table = table();
    let mut single = servers.single.client();
    let mut client = servers.proxy.client();
    let before = servers.executed();
    let mut seen_commands = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases(&script::steps()) {
        let Some(command) = called(&table, &case.request) else {
            continue;
        };
        let is_whole =
            matches!(command.policy(), Policy::Keyed | Policy::KeyedUnlessBlocking | Policy::Sort);
        let mut ask = words("COMMAND GETKEYS");
        ask.extend(case.request.iter().cloned());
        let keys: BTreeSet<Vec<u8>> = texts(&single.command(&ask)).into_iter().collect();
        let Some(moved) = keys.last().filter(|_| is_whole && keys.len() > 1) else {
            continue;
        };
        let mut request = case.request.clone();
        for argument in request.iter_mut().filter(|argument| *argument == moved) {
            *argument = b"{another slot}".to_vec();
        }
        seen_commands.insert(command.name());
        let reply = client.command(&request);
        if reply != CROSSSLOT {
            wrong.push(difference(&request, CROSSSLOT, &reply));
        }
    }
    check_none("wrong refusals", &wrong);
    let seen_commands: Vec<&str> = seen_commands.into_iter().collect();
    let expected: Vec<&str> = MULTI_KEY_COMMANDS.split_whitespace().collect();
    assert_eq!(seen_commands, expected);
    assert_eq!(servers.executed(), before);
}

#[test]
fn patterns_of_sort_that_could_leave_the_slot_are_refused_and_reach_no_server() {
    let servers = Servers::start();
    let mut client = servers.proxy.client();
    let before = servers.executed();
    for (line, option) in [
        ("SORT a BY weight_*", "BY"),
        ("SORT {a} BY {a*}", "BY"),
        ("SORT {a} BY {b}*", "BY"),
        ("SORT a GET data_*", "GET"),
        ("SORT_RO {a} BY {a}* GET # GET data_*", "GET"),
    ] {
        let expected = format!("-ERR {option} option of SORT denied in Cluster mode.\r\n");
        assert_eq!(client.text(&words(line)), expected, "{line}");
    }
    assert_eq!(servers.executed(), before);
}

/// The texts of a reply; none when it is an error.
fn texts(reply: &[u8]) -> Vec<Vec<u8>> {
    let text = |value: &[u8]| {
        let head_len = value.iter().position(|byte| *byte == b'\n')? + 1;
        let (head, body) = value.split_at(head_len);
        head.strip_prefix(b"$")?;
        Some(body.strip_suffix(b"\r\n")?.to_vec())
    };
    values(reply).into_iter().filter_map(text).collect()
}
