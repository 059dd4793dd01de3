//! The built `keyway`, run as its users run it.
//!
//! The proxy takes free ports (`--listen 127.0.0.1:0`) and tells them in two log lines, which the
//! fixture waits for. At its end, by [`KeywayProxy::terminate`] or when the fixture is dropped, it
//! must exit with 0 on SIGTERM and have logged no warning or error beyond those that the test
//! allows. When the test fails, the log of the proxy is printed with it.
//!
//! The program is `$KEYWAY_BIN`, or the `keyway` beside the folder of the running test:
//! `target/<profile>/keyway`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::admin::AdminClient;
use crate::log::{Log, LogLine};
use crate::process::Process;
use crate::raw_client::RawClient;
use crate::redis_server::RedisServer;
use crate::wait::{DEADLINE, wait_until};

const PROXY_IS_LISTENING: &str = "proxy is listening";
const ADMIN_IS_LISTENING: &str = "admin api is listening";

/// A proxy tells when others cannot reach it; in tests nobody else has to.
const ON_LOOPBACK: &str = "which only this machine reaches";

/// What a proxy is started with.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    config: String,
    ini: Option<String>,
    slots: Option<serde_json::Value>,
    arguments: Vec<String>,
    workers: Option<u32>,
    ports: Option<(u16, u16)>,
    allowed: Vec<String>,
}

impl ProxyOptions {
    /// Adds a line to the configuration file.
    #[must_use]
    pub fn config(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Starts the proxy with the file and the flags of proxies before Codis 3: `config.ini` with this
    /// text in the place of the configuration file.
    #[must_use]
    pub fn ini(mut self, text: &str) -> Self {
        self.ini = Some(text.to_owned());
        self
    }

    /// Fills the slots from a file with this array, in the form of the admin API.
    #[must_use]
    pub fn fill_slots(mut self, slots: serde_json::Value) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Adds an argument to the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets the number of workers; two without it.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Listens on these ports, for clients and for the admin API: a proxy that is started again
    /// must be found again.
    #[must_use]
    pub fn ports(mut self, clients: u16, admin: u16) -> Self {
        self.ports = Some((clients, admin));
        self
    }

    /// Keeps slots and moves in this folder.
    #[must_use]
    pub fn state_dir(self, dir: &std::path::Path) -> Self {
        self.config(&format!("state_dir = \"{}\"", dir.display()))
    }

    /// Spreads the slots over these servers.
    #[must_use]
    pub fn over<'a>(mut self, primaries: impl IntoIterator<Item = &'a RedisServer>) -> Self {
        for primary in primaries {
            self = self.argument(&primary.addr().to_string());
        }
        self
    }

    /// Allows warnings and errors that contain this text.
    #[must_use]
    pub fn allow_log(mut self, text: &str) -> Self {
        self.allowed.push(text.to_owned());
        self
    }

