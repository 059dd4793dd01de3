//! A real ZooKeeper on free ports, with its own folder; it keeps its data over a restart.
//!
//! ```text
//!  start() --> running --kill()--> dead --restart()--> running, same ports, same data
//!              running --freeze()--> frozen --thaw()--> running
//! ```
//! * [`ZooKeeper`]: one server, alone or as a member of an ensemble.
//! * [`ensemble`]: three servers that elect a leader.
//! * [`client`]: what a test writes and reads there with.
//!
//! The clock of a server ticks every 200 ms: sessions of half a second and more are possible, and
//! end at most two ticks late. `ZOOKEEPER_CLASS_PATH` names other libraries than those of Debian.

pub mod client;
pub mod ensemble;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use client::{Access, Lifetime, ZooKeeperClient};
pub use ensemble::Ensemble;

use crate::ports::free_port;
use crate::process::Process;
use crate::wait::wait_until;

/// Where distributions put the libraries; colon-separated globs, as java has them. The first one
/// is of several that could write the log the one that does.
const CLASS_PATH: &str =
    "/usr/share/java/slf4j-simple.jar:/usr/share/java/*:/usr/share/zookeeper/lib/*";

/// A Java machine needs seconds to start on a busy computer, an election some more.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long a server may take to answer a word.
const WORD_PATIENCE: Duration = Duration::from_secs(1);

/// Each attempt takes other ports; two lost races in a row are rare, ten are something else.
const ATTEMPTS: usize = 10;

/// What all servers here are configured with.
const COMMON_CONFIG: &str = "\
tickTime=200
minSessionTimeout=400
maxSessionTimeout=120000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
";

/// A running, killed or frozen server.
#[derive(Debug)]
pub struct ZooKeeper {
    port: u16,
    dir: TempDir,
    process: Process,
}

impl ZooKeeper {
    /// Starts a server that stands alone and waits until it answers.
    ///
    /// # Panics
    /// When java or the libraries are missing, or the server does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with more lines in its configuration, which are stronger than those before.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(config: &str) -> Self {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let dir = folder();
            write_config(dir.path(), port, config);
            let mut server = Self { port, process: launch(dir.path()), dir };
            if server.comes_up() {
                return server;
            }
        }
        panic!("{ATTEMPTS} free ports were taken before ZooKeeper had them");
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A session with this server.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn client(&self) -> ZooKeeperClient {
        ZooKeeperClient::connect(&self.addr().to_string())
    }

    /// What the server answers to a four-letter word, such as `srvr`.
    ///
    /// # Errors
    /// What the system says when the server is dead, frozen or in an election.
    pub fn ask(&self, word: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.addr(), WORD_PATIENCE)?;
        stream.set_read_timeout(Some(WORD_PATIENCE))?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// What the server is: `standalone`, `leader` or `follower`; `None` when it serves nobody.
    #[must_use]
    pub fn mode(&self) -> Option<String> {
        let answer = self.ask("srvr").ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// Ends the server with SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the killed server again, on its ports and its data, and waits until it answers. Its
    /// sessions go on if their time was not over.
    ///
    /// # Panics
    /// When it does not come up again.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.dir.path());
        assert!(self.comes_up(), "ZooKeeper ended at once:\n{}", self.log());
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

    /// Waits until the server serves clients. False when another had one of its ports first.
    fn comes_up(&mut self) -> bool {
        let is_up = wait_until("ZooKeeper answers", START_DEADLINE, || {
            if self.process.exit_status().is_some() {
                return Ok(false);
            }
            // Another server may answer on this port, while ours is about to fail.
            let config = self.ask("conf").map_err(|error| error.to_string())?;
            let is_ours = config.contains(&*self.dir.path().to_string_lossy());
            match self.mode() {
                Some(_) if is_ours => Ok(true),
                mode => Err(format!("mode {mode:?}, configuration {config:?}")),
            }
        });
        let log = self.log();
        assert!(is_up || log.contains("Address already in use"), "ZooKeeper ended:\n{log}");
        is_up
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }
}

fn folder() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"))
}

/// Writes the configuration of the server whose folder this is.
fn write_config(dir: &Path, port: u16, more: &str) {
    let text = format!(
        "{COMMON_CONFIG}dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n{more}",
        dir.display()
    );
    write(dir, "zoo.cfg", &text);
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap_or_else(|error| panic!("write {name}: {error}"));
}

/// Starts the process of the server whose folder this is.
fn launch(dir: &Path) -> Process {
    let class_path = std::env::var("ZOOKEEPER_CLASS_PATH");
    let log = File::create(dir.join("server.log"));
    let log = log.unwrap_or_else(|error| panic!("make a log: {error}"));
    let log_too = log.try_clone().unwrap_or_else(|error| panic!("share a log: {error}"));
    let mut command = Command::new("java");
    command
        // A test needs little memory, no optimised code, and no data that outlives the machine.
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg("-Dzookeeper.forceSync=no")
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
        .args(["-cp", class_path.as_deref().unwrap_or(CLASS_PATH)])
        .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
        .arg(dir.join("zoo.cfg"))
        .stdout(log)
        .stderr(log_too);
    Process::spawn("zookeeper", &mut command).unwrap_or_else(|error| {
        panic!(
            "start java: {error}; get it with: sudo apt-get install zookeeper default-jre-headless"
        )
    })
}

#[cfg(test)]
mod tests;
