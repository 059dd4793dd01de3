//! The talk with sentinels and, to tell aliases apart, with servers.
//!
//! Sentinels are spoken to without a password, as Codis does: they have none of the product's. None
//! of these functions has a time limit of its own; whoever calls sets it.

use std::time::Duration;

use resp::value::Value;
use routing::BackendAddr;

use super::core::{self, Description};
use crate::backend_conn::connect::{ConnectFailure, Conversation};
use crate::io::socket;
use crate::worker::Credentials;

/// The largest answer: a description of a primary takes about 1 KB.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// The channel on which sentinels tell of new primaries.
const CHANNEL: &[u8] = b"+switch-master";

/// A sentinel that tells of new primaries.
pub(super) struct Subscription(Conversation);

impl Subscription {
    /// Connects and subscribes. The keepalive finds a sentinel that vanished without a word.
    pub(super) async fn open(
        sentinel: &BackendAddr,
        keepalive: Duration,
    ) -> Result<Self, ConnectFailure> {
        let mut conversation = connect(sentinel, keepalive).await?;
        let reply = conversation.ask(&[b"SUBSCRIBE", CHANNEL]).await?;
        refuse_error("SUBSCRIBE", &reply)?;
        Ok(Self(conversation))
    }

    /// Waits until a group of the product has a new primary.
    pub(super) async fn next_switch(&mut self, product: &str) -> Result<(), ConnectFailure> {
        while !core::is_switch(&self.0.hear().await?, product) {}
        Ok(())
    }
}

/// The primaries of the product as one sentinel sees them.
pub(super) async fn descriptions(
    sentinel: &BackendAddr,
    keepalive: Duration,
    product: &str,
) -> Result<Vec<Description>, ConnectFailure> {
    let mut conversation = connect(sentinel, keepalive).await?;
    let reply = conversation.ask(&[b"SENTINEL", b"masters"]).await?;
    refuse_error("SENTINEL masters", &reply)?;
    // What is neither an error nor a list tells of no primary.
    Ok(core::descriptions(&reply, product).unwrap_or_default())
}

/// The number that a server gave itself at its start.
pub(super) async fn run_id(
    server: &BackendAddr,
    credentials: &Credentials,
) -> Result<String, ConnectFailure> {
    let io = socket::connect(server, Duration::ZERO).await?;
    let mut conversation = Conversation::new(io);
    conversation.authenticate(credentials).await?;
    let reply = conversation.ask(&[b"INFO", b"server"]).await?;
    refuse_error("INFO", &reply)?;
    let info = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default());
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    Ok(line.unwrap_or_default().trim().to_owned())
}

async fn connect(
    sentinel: &BackendAddr,
    keepalive: Duration,
) -> Result<Conversation, ConnectFailure> {
    let io = socket::connect(sentinel, keepalive).await?;
    Ok(Conversation::with_limit(io, ANSWER_BYTES_MAX))
}

fn refuse_error(command: &'static str, reply: &Value) -> Result<(), ConnectFailure> {
    match reply.as_error() {
        Some(error) => Err(ConnectFailure::Refused { command, reply: error.to_owned() }),
        None => Ok(()),
    }
}
