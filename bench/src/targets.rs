//! The proxies under test and the Redis servers behind them.
//!
//! ```text
//!   keyway     --+--> redis 1, redis 2      (keys spread over both)
//!   nutcracker --+
//!   haproxy    -----> redis 1               (it forwards bytes and cannot spread keys)
//!   direct     -----> redis 1               (no proxy: the servers themselves)
//! ```
//!
//! A `Rig` is one set of servers with its targets, in its own temporary folder and on free
//! ports. All targets of a rig run at the same time, and only one has load at any time.
//! Dropping the rig ends them all and removes the folder.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::client::Client;
use crate::processes::{Process, Processes};
use crate::programs::Programs;

/// Two, so that a sharding proxy has something to shard.
const BACKENDS: usize = 2;

/// How often and how long a starting server is waited for: ten seconds in all.
const READY_ATTEMPTS: u32 = 500;
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// More than the idle connections, and twice this is within the usual limit on open files.
const PROXY_CONNECTIONS_MAX: u32 = 6_000;

/// What the load is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum TargetKind {
    /// The proxy of this workspace.
    Keyway,
    /// Nutcracker, also known as twemproxy.
    Nutcracker,
    /// HAProxy in TCP mode: the cost of moving bytes without understanding them.
    Haproxy,
    /// One Redis server without a proxy.
    Direct,
}

/// One target that accepts clients.
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    pub(crate) addr: SocketAddr,
    /// `None` for the direct target, which is a backend.
    proxy: Option<Process>,
}

/// One Redis server.
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    pub(crate) process: Process,
}

/// Targets with the backends they share.
pub(crate) struct Rig {
    pub(crate) targets: Vec<Target>,
    pub(crate) backends: Vec<Backend>,
    /// Where keyway listens for orders.
    admin: Option<SocketAddr>,
    /// Of keyway.
    workers: u32,
    /// Whether keyway keeps its state, and so can move slots.
    keeps_state: bool,
    // Last, so that it is removed after the processes that write to it have ended.
    dir: TempDir,
}

impl fmt::Display for TargetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keyway => "keyway",
            Self::Nutcracker => "nutcracker",
            Self::Haproxy => "haproxy",
            Self::Direct => "direct",
        })
    }
}

impl Rig {
    /// Starts fresh servers and these targets, and waits until all answer.
    pub(crate) fn start(
        processes: &Processes,
        programs: &Programs,
        kinds: &[TargetKind],
    ) -> Result<Self> {
        // One, as its peers have one thread.
        Self::with_workers(processes, programs, kinds, 1, false)
    }

    /// Starts keyway alone, with more than one worker, so that a fill has something to agree on.
    pub(crate) fn start_for_fills(processes: &Processes, programs: &Programs) -> Result<Self> {
        Self::with_workers(processes, programs, &[TargetKind::Keyway], 2, false)
    }

    /// Starts keyway alone, with a folder for its state.
    pub(crate) fn start_for_moves(processes: &Processes, programs: &Programs) -> Result<Self> {
        Self::with_workers(processes, programs, &[TargetKind::Keyway], 1, true)
    }

