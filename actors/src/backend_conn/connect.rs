//! Making a connection to a backend: TCP, AUTH, SELECT, and a PING that proves it serves.
//!
//! Runs beside the actor, within one deadline; the actor gets a socket with nothing unread on it,
//! or the reason why there is none. Names are looked up at every attempt, so a backend that moved
//! to another address is found again.

use std::time::Duration;

use resp::value::Value;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Target;
use crate::io::{Socket, socket};
use crate::worker::Credentials;

/// A handshake reply is a status or an error line; more than this is no redis server.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// Why a backend cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConnectFailure {
    #[error("no connection within {0:?}")]
    Deadline(Duration),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("closed the connection in the middle of the handshake")]
    Closed,
    #[error("answered `{command}` with `{reply}`")]
    Refused { command: &'static str, reply: String },
    #[error("does not speak the redis protocol: {0}")]
    Garbled(#[from] resp::ReplyError),
    #[error("sent more than {0} bytes as one answer")]
    Flood(usize),
}

/// A connection that is ready for requests.
pub(crate) struct Connected {
    pub(crate) io: Socket,
    /// A server that is loading or has lost its primary: usable, but not for replica reads.
    pub(crate) is_stale: bool,
}

/// Connects, within the deadline.
pub(crate) async fn connect(
    target: &Target,
    credentials: &Credentials,
    deadline: Duration,
    keepalive: Duration,
) -> Result<Connected, ConnectFailure> {
    match tokio::time::timeout(deadline, handshake(target, credentials, keepalive)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectFailure::Deadline(deadline)),
    }
}

async fn handshake(
    target: &Target,
    credentials: &Credentials,
    keepalive: Duration,
) -> Result<Connected, ConnectFailure> {
    let io = socket::connect(&target.addr, keepalive).await?;
    let mut conversation = Conversation::new(io);
    conversation.authenticate(credentials).await?;
    if target.database > 0 {
        let database = target.database.to_string();
        conversation.expect_ok("SELECT", &[b"SELECT", database.as_bytes()]).await?;
    }
    let is_stale = match conversation.ask(&[b"PING"]).await? {
        Value::Error(text) if text.starts_with("LOADING") || text.starts_with("MASTERDOWN") => true,
        Value::Error(reply) => {
            return Err(ConnectFailure::Refused { command: "PING", reply });
        }
        _ => false,
    };
    Ok(Connected { io: conversation.io, is_stale })
}

/// Questions and answers, one at a time. Also used to look at a backend at start, and with
/// sentinels.
pub(crate) struct Conversation {
    io: Socket,
    unread: Vec<u8>,
    /// An answer is no larger.
    bytes_max: usize,
}

impl Conversation {
    pub(crate) fn new(io: Socket) -> Self {
        Self::with_limit(io, HANDSHAKE_BYTES_MAX)
    }

    pub(crate) fn with_limit(io: Socket, bytes_max: usize) -> Self {
        Self { io, unread: Vec::new(), bytes_max }
    }

    pub(crate) async fn authenticate(
        &mut self,
        credentials: &Credentials,
    ) -> Result<(), ConnectFailure> {
        let password = credentials.password.expose().as_bytes();
        if password.is_empty() {
            return Ok(());
        }
        if credentials.user.is_empty() {
            return self.expect_ok("AUTH", &[b"AUTH", password]).await;
        }
        self.expect_ok("AUTH", &[b"AUTH", credentials.user.as_bytes(), password]).await
    }

    pub(crate) async fn ask(&mut self, request: &[&[u8]]) -> Result<Value, ConnectFailure> {
        let mut bytes = Vec::new();
        resp::encode::request(&mut bytes, request);
        self.io.write_all(&bytes).await?;
        self.hear().await
    }

    /// Waits for the next thing that the other side says, asked or not.
    pub(crate) async fn hear(&mut self) -> Result<Value, ConnectFailure> {
        loop {
            if let Some((value, len)) = Value::decode(&self.unread)? {
                self.unread.drain(..len);
                return Ok(value);
            }
            if self.unread.len() > self.bytes_max {
                return Err(ConnectFailure::Flood(self.bytes_max));
            }
            if self.io.read_buf(&mut self.unread).await? == 0 {
                return Err(ConnectFailure::Closed);
            }
        }
    }

    async fn expect_ok(
        &mut self,
        command: &'static str,
        request: &[&[u8]],
    ) -> Result<(), ConnectFailure> {
        match self.ask(request).await? {
            Value::Error(reply) => Err(ConnectFailure::Refused { command, reply }),
            _ => Ok(()),
        }
    }
}
