//! A child process that never outlives its test.
//!
//! Dropping a [`Process`] kills it with SIGKILL, also when it is frozen, and reaps it. Signals go
//! to the process by the handle of the child, which is not reaped before, so that the number
//! cannot belong to another process by then.

use std::fs::DirEntry;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{DEADLINE, wait_until};

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts the command without an input.
    ///
    /// # Errors
    /// What the system says when the program cannot be started, for example because it is absent.
    pub fn spawn(name: &str, command: &mut Command) -> std::io::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn()?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipe of the error output, if the command asked for one and nobody took it yet.
    pub fn take_stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended already.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(status) = self.exit_status() {
            panic!("{} has ended already: {status}", self.name);
        }
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("signal {}: {error}", self.name));
    }

    /// Stops the process without closing anything, and returns when none of its threads runs any
    /// more: the signal alone takes its time.
    ///
    /// # Panics
    /// When the process has ended already, or does not stop.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.id());
        wait_until(&format!("{} stands still", self.name), DEADLINE, || {
            let running = |task: std::io::Result<DirEntry>| {
                let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
                // The state follows the name, which is in brackets and may contain some.
                let (_, state) = stat.rsplit_once(") ")?;
                (!state.starts_with('T')).then_some(stat)
            };
            let tasks = std::fs::read_dir(&tasks).map_err(|error| error.to_string())?;
            tasks.filter_map(running).next().map_or(Ok(()), Err)
        });
    }

    /// The exit status, once the process has ended.
    ///
    /// # Panics
    /// When the system cannot tell.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("ask for the status of {}: {error}", self.name))
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it has not ended at the deadline.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_until(&what, deadline, || self.exit_status().ok_or("still running"))
    }

    /// Ends the process with SIGKILL and reaps it. No effect when it has ended already.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(&mut self) {
        // `Child::kill` is no error for a child that ended and was not waited for.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            panic!("kill {}: {error}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to report here: a panic in a drop would hide the reason of the first one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