    fn with_workers(
        processes: &Processes,
        programs: &Programs,
        kinds: &[TargetKind],
        workers: u32,
        keeps_state: bool,
    ) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("keyway-bench-")
            .tempdir()
            .context("create a temporary folder")?;
        let (targets, backends) = (Vec::new(), Vec::new());
        let mut rig = Self { targets, backends, admin: None, workers, keeps_state, dir };
        for number in 1..=BACKENDS {
            let backend = rig.start_backend(processes, programs, number)?;
            rig.backends.push(backend);
        }
        for kind in kinds {
            let target = rig.start_target(processes, programs, *kind)?;
            rig.targets.push(target);
        }
        Ok(rig)
    }

    /// The rig's folder, for the logs of what is run against it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where keyway takes orders.
    pub(crate) fn admin(&self) -> Result<SocketAddr> {
        self.admin.context("the rig has no keyway")
    }

    /// The log of keyway.
    pub(crate) fn keyway_log(&self) -> std::path::PathBuf {
        self.log(&TargetKind::Keyway.to_string())
    }

    /// The target of this kind.
    pub(crate) fn target(&self, kind: TargetKind) -> Result<&Target> {
        let mut targets = self.targets.iter();
        targets.find(|target| target.kind == kind).with_context(|| format!("no target `{kind}`"))
    }

    /// The process whose memory is the target's: the proxy, or the server when there is none.
    pub(crate) fn served_by<'a>(&'a self, target: &'a Target) -> Result<&'a Process> {
        match &target.proxy {
            Some(process) => Ok(process),
            None => Ok(&self.first_backend()?.process),
        }
    }

    fn first_backend(&self) -> Result<&Backend> {
        self.backends.first().context("the rig has no backend")
    }

    fn start_backend(
        &self,
        processes: &Processes,
        programs: &Programs,
        number: usize,
    ) -> Result<Backend> {
        let name = format!("redis-server {number}");
        let addr = free_addr()?;
        let mut command = Command::new(&programs.redis_server.path);
        command.args(["--bind", "127.0.0.1", "--port", &addr.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(self.dir());
        let process = processes.spawn(&name, &mut command, &self.log(&name))?;
        wait_ready(processes, &process, addr).with_context(|| format!("start `{name}`"))?;
        Ok(Backend { addr, process })
    }

    fn start_target(
        &mut self,
        processes: &Processes,
        programs: &Programs,
        kind: TargetKind,
    ) -> Result<Target> {
        if kind == TargetKind::Direct {
            let addr = self.first_backend()?.addr;
            return Ok(Target { kind, addr, proxy: None });
        }
        let addr = free_addr()?;
        let mut command = Command::new(&programs.proxy(kind)?.path);
        command.args(self.proxy_arguments(kind, addr)?);
        if kind == TargetKind::Keyway {
            // Its default of 1000 clients is that of Codis.
            command.env("KEYWAY_PROXY_MAX_CLIENTS", PROXY_CONNECTIONS_MAX.to_string());
        }
        if kind == TargetKind::Keyway && self.keeps_state {
            command.env("KEYWAY_STATE_DIR", self.dir().join("state"));
        }
        let name = kind.to_string();
        let process = processes.spawn(&name, &mut command, &self.log(&name))?;
        wait_ready(processes, &process, addr).with_context(|| format!("start `{name}`"))?;
        Ok(Target { kind, addr, proxy: Some(process) })
    }

    /// The arguments of a proxy, after its configuration file, if any, has been written.
    fn proxy_arguments(&mut self, kind: TargetKind, addr: SocketAddr) -> Result<Vec<String>> {
        let backends: Vec<SocketAddr> = self.backends.iter().map(|backend| backend.addr).collect();
        let mut arguments = Vec::new();
        match kind {
            TargetKind::Keyway => {
                let admin = free_addr()?;
                self.admin = Some(admin);
                let workers = self.workers;
                let line = format!("proxy --listen {addr} --admin {admin} --workers {workers}");
                arguments.extend(line.split(' ').map(str::to_owned));
                arguments.extend(backends.iter().map(SocketAddr::to_string));
            }
            TargetKind::Nutcracker => {
                let file = self.write("nutcracker.yml", &nutcracker_config(addr, &backends))?;
                let stats = free_addr()?.port();
                // Verbosity 4 leaves out the line per request that the default writes; 16 KiB is
                // the default buffer, written out because it matters for large values.
                let line = format!("-v 4 -m 16384 -a 127.0.0.1 -s {stats} -c");
                arguments.extend(line.split(' ').map(str::to_owned));
                arguments.push(file);
            }
            TargetKind::Haproxy => {
                let backend = self.first_backend()?.addr;
                let file = self.write("haproxy.cfg", &haproxy_config(addr, backend))?;
                // In the foreground and as one process.
                arguments.extend(["-db".to_owned(), "-f".to_owned(), file]);
            }
            TargetKind::Direct => {}
        }
        Ok(arguments)
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir().join(name);
        fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
        Ok(path.display().to_string())
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.dir().join(format!("{name}.log"))
    }
}

impl Target {
    /// The proxy's process; `None` for the direct target.
    pub(crate) fn proxy(&self) -> Option<&Process> {
        self.proxy.as_ref()
    }
}

fn nutcracker_config(addr: SocketAddr, backends: &[SocketAddr]) -> String {
    // `modula`, as with `ketama` the share of each server would depend on the ports of this run.
    let mut text = format!(
        "bench:\n  listen: {addr}\n  hash: fnv1a_64\n  distribution: modula\n  redis: true\n  \
         auto_eject_hosts: false\n  servers:\n"
    );
    for backend in backends {
        text.push_str(&format!("   - {backend}:1\n"));
    }
    text
}

fn haproxy_config(addr: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn {PROXY_CONNECTIONS_MAX}\n\
         defaults\n  mode tcp\n  maxconn {PROXY_CONNECTIONS_MAX}\n  timeout connect 5s\n  \
         timeout client 1h\n  timeout server 1h\n\
         listen redis\n  bind {addr}\n  server redis {backend}\n"
    )
}

/// An address on which nobody listens at the moment.
fn free_addr() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .context("find a free port")
}

/// Waits until a server answers PING, has ended, or has had enough time.
fn wait_ready(processes: &Processes, process: &Process, addr: SocketAddr) -> Result<()> {
    let mut last = None;
    for _ in 0..READY_ATTEMPTS {
        processes.check_interrupt()?;
        process.check_running()?;
        match Client::connect(addr).and_then(|mut client| client.call(&["PING"])) {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
        processes.pause(READY_INTERVAL)?;
    }
    let waited = READY_INTERVAL * READY_ATTEMPTS;
    let last = last.map_or_else(String::new, |error| format!(": {error:#}"));
    bail!("it does not answer PING on `{addr}` after {} s{last}", waited.as_secs())
}
