//! A server process: started on a free port in a folder of its own, killed when it is dropped.

use std::net::TcpListener;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// A process that this test has started.
pub(super) struct Server(Child);

impl Server {
    /// Starts a program. Without it the test fails, and says how to get it.
    pub(super) fn start(program: &str, args: &[String], package: &str) -> Self {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Self(child),
            Err(error) => panic!("`{program}`: {error}; install it: apt-get install {package}"),
        }
    }

    /// Stops the process where it is; it keeps its connections.
    pub(super) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(status.unwrap().success(), "kill {signal}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports that were free a moment ago.
pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    let sockets: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.each_ref().map(|socket| socket.local_addr().unwrap().port())
}

/// Calls until it works out, with a pause between the calls.
pub(super) async fn until_ok<T, E: std::fmt::Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = tokio::time::Instant::now();
    let mut pauses = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        pauses.tick().await;
        match attempt().await {
            Ok(value) => return value,
            Err(error) if started.elapsed() > super::PATIENCE => panic!("{what}: {error}"),
            Err(_) => {}
        }
    }
}
