//! A conversation with a server, as its operator has it.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Server;
use crate::wire::{Reply, request, take_reply};

/// How long a reply is waited for.
const REPLY_TIMEOUT: Duration = Duration::from_millis(700);

/// See the module.
pub(crate) struct Talk {
    io: DuplexStream,
    unread: Vec<u8>,
}

impl Talk {
    /// `None` when the server cannot be reached.
    pub(crate) async fn with(server: &Rc<Server>) -> Option<Self> {
        let (answer, answered) = oneshot::channel();
        server.connect("the operator".to_owned(), answer);
        answered.await.ok().map(|io| Self { io, unread: Vec::new() })
    }

    /// Says something and does not wait for the reply.
    pub(crate) async fn say<S: AsRef<str>>(&mut self, args: &[S]) {
        // Whether it is heard is what the caller does not want to know.
        let _ = self.io.write_all(&request(args)).await;
    }

    /// `None` when the connection is of no use any more.
    pub(crate) async fn ask<S: AsRef<str>>(&mut self, args: &[S]) -> Option<Reply> {
        self.io.write_all(&request(args)).await.ok()?;
        loop {
            if let Some(reply) = take_reply(&mut self.unread) {
                return Some(reply);
            }
            let read = timeout(REPLY_TIMEOUT, self.io.read_buf(&mut self.unread)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return None;
            }
        }
    }
}
