//! Slots that are moved: two servers, proxies that keep their state, and data of every kind.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::AdminClient;
use crate::ports::free_port;
use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::redis_server::{RedisOptions, RedisServer};
use crate::wait::wait_until;

/// How long a move of a test may take on a busy machine.
pub const MOVE_DEADLINE: Duration = Duration::from_secs(25);

/// A proxy that can be started again as it was.
#[derive(Debug)]
pub struct KeptProxy {
    options: ProxyOptions,
    admin_port: u16,
    proxy: Option<KeywayProxy>,
    // Dropped last: the proxy writes to it until its end.
    dir: TempDir,
}

impl KeptProxy {
    /// Starts a proxy over a server.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(options: ProxyOptions, server: &RedisServer) -> Self {
        Self::start_over(options, &server.addr().to_string())
    }

    /// Starts a proxy over whatever has this address.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_over(options: ProxyOptions, server: &str) -> Self {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
        let (clients, admin_port) = (free_port(), free_port());
        let options = options.argument(server).state_dir(&dir.path().join("state"));
        let options = options.ports(clients, admin_port);
        let proxy = Some(options.clone().start());
        Self { options, admin_port, proxy, dir }
    }

    /// The running proxy.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn running(&self) -> &KeywayProxy {
        self.proxy.as_ref().unwrap_or_else(|| panic!("the proxy was killed"))
    }

    /// Where it keeps its state.
    #[must_use]
    pub fn state_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    /// The address of its admin API, also while it does not run.
    #[must_use]
    pub fn admin_addr(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    /// A connection to its admin API, with a password of its product.
    #[must_use]
    pub fn admin(&self, product_auth: &str) -> AdminClient {
        AdminClient::connect(self.running().admin_addr(), product_auth)
    }

    /// Kills the proxy.
    pub fn kill(&mut self) {
        if let Some(mut proxy) = self.proxy.take() {
            proxy.crash();
        }
    }

    /// Ends the proxy with SIGTERM, and judges its log.
    pub fn stop(&mut self) {
        if let Some(mut proxy) = self.proxy.take() {
            proxy.terminate();
        }
    }

    /// Kills the proxy, if it runs, and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.proxy = Some(self.options.clone().start());
    }
}

/// What `keyway admin slots` makes of these arguments, with proxies of these admin addresses.
///
/// # Panics
/// When the program is not there.
#[must_use]
pub fn run_slots(proxies: &[String], arguments: &[&str]) -> Output {
    let program = crate::proxy::program();
    let mut command = Command::new(&program);
    command.env_clear().arg("admin");
    for proxy in proxies {
        command.args(["--proxy", proxy]);
    }
    let output = command.arg("slots").args(arguments).output();
    output.unwrap_or_else(|error| panic!("run {}: {error}", program.display()))
}

/// Data of every kind in three databases.
///
/// # Panics
/// When the server refuses it.
pub fn fill_with_every_kind(server: &RedisServer) {
    let mut client = server.client();
    for database in ["0", "3", "15"] {
        client.command(&["SELECT", database]);
        for number in 0..300 {
            let n = number.to_string();
            client.command(&["SET", &format!("string:{n}"), &n]);
            client.command(&["SET", &format!("expires:{n}"), &n, "EX", "5000"]);
            client.command(&["RPUSH", &format!("list:{n}"), "a", "b", &n]);
        }
        for number in 0..50 {
            let n = number.to_string();
            let members: Vec<String> = (0..200).map(|member| format!("{member}:{n}")).collect();
            let with = |head: &[&str]| -> Vec<String> {
                let head = head.iter().map(|word| (*word).to_owned());
                head.chain(members.iter().cloned()).collect()
            };
            client.command(&with(&["SADD", &format!("set:{n}")]));
            client.command(&with(&["HSET", &format!("hash:{n}")]));
            client.command(&["ZADD", &format!("zset:{n}"), "1", "a", "2.5", "b", "-inf", "c"]);
            client.command(&["XADD", &format!("stream:{n}"), "1-1", "field", &n]);
            client.command(&["XGROUP", "CREATE", &format!("stream:{n}"), "group", "0"]);
            client.command(&[b"SET".to_vec(), vec![0, 255, 13, 10, number], vec![0, number]]);
        }
        client.command(&["SET", "large", &"x".repeat(100_000)]);
    }
}

