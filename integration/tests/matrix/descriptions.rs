//! What COMMAND and its sub-commands tell of the commands that are forwarded: all of it is what a
//! single server tells.

use crate::script::{self, Request};
use crate::servers::{Servers, cases};
use crate::{called, is_forwarded, table};

fn words(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn every_forwarded_command_is_described_as_by_a_single_server() {
    let table = table();
    let requests: Vec<Request> = table
        .commands()
        .filter(|command| is_forwarded(command))
        .flat_map(|command| {
            ["INFO", "DOCS"].map(|question| words(&["COMMAND", question, command.name()]))
        })
        .collect();
    Servers::start().check_same_replies(&requests);
}

#[test]
fn the_keys_of_every_request_of_the_script_are_those_that_a_single_server_finds() {
    let table = table();
    let steps = script::steps();
    let mut requests = Vec::new();
    for case in cases(&steps) {
        if called(&table, &case.request).is_some_and(is_forwarded) {
            for question in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let mut request = words(&["COMMAND", question]);
                request.extend(case.request.iter().cloned());
                requests.push(request);
            }
        }
    }
    Servers::start().check_same_replies(&requests);
}
