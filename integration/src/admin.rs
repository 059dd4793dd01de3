//! A dashboard's side of the admin API: a small HTTP client on one kept connection.
//!
//! It knows of HTTP what the tests need: a request with or without a body, a reply with a length or
//! in chunks. The xauth is computed here from the proxy's model, apart from the proxy's own code.
//! Every reply has a deadline.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::redis_server::RedisServer;
use crate::wait::{DEADLINE, Deadline};

/// A reply of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("read JSON: {error}: {}", self.text()))
    }

    /// The cause of a refusal.
    ///
    /// # Panics
    /// When the reply is no refusal.
    #[must_use]
    pub fn cause(&self) -> String {
        assert_eq!(self.status, 800, "{}", self.text());
        let body = self.json();
        assert!(body.get("Stack").is_some_and(Value::is_null), "{body}");
        let cause = body.get("Cause").and_then(Value::as_str);
        cause.map_or_else(|| panic!("no cause: {body}"), str::to_owned)
    }

    /// Checks that an order was carried out.
    ///
    /// # Panics
    /// When it was not.
    pub fn expect_ok(&self) {
        assert_eq!((self.status, self.text().as_str()), (200, "\"OK\""));
    }
}

/// A connection to the admin API.
#[derive(Debug)]
pub struct AdminClient {
    stream: TcpStream,
    addr: SocketAddr,
    unread: Vec<u8>,
    xauth: String,
}

impl AdminClient {
    /// Connects, asks for the model, and computes the xauth for a product's password.
    ///
    /// # Panics
    /// When there is no proxy.
    #[must_use]
    pub fn connect(addr: SocketAddr, product_auth: &str) -> Self {
        let mut client = Self::anonymous(addr);
        let model = client.get("/api/proxy/model").json();
        let field = |name| model.get(name).and_then(Value::as_str).unwrap_or_default();
        client.xauth = xauth(field("product_name"), product_auth, field("token"));
        client
    }

