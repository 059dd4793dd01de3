//! A real `redis-server` on a free port, with its own folder; it persists what a test wants it to.
//!
//! ```text
//!  options() --start()--> running --kill()--> dead --restart()--> running, same port
//!                         running --freeze()--> frozen --thaw()--> running
//! ```
//! Dropping the fixture kills the server and removes its folder. `KEYWAY_REDIS_SERVER` names
//! another program to run instead, such as `valkey-server`: all tests of this package then run
//! against it. Debian 12 has no package of Valkey, so what is tested by default is Redis 7.0.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Process;
use crate::raw_client::RawClient;
use crate::wait::{DEADLINE, wait_until};

/// Each attempt takes another port; two lost races in a row are rare, ten are something else.
const ATTEMPTS: usize = 10;

/// A running, killed or frozen server.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    options: RedisOptions,
    dir: TempDir,
    process: Process,
}

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    arguments: Vec<String>,
    password: Option<String>,
    is_replica: bool,
}

impl RedisOptions {
    /// Sets an option of `redis.conf`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.arguments.push(format!("--{name}"));
        self.arguments.extend(value.split(' ').map(str::to_owned));
        self
    }

    /// Demands a password from clients.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.option("requirepass", password)
    }

    /// Makes the server a replica; it starts in sync with its primary.
    #[must_use]
    pub fn replica_of(mut self, primary: &RedisServer) -> Self {
        if let Some(password) = &primary.options.password {
            self = self.option("masterauth", password);
        }
        self.is_replica = true;
        self.option("replicaof", &format!("127.0.0.1 {}", primary.port))
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not come up.
    #[must_use]
    pub fn start(self) -> RedisServer {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Some(process) = launch(&self, &dir, port) {
                let server = RedisServer { port, options: self, dir, process };
                server.wait_in_sync();
                return server;
            }
        }
        panic!("{ATTEMPTS} free ports were taken before redis-server had them");
    }
}

impl RedisServer {
    /// Starts a server with nothing special.
    ///
    /// # Panics
    /// As [`RedisOptions::start`].
    #[must_use]
    pub fn start() -> Self {
        Self::options().start()
    }

    /// The options of a server to start.
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// Where the server listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A connection to the server, with the password given if it has one.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn client(&self) -> RawClient {
        connect(self.port, &self.options)
            .unwrap_or_else(|error| panic!("connect to redis-server on {}: {error}", self.port))
    }

    /// A field of `INFO <section>`.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        info_field(&self.client().text(&["INFO", section]), field)
    }

    /// How often the server has executed a command, given in small letters.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        self.info("commandstats", &format!("cmdstat_{command}"))
            .and_then(|stats| {
                let calls = stats.strip_prefix("calls=")?;
                calls.split(',').next()?.parse().ok()
            })
            .unwrap_or(0)
    }

    /// Ends the server with SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the killed server again: same port, same options, and the data that it has persisted,
    /// which is none without an option for it.
    ///
    /// # Panics
    /// When it does not come up again.
    pub fn restart(&mut self) {
        self.process.kill();
        let what = format!("redis-server has port {} again", self.port);
        self.process = wait_until(&what, DEADLINE, || {
            launch(&self.options, &self.dir, self.port).ok_or("the port is taken")
        });
        self.wait_in_sync();
    }

    /// Stops the server without closing anything: it takes connections and bytes, and is silent.
    ///
    /// # Panics
    /// When the server is dead.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Lets the frozen server go on.
    ///
    /// # Panics
    /// When the server is dead.
    pub fn thaw(&mut self) {
        self.process.signal(Signal::CONT);
    }

    fn wait_in_sync(&self) {
        if self.options.is_replica {
            wait_until("the replica is in sync", DEADLINE, || {
                match self.info("replication", "master_link_status") {
                    Some(status) if status == "up" => Ok(()),
                    other => Err(other),
                }
            });
        }
    }
}

/// The program of a server.
pub(crate) fn program() -> String {
    std::env::var("KEYWAY_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// Starts a server process and waits until it answers; `None` when another had the port first.
fn launch(options: &RedisOptions, dir: &TempDir, port: u16) -> Option<Process> {
    let program = program();
    let log_path = dir.path().join("redis.log");
    let log = File::create(&log_path).unwrap_or_else(|error| panic!("make a log: {error}"));
    let mut command = Command::new(&program);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        // A primary waits five seconds by default for more replicas before it serves the first.
        .args(["--repl-diskless-sync-delay", "0"])
        .arg("--dir")
        .arg(dir.path())
        .args(&options.arguments)
        .stdout(log);
    let mut process = Process::spawn(&program, &mut command).unwrap_or_else(|error| {
        panic!("start {program}: {error}; get it with: sudo apt-get install redis-server")
    });
    let is_up = wait_until("redis-server answers", DEADLINE, || {
        if process.exit_status().is_some() {
            return Ok(false);
        }
        // Another server may answer on this port, while ours is about to fail.
        let server = connect(port, options)
            .and_then(|mut client| client.try_command(&["INFO", "server"]))
            .map_err(|error| error.to_string())?;
        let answering_id = info_field(&String::from_utf8_lossy(&server), "process_id");
        if answering_id == Some(process.id().to_string()) {
            Ok(true)
        } else {
            Err(format!("process {answering_id:?} answers"))
        }
    });
    if is_up {
        return Some(process);
    }
    let log = fs::read_to_string(&log_path).unwrap_or_default();
    assert!(log.contains("Address already in use"), "{program} ended at once:\n{log}");
    None
}

fn connect(port: u16, options: &RedisOptions) -> std::io::Result<RawClient> {
    let mut client = RawClient::try_connect((Ipv4Addr::LOCALHOST, port).into())?;
    if let Some(password) = &options.password {
        client.try_command(&["AUTH", password])?;
    }
    Ok(client)
}

/// The value of `field` in the text of an `INFO` reply.
fn info_field(info: &str, field: &str) -> Option<String> {
    info.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests;
