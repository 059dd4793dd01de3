//! A connection to a redis server: questions and answers, each with a deadline.
//!
//! A connection that has failed in the middle of a question is of no further use: what the server
//! has done is unknown. Its owner drops it, and has it fenced before it relies on anything
//! ([`ServerConn::fence`]).
//!
//! Bounds: [`CONNECT_TIMEOUT`] for everything up to the first question, a limit for each question,
//! [`ANSWER_BYTES_MAX`] for what is read and not yet understood.

use std::rc::Rc;
use std::time::Duration;

use config::Secret;
use resp::reply::{ReplyFramer, ReplyScan};
use resp::value::Value;
use routing::BackendAddr;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long it may take to connect and to sign in.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take that needs no work worth mentioning.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// More than any answer has that is asked for here.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The name and password for a server.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The ACL user; empty means the default user.
    pub user: String,
    /// The password; empty means that none is needed.
    pub password: Secret,
}

/// Finds the login of a server.
pub type LoginOf = Rc<dyn Fn(&BackendAddr) -> Login>;

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, Error)]
pub(crate) enum ServerError {
    /// No connection. It was not asked.
    #[error("{addr}: cannot be reached: {reason}")]
    Unreachable { addr: BackendAddr, reason: String },
    /// No answer. It may have done it, or may yet do it.
    #[error("{addr}: `{command}`: {reason}")]
    Lost { addr: BackendAddr, command: String, reason: String },
    /// It said no.
    #[error("{addr}: `{command}` is answered by `{reply}`")]
    Refused { addr: BackendAddr, command: String, reply: String },
    /// It said something that makes no sense.
    #[error("{addr}: `{command}` is answered by something unexpected")]
    Odd { addr: BackendAddr, command: &'static str },
}

/// See the module.
pub(crate) struct ServerConn {
    addr: BackendAddr,
    io: TcpStream,
    unread: Vec<u8>,
    framer: ReplyFramer,
    /// How much of `unread` the framer has seen.
    seen: usize,
    /// The database that is selected.
    database: u32,
}

impl ServerConn {
    /// Connects and signs in. A name makes the connection known to [`Self::fence`].
    pub(crate) async fn connect(
        addr: &BackendAddr,
        login: &Login,
        name: Option<&str>,
    ) -> Result<Self, ServerError> {
        let unreachable = |reason: String| ServerError::Unreachable { addr: addr.clone(), reason };
        let connected = async {
            let io = TcpStream::connect((addr.host(), addr.port())).await;
            let io = io.map_err(|error| unreachable(error.to_string()))?;
            // Small questions must not wait for each other.
            io.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
            let (unread, framer) = (Vec::new(), ReplyFramer::default());
            let mut conn = Self { addr: addr.clone(), io, unread, framer, seen: 0, database: 0 };
            conn.sign_in(login).await?;
            if let Some(name) = name {
                conn.expect(&[b"CLIENT", b"SETNAME", name.as_bytes()]).await?;
            }
            Ok(conn)
        };
        let late = || unreachable(format!("no connection within {CONNECT_TIMEOUT:?}"));
        timeout(CONNECT_TIMEOUT, connected).await.unwrap_or_else(|_| Err(late()))
    }

    async fn sign_in(&mut self, login: &Login) -> Result<(), ServerError> {
        let password = login.password.expose().as_bytes();
        if password.is_empty() {
            return Ok(());
        }
        let user = login.user.as_bytes();
        let request: &[&[u8]] =
            if user.is_empty() { &[b"AUTH", password] } else { &[b"AUTH", user, password] };
        self.expect(request).await.map(drop)
    }

    /// Where the server is.
    pub(crate) fn addr(&self) -> &BackendAddr {
        &self.addr
    }

    /// Asks, and takes no error for an answer.
    pub(crate) async fn expect(&mut self, request: &[&[u8]]) -> Result<Value, ServerError> {
        let answer = self.ask(request, ANSWER_TIMEOUT).await?;
        match answer.as_error() {
            Some(reply) => Err(self.refused(request, reply)),
            None => Ok(answer),
        }
    }

    /// What to say of an error reply.
    pub(crate) fn refused(&self, request: &[&[u8]], reply: &str) -> ServerError {
        let (addr, reply) = (self.addr.clone(), reply.to_owned());
        ServerError::Refused { addr, command: name_of(request), reply }
    }

    /// What to say of an answer that makes no sense.
    pub(crate) fn odd(&self, command: &'static str) -> ServerError {
        ServerError::Odd { addr: self.addr.clone(), command }
    }

    /// Asks, within a limit.
    pub(crate) async fn ask(
        &mut self,
        request: &[&[u8]],
        limit: Duration,
    ) -> Result<Value, ServerError> {
        let mut bytes = Vec::new();
        resp::encode::request(&mut bytes, request);
        let answers = self.exchange(&bytes, 1, limit, || name_of(request)).await?;
        answers.into_iter().next().ok_or_else(|| self.odd("request"))
    }

