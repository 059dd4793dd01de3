//! A scripted redis server: it shakes hands like a real one, records what it is sent, and answers
//! as the test says.
//!
//! For commands that a stock server lacks. Its threads end with the test's process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::reply::reply_len;

/// What the server says of itself to who asks at start.
const INFO: &[u8] = b"$34\r\nredis_version:3.2.9\r\nrole:master\r\n\r\n";

/// What a script answers to close the connection.
pub const CLOSE: &str = "close";

/// A request as it came: the database of its connection, and its arguments.
pub type Recorded = (String, Vec<String>);

/// See the module.
#[derive(Debug)]
pub struct FakeServer {
    addr: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl FakeServer {
    /// Listens on a free port of 127.0.0.1. What `script` gives a reply to is recorded; the rest is
    /// answered like a server without data. With [`CLOSE`] the connection is closed, an
    /// empty reply is silence.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(script: impl Fn(&[String]) -> Option<String> + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .unwrap_or_else(|error| panic!("listen on a free port: {error}"));
        let addr = listener.local_addr().unwrap_or_else(|error| panic!("own address: {error}"));
        let recorded = Arc::default();
        let records = Arc::clone(&recorded);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, records) = (script.clone(), Arc::clone(&records));
                std::thread::spawn(move || serve(stream, script, &records));
            }
        });
        Self { addr, recorded }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes the requests that the script has answered since the last call, in their order.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(
    mut stream: TcpStream,
    script: impl Fn(&[String]) -> Option<String>,
    recorded: &Mutex<Vec<Recorded>>,
) {
    let (mut unread, mut chunk) = (Vec::new(), [0; 4096]);
    let mut database = "0".to_owned();
    loop {
        // A request is framed like a reply: an array of bulk strings.
        while let Ok(Some(len)) = reply_len(&unread) {
            let request = arguments(&unread.drain(..len).collect::<Vec<u8>>());
            let name = request.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
            let reply = match (script(&request), name.as_str()) {
                (Some(reply), _) => {
                    let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
                    recorded.push((database.clone(), request));
                    reply.into_bytes()
                }
                (None, "PING") => b"+PONG\r\n".to_vec(),
                (None, "INFO") => INFO.to_vec(),
                (None, "SELECT") => {
                    database = request.get(1).cloned().unwrap_or_default();
                    b"+OK\r\n".to_vec()
                }
                (None, _) => b"-ERR unknown command\r\n".to_vec(),
            };
            if reply == CLOSE.as_bytes() || stream.write_all(&reply).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(len @ 1..) => unread.extend(chunk.iter().take(len)),
            _ => return,
        }
    }
}

/// The arguments of a request. No test sends one with a line break.
fn arguments(request: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(request);
    text.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
}
