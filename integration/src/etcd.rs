//! A real etcd on free ports, with its own folder; it keeps its data over a restart.
//!
//! ```text
//!  start() --> running --kill()--> dead --restart()--> running, same ports, same data
//!              running --freeze()--> frozen --thaw()--> running
//! ```
//! Tests see what is in it through its own JSON gateway, and not through the library that the proxy
//! uses. There, keys and values are in base64.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::AdminClient;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::{DEADLINE, wait_until};

/// Each attempt takes other ports; two lost races in a row are rare, ten are something else.
const ATTEMPTS: usize = 10;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// A key as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdNode {
    /// What it contains; keys here contain text.
    pub data: String,
    /// The lease that it goes away with; `None` when it stays.
    pub lease: Option<String>,
    /// The number of the change that created it.
    pub created: String,
}

/// A running, killed or frozen server.
#[derive(Debug)]
pub struct Etcd {
    ports: [u16; 2],
    dir: TempDir,
    process: Process,
    /// Of the user `root`, once there is one.
    password: Option<String>,
}

impl Etcd {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When etcd is missing or does not come up.
    #[must_use]
    pub fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let ports = [free_port(), free_port()];
            let dir = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
            let process = launch(dir.path(), ports);
            let mut server = Self { ports, process, dir, password: None };
            if server.comes_up() {
                return server;
            }
        }
        panic!("{ATTEMPTS} free ports were taken before etcd had them");
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        let [port, _] = self.ports;
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// A key, or `None` when it is not there.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<EtcdNode> {
        let answer = self.call("/v3/kv/range", &json!({"key": base64(key)}));
        let found = answer.get("kvs")?.get(0)?;
        let field = |name: &str| found.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(EtcdNode {
            data: unbase64(&field("value").unwrap_or_default()),
            lease: field("lease"),
            created: field("create_revision").unwrap_or_default(),
        })
    }

    /// Gives a key this data; it stays.
    ///
    /// # Panics
    /// When that fails.
    pub fn put(&self, key: &str, data: &str) {
        self.call("/v3/kv/put", &json!({"key": base64(key), "value": base64(data)}));
    }

    /// Deletes a key; it does not matter whether it is there.
    ///
    /// # Panics
    /// When that fails.
    pub fn delete(&self, key: &str) {
        self.call("/v3/kv/deleterange", &json!({"key": base64(key)}));
    }

    /// Waits until a key is there and as wanted, and returns it.
    ///
    /// # Panics
    /// When it is not at the deadline.
    pub fn wait_node(
        &self,
        key: &str,
        deadline: Duration,
        is_wanted: impl Fn(&EtcdNode) -> bool,
    ) -> EtcdNode {
        wait_until(&format!("{key} is as wanted"), deadline, || {
            let node = self.get(key);
            if node.as_ref().is_some_and(&is_wanted) { node.ok_or(None) } else { Err(node) }
        })
    }

    /// From now on, only the user `root` with this password may do anything.
    ///
    /// # Panics
    /// When that fails.
    pub fn require_password(&mut self, password: &str) {
        self.call("/v3/auth/user/add", &json!({"name": "root", "password": password}));
        self.call("/v3/auth/user/grant", &json!({"user": "root", "role": "root"}));
        self.call("/v3/auth/enable", &json!({}));
        self.password = Some(password.to_owned());
    }

    /// Ends the server with SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the killed server again, on its ports and its data, and waits until it answers.
    ///
    /// # Panics
    /// When it does not come up again.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.dir.path(), self.ports);
        assert!(self.comes_up(), "etcd ended at once:\n{}", self.log());
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
        let is_up = wait_until("etcd answers", DEADLINE, || {
            if self.process.exit_status().is_some() {
                return Ok(false);
            }
            TcpStream::connect_timeout(&self.addr(), CONNECT_PATIENCE)
                .map_err(|error| error.to_string())?;
            let health = AdminClient::anonymous(self.addr()).get("/health").text();
            if health.contains("true") { Ok(true) } else { Err(health) }
        });
        let log = self.log();
        assert!(is_up || log.contains("address already in use"), "etcd ended:\n{log}");
        is_up
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    fn call(&self, path: &str, body: &Value) -> Value {
        let token = self.password.as_ref().map(|password| {
            let user = json!({"name": "root", "password": password});
            let answer = post(self.addr(), "/v3/auth/authenticate", &[], &user);
            answer.get("token").and_then(Value::as_str).unwrap_or_default().to_owned()
        });
        let header = token.map(|token| format!("Authorization: {token}"));
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        post(self.addr(), path, &headers, body)
    }
}

fn post(addr: SocketAddr, path: &str, headers: &[&str], body: &Value) -> Value {
    let body = body.to_string();
    let mut client = AdminClient::anonymous(addr);
    let reply = client.request("POST", path, headers, body.as_bytes());
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// Starts the process of the server whose folder this is.
fn launch(dir: &Path, [client, peer]: [u16; 2]) -> Process {
    let log = File::create(dir.join("server.log"));
    let log = log.unwrap_or_else(|error| panic!("make a log: {error}"));
    let log_too = log.try_clone().unwrap_or_else(|error| panic!("share a log: {error}"));
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let mut command = Command::new("etcd");
    command
        .arg("--data-dir")
        .arg(dir.join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        // Leases can be as short as one and a half elections.
        .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
        .stdout(log)
        .stderr(log_too);
    Process::spawn("etcd", &mut command).unwrap_or_else(|error| {
        panic!("start etcd: {error}; get it with: sudo apt-get install etcd-server")
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(text: &str) -> String {
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bytes = chunk.iter().chain(&[0, 0]).take(3);
        let word = bytes.fold(0_usize, |word, byte| (word << 8) | usize::from(*byte));
        for place in 0..4 {
            let symbol =
                BASE64.get((word >> (18 - 6 * place)) & 63).filter(|_| place <= chunk.len());
            out.push(symbol.map_or('=', |symbol| char::from(*symbol)));
        }
    }
    out
}

fn unbase64(text: &str) -> String {
    let mut out = Vec::new();
    let (mut word, mut bits) = (0_usize, 0);
    for symbol in text.bytes() {
        let Some(value) = BASE64.iter().position(|known| *known == symbol) else { break };
        word = ((word << 6) | value) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.extend(u8::try_from((word >> bits) & 0xff));
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