/// The digest that a server makes of all its data; it needs `enable-debug-command yes`.
#[must_use]
pub fn digest(server: &RedisServer) -> String {
    server.client().text(&["DEBUG", "DIGEST"])
}

/// Options of a server that tells the digest of its data.
#[must_use]
pub fn with_digest() -> RedisOptions {
    RedisServer::options().option("enable-debug-command", "yes")
}

/// How many keys a server has in all databases.
#[must_use]
pub fn keys(server: &RedisServer) -> u64 {
    let info = server.client().text(&["INFO", "keyspace"]);
    let count =
        |line: &str| -> Option<u64> { line.split_once("keys=")?.1.split(',').next()?.parse().ok() };
    info.lines().filter_map(count).sum()
}

/// Orders a move and returns its number.
///
/// # Panics
/// When it is refused.
pub fn order(admin: &mut AdminClient, order: &Value) -> u64 {
    let reply = admin.post_body("/api/proxy/slots/move/{x}", order.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.json().get("id").and_then(Value::as_u64);
    id.unwrap_or_else(|| panic!("no number: {}", reply.text()))
}

/// The order to move slots to a server.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
pub fn to(server: &RedisServer, slots: &str, proxies: &[String], options: Value) -> Value {
    let to = server.addr().to_string();
    json!({"slots": slots, "to": to, "proxies": proxies, "options": options})
}

/// What a proxy says of a move.
///
/// # Panics
/// When it does not know of it.
#[must_use]
pub fn report(admin: &mut AdminClient, id: u64) -> Value {
    let reply = admin.get("/api/proxy/slots/moves/{x}");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let moves = reply.json();
    let all = moves.get("moves").and_then(Value::as_array).into_iter().flatten();
    let mut found = all.filter(|one| one.get("id").and_then(Value::as_u64) == Some(id));
    found.next().cloned().unwrap_or_else(|| panic!("no move {id}: {moves}"))
}

/// Waits until a move is in this state, and returns what the proxy says of it.
///
/// # Panics
/// When it is not at the deadline.
pub fn wait_state(admin: &mut AdminClient, id: u64, state: &str) -> Value {
    wait_until(&format!("move {id} is {state}"), MOVE_DEADLINE, || {
        let report = report(admin, id);
        match report.get("state").and_then(Value::as_str) {
            Some(seen) if seen == state => Ok(report),
            _ => Err(report.to_string()),
        }
    })
}

/// Waits until a move has moved so many keys.
///
/// # Panics
/// When it has not at the deadline.
pub fn wait_moved(admin: &mut AdminClient, id: u64, count: u64) {
    wait_until(&format!("move {id} has moved {count} keys"), MOVE_DEADLINE, || {
        let report = report(admin, id);
        let moved = report.pointer("/progress/keys_moved").and_then(Value::as_u64);
        if moved.is_some_and(|moved| moved >= count) { Ok(()) } else { Err(report.to_string()) }
    });
}

/// Checks that all slots of a proxy are on a server, and on no other.
///
/// # Panics
/// When they are not.
pub fn check_slots_on(admin: &mut AdminClient, server: &RedisServer) {
    let addr = server.addr().to_string();
    for slot in admin.slots().as_array().into_iter().flatten() {
        let field = |name| slot.get(name);
        let primary = field("backend_addr").and_then(Value::as_str);
        let rest = (field("migrate_from"), field("locked"));
        assert_eq!((primary, rest), (Some(addr.as_str()), (None, None)), "{slot}");
    }
}
