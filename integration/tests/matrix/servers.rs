//! What the matrix runs on: one server alone, and the proxy over three others.

use std::collections::BTreeMap;

use integration::raw_client::encode;
use integration::{KeywayProxy, RawClient, RedisServer};

use crate::script::{Case, Request, Step};

/// What the proxy itself says to a server to keep and prepare a connection.
const COMMANDS_OF_THE_PROXY: [&str; 3] = ["info", "ping", "select"];

/// A single server, and a proxy over several.
#[derive(Debug)]
pub(crate) struct Servers {
    // Dropped first, while its servers are still there.
    pub(crate) proxy: KeywayProxy,
    pub(crate) backends: [RedisServer; 3],
    pub(crate) single: RedisServer,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let backends = [(); 3].map(|()| RedisServer::start());
        Self {
            proxy: KeywayProxy::options().over(&backends).start(),
            backends,
            single: RedisServer::start(),
        }
    }

    /// Asks the single server and the proxy, each on a new connection; the replies are equal.
    pub(crate) fn check_same_replies(&self, requests: &[Request]) {
        let (mut single, mut proxy) = (self.single.client(), self.proxy.client());
        let mut differences = Vec::new();
        for request in requests {
            let (expected, seen) = (single.command(request), proxy.command(request));
            if expected != seen {
                differences.push(difference(request, &expected, &seen));
            }
        }
        check_none("differences", &differences);
    }

    /// How often each server has executed each command, but for those of the proxy itself.
    pub(crate) fn executed(&self) -> Vec<BTreeMap<String, String>> {
        self.backends.iter().map(executed).collect()
    }
}

fn executed(server: &RedisServer) -> BTreeMap<String, String> {
    let stats = server.client().text(&["INFO", "commandstats"]);
    stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'))
        .filter(|(command, _)| !COMMANDS_OF_THE_PROXY.contains(command))
        .map(|(command, stats)| (command.to_owned(), stats.to_owned()))
        .collect()
}

/// Runs the script, one request after the other, and returns the reply of each case.
pub(crate) fn run(
    steps: &[Step],
    client: &mut RawClient,
    servers: &[&RedisServer],
) -> Vec<Vec<u8>> {
    let mut replies = Vec::new();
    for step in steps {
        match step {
            Step::Setup(request) => prepare(servers, request),
            Step::Case(case) => replies.push(client.command(&case.request)),
        }
    }
    replies
}

/// Runs the script in as few pipelines as its preparations allow, and returns the replies.
pub(crate) fn run_pipelined(
    steps: &[Step],
    client: &mut RawClient,
    servers: &[&RedisServer],
) -> Vec<Vec<u8>> {
    let mut replies = Vec::new();
    for part in steps.chunk_by(|_, next| matches!(next, Step::Case(_))) {
        let mut pipeline = Vec::new();
        let mut requests = 0;
        for step in part {
            match step {
                Step::Setup(request) => prepare(servers, request),
                Step::Case(case) => {
                    pipeline.extend(encode(&case.request));
                    requests += 1;
                }
            }
        }
        client.send(&pipeline);
        replies.extend((0..requests).map(|_| client.read_reply()));
    }
    replies
}

fn prepare(servers: &[&RedisServer], request: &Request) {
    for server in servers {
        let reply = server.client().command(request);
        assert!(!is_error(&reply), "{}: {}", shown(request), reply.escape_ascii());
    }
}

pub(crate) fn cases(steps: &[Step]) -> impl Iterator<Item = &Case> {
    steps.iter().filter_map(|step| match step {
        Step::Case(case) => Some(case),
        Step::Setup(_) => None,
    })
}

pub(crate) fn is_error(reply: &[u8]) -> bool {
    reply.starts_with(b"-")
}

/// A request as a line of text.
pub(crate) fn shown(request: &Request) -> String {
    let arguments = request.iter().map(|argument| argument.escape_ascii().to_string());
    arguments.collect::<Vec<_>>().join(" ")
}

/// Both replies to a request, for people.
pub(crate) fn difference(request: &Request, expected: &[u8], seen: &[u8]) -> String {
    let (expected, seen) = (expected.escape_ascii(), seen.escape_ascii());
    format!("{}\n  expected {expected}\n  seen     {seen}", shown(request))
}

/// Fails with all findings at once.
pub(crate) fn check_none(what: &str, findings: &[String]) {
    let list = findings.join("\n");
    assert!(findings.is_empty(), "{} {what}:\n{list}", findings.len());
}
