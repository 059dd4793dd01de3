//! A real Redis Sentinel on a free port, with its own folder.
//!
//! It is the `redis-server` of the other fixtures in its sentinel mode, and notices the death of a
//! primary within a second. Dropping the fixture kills it and removes its folder.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Process;
use crate::raw_client::RawClient;
use crate::redis_server::{RedisServer, program};
use crate::wait::{DEADLINE, wait_until};

/// How long a primary is silent before a sentinel thinks that it is down.
const DOWN_AFTER_MS: u32 = 500;

/// After this a failover that did not succeed is tried again.
const FAILOVER_TIMEOUT_MS: u32 = 3000;

/// A running, killed or frozen sentinel.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    process: Process,
    _dir: TempDir,
}

impl Sentinel {
    /// Starts a sentinel that watches primaries under these names, and waits until it answers.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(primaries: &[(&str, &RedisServer)], quorum: usize) -> Self {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
        let port = free_port();
        let mut config = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.path().display());
        for (name, primary) in primaries {
            let address = format!("127.0.0.1 {}", primary.addr().port());
            let _ = write!(
                config,
                "sentinel monitor {name} {address} {quorum}\n\
                 sentinel down-after-milliseconds {name} {DOWN_AFTER_MS}\n\
                 sentinel failover-timeout {name} {FAILOVER_TIMEOUT_MS}\n"
            );
        }
        let path = dir.path().join("sentinel.conf");
        fs::write(&path, config).unwrap_or_else(|error| panic!("write a configuration: {error}"));
        let log = File::create(dir.path().join("sentinel.log"))
            .unwrap_or_else(|error| panic!("make a log: {error}"));
        let mut command = Command::new(program());
        command.arg(&path).arg("--sentinel").stdout(log);
        let process = Process::spawn("sentinel", &mut command)
            .unwrap_or_else(|error| panic!("start a sentinel: {error}"));
        let sentinel = Self { port, process, _dir: dir };
        wait_until("the sentinel answers", DEADLINE, || {
            RawClient::try_connect(sentinel.addr())?.try_command(&["PING"])
        });
        sentinel
    }

    /// Where the sentinel listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A connection to the sentinel.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.addr())
    }

    /// Waits until the sentinel knows as many replicas of a primary, and as many other sentinels.
    ///
    /// # Panics
    /// When it does not at the deadline.
    pub fn wait_knows(&self, name: &str, replicas: usize, others: usize) {
        let wanted = (Some(replicas.to_string()), Some(others.to_string()));
        wait_until("the sentinel knows the others", DEADLINE, || {
            let reply = self.client().text(&["SENTINEL", "MASTER", name]);
            // Names and values stand on every other line, each after its length.
            let lines: Vec<&str> = reply.lines().skip(2).step_by(2).collect();
            let field = |wanted: &str| {
                let at = lines.iter().position(|line| *line == wanted)?;
                lines.get(at + 1).map(|line| (*line).to_owned())
            };
            let seen = (field("num-slaves"), field("num-other-sentinels"));
            if seen == wanted { Ok(()) } else { Err(seen) }
        });
    }

    /// Ends the sentinel with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops the sentinel without closing anything.
    ///
    /// # Panics
    /// When it is dead.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }
}
