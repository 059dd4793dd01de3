//! A client that sends any bytes and reads replies as bytes.
//!
//! Nothing is parsed beyond where a reply ends ([`crate::reply`]), so a test compares exactly what
//! went over the wire. Every read ends at a deadline. A client that reads slowly is one that does
//! not call a reading function: nothing reads in the background.
//!
//! The functions panic where the test cannot go on; those that begin with `try_` return the error.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::reply::reply_len;
use crate::wait::{DEADLINE, Deadline};

/// A connection to a server or a proxy.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    // Bytes that came in and belong to replies nobody asked for yet.
    unread: Vec<u8>,
    deadline: Duration,
}

impl RawClient {
    /// Connects; the deadline of every read is [`DEADLINE`].
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap_or_else(|error| panic!("connect to {addr}: {error}"))
    }

    /// Connects, or says why not.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, unread: Vec::new(), deadline: DEADLINE })
    }

    /// Changes the deadline of the reads to come.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the peer has closed the connection or does not read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// Sends bytes as they are, or says why not.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads exactly one reply and returns its bytes.
    ///
    /// # Panics
    /// When the connection ends, the deadline passes, or the bytes are no reply.
    pub fn read_reply(&mut self) -> Vec<u8> {
        self.try_read_reply().unwrap_or_else(|error| {
            let unread = self.unread.escape_ascii();
            panic!("read a reply: {error}; read so far: `{unread}`")
        })
    }

    /// Reads exactly one reply, or says why there is none.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection was closed, `TimedOut` at the deadline, `InvalidData`
    /// when the bytes are no reply, and what else the system says.
    pub fn try_read_reply(&mut self) -> io::Result<Vec<u8>> {
        let deadline = Deadline::after(self.deadline);
        loop {
            let len = reply_len(&self.unread)
                .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
            if let Some(len) = len {
                let rest = self.unread.split_off(len);
                return Ok(std::mem::replace(&mut self.unread, rest));
            }
            if self.read_some(&deadline)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads this many bytes and passes them on piece by piece, as fast as they come.
    ///
    /// # Panics
    /// When the connection ends or the deadline passes before that.
    pub fn read_pieces(&mut self, mut len: usize, mut take: impl FnMut(&[u8])) {
        let deadline = Deadline::after(self.deadline);
        while len > 0 {
            if self.unread.is_empty() {
                match self.read_some(&deadline) {
                    Ok(0) => panic!("the connection ended {len} bytes too early"),
                    Ok(_) => {}
                    Err(error) => panic!("read {len} more bytes: {error}"),
                }
            }
            let rest = self.unread.split_off(len.min(self.unread.len()));
            take(&self.unread);
            len -= self.unread.len();
            self.unread = rest;
        }
    }

    /// Reads this many replies and returns the bytes of all of them together.
    ///
    /// # Panics
    /// As [`Self::read_reply`].
    pub fn read_replies(&mut self, count: usize) -> Vec<u8> {
        (0..count).flat_map(|_| self.read_reply()).collect()
    }

    /// Sends a command and returns its reply.
    ///
    /// # Panics
    /// As [`Self::send`] and [`Self::read_reply`].
    pub fn command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Vec<u8> {
        self.send(encode(arguments));
        self.read_reply()
    }

    /// Sends a command and returns its reply as text, for comparison with a literal.
    ///
    /// # Panics
    /// As [`Self::command`]; bytes that are no text are shown escaped.
    pub fn text<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> String {
        let reply = self.command(arguments);
        String::from_utf8(reply).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
    }

    /// Sends a command and returns its reply, or says why there is none.
    ///
    /// # Errors
    /// As [`Self::try_send`] and [`Self::try_read_reply`].
    pub fn try_command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<Vec<u8>> {
        self.try_send(encode(arguments))?;
        self.try_read_reply()
    }

    /// Reads everything up to the end of the connection, by a close or a reset, and returns it.
    ///
    /// # Panics
    /// When the connection is still open at the deadline.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let deadline = Deadline::after(self.deadline);
        loop {
            match self.read_some(&deadline) {
                Ok(0) => return std::mem::take(&mut self.unread),
                Ok(_) => {}
                // The peer closed with bytes of ours unread: what it sent before is here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return std::mem::take(&mut self.unread);
                }
                Err(error) => {
                    let unread = self.unread.escape_ascii();
                    panic!("wait for the end of the connection: {error}; read: `{unread}`")
                }
            }
        }
    }

    /// Waits until the peer closes the connection.
    ///
    /// # Panics
    /// When it sends something instead, or leaves the connection open until the deadline.
    pub fn expect_closed(&mut self) {
        let rest = self.read_to_close();
        assert!(rest.is_empty(), "before the end of the connection: `{}`", rest.escape_ascii());
    }

    /// Ends the sending half of the connection; replies can still be read.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn close_write(&mut self) {
        self.stream
            .shutdown(Shutdown::Write)
            .unwrap_or_else(|error| panic!("close the sending half: {error}"));
    }

    fn read_some(&mut self, deadline: &Deadline) -> io::Result<usize> {
        let left = deadline.remaining().ok_or(io::ErrorKind::TimedOut)?;
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 64 * 1024];
        let read = match self.stream.read(&mut chunk) {
            // Linux reports a read time-out so.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            other => other?,
        };
        self.unread.extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The bytes of a command: an array of bulk strings.
#[must_use]
pub fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests;
