//! A small Redis client for what is done outside the measured intervals.
//!
//! It waits for servers to be ready, fills keys, asks a backend for its counters, and holds the
//! idle connections. It knows only replies that are one line or one bulk string.
//!
//! Bounds: every connect, read and write has a deadline; a fill has at most `FILL_BATCH_BYTES`
//! unanswered, so that neither side can block on a full socket buffer of replies.

mod admin;
#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

pub(crate) use admin::AdminClient;

/// How long a server may take to accept a connection or to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Small, as there are thousands of idle connections.
const READ_BUFFER_BYTES: usize = 256;

/// How much a fill sends before it waits for the replies.
const FILL_BATCH_BYTES: usize = 64 * 1024;

/// The longest reply read: ten times the largest value stored here.
const REPLY_BYTES_MAX: usize = 640 * 1024;

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to a server.
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)
            .with_context(|| format!("connect to `{addr}`"))?;
        stream.set_read_timeout(Some(DEADLINE)).context("set the read timeout")?;
        stream.set_write_timeout(Some(DEADLINE)).context("set the write timeout")?;
        stream.set_nodelay(true).context("set nodelay")?;
        Ok(Self { stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream) })
    }

    /// Sends one command and returns its reply without the framing.
    pub(crate) fn call(&mut self, command: &[&str]) -> Result<String> {
        self.send(&encode(command))?;
        read_reply(&mut self.stream)
    }

    /// Asks for the next keys after a cursor; gives the cursor after them.
    pub(crate) fn scan(&mut self, cursor: &str) -> Result<(String, Vec<String>)> {
        self.send(&encode(&["SCAN", cursor, "COUNT", "1000"]))?;
        read_count(&mut self.stream)?;
        let next = read_reply(&mut self.stream)?;
        let count = read_count(&mut self.stream)?;
        let keys = (0..count).map(|_| read_reply(&mut self.stream));
        Ok((next, keys.collect::<Result<_>>()?))
    }

    /// Sends commands together, and reads all their replies.
    pub(crate) fn call_all(&mut self, commands: &[Vec<&str>]) -> Result<()> {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
        self.send(&bytes)?;
        for _ in commands {
            read_reply(&mut self.stream)?;
        }
        Ok(())
    }

    /// Sets every key to `value`, in batches.
    pub(crate) fn fill(&mut self, keys: impl Iterator<Item = String>, value: &str) -> Result<()> {
        let mut batch = Vec::new();
        let mut requests = 0;
        for key in keys {
            batch.extend_from_slice(&encode(&["SET", &key, value]));
            requests += 1;
            if batch.len() >= FILL_BATCH_BYTES {
                self.settle_fill(&mut batch, &mut requests)?;
            }
        }
        self.settle_fill(&mut batch, &mut requests)
    }

    fn settle_fill(&mut self, batch: &mut Vec<u8>, requests: &mut usize) -> Result<()> {
        self.send(batch)?;
        for _ in 0..*requests {
            let reply = read_reply(&mut self.stream)?;
            ensure!(reply == "OK", "SET was answered with `{reply}`");
        }
        batch.clear();
        *requests = 0;
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).context("send a request")
    }
}

/// A command in the form of an array of bulk strings.
fn encode(command: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for part in command {
        bytes.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    bytes
}

/// Reads how many elements an array has.
fn read_count(stream: &mut impl BufRead) -> Result<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).context("read a reply")?;
    let count = line.trim_end().strip_prefix('*').and_then(|count| count.parse().ok());
    count.with_context(|| format!("unexpected reply `{}`", line.trim_end()))
}

/// Reads one reply; an error reply is an error.
fn read_reply(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).context("read a reply")?;
    let line = line.strip_suffix("\r\n").context("the connection was closed")?;
    if let Some(text) = line.strip_prefix('+').or_else(|| line.strip_prefix(':')) {
        return Ok(text.to_owned());
    }
    if let Some(text) = line.strip_prefix('-') {
        bail!("the server answered `{text}`");
    }
    let length = line.strip_prefix('$').with_context(|| format!("unexpected reply `{line}`"))?;
    ensure!(length != "-1", "the key does not exist");
    let length: usize = length.parse().with_context(|| format!("unexpected length `{length}`"))?;
    ensure!(length <= REPLY_BYTES_MAX, "a reply of {length} bytes is too long");
    let mut body = vec![0; length + 2];
    stream.read_exact(&mut body).context("read a reply")?;
    body.truncate(length);
    String::from_utf8(body).context("the reply is not text")
}
