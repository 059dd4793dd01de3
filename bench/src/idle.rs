//! Memory per idle connection.
//!
//! A fresh target has served one request, so that its connections to the servers and its first
//! buffers exist. Its resident memory is read, then thousands of connections are opened, each
//! asks for one key and stays open, and the memory is read again. The kernel's socket buffers
//! are not part of it.

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::measure::resident_bytes;
use crate::processes::Processes;
use crate::programs::Programs;
use crate::targets::{Rig, TargetKind};
use crate::workloads::SMALL;

/// How many connections are held open.
pub(crate) const IDLE_CONNECTIONS: u32 = 5_000;

/// Open files: haproxy holds two for each connection.
const OPEN_FILES: u64 = 2 * IDLE_CONNECTIONS as u64 + 2_500;

/// Resident memory without and with the idle connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleSample {
    pub(crate) before_bytes: u64,
    pub(crate) after_bytes: u64,
}

impl IdleSample {
    /// The growth for each connection; negative if the process has shrunk.
    pub(crate) fn bytes_per_connection(&self) -> f64 {
        (self.after_bytes as f64 - self.before_bytes as f64) / f64::from(IDLE_CONNECTIONS)
    }
}

/// Raises the limit on open files, which the started processes inherit.
pub(crate) fn raise_open_files() -> Result<()> {
    let limit = rlimit::increase_nofile_limit(OPEN_FILES).context("raise the open files limit")?;
    ensure!(
        limit >= OPEN_FILES,
        "{IDLE_CONNECTIONS} idle connections need {OPEN_FILES} open files, but the limit is \
         {limit}: raise it with `ulimit -Hn`, or leave the workload `idle` out with --only"
    );
    Ok(())
}

/// Measures one target, started for this and ended afterwards.
pub(crate) fn measure(
    processes: &Processes,
    programs: &Programs,
    kind: TargetKind,
) -> Result<IdleSample> {
    let rig = Rig::start(processes, programs, &[kind])?;
    let target = rig.target(kind)?;
    let key = SMALL.names().next().context("there are no keys")?;
    let mut first = Client::connect(target.addr)?;
    first.call(&["SET", &key, &SMALL.value()])?;

    let pid = rig.served_by(target)?.pid();
    let before_bytes = resident_bytes(pid)?;
    let mut clients = Vec::new();
    for number in 1..=IDLE_CONNECTIONS {
        processes.check_interrupt()?;
        let mut client = Client::connect(target.addr)
            .with_context(|| format!("open idle connection {number}"))?;
        client.call(&["GET", &key]).with_context(|| format!("use idle connection {number}"))?;
        clients.push(client);
    }
    let after_bytes = resident_bytes(pid)?;
    Ok(IdleSample { before_bytes, after_bytes })
}