    /// Starts the proxy and waits until it listens.
    ///
    /// # Panics
    /// When it is not built, or ends before it listens.
    #[must_use]
    pub fn start(self) -> KeywayProxy {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
        let program = program();
        let mut command = Command::new(&program);
        let (clients, admin) = self.ports.unwrap_or((0, 0));
        let workers = self.workers.unwrap_or(2);
        command.args(["proxy", "--log-format", "json"]);
        match &self.ini {
            Some(text) => command
                .args(["-c".into(), write(&dir, "config.ini", text)])
                .arg(format!("--cpu={workers}"))
                .arg(format!("--addr=127.0.0.1:{clients}"))
                .arg(format!("--http-addr=127.0.0.1:{admin}")),
            None => command
                .args(["--config".into(), write(&dir, "proxy.toml", &self.config)])
                .args(["--workers", &workers.to_string()])
                .args(["--listen", &format!("127.0.0.1:{clients}")])
                .args(["--admin", &format!("127.0.0.1:{admin}")]),
        };
        if let Some(slots) = &self.slots {
            let file = write(&dir, "slots.json", &slots.to_string());
            command.arg("--fillslots").arg(file);
        }
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::spawn("keyway", &mut command).unwrap_or_else(|error| {
            panic!(
                "start {}: {error}; build it with: cargo build --package keyway",
                program.display()
            )
        });
        let stderr = process.take_stderr();
        let mut proxy = KeywayProxy {
            log: Log::collect(stderr.expect("the command asks for a pipe")),
            process,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            admin: (Ipv4Addr::LOCALHOST, 0).into(),
            allowed: self.allowed,
            is_finished: false,
            _dir: dir,
        };
        proxy.listen = proxy.wait_address(PROXY_IS_LISTENING, "listen");
        proxy.admin = proxy.wait_address(ADMIN_IS_LISTENING, "admin");
        proxy
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct KeywayProxy {
    process: Process,
    log: Log,
    listen: SocketAddr,
    admin: SocketAddr,
    allowed: Vec<String>,
    // True once the end of the proxy has been judged: it is judged once.
    is_finished: bool,
    _dir: TempDir,
}

impl KeywayProxy {
    /// The options of a proxy to start.
    #[must_use]
    pub fn options() -> ProxyOptions {
        ProxyOptions::default()
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listen
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// A new connection to the proxy.
    ///
    /// # Panics
    /// When the proxy does not accept it.
    #[must_use]
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.listen)
    }

    /// A dashboard's connection to the admin API of a proxy without `product_auth`.
    ///
    /// # Panics
    /// When the proxy does not accept it.
    #[must_use]
    pub fn admin(&self) -> AdminClient {
        AdminClient::connect(self.admin, "")
    }

    /// A size from `/proc/<pid>/status` in bytes: `VmRSS` for what the proxy occupies now,
    /// `VmHWM` for the most it ever has.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn memory_bytes(&self, field: &str) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
        status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|size| size.trim().strip_suffix(" kB")?.parse().ok())
            .map_or_else(|| panic!("no {field} in {path}"), |kb: usize| kb * 1024)
    }

    /// What the proxy has logged up to now.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until the proxy has logged this message.
    ///
    /// # Panics
    /// When it has not at the deadline.
    pub fn wait_logged(&self, message: &str) {
        self.wait_logged_within(message, DEADLINE);
    }

    /// The same with another deadline.
    ///
    /// # Panics
    /// When it has not at the deadline.
    pub fn wait_logged_within(&self, message: &str, deadline: Duration) {
        wait_until(&format!("the proxy logs `{message}`"), deadline, || {
            let lines = self.log.lines();
            let is_there = lines.iter().any(|line| line.field("msg") == Some(message));
            if is_there { Ok(()) } else { Err("no such line") }
        });
    }

    /// Sends SIGTERM and returns at once: the proxy stops to accept and finishes what it has.
    ///
    /// # Panics
    /// When the proxy has ended already.
    pub fn request_stop(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Stops the proxy without closing anything, as a machine that is suspended would.
    ///
    /// # Panics
    /// When it has ended.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Lets the frozen proxy go on.
    ///
    /// # Panics
    /// When it has ended.
    pub fn thaw(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends the proxy with SIGKILL, as a crash would, and checks its log.
    ///
    /// # Panics
    /// When it has logged what it should not.
    pub fn kill(&mut self) {
        self.process.kill();
        self.wait_exit(DEADLINE);
    }

    /// Waits for the end of the proxy and returns its status, whatever that is; only the log is
    /// judged.
    ///
    /// # Panics
    /// When it does not end in time, or has logged what it should not.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        self.is_finished = true;
        let status = self.process.wait_exit(deadline);
        self.log.finish();
        let alarms: Vec<String> = self.alarms().collect();
        assert!(alarms.is_empty(), "the proxy logged:\n{}", alarms.join("\n"));
        status
    }

    /// Ends the proxy with SIGTERM and checks its status and its log.
    ///
    /// # Panics
    /// When it does not exit with 0 in time, or has logged what it should not.
    pub fn terminate(&mut self) {
        self.request_stop();
        let status = self.wait_exit(DEADLINE);
        assert!(status.success(), "the proxy ended with {status}");
    }

    /// Ends the proxy with SIGKILL, as a crash would. Its log is not judged.
    pub fn crash(&mut self) {
        self.is_finished = true;
        self.process.kill();
        self.log.finish();
    }

    fn alarms(&self) -> impl Iterator<Item = String> {
        let allowed = self.allowed.iter().map(String::as_str).chain([ON_LOOPBACK]);
        let allowed: Vec<&str> = allowed.collect();
        let is_allowed =
            move |line: &LogLine| allowed.iter().any(|allowed| line.text().contains(allowed));
        self.log
            .lines()
            .into_iter()
            .filter(move |line| line.is_alarm() && !is_allowed(line))
            .map(|line| line.text().to_owned())
    }

    fn wait_address(&mut self, message: &str, field: &str) -> SocketAddr {
        let what = format!("the proxy logs `{message}`");
        wait_until(&what, DEADLINE, || {
            if let Some(status) = self.process.exit_status() {
                self.log.finish();
                panic!("the proxy ended before it listened: {status}");
            }
            let address = self.log.field_of(message, field).ok_or("no such line")?;
            address.parse().map_err(|_| "a line without an address")
        })
    }
}

impl Drop for KeywayProxy {
    #[expect(clippy::print_stderr, reason = "the log belongs to the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.process.kill();
            self.log.finish();
            eprintln!("log of the proxy:\n{}", self.log.text());
        } else if !self.is_finished {
            self.terminate();
        }
    }
}

/// Where the program is.
///
/// # Panics
/// When it is not given and cannot be found.
#[must_use]
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("KEYWAY_BIN") {
        return program.into();
    }
    // target/<profile>/deps/<test> -> target/<profile>/keyway
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("find the test: {error}"));
    test.ancestors()
        .nth(2)
        .map(|profile| profile.join("keyway"))
        .unwrap_or_else(|| panic!("no folder above {}", test.display()))
}

fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("write {name}: {error}"));
    path
}
