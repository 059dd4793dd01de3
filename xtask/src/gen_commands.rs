//! Asks a real redis-server for its commands and keeps what it says, as `command/src/data.rs`
//! describes it.
//!
//! The server is started on a free port without persistence and asked in RESP3, which tells sets
//! and maps from arrays. It replies in the order of its hash tables, another one at each start, so
//! the entries are sorted: a run against the same server changes nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

/// The version whose commands the proxy knows; another one belongs into another file.
const VERSION: &str = "7.0.";

/// The containers whose HELP the proxy answers itself.
const LOCAL_CONTAINERS: [&str; 3] = ["CLIENT", "COMMAND", "CONFIG"];

/// Options of `gen-commands`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server to ask.
    #[arg(long, default_value = "redis-server")]
    redis_server: String,
}

/// Writes the data file.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::start(&options.redis_server)?;
    let mut conn = server.connect()?;
    let hello = conn.ask(&["HELLO", "3"])?;
    let version = field(&hello, "$version").and_then(Value::as_str).context("read the version")?;
    let version = version.trim_start_matches('$').to_owned();
    if !version.starts_with(VERSION) {
        bail!("`{}` is version {version}, wanted {VERSION}x", options.redis_server);
    }
    let infos = conn.ask(&["COMMAND"])?;
    let docs = conn.ask(&["COMMAND", "DOCS"])?;
    let mut helps = Vec::new();
    for container in LOCAL_CONTAINERS {
        helps.push(format!("{}: {}", json!(container.to_lowercase()), help(&mut conn, container)?));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../command/data/redis-7.0.json");
    fs::write(&path, data_file(&version, &helps, &infos, &docs)?)
        .with_context(|| format!("write {}", path.display()))
}

/// The lines that a container answers to HELP, which are simple strings.
fn help(conn: &mut Connection, container: &str) -> Result<Value> {
    let reply = conn.ask(&[container, "HELP"])?;
    let lines = reply.as_array().context("read the reply to HELP")?.iter();
    Ok(lines.filter_map(Value::as_str).map(|line| line.trim_start_matches('+')).collect())
}

/// The data file: one command per line.
fn data_file(version: &str, helps: &[String], infos: &Value, docs: &Value) -> Result<String> {
    let mut entries = Vec::new();
    for info in infos.as_array().context("read the reply to COMMAND")? {
        collect(info, docs, &mut entries)?;
    }
    entries.sort();
    let mut file = String::new();
    writeln!(file, "{{\n\"server\": {},", json!(version))?;
    writeln!(file, "\"help\": {{\n{}\n}},\n\"commands\": [", helps.join(",\n"))?;
    let lines: Vec<String> = entries.into_iter().map(|(_, line)| line).collect();
    writeln!(file, "{}\n]\n}}", lines.join(",\n"))?;
    Ok(file)
}

/// Collects the lines of a command and of its sub-commands, with their names to sort by.
fn collect(info: &Value, docs: &Value, entries: &mut Vec<(String, String)>) -> Result<()> {
    let mut info = info.as_array().context("read a command")?.clone();
    // The last element lists the sub-commands, which get lines of their own.
    let sub_commands = info.pop().context("read the sub-commands")?;
    let name = info.first().and_then(Value::as_str).context("read a name")?.to_owned();
    let mut doc = field(docs, &name).with_context(|| format!("find the docs of {name}"))?.clone();
    let sub_docs = take_field(&mut doc, "$subcommands").unwrap_or(Value::Null);
    let name = name.trim_start_matches('$').to_owned();
    let line = format!("{{\"name\":{},\"info\":{},\"docs\":{doc}}}", json!(name), json!(info));
    entries.push((name, line));
    for sub_command in sub_commands.as_array().into_iter().flatten() {
        collect(sub_command, &sub_docs, entries)?;
    }
    Ok(())
}

/// The value of a key in a map.
fn field<'v>(map: &'v Value, key: &str) -> Option<&'v Value> {
    let pairs = map.get("map")?.as_array()?;
    pairs.chunks_exact(2).find_map(|pair| match pair {
        [name, value] if name == key => Some(value),
        _ => None,
    })
}

/// Takes a key and its value out of a map.
fn take_field(map: &mut Value, key: &str) -> Option<Value> {
    let pairs = map.get_mut("map")?.as_array_mut()?;
    let at = pairs.iter().step_by(2).position(|name| name == key)? * 2;
    pairs.drain(at..at + 2).nth(1)
}

/// A redis-server that ends with this value.
struct Server {
    child: Child,
    port: u16,
    /// Read until the server is ready, and kept open so that it can go on writing.
    log: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server and waits until it says that it is ready.
    fn start(program: &str) -> Result<Self> {
        // The port is free again when the listener is dropped at the end of the statement.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {program}"))?;
        let log = child.stdout.take().context("read the log of the server")?;
        let mut server = Self { child, port, log: BufReader::new(log) };
        let mut line = String::new();
        while !line.contains("Ready to accept connections") {
            line.clear();
            if server.log.read_line(&mut line)? == 0 {
                bail!("the server on port {port} ended before it was ready");
            }
        }
        Ok(server)
    }

    fn connect(&self) -> Result<Connection> {
        Connection::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended by itself; there is nothing to be done about either error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that reads replies in the notation of the data file.
struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    fn ask(&mut self, args: &[&str]) -> Result<Value> {
        let mut request = format!("*{}\r\n", args.len());
        for arg in args {
            write!(request, "${}\r\n{arg}\r\n", arg.len())?;
        }
        self.reader.get_mut().write_all(request.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.trim_end_matches("\r\n");
        let rest = line.get(1..).context("read a header")?;
        match line.as_bytes().first() {
            Some(b'+') => Ok(json!(line)),
            Some(b':') => Ok(json!(rest.parse::<i64>()?)),
            Some(b'$') => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.reader.read_exact(&mut bytes)?;
                let text = String::from_utf8(bytes)?;
                Ok(json!(format!("${}", text.trim_end_matches("\r\n"))))
            }
            Some(b'*') => Ok(Value::Array(self.read_many(rest.parse()?)?)),
            Some(b'~') => Ok(json!({ "set": self.read_many(rest.parse()?)? })),
            Some(b'%') => Ok(json!({ "map": self.read_many(2 * rest.parse::<usize>()?)? })),
            Some(b'_') => Ok(Value::Null),
            _ => bail!("the server answered `{line}`"),
        }
    }

    fn read_many(&mut self, count: usize) -> Result<Vec<Value>> {
        (0..count).map(|_| self.read()).collect()
    }
}