    /// Asks several questions at once; the answers are in their order.
    pub(crate) async fn ask_all(
        &mut self,
        questions: &Questions,
    ) -> Result<Vec<Value>, ServerError> {
        if questions.count == 0 {
            return Ok(Vec::new());
        }
        let name = || questions.command.to_owned();
        self.exchange(&questions.bytes, questions.count, ANSWER_TIMEOUT, name).await
    }

    async fn exchange(
        &mut self,
        bytes: &[u8],
        count: usize,
        limit: Duration,
        command: impl Fn() -> String,
    ) -> Result<Vec<Value>, ServerError> {
        let exchanged = async {
            self.io.write_all(bytes).await.map_err(|error| error.to_string())?;
            let mut answers = Vec::with_capacity(count);
            while answers.len() < count {
                answers.push(self.hear().await?);
            }
            Ok(answers)
        };
        let late = || Err(format!("no answer within {limit:?}"));
        let answers: Result<_, String> = timeout(limit, exchanged).await.unwrap_or_else(|_| late());
        let addr = &self.addr;
        answers.map_err(|reason| ServerError::Lost {
            addr: addr.clone(),
            command: command(),
            reason,
        })
    }

    /// The next answer.
    async fn hear(&mut self) -> Result<Value, String> {
        loop {
            let fresh = self.unread.get(self.seen..).unwrap_or_default();
            match self.framer.scan(fresh).map_err(|error| error.to_string())? {
                ReplyScan::Complete { len } => {
                    let end = self.seen + len;
                    let whole = self.unread.get(..end).unwrap_or_default();
                    let value = Value::decode(whole).map_err(|error| error.to_string())?;
                    self.unread.drain(..end);
                    self.seen = 0;
                    return value.map(|(value, _)| value).ok_or_else(|| "half an answer".into());
                }
                ReplyScan::Partial { len, .. } => self.seen += len,
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
            }
            match self.io.read_buf(&mut self.unread).await {
                Ok(0) => return Err("the server has closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Selects a database.
    pub(crate) async fn select(&mut self, database: u32) -> Result<(), ServerError> {
        if self.database != database {
            self.expect(&[b"SELECT", database.to_string().as_bytes()]).await?;
            self.database = database;
        }
        Ok(())
    }

    /// A section of INFO.
    pub(crate) async fn info(&mut self, section: &'static str) -> Result<String, ServerError> {
        let answer = self.expect(&[b"INFO", section.as_bytes()]).await?;
        let text = answer.as_bytes().ok_or_else(|| self.odd("INFO"))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// The databases that have keys.
    pub(crate) async fn databases(&mut self) -> Result<Vec<u32>, ServerError> {
        let info = self.info("keyspace").await?;
        let database = |line: &str| line.strip_prefix("db")?.split(':').next()?.parse().ok();
        Ok(info.lines().filter_map(database).collect())
    }

    /// Sees to it that no earlier connection of this name does anything from now on: what it was
    /// asked has been done by then, or never will be.
    ///
    /// To close a connection is not enough. A server that was frozen reads what was sent to it
    /// before it notices the end.
    pub(crate) async fn fence(&mut self, name: &str) -> Result<(), ServerError> {
        let own = self.expect(&[b"CLIENT", b"GETNAME"]).await?;
        debug_assert_ne!(own.as_bytes(), Some(name.as_bytes()), "it would end itself");
        let list = self.expect(&[b"CLIENT", b"LIST"]).await?;
        let list = String::from_utf8_lossy(list.as_bytes().unwrap_or_default()).into_owned();
        for client in list.lines() {
            let field = |key: &str| client.split(' ').find_map(|field| field.strip_prefix(key));
            if field("name=") != Some(name) {
                continue;
            }
            let Some(addr) = field("addr=") else { continue };
            let request: &[&[u8]] = &[b"CLIENT", b"KILL", addr.as_bytes()];
            let answer = self.ask(request, ANSWER_TIMEOUT).await?;
            // It may have ended by itself meanwhile.
            if let Some(reply) = answer.as_error().filter(|reply| !reply.contains("No such client"))
            {
                return Err(self.refused(request, reply));
            }
        }
        Ok(())
    }
}

/// Questions that are asked together.
pub(crate) struct Questions {
    command: &'static str,
    bytes: Vec<u8>,
    count: usize,
}

impl Questions {
    /// None yet; errors call them by this name.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, bytes: Vec::new(), count: 0 }
    }

    /// One more.
    pub(crate) fn push(&mut self, request: &[&[u8]]) {
        resp::encode::request(&mut self.bytes, request);
        self.count += 1;
    }
}

/// What a request is called in errors: never its arguments, which may hold a password.
fn name_of(request: &[&[u8]]) -> String {
    let name = request.first().copied().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// A field of a text of INFO.
pub(crate) fn info_field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
