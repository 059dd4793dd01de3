//! A client of a proxy's admin API, as far as changes of slots need one.
//!
//! It computes the xauth for an empty password, as the benchmark's own proxies have it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::DEADLINE;
use crate::fills::timed;

/// Half of the hash.
const XAUTH_BYTES: usize = 16;

/// One kept connection.
pub(crate) struct AdminClient {
    stream: BufReader<TcpStream>,
    addr: SocketAddr,
    xauth: String,
}

impl AdminClient {
    /// Connects, and learns from the proxy's model what the xauth is.
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)
            .with_context(|| format!("connect to `{addr}`"))?;
        stream.set_read_timeout(Some(DEADLINE)).context("set the read timeout")?;
        stream.set_nodelay(true).context("set nodelay")?;
        let mut client = Self { stream: BufReader::new(stream), addr, xauth: String::new() };
        let model = client.request("GET", "/api/proxy/model", "")?;
        let model: serde_json::Value = serde_json::from_str(&model).context("read the model")?;
        let field = |name| model.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let (product, token) = (field("product_name"), field("token"));
        let digest = Sha256::digest(format!("Codis-XAuth-[{product}]-[]-[{token}]"));
        for byte in digest.iter().take(XAUTH_BYTES) {
            write!(client.xauth, "{byte:02x}").context("write the xauth")?;
        }
        Ok(client)
    }

    /// Fills slots; tells how long that took.
    pub(crate) fn fill(&mut self, slots: &str) -> Result<Duration> {
        let path = format!("/api/proxy/fillslots/{}", self.xauth);
        let (answer, time) = timed(|| self.request("PUT", &path, slots))?;
        ensure!(answer.trim() == "\"OK\"", "the proxy answered `{answer}`");
        Ok(time)
    }

    /// Orders a move of slots; gives its number.
    pub(crate) fn start_move(&mut self, order: &str) -> Result<u64> {
        let path = format!("/api/proxy/slots/move/{}", self.xauth);
        let answer = self.request("POST", &path, order)?;
        let id = serde_json::from_str(&answer).ok();
        let id = id.and_then(|answer: serde_json::Value| answer.get("id")?.as_u64());
        id.with_context(|| format!("the proxy answered `{answer}`"))
    }

    /// How a move has ended, if it has.
    pub(crate) fn end_of_move(&mut self, id: u64) -> Result<Option<String>> {
        let path = format!("/api/proxy/slots/moves/{}", self.xauth);
        let answer = self.request("GET", &path, "")?;
        let answer: serde_json::Value = serde_json::from_str(&answer).context("read the moves")?;
        let moves = answer.get("moves").and_then(serde_json::Value::as_array);
        let is_meant = |one: &&serde_json::Value| {
            one.get("id").and_then(serde_json::Value::as_u64) == Some(id)
        };
        let found = moves.and_then(|moves| moves.iter().find(is_meant));
        let found = found.context("the proxy does not tell of the move")?;
        let has_ended = found.get("ended_at").is_some_and(|at| !at.is_null());
        let state = found.get("state").and_then(serde_json::Value::as_str).unwrap_or_default();
        Ok(has_ended.then(|| state.to_owned()))
    }

    fn request(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).context("send an order")?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).context("read an answer")?;
            let line = line.strip_suffix("\r\n").context("the connection was closed")?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("read the length of an answer")?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("read an answer")?;
        String::from_utf8(body).context("the answer is not text")
    }
}
