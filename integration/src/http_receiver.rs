//! A scripted HTTP server: what a proxy calls, played by the test.
//!
//! One thread, one request per connection, each answered by the test's own function. When that
//! panics, the test fails at the latest when the receiver is dropped.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::wait::DEADLINE;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// `GET`, `PUT`, `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl HttpRequest {
    /// The value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut unread = Vec::new();
        let mut read_some = |unread: &mut Vec<u8>| {
            let mut chunk = [0; 16 * 1024];
            match stream.read(&mut chunk)? {
                0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                read => {
                    unread.extend(chunk.iter().take(read));
                    Ok(())
                }
            }
        };
        let head_end = loop {
            match unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => read_some(&mut unread)?,
            }
        };
        let head: Vec<u8> = unread.drain(..head_end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            headers: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: String::new(),
        };
        let length = request.header("content-length").and_then(|text| text.parse().ok());
        while unread.len() < length.unwrap_or(0) {
            read_some(&mut unread)?;
        }
        request.body = String::from_utf8_lossy(&unread).into_owned();
        Ok(request)
    }
}

/// See the module.
#[derive(Debug)]
pub struct HttpReceiver {
    addr: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpReceiver {
    /// Listens on a port of 127.0.0.1, 0 for any. `answer` gives a status and a body.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(
        port: u16,
        answer: impl FnMut(&HttpRequest) -> (u16, String) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .unwrap_or_else(|error| panic!("listen on port {port}: {error}"));
        let addr = listener.local_addr().unwrap_or_else(|error| panic!("own address: {error}"));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        let thread = std::thread::spawn(move || serve(&listener, &stopped, answer));
        Self { addr, is_stopped, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for HttpReceiver {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        // Wakes the thread, which looks at the flag.
        let _ = TcpStream::connect(self.addr);
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = ended
            && !std::thread::panicking()
        {
            panic!("the receiver's script failed, see above");
        }
    }
}

fn serve(
    listener: &TcpListener,
    is_stopped: &AtomicBool,
    mut answer: impl FnMut(&HttpRequest) -> (u16, String),
) {
    for stream in listener.incoming() {
        if is_stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        // A caller that leaves, or stays and says nothing, is none of the test's business.
        let _ = stream.set_read_timeout(Some(DEADLINE));
        let Ok(request) = HttpRequest::read(&mut stream) else { continue };
        let (status, body) = answer(&request);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} scripted\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    }
}
