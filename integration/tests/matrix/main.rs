//! The matrix: each command of the table, on one server directly and through the proxy over three,
//! with the same replies byte for byte.
//!
//! * `families/*.txt`: the script, by family of commands; [`script`] reads it.
//! * [`relation`]: how replies relate that cannot be equal.
//! * [`servers`]: the servers, and the two ways to run the script.
//! * [`refusals`]: what no server may ever see.
//! * [`descriptions`]: what COMMAND tells of the forwarded commands.
//!
//! The table of commands is asked which commands there are, so that none can be forgotten; what
//! the right replies are only a real server says.

mod descriptions;
mod refusals;
mod relation;
mod script;
mod servers;

use std::collections::BTreeSet;

use command::{Command, CommandTable, Policy};
use integration::RedisServer;

use crate::script::Request;
use crate::servers::{Servers, cases, check_none, difference, is_error, run, run_pipelined};

/// Commands that the session answers, and why the script has no case of them.
const LOCAL_WITHOUT_CASE: &[(&str, &str)] = &[
    ("quit", "ends the connection: a test of its own"),
    ("command", "tells of fewer commands, those that the proxy supports"),
    ("config|help", "tells of fewer sub-commands"),
    ("client|help", "tells of fewer sub-commands"),
    ("client|setinfo", "newer than the single server"),
    ("slotsmapping", "of Codis, which the single server is not"),
    ("client|no-touch", "newer than the single server"),
    ("slowlog|len", "counts requests of its own"),
    ("slowlog|reset", "its effect is shown in `slow_log`"),
    ("slowlog|help", "tells of more"),
    ("latency|latest", "tells of events of its own"),
    ("latency|doctor", "tells of events of its own"),
    ("latency|help", "tells of fewer sub-commands"),
];

#[test]
fn every_command_gets_the_reply_of_a_single_server() {
    let steps = script::steps();
    let servers = Servers::start();
    let backends: Vec<_> = servers.backends.iter().collect();
    let expected = run(&steps, &mut servers.single.client(), &[&servers.single]);
    let seen = run(&steps, &mut servers.proxy.client(), &backends);
    check_relations(&steps, &expected, &seen);
}

#[test]
fn every_command_gets_the_reply_of_a_single_server_in_one_pipeline() {
    let steps = script::steps();
    let servers = Servers::start();
    let backends: Vec<_> = servers.backends.iter().collect();
    let expected = run(&steps, &mut servers.single.client(), &[&servers.single]);
    let seen = run_pipelined(&steps, &mut servers.proxy.client(), &backends);
    check_relations(&steps, &expected, &seen);
}

fn check_relations(steps: &[script::Step], expected: &[Vec<u8>], seen: &[Vec<u8>]) {
    let mut differences = Vec::new();
    for ((case, expected), seen) in cases(steps).zip(expected).zip(seen) {
        if !case.relation.holds(expected, seen) {
            let difference = difference(&case.request, expected, seen);
            differences.push(format!("{} {difference}", case.place));
        }
    }
    check_none("differences", &differences);
}

#[test]
fn the_script_has_a_success_and_an_error_of_every_forwarded_command() {
    let (table, steps) = (table(), script::steps());
    let single = RedisServer::start();
    let replies = run(&steps, &mut single.client(), &[&single]);
    let (mut succeeds, mut fails) = (BTreeSet::new(), BTreeSet::new());
    for (case, reply) in cases(&steps).zip(&replies) {
        if let Some(command) = called(&table, &case.request) {
            let names = if is_error(reply) { &mut fails } else { &mut succeeds };
            names.insert(command.name());
        }
    }
    let mut missing = Vec::new();
    for command in table.commands() {
        let name = command.name();
        let has_case = succeeds.contains(name) || fails.contains(name);
        if is_forwarded(command) {
            if !succeeds.contains(name) {
                missing.push(format!("{name}: no case that succeeds"));
            }
            if !fails.contains(name) {
                missing.push(format!("{name}: no case that fails"));
            }
        } else if let Policy::Local(_) = command.policy() {
            let is_excused = LOCAL_WITHOUT_CASE.iter().any(|(excused, _)| *excused == name);
            if has_case == is_excused {
                missing.push(format!("{name}: has a case {has_case}, excused {is_excused}"));
            }
        }
        // Each of the others is called by a test of `refusals`.
    }
    check_none("gaps", &missing);
}

#[test]
fn quit_is_answered_and_ends_the_connection_as_on_a_single_server() {
    let servers = Servers::start();
    for request in [&["QUIT"][..], &["QUIT", "now"]] {
        let (mut single, mut proxy) = (servers.single.client(), servers.proxy.client());
        assert_eq!(proxy.text(request), single.text(request));
        single.expect_closed();
        proxy.expect_closed();
    }
}

#[test]
fn replies_that_a_client_switched_off_are_left_out_as_by_a_single_server() {
    let servers = Servers::start();
    let mut replies = [servers.single.client(), servers.proxy.client()].map(|mut client| {
        client.send("PING before\r\nCLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n");
        client.send("CLIENT REPLY OFF\r\nSET a 2\r\nNOSUCH\r\nCLIENT REPLY SKIP\r\nPING\r\n");
        client.send("CLIENT REPLY ON\r\nGET a\r\n");
        client.send("CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING after\r\n");
        client.read_replies(5).escape_ascii().to_string()
    });
    let [single, proxy] = &mut replies;
    assert_eq!(proxy, single);
}

fn table() -> CommandTable {
    CommandTable::load().expect("the table is whole")
}

/// Whether requests of the command reach servers.
fn is_forwarded(command: &Command) -> bool {
    match command.policy() {
        Policy::Keyed
        | Policy::KeyedUnlessBlocking
        | Policy::Sort
        | Policy::FanOut(_)
        | Policy::AnyBackend => true,
        // Of Codis: the single server does not know them.
        Policy::NamedSlot
        | Policy::NamedBackend
        | Policy::Container
        | Policy::Local(_)
        | Policy::ClusterDisabled
        | Policy::NotYet(_)
        | Policy::Refused(_) => false,
    }
}

/// The command or sub-command that a request calls.
fn called<'t>(table: &'t CommandTable, request: &Request) -> Option<&'t Command> {
    let command = table.lookup(request.first()?)?;
    let prefix = format!("{}|", command.name());
    let is_container = table.commands().any(|sub| sub.name().starts_with(&prefix));
    match request.get(1) {
        Some(sub) if is_container => table.lookup_full(&[prefix.as_bytes(), sub].concat()),
        _ => Some(command),
    }
}
