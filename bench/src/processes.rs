//! Every process that the benchmark starts, and the promise that none outlives it.
//!
//! A process is a guard: dropping it kills the process by its handle and reaps it. The guards
//! cover errors and normal ends. For signals there is a registry of all guarded processes: the
//! signal thread kills them through it, so whatever the main thread is waiting for fails at
//! once, and the error then unwinds through all guards and temporary folders.
//!
//!   main thread:    spawn ... run ------ error "interrupted" -> guards drop -> exit
//!   signal thread:              interrupt(): kill all
//!
//! Bounds: `run` waits for at most the time given; `pause` for at most one interval.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How much of a log an error message quotes.
const LOG_LINES_QUOTED_MAX: usize = 5;

/// The registry of running processes. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Processes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    interrupted: Condvar,
}

#[derive(Default)]
struct State {
    is_interrupted: bool,
    children: BTreeMap<u32, Child>,
}

/// One running process, killed when this is dropped.
pub(crate) struct Process {
    processes: Processes,
    name: String,
    pid: u32,
    log: PathBuf,
}

impl Processes {
    /// Kills all processes, now and in future, when a signal asks this program to end.
    pub(crate) fn kill_on_signals(&self) -> Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("watch for signals")?;
        let processes = self.clone();
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                processes.interrupt();
            }
        });
        Ok(())
    }

    /// Starts a program whose output goes to the file `log`.
    pub(crate) fn spawn(&self, name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let output = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
        command.stdout(output.try_clone().context("share the log file")?);
        self.register(name, command.stderr(output), log)
    }

    /// Runs a program to its end and returns what it printed; its complaints go to `log`.
    ///
    /// The program is killed, and an error returned, when it is not finished within `limit`.
    pub(crate) fn run(
        &self,
        name: &str,
        command: &mut Command,
        log: &Path,
        limit: Duration,
    ) -> Result<String> {
        let complaints =
            File::create(log).with_context(|| format!("create `{}`", log.display()))?;
        let process =
            self.register(name, command.stdout(Stdio::piped()).stderr(complaints), log)?;
        let mut stdout = self
            .state()
            .children
            .get_mut(&process.pid)
            .and_then(|child| child.stdout.take())
            .context("the output of the process is not connected")?;
        let (sender, receiver) = sync_channel(1);
        thread::spawn(move || {
            let mut text = String::new();
            let outcome = stdout.read_to_string(&mut text).map(|_| text);
            // Nobody listens any more after the limit, and then nobody needs the text.
            let _ = sender.send(outcome);
        });
        let Ok(outcome) = receiver.recv_timeout(limit) else {
            self.check_interrupt()?;
            bail!("`{name}` was not finished after {} s", limit.as_secs());
        };
        self.check_interrupt()?;
        let text = outcome.with_context(|| format!("read the output of `{name}`"))?;
        process.finish()?;
        Ok(text)
    }

    /// Waits for one interval, or returns an error as soon as the run is interrupted.
    pub(crate) fn pause(&self, interval: Duration) -> Result<()> {
        let (state, _) = self
            .shared
            .interrupted
            .wait_timeout_while(self.state(), interval, |state| !state.is_interrupted)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.check_interrupt()
    }

    /// Returns an error when a signal has asked this program to end.
    pub(crate) fn check_interrupt(&self) -> Result<()> {
        if self.is_interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Whether a signal has asked this program to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state().is_interrupted
    }

    fn register(&self, name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        // The lock is held over the start: no process can slip in after an interrupt.
        let mut state = self.state();
        if state.is_interrupted {
            bail!("interrupted");
        }
        let child =
            command.stdin(Stdio::null()).spawn().with_context(|| format!("start `{name}`"))?;
        let pid = child.id();
        state.children.insert(pid, child);
        Ok(Process { processes: self.clone(), name: name.to_owned(), pid, log: log.to_owned() })
    }

    fn interrupt(&self) {
        let mut state = self.state();
        state.is_interrupted = true;
        for child in state.children.values_mut() {
            // An error means that it has ended already, which is what is wanted.
            let _ = child.kill();
        }
        self.shared.interrupted.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// The process id, for `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns an error with the last lines of the log when the process has ended.
    pub(crate) fn check_running(&self) -> Result<()> {
        let ended = match self.processes.state().children.get_mut(&self.pid) {
            Some(child) => child.try_wait().with_context(|| format!("look at `{}`", self.name))?,
            None => None,
        };
        match ended {
            Some(status) => bail!("`{}` ended ({status}){}", self.name, self.log_quote()),
            None => Ok(()),
        }
    }

    /// Reaps a process that has closed its output, and returns an error unless it succeeded.
    fn finish(&self) -> Result<()> {
        let Some(mut child) = self.processes.state().children.remove(&self.pid) else {
            return Ok(());
        };
        let status = child.wait().with_context(|| format!("wait for `{}`", self.name))?;
        if !status.success() {
            bail!("`{}` failed ({status}){}", self.name, self.log_quote());
        }
        Ok(())
    }

    fn log_quote(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        quote(&String::from_utf8_lossy(&log))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.processes.state().children.remove(&self.pid);
        if let Some(mut child) = child {
            // Both fail only for a process that is gone, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The last lines of a log, one per line and indented; nothing for an empty log.
fn quote(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LOG_LINES_QUOTED_MAX);
    lines.iter().skip(skipped).map(|line| format!("\n  {line}")).collect()
}