    /// Connects without asking for anything; the xauth is a wrong one.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn anonymous(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .unwrap_or_else(|error| panic!("connect to the admin API on {addr}: {error}"));
        Self { stream, addr, unread: Vec::new(), xauth: "0".repeat(32) }
    }

    /// Fills slots of a proxy that may be dying.
    ///
    /// # Errors
    /// What the system says, and the cause of a refusal.
    pub fn try_fill(addr: SocketAddr, slots: &Value) -> io::Result<()> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)?;
        let mut client = Self { stream, addr, unread: Vec::new(), xauth: String::new() };
        client.try_begin("GET", "/api/proxy/model", &[], b"")?;
        let model = client.finish(false)?.json();
        let field = |name| model.get(name).and_then(Value::as_str).unwrap_or_default();
        client.xauth = xauth(field("product_name"), "", field("token"));
        let body = slots.to_string();
        client.try_begin("PUT", "/api/proxy/fillslots/{x}", &[], body.as_bytes())?;
        let reply = client.finish(false)?;
        if reply.status == 200 { Ok(()) } else { Err(io::Error::other(reply.text())) }
    }

    /// The xauth that this client uses.
    #[must_use]
    pub fn xauth(&self) -> &str {
        &self.xauth
    }

    /// Asks for a page; `{x}` in the path stands for the xauth.
    ///
    /// # Panics
    /// When there is no reply at the deadline.
    pub fn get(&mut self, path: &str) -> HttpReply {
        self.request("GET", path, &[], b"")
    }

    /// Gives an order without a body, as Go does.
    ///
    /// # Panics
    /// As [`Self::get`].
    pub fn put(&mut self, path: &str) -> HttpReply {
        self.request("PUT", path, &[], b"")
    }

    /// Gives an order that makes something new.
    ///
    /// # Panics
    /// As [`Self::get`].
    pub fn post_body(&mut self, path: &str, body: &[u8]) -> HttpReply {
        self.request("POST", path, &["Content-Type: application/json"], body)
    }

    /// Gives an order with a body.
    ///
    /// # Panics
    /// As [`Self::get`].
    pub fn put_body(&mut self, path: &str, body: &[u8]) -> HttpReply {
        self.request("PUT", path, &["Content-Type: application/json; charset=utf-8"], body)
    }

    /// Fills slots.
    ///
    /// # Panics
    /// As [`Self::get`].
    pub fn fill(&mut self, slots: &Value) -> HttpReply {
        self.put_body("/api/proxy/fillslots/{x}", slots.to_string().as_bytes())
    }

    /// The slots as they are.
    ///
    /// # Panics
    /// When they are refused.
    pub fn slots(&mut self) -> Value {
        let reply = self.get("/api/proxy/slots/{x}");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// The numbers of the proxy.
    ///
    /// # Panics
    /// When they are refused.
    pub fn stats(&mut self) -> Value {
        let reply = self.get("/api/proxy/stats/{x}");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Sends any request on the kept connection and reads the reply.
    ///
    /// # Panics
    /// As [`Self::get`].
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> HttpReply {
        self.begin(method, path, headers, body);
        self.finish(method == "HEAD").unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request; its reply is read by [`Self::finish`].
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn begin(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) {
        self.try_begin(method, path, headers, body)
            .unwrap_or_else(|error| panic!("send {method} {path}: {error}"));
    }

    fn try_begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> io::Result<()> {
        let path = path.replace("{x}", &self.xauth);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.addr);
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if method != "GET" && method != "HEAD" {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request)
    }

    /// Reads the reply to what was begun.
    ///
    /// # Errors
    /// What the system says, and `TimedOut` after a minute, the patience of a dashboard.
    pub fn finish(&mut self, is_head: bool) -> io::Result<HttpReply> {
        let deadline = Deadline::after(Duration::from_secs(60));
        let head = self.read_until(b"\r\n\r\n", &deadline)?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {head}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = HttpReply { status, headers, body: Vec::new() };
        if is_head {
            return Ok(reply);
        }
        reply.body = match reply.header("content-length").and_then(|text| text.parse().ok()) {
            Some(length) => self.read_exactly(length, &deadline)?,
            None if reply.header("transfer-encoding").is_some() => self.read_chunks(&deadline)?,
            None => Vec::new(),
        };
        Ok(reply)
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    fn read_chunks(&mut self, deadline: &Deadline) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(b"\r\n", deadline)?;
            let length = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(length.trim(), 16).map_err(io::Error::other)?;
            let chunk = self.read_exactly(length + 2, deadline)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend(chunk.iter().take(length));
        }
    }

    fn read_until(&mut self, end: &[u8], deadline: &Deadline) -> io::Result<Vec<u8>> {
        loop {
            let found = self.unread.windows(end.len()).position(|bytes| bytes == end);
            if let Some(at) = found {
                return Ok(self.unread.drain(..at + end.len()).collect());
            }
            self.read_some(deadline)?;
        }
    }

    fn read_exactly(&mut self, length: usize, deadline: &Deadline) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.read_some(deadline)?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn read_some(&mut self, deadline: &Deadline) -> io::Result<()> {
        let left = deadline.remaining().ok_or(io::ErrorKind::TimedOut)?;
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.extend(chunk.iter().take(read));
                Ok(())
            }
        }
    }
}

/// The form of all slots on one server.
#[must_use]
pub fn all_slots_on(server: &RedisServer) -> Value {
    let addr = server.addr().to_string();
    let slot = |id| json!({"id": id, "backend_addr": addr, "backend_addr_group_id": 1, "forward_method": 1});
    (0..1024).map(slot).collect()
}

/// A proxy that a dashboard has brought online, over one server.
///
/// # Panics
/// When the proxy does not start or refuses.
#[must_use]
pub fn online_over(server: &RedisServer, options: ProxyOptions) -> KeywayProxy {
    let proxy = options.start();
    let mut admin = proxy.admin();
    admin.fill(&all_slots_on(server)).expect_ok();
    admin.put("/api/proxy/start/{x}").expect_ok();
    proxy
}

/// The xauth of a product's password at a proxy.
#[must_use]
pub fn xauth(product: &str, product_auth: &str, token: &str) -> String {
    let digest = Sha256::digest(format!("Codis-XAuth-[{product}]-[{product_auth}]-[{token}]"));
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
